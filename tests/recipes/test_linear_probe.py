"""Linear classifiers of frozen features, against scikit-learn and NumPy."""

import csv
import json

import chex
import jax
import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from jaxdl.config import load_config
from jaxdl.data import Dataset, batch_indices, from_arrays
from jaxdl.errors import ConfigError, NonFiniteError
from jaxdl.parallel import make_mesh
from jaxdl.recipes import linear_probe
from jaxdl.recipes.linear_classifiers import descend, fit_ridge, score_linear
from jaxdl.recipes.probe_subject import Examples, open_subject
from jaxdl.recipes.probe_training import fit_batch_size, make_crops
from jaxdl.recipes.probes_config import CropsSection, LinearProbeConfig, RidgeSection
from jaxdl.train import RunFolder
from tests.scripts import run_main

pytestmark = pytest.mark.usefixtures("tiny_backbone")

NAMES = ("train", "validation", "test")


def make_examples(count, *, seed, num_classes=3, num_features=4):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes, count).astype(np.int32)
    middles = np.random.default_rng(9).normal(0, 1, (num_classes, num_features))
    features = 2 + middles[labels] + generator.normal(0, 0.7, (count, num_features))
    return Examples(features.astype(np.float32), labels)


@pytest.fixture
def examples():
    return {name: make_examples(24, seed=seed) for seed, name in enumerate(NAMES)}


@pytest.fixture
def open_probe(short_runs):
    """`open_probe(*overrides)`: config and subject of a probe of a pre-training."""

    def open_probe(*overrides):
        words = ("mesh.data=1", "data.batch_size=8", *overrides)
        config = load_config(LinearProbeConfig, None, words)
        return config, open_subject(str(short_runs["pretrain_barlow_twins"]), config)

    return open_probe


def with_classes(subject, count):
    """The same subject with labels of another number of classes."""
    splits = {}
    for name, split in subject.dataset.splits.items():
        batch = split.read(np.arange(len(split)))
        splits[name] = (batch["images"], batch["labels"] % count)
    dataset: Dataset = from_arrays(splits.pop("train"), **splits)
    return type(subject)(
        subject.path, subject.encoder, dataset, subject.mesh, subject.section
    )


def test_fit_ridge_equals_scikit_learn(examples):
    section = RidgeSection(num_strengths=9)
    params, strength = fit_ridge(
        section, examples["train"], examples["validation"], num_classes=3
    )
    x, labels = np.float64(examples["train"].features), examples["train"].labels
    targets = np.eye(3)[labels]
    strengths = len(x) * x.var(axis=0).mean() * np.logspace(-6, 2, 9)
    chosen = RidgeCV(strengths).fit(x, targets).alpha_
    assert strength == pytest.approx(chosen, rel=1e-5)
    expected = Ridge(chosen).fit(x, targets)
    np.testing.assert_allclose(params["kernel"], expected.coef_.T, atol=1e-5)
    np.testing.assert_allclose(params["bias"], expected.intercept_, atol=1e-5)


def test_fit_ridge_can_choose_by_validation(examples):
    section = RidgeSection(num_strengths=9, choose_by="validation")
    params, strength = fit_ridge(
        section, examples["train"], examples["validation"], num_classes=3
    )
    x, targets = examples["train"].features, np.eye(3)[examples["train"].labels]
    held_out, labels = examples["validation"]
    strengths = len(x) * x.var(axis=0).mean() * np.logspace(-6, 2, 9)
    accuracies = [
        np.mean(Ridge(s).fit(x, targets).predict(held_out).argmax(1) == labels)
        for s in strengths
    ]
    assert strength == pytest.approx(strengths[np.argmax(accuracies)], rel=1e-4)
    found = score_linear(params, examples["validation"], num_classes=3)
    assert found["accuracy"] == pytest.approx(max(accuracies))


