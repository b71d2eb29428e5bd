"""Few labels: what is trained from where, and how fast which part of it."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.config import load_config
from jaxdl.recipes import semi_supervised
from jaxdl.recipes.probe_subject import open_subject
from jaxdl.recipes.probes_config import SemiSupervisedConfig, TuningSection
from jaxdl.recipes.semi_supervised import make_tuning_optimizer
from tests.scripts import run_main

pytestmark = pytest.mark.usefixtures("tiny_backbone")

WORDS = (
    "mesh.data=1",
    "crops.random=false",
    "tuning.duration=2 epochs",
    "scratch.duration=3 epochs",
    "num_seeds=2",
)


@pytest.fixture
def study(short_runs, tmp_path, monkeypatch):
    """`study(*overrides)`: table and summary, and the starts of all trainings."""
    starts = []
    real = semi_supervised.train_to_end

    def train(state, advance, **options):
        starts.append((jax.device_get(state.params), options["num_steps"]))
        return real(state, advance, **options)

    monkeypatch.setattr(semi_supervised, "train_to_end", train)

    def study(*overrides):
        words = (*WORDS, f"run.folder={tmp_path}", "run.name=a", *overrides)
        run = short_runs["pretrain_barlow_twins"]
        status, message = run_main("semi_supervised", run, *words)
        assert status == 0, message
        folder = tmp_path / "semi_supervised" / "a"
        with (folder / "table.csv").open(newline="") as file:
            table = list(csv.DictReader(file))
        assert (folder / "accuracy.png").stat().st_size > 0
        return table, json.loads((folder / "summary.json").read_text()), starts

    return study


def test_study_trains_from_both_starts_with_each_seed(study, short_runs):
    table, summary, starts = study("fractions=[0.05, 1]", "data.batch_size=256")
    expected = [
        (fraction, count, start, seed)
        for fraction, count in (("0.05", "65"), ("1.0", "1294"))
        for start in ("pre-trained", "from scratch")
        for seed in "01"
    ]
    columns = ("fraction", "labelled_images", "start", "seed")
    assert [tuple(row[c] for c in columns) for row in table] == expected
    # Batches of 65 of 65 images; of 256 of 1294.
    assert [int(row["steps"]) for row in table] == [2, 2, 3, 3, 10, 10, 15, 15]
    config = load_config(SemiSupervisedConfig, None, ["mesh.data=1"])
    run = str(short_runs["pretrain_barlow_twins"])
    trained = open_subject(run, config).encoder.params
    for row, (params, _) in zip(table, starts, strict=True):
        same = np.array_equal(params["conv"]["kernel"], trained["conv"]["kernel"])
        assert same == (row["start"] == "pre-trained")
        assert params["head"]["kernel"].shape == (36, 10)
    heads = [params["head"]["kernel"] for params, _ in starts]
    np.testing.assert_array_equal(heads[0], heads[2])  # the same seed
    assert np.abs(heads[0] - heads[1]).max() > 1e-3
    for result in summary["results"]:
        runs = [
            float(row["test_accuracy"])
            for row in table
            if row["start"] == result["start"]
            and float(row["fraction"]) == result["fraction"]
        ]
        assert result["mean"] == pytest.approx(np.mean(runs))
        assert result["std"] == pytest.approx(np.std(runs, ddof=1))
    assert summary["encoder"]["step"] == 12


def test_study_takes_one_image_per_class_at_least(study):
    table, summary, _ = study("fractions=[0.001]", "num_seeds=1")
    assert {row["labelled_images"] for row in table} == {"10"}
    assert [result["std"] for result in summary["results"]] == [None, None]


def test_study_names_a_class_with_too_few_images(study):
    with pytest.raises(AssertionError, match="wanted for a balanced 1281"):
        study("fractions=[0.99]")


def test_study_says_what_to_change_when_it_diverges(study):
    words = ("fractions=[0.05]", "tuning.head_learning_rate=1e38")
    with pytest.raises(AssertionError, match="lower tuning.backbone_learning_rate or"):
        study(*words)


@pytest.mark.parametrize("step", [0, 3])
def test_make_tuning_optimizer_gives_the_head_a_rate_of_its_own(step):
    section = TuningSection(backbone_learning_rate=0.01, head_learning_rate=0.4)
    optimizer = make_tuning_optimizer(section, 6)
    params = {name: {"kernel": jnp.ones((2, 2))} for name in ("head", "conv")}
    state, zeros = optimizer.init(params), jax.tree.map(jnp.zeros_like, params)
    for _ in range(step):
        _, state = optimizer.update(zeros, state, params)
    updates, _ = optimizer.update(params, state, params)
    share = (1 + np.cos(np.pi * step / 6)) / 2
    np.testing.assert_allclose(updates["head"]["kernel"], -0.4 * share, rtol=1e-5)
    np.testing.assert_allclose(updates["conv"]["kernel"], -0.01 * share, rtol=1e-5)
