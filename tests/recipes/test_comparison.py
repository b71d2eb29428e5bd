"""Whole comparisons of tiny networks: compared, stopped, resumed, diverged."""

import csv
import json

import jax.numpy as jnp
import pytest
from flax import linen as nn

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.models import MODELS
from jaxdl.parallel import make_mesh
from jaxdl.recipes.comparison import compare_classifiers
from jaxdl.recipes.comparison_configs import DepthStudyConfig
from jaxdl.recipes.runs import open_run
from jaxdl.recipes.trained import evaluate_run, load_classifier
from jaxdl.train import StopRequest
from tests.recipes.tiny_network import TinyNetwork
from tests.scripts import run_main

NAMES = ("resnet8_cifar-seed5", "resnet8_cifar-seed6")


class Diverging(nn.Module):
    """Good for a step, then not finite."""

    num_classes: int
    dtype: object = jnp.float32

    @nn.compact
    def __call__(self, images, *, train):
        logits = nn.Dense(self.num_classes)(images.reshape(len(images), -1))
        bias = self.param("bias", nn.initializers.zeros, (self.num_classes,))
        count = self.variable("seen", "count", lambda: jnp.zeros(()))
        if train:
            count.value += 1
        return logits + bias.reshape(1, -1) / jnp.where(count.value > 2, 0.0, 1.0)


@pytest.fixture(scope="module", autouse=True)
def networks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "resnet8_cifar", TinyNetwork)
        patch.setitem(MODELS, "plain8_cifar", TinyNetwork)
        patch.setitem(MODELS, "plain20_cifar", Diverging)
        yield


def make_config(folder, *overrides, networks=("resnet8_cifar",), num_seeds=2):
    words = [
        f"run.folder={folder}",
        "run.name=run",
        "run.seed=5",
        "run.log_every=1 steps",
        "run.evaluate_every=3 steps",
        "run.tensorboard=false",
        "run.score_train=true",
        "schedule.duration=6 steps",
        "data.train_limit=40",
        "data.batch_size=8",
        "mesh.data=1",
        f"study.networks=[{', '.join(networks)}]",
        f"study.num_seeds={num_seeds}",
    ]
    return load_config(DepthStudyConfig, None, [*words, *overrides])


def compare(config, stop=None):
    """Status and folder of a comparison."""
    with open_run(config, experiment="study") as run:
        status = compare_classifiers(config, run, stop or StopRequest(), title="Nets")
        return status, run


def read_table(run):
    with (run.path / "table.csv").open() as file:
        return list(csv.DictReader(file))