def descend_in_numpy(train, kernel, *, num_steps, rate, momentum, decay, batch_size):
    """Momentum along a cosine, as in PyTorch, in float64."""
    kernel, bias = np.float64(kernel), np.zeros(kernel.shape[1])
    speeds = [np.zeros_like(kernel), np.zeros_like(bias)]
    for step in range(num_steps):
        rows = batch_indices(
            step, seed=0, num_examples=len(train.labels), batch_size=batch_size
        )
        x, targets = np.float64(train.features[rows]), np.eye(3)[train.labels[rows]]
        scores = np.exp(x @ kernel + bias)
        wrong = (scores / scores.sum(1, keepdims=True) - targets) / batch_size
        grads = x.T @ wrong + decay * kernel, wrong.sum(axis=0)
        speeds = [momentum * v + g for v, g in zip(speeds, grads, strict=True)]
        now = rate * (1 + np.cos(np.pi * step / num_steps)) / 2
        kernel, bias = kernel - now * speeds[0], bias - now * speeds[1]
    return kernel, bias


def test_descend_equals_numpy(examples, open_probe):
    config, subject = open_probe(
        "descent.initial_std=0",
        "descent.learning_rate=0.2",
        "descent.weight_decay=0.1",
        "descent.momentum=0.8",
        "descent.duration=7 steps",
    )
    subject, key = with_classes(subject, 3), jax.random.key(0)
    params, rows = descend(config, subject, subject.encoder, examples, key=key)
    kernel, bias = descend_in_numpy(
        examples["train"],
        np.zeros((4, 3)),
        num_steps=7,
        rate=0.2,
        momentum=0.8,
        decay=0.1,
        batch_size=8,
    )
    np.testing.assert_allclose(params["kernel"], kernel, atol=1e-5)
    np.testing.assert_allclose(params["bias"], bias, atol=1e-5)
    last = rows[-1]
    assert (last["split"], last["epoch"]) == ("validation", 7 * 8 / 24)
    held_out = examples["validation"]
    scores = held_out.features @ kernel + bias
    assert last["accuracy"] == np.mean(scores.argmax(axis=1) == held_out.labels)


def test_descend_on_standardized_features_undoes_the_scaling(examples, open_probe):
    words = ("descent.duration=5 steps", "descent.initial_std=0")
    key, found = jax.random.key(0), []
    x = examples["train"].features
    mean, std = x.mean(axis=0), x.std(axis=0)
    scaled = {
        name: Examples((each.features - mean) / std, each.labels)
        for name, each in examples.items()
    }
    for given, option in ((examples, "true"), (scaled, "false")):
        config, subject = open_probe(*words, f"descent.standardize={option}")
        subject = with_classes(subject, 3)
        params, _ = descend(config, subject, subject.encoder, given, key=key)
        kernel, bias = (np.asarray(params[name]) for name in ("kernel", "bias"))
        found.append(given["test"].features @ kernel + bias)
    np.testing.assert_allclose(*found, atol=1e-4)


def test_descend_on_crops_leaves_the_network_as_it_is(open_probe):
    config, subject = open_probe("crops.random=true", "descent.duration=3 steps")
    before = jax.device_get(subject.encoder.variables)
    examples = subject.compute(subject.encoder)
    key = jax.random.key(0)
    params, rows = descend(config, subject, subject.encoder, examples, key=key)
    chex.assert_trees_all_equal(jax.device_get(subject.encoder.variables), before)
    fixed, _ = open_probe("descent.duration=3 steps")
    same, _ = descend(fixed, subject, subject.encoder, examples, key=key)
    assert np.abs(params["kernel"] - same["kernel"]).max() > 1e-4
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_descend_says_what_to_change_when_it_diverges(examples, open_probe):
    config, subject = open_probe("descent.learning_rate=1e38")
    with pytest.raises(NonFiniteError, match="lower descent.learning_rate or set"):
        descend(
            config,
            with_classes(subject, 3),
            subject.encoder,
            examples,
            key=jax.random.key(0),
        )


