"""Small studies of large batches: ended at their target, or never there."""

import csv
import json

import numpy as np
import pytest

from jaxdl.config import load_config
from jaxdl.diagnose import fit_batch_tradeoff
from jaxdl.errors import ConfigError
from jaxdl.models import MODELS
from jaxdl.recipes.comparison import compare_classifiers
from jaxdl.recipes.large_batch_config import LargeBatchConfig
from jaxdl.recipes.large_batch_study import average_noise, study_options
from jaxdl.recipes.large_batch_words import describe_batches
from jaxdl.recipes.runs import open_run
from jaxdl.recipes.targets import Target, find_steps
from jaxdl.train import StopRequest, read_rows
from tests.recipes.tiny_network import LinearNetwork

LOSS = 1.5


def make_config(folder, *overrides):
    words = [
        f"run.folder={folder}",
        "run.name=run",
        "run.log_every=1 steps",
        "run.evaluate_every=100 steps",
        "run.tensorboard=false",
        "model.name=mlp",
        "schedule.name=constant",
        "schedule.warmup=1 steps",
        "schedule.duration=12 steps",
        "data.train_limit=200",
        "data.batch_size=16",
        "optimizer.accumulate=2",
        "optimizer.noise_scale=true",
        "mesh.data=1",
        "study.batch_sizes=[16, 64]",
        "study.optimizers=[sgd, lamb]",
        "study.learning_rates=[0.05, 1e-9]",
        "study.scaling=[linear, none]",
        f"study.target_loss={LOSS}",
    ]
    return load_config(LargeBatchConfig, None, [*words, *overrides])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study whose second optimizer never gets anywhere."""
    config = make_config(tmp_path_factory.mktemp("study"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "mlp", LinearNetwork)
        with open_run(config, experiment="study") as run:
            options = study_options(config, run)
            status = compare_classifiers(
                config, run, StopRequest(), title="Batches", **options
            )
    assert status == 0
    return run


def read_table(run):
    with (run.path / "table.csv").open(newline="") as file:
        return {(r["optimizer"], int(r["batch_size"])): r for r in csv.DictReader(file)}


def test_study_ends_runs_at_the_target_and_keeps_those_that_miss_it(study):
    table = read_table(study)
    assert list(table) == [(n, size) for n in ("sgd", "lamb") for size in (16, 64)]
    for (name, size), row in table.items():
        assert row["status"] == "finished" and float(row["test_accuracy"]) >= 0
        rows = read_rows(study.variants / f"{name}-batch{size}-seed0" / "metrics.jsonl")
        losses = [r["loss"] for r in rows if r["split"] == "train"]
        assert int(row["steps"]) == len(losses)
        if name == "lamb":
            assert row["reached"] == "False" and row["steps_to_target"] == ""
            assert len(losses) == 12 and min(losses) > LOSS
            continue
        assert row["reached"] == "True" and len(losses) < 12
        assert losses[-1] <= LOSS < min(losses[:-1])
        steps = find_steps(rows, Target("train", "loss", LOSS))
        assert float(row["steps_to_target"]) == steps
        assert float(row["examples_to_target"]) == pytest.approx(steps * size)
        assert float(row["seconds_to_target"]) > 0
        assert float(row["noise_scale_early"]) > 0
    assert [float(r["learning_rate"]) for r in table.values()] == pytest.approx(
        [0.05, 0.2, 1e-9, 1e-9]
    )


def test_study_says_where_returns_diminish(study):
    table, summary = read_table(study), json.loads(study.summary.read_text())
    steps = [float(table["sgd", size]["steps_to_target"]) for size in (16, 64)]
    found = summary["tradeoff"]["sgd"]
    # Two points determine the curve: steps = min_steps + min_examples / batch size.
    min_examples = (steps[0] - steps[1]) / (1 / 16 - 1 / 64)
    min_steps = steps[0] - min_examples / 16
    if found["is_bounded"]:
        assert found["min_steps"] == pytest.approx(min_steps, rel=1e-2)
        assert found["min_examples"] == pytest.approx(min_examples, rel=1e-2)
    assert summary["tradeoff"]["lamb"] is None
    text = summary["paragraph"]
    assert "sgd: 2 of 2 runs reached a training loss of 1.5." in text
    assert "Not reached at batch sizes 16 (ended at step 12), 64 (ended at step" in text
    for name in ("tradeoff", "noise_scale", "curves"):
        assert (study.path / f"{name}.png").stat().st_size > 10_000
    assert summary["sgd-batch16"]["steps_to_target"]["mean"] == steps[0]


def make_runs(sizes, steps, *, noise=None):
    return [
        {
            "batch_size": size,
            "reached": count is not None,
            "steps": 99,
            "steps_to_target": count,
            "noise_scale_early": noise,
            "noise_scale_late": noise,
        }
        for size, count in zip(sizes, steps, strict=True)
    ]


@pytest.mark.parametrize(
    ("steps", "noise", "words"),
    [
        ([1100, 200, 110], 90.0, ["100 steps", "10,000 examples", "about 100 on,"]),
        ([1100, 200, 110], 90.0, ["90 in the second, the size of the critical batch"]),
        ([1100, 200, 110], 10.0, ["is 10.0 times above that"]),
        ([1100, 200, 110], None, ["4 runs"]),
        ([1000, 100, 10], None, ["returns don't diminish yet"]),
        ([100, 100, 100], None, ["beyond the useful ones"]),
        ([1100, 50, 110], None, ["roughly", "% off"]),
        ([1100, 200, 110], None, ["10 to 100 examples per step, 10 times", "5.5-fold"]),
    ],
)
def test_describe_batches_in_plain_words(steps, noise, words):
    sizes = [10, 100, 1000]
    runs = make_runs([*sizes, 5000], [*steps, None], noise=noise)
    fits = {"sgd": fit_batch_tradeoff(sizes, steps)}
    text = " ".join(describe_batches({"sgd": runs}, fits, target="the end"))
    assert "Not reached at batch sizes 5000 (ended at step 99)." in text
    for word in words:
        assert word in text


def test_average_noise_is_the_ratio_of_means():
    names = ("gradient_norm_squared", "gradient_variance")
    values = np.array([[2.0, 30.0], [-0.5, 10.0], [0.5, 20.0]])
    rows = [dict(zip(names, pair, strict=True)) for pair in values.tolist()]
    rows.insert(1, {"gradient_norm_squared": None, "gradient_variance": None})
    assert average_noise(rows) == pytest.approx(60 / 2)
    assert average_noise([*rows[1:], {"loss": 1.0}][:2]) is None
    assert average_noise([]) is None


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["study.scaling=[linear]"], ["study.scaling: got 1 for 2 optimizers"]),
        (["study.learning_rates=[1.0]"], ["study.learning_rates: got 1 for 2"]),
        (["study.target_loss=null"], ["study.target_loss: got neither"]),
        (["study.target_accuracy=0.9"], ["study.target_loss: got both"]),
        (["optimizer.learning_rate=0.5"], ["see study.learning_rates"]),
        (["study.batch_sizes=[7]"], ["a batch of 7", "(variant sgd-batch7)"]),
    ],
)
def test_bad_study_of_batches_gives_one_clear_line(tmp_path, overrides, words):
    with pytest.raises(ConfigError) as error:
        make_config(tmp_path, *overrides)
    (line,) = str(error.value).splitlines()
    for word in words:
        assert word in line


def test_study_takes_the_target_from_validation(tmp_path):
    words = ["study.target_loss=null", "study.target_accuracy=0.75"]
    config = make_config(tmp_path, *words, "study.scaling=[square_root, none]")
    with open_run(config, experiment="study") as run:
        metrics = study_options(config, run)["metrics"]
    assert metrics == [("train", "loss"), ("validation", "error")]
    rates = [v.settings["learning_rate"] for v in config.list_variants()]
    np.testing.assert_allclose(rates, [0.05, 0.1, 1e-9, 1e-9])