class StopAtPoll(StopRequest):
    """A SIGTERM that arrives just before the n-th time that anyone asks."""

    def __init__(self, limit):
        super().__init__()
        self.polls, self.limit = 0, limit

    @property
    def requested(self):
        self.polls += 1
        if self.polls > self.limit:
            self.signal_number = 15
        return self.signal_number is not None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an uninterrupted comparison, and how often it asked to go on."""
    stop = StopAtPoll(10**9)
    status, run = compare(make_config(tmp_path_factory.mktemp("whole")), stop)
    assert status == 0
    return run, stop.polls


def test_compare_classifiers_leaves_a_table_a_summary_and_curves(whole):
    run, _ = whole
    rows = read_table(run)
    assert [(row["network"], row["seed"], row["status"]) for row in rows] == [
        ("resnet8_cifar", seed, "finished") for seed in ("5", "6")
    ]
    for row, name in zip(rows, NAMES, strict=True):
        final = json.loads((run.variants / name / "summary.json").read_text())["final"]
        assert float(row["test_accuracy"]) == final["test"]["accuracy"]
        assert float(row["train_loss"]) == final["train"]["loss"]
        scored = final["train_scored"]["accuracy"]
        assert float(row["scored_train_accuracy"]) == scored
    assert (run.path / "curves.png").stat().st_size > 10_000
    summary = json.loads(run.summary.read_text())["resnet8_cifar"]
    assert summary["runs"] == summary["finished"] == 2
    a, b = (float(row["train_loss"]) for row in rows)
    assert a != b
    assert summary["train_loss"]["mean"] == pytest.approx((a + b) / 2)
    assert summary["train_loss"]["std"] == pytest.approx(abs(a - b) / 2**0.5)
    assert summary["train_loss"]["standard_error"] == pytest.approx(abs(a - b) / 2)


def test_compare_classifiers_leaves_classifier_runs(whole, capsys):
    run, _ = whole
    folder, mesh = run.variants / NAMES[0], make_mesh(data=1)
    trained = load_classifier(folder, mesh, checkpoint="last")
    final = json.loads((folder / "summary.json").read_text())["final"]
    for split, name in (("test", "test"), ("train", "train_scored")):
        numbers = evaluate_run(trained, mesh, split=split, batch_size=64)
        assert numbers["accuracy"] == final[name]["accuracy"]
    status, message = run_main("evaluate", folder, "split=test", "mesh.data=1")
    assert (status, message) == (0, "")
    assert trained.config.model.name == "resnet8_cifar" and trained.config.run.seed == 5


def test_compare_classifiers_stopped_and_resumed_ends_the_same(whole, tmp_path, capsys):
    run, polls = whole
    status, stopped = compare(make_config(tmp_path), StopAtPoll(int(polls * 0.8)))
    assert status == 128 + 15 and not stopped.summary.exists()
    text = capsys.readouterr().out
    assert "run.name=run --resume" in text and "-seed5 --resume" not in text
    summaries = list(stopped.variants.glob("*/summary.json"))
    assert [path.parent.name for path in summaries] == list(NAMES[:1])
    before = [path.stat().st_mtime_ns for path in summaries]
    status, resumed = compare(make_config(tmp_path, "run.resume=true"))
    assert status == 0 and resumed.path == stopped.path
    assert [path.stat().st_mtime_ns for path in summaries] == before
    for name in NAMES:
        rows = [r.variants / name / "metrics.jsonl" for r in (run, resumed)]
        assert rows[0].read_bytes() == rows[1].read_bytes()
    drop = lambda rows: [{k: v for k, v in r.items() if k != "seconds"} for r in rows]
    assert drop(read_table(resumed)) == drop(read_table(run))


def test_compare_classifiers_goes_on_after_one_diverged(tmp_path, capsys):
    networks = ("plain20_cifar", "plain8_cifar")
    options = {"networks": networks, "num_seeds": 1}
    status, run = compare(make_config(tmp_path, **options))
    assert status == 0
    diverged, finished = read_table(run)
    assert diverged["status"].startswith("diverged: step 2: ")
    assert diverged["steps"] == "2" and diverged["test_accuracy"] == ""
    assert float(diverged["train_loss"]) > 0
    assert finished["status"] == "finished"
    summary = json.loads(run.summary.read_text())
    assert summary["plain20_cifar"] == {"runs": 1, "finished": 0}
    text = capsys.readouterr().out
    assert "plain20_cifar-seed5 diverged, the next one begins: step 2" in text
    status, _ = compare(make_config(tmp_path, "run.resume=true", **options))
    assert status == 0  # and neither was trained again
    assert capsys.readouterr().out.count("finished before") == 2


def test_compare_classifiers_hands_the_results_to_draw(whole):
    run, _ = whole
    seen = []
    config = make_config(run.path.parents[1], "run.resume=true")
    with open_run(config, experiment="study") as again:
        draw = lambda results, folder: seen.append((results, folder))
        compare_classifiers(config, again, StopRequest(), title="", draw=draw)
    ((results, folder),) = seen
    assert folder == run.path and list(results) == ["resnet8_cifar"]
    assert [row["seed"] for row in results["resnet8_cifar"]] == [5, 6]


def test_compare_classifiers_is_refused_another_study_in_its_folder(whole):
    run, _ = whole
    with pytest.raises(ConfigError, match="already holds a run; add --resume"):
        compare(make_config(run.path.parents[1]))
    changed = make_config(
        run.path.parents[1], "run.resume=true", "optimizer.learning_rate=0.5"
    )
    with pytest.raises(ConfigError, match="optimizer.learning_rate was 0.1, now 0.5"):
        compare(changed)