@pytest.mark.parametrize(
    ("wanted", "count", "data", "expected"),
    [(256, 1000, 1, 256), (256, 100, 1, 100), (256, 100, 8, 96), (8, 1000, 8, 8)],
)
def test_fit_batch_size_takes_what_there_is(wanted, count, data, expected):
    assert fit_batch_size(wanted, count, make_mesh(data=data)) == expected


@pytest.mark.parametrize(
    ("wanted", "count", "message"),
    [
        (12, 99, "data.batch_size=12 does not divide"),
        (8, 7, "8 devices for 7 training"),
    ],
)
def test_fit_batch_size_names_devices_that_it_can_not_fill(wanted, count, message):
    with pytest.raises(ConfigError, match=message):
        fit_batch_size(wanted, count, make_mesh(data=8))


def test_make_crops_flips_only_where_asked_for():
    images = jax.random.uniform(jax.random.key(1), (16, 4, 4, 1))
    key, whole = jax.random.key(0), (1.0, 1.0)
    plain = make_crops(CropsSection(random=True, scale=whole, flip=False), (4, 4))
    flipped = make_crops(CropsSection(random=True, scale=whole), (4, 4))
    a, b = (np.asarray(crop(images, key=key)) for crop in (plain, flipped))
    same = [np.allclose(x, y, atol=1e-5) for x, y in zip(a, b, strict=True)]
    mirrored = [
        np.allclose(x[:, ::-1], y, atol=1e-5) for x, y in zip(a, b, strict=True)
    ]
    assert all(x or y for x, y in zip(same, mirrored, strict=True))
    assert 2 < sum(mirrored) < 14


def test_study_compares_both_probes_with_the_untrained_network(open_probe, tmp_path):
    config, subject = open_probe("descent.duration=30 steps", "data.batch_size=64")
    status = linear_probe.study_linear_probe(
        config, with_classes(subject, 3), RunFolder(tmp_path)
    )
    assert status == 0
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["network"], row["probe"], row["step"]) for row in rows] == [
        ("trained", "descent", "12"),
        ("trained", "ridge", "12"),
        ("untrained", "descent", ""),
        ("untrained", "ridge", ""),
    ]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["encoder"]["step"] == 12 and summary["num_classes"] == 3
    gain = float(rows[1]["test_accuracy"]) - float(rows[3]["test_accuracy"])
    assert summary["points_above_untrained"]["ridge"] == pytest.approx(100 * gain)
    assert all(0.5 < float(row["test_accuracy"]) <= 1 for row in rows)
    for name in ("accuracy.png", "curves.png"):
        assert (tmp_path / name).stat().st_size > 0


def test_study_says_that_the_untrained_network_diverged(
    open_probe, tmp_path, monkeypatch
):
    config, subject = open_probe("probes=[descent]", "descent.duration=1 steps")
    real = linear_probe.descend

    def diverge(config, subject, encoder, examples, *, key):
        if encoder.step is None:
            raise NonFiniteError("step 1")
        return real(config, subject, encoder, examples, key=key)

    monkeypatch.setattr(linear_probe, "descend", diverge)
    linear_probe.study_linear_probe(config, subject, RunFolder(tmp_path))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["results"][1]["note"] == "diverged: step 1"
    assert summary["points_above_untrained"] == {}


def test_script_probes_a_classifier_on_eight_devices(short_runs, tmp_path):
    words = (f"run.folder={tmp_path}", "run.name=a", "descent.duration=4 steps")
    run = short_runs["train_classifier"]
    assert run_main("linear_probe", run, *words, "untrained=false") == (0, "")
    summary = json.loads((tmp_path / "linear_probe" / "a" / "summary.json").read_text())
    assert summary["encoder"]["run"] == str(run)
    assert [row["network"] for row in summary["results"]] == ["trained"] * 2
