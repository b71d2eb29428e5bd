"""The study of classical trainings, against NumPy in float64."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.layers import RBFHead
from jaxdl.losses import squared_error
from jaxdl.rbf import encode_classes, fit_three_phase
from jaxdl.recipes.rbf_classical import (
    fit_phases,
    make_vectors,
    name_centers,
    study_classical,
)
from jaxdl.recipes.rbf_classical_config import RBFClassicalConfig, VectorsSection
from jaxdl.recipes.svd_eigenimages_data import load_image_splits
from jaxdl.train import RunFolder

SMALL = (
    "images.train_limit=200",
    "centers.counts=[10]",
    "centers.num_seeds=2",
    "descent.num_steps=20",
    "function.counts=[20]",
    "function.num_steps=20",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Rows of both tables and the summary of a small study."""
    folder = tmp_path_factory.mktemp("study")
    run = RunFolder(folder)
    assert study_classical(load_config(RBFClassicalConfig, None, SMALL), run) == 0
    tables = []
    for name in ("table.csv", "function.csv"):
        with (folder / name).open(newline="") as file:
            tables.append(list(csv.DictReader(file)))
    assert (folder / "accuracy.png").is_file() and (folder / "function.png").is_file()
    return *tables, json.loads(run.summary.read_text())


def test_study_lists_every_network_and_averages_over_seeds(study):
    rows, _, summary = study
    assert [(row["phases"], row["centers_of"], row["seed"]) for row in rows] == [
        (phases, where, seed)
        for seed in "01"
        for phases, where in (
            *((phases, "all images") for phases in "123"),
            *((phases, "each class") for phases in "23"),
        )
    ]
    for mean in summary["results"]:
        values = [
            float(row["test_accuracy"])
            for row in rows
            if row["phases"] == str(mean["phases"])
            and row["centers_of"] == mean["centers_of"]
        ]
        np.testing.assert_allclose(mean["test_accuracy"], np.mean(values))
        np.testing.assert_allclose(
            mean["test_accuracy_std"], np.std(values, ddof=1), atol=1e-12
        )


def test_study_finds_each_phase_better_than_the_one_before(study):
    by_class = {
        (row["phases"], row["centers_of"]): row["test_accuracy"]
        for row in study[2]["results"]
    }
    one, two, three = (by_class[phases, "all images"] for phases in (1, 2, 3))
    assert 0.7 < one < two < three
    assert two < by_class[2, "each class"]


def test_study_predicts_by_the_nearest_centre_as_numpy_does(study):
    """With a centre per class, its mean: the class of the nearest mean."""
    data = load_image_splits(VectorsSection(train_limit=200), seed=0)
    train, test = (
        split.images.reshape(len(split.labels), -1).astype(np.float64)
        for split in (data.train, data.test)
    )
    means = np.stack([train[data.train.labels == k].mean(axis=0) for k in range(10)])
    distances = np.linalg.norm(test[:, None] - means[None], axis=-1)
    expected = np.mean(distances.argmin(axis=1) == data.test.labels)
    found = [
        float(row["nearest_accuracy"])
        for row in study[0]
        if (row["phases"], row["centers_of"]) == ("2", "each class")
    ]
    np.testing.assert_allclose(found, expected)


def test_study_interpolates_the_sine(study):
    errors = {row["training"]: float(row["max_error"]) for row in study[1]}
    assert list(errors)[:3] == ["one phase", "two phases", "three phases"]
    assert errors["a centre per example"] < 1e-3
    assert max(errors.values()) < 0.1


def test_fit_phases_ends_where_fit_three_phase_does():
    # Shapes and steps of the study above: nothing is compiled again.
    train = load_image_splits(VectorsSection(train_limit=200), seed=0).train
    x, y = train.pixels, jnp.asarray(train.labels)
    head = RBFHead(10, 10, None, metric="euclidean", kernel="gaussian")
    targets, key = encode_classes(y, 10), jax.random.key(3)
    options = {"labels": y, "width_scale": 2.0, "key": key}
    descent = {"loss": squared_error, "num_steps": 20, "learning_rate": 0.01}
    fits = fit_phases(head, x, targets, **options, descent=descent)
    assert list(fits) == [2, 3]
    whole = fit_three_phase(head, x, targets, **options, **descent)
    for a, b in zip(jax.tree.leaves(fits[3]), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_make_vectors_standardises_by_the_training_images():
    section = VectorsSection(train_limit=200, standardize=True)
    data = load_image_splits(section, seed=0)
    vectors = make_vectors(data, section)
    train = np.float64(data.train.images.reshape(200, -1))
    test = np.float64(data.test.images.reshape(len(data.test.labels), -1))
    std = train.std(axis=0)
    assert (std == 0).any()
    scaled = (test - train.mean(axis=0)) / np.where(std > 0, std, np.inf)
    np.testing.assert_allclose(vectors.test, scaled, rtol=1e-3, atol=1e-4)
    plain = make_vectors(data, VectorsSection())
    assert float(plain.train.min()) == 0 and float(plain.train.max()) == 1


def test_name_centers_takes_the_class_of_most():
    distances = np.array([[0, 1, 9], [1, 2, 9], [1, 0, 9], [0, 3, 9]], np.float32)
    found = name_centers(distances, np.array([2, 2, 0, 1]), 3)
    assert found.tolist() == [2, 0, -1]


@pytest.mark.parametrize("count", [9, 2000])
def test_study_names_a_number_of_centres_that_can_not_be(tmp_path, count):
    words = ("images.train_limit=200", f"centers.counts=[{count}]")
    config = load_config(RBFClassicalConfig, None, words)
    message = rf"centers.counts: {count} centres; digits has 10 classes of at least 20"
    with pytest.raises(ConfigError, match=message):
        study_classical(config, RunFolder(tmp_path))


def test_config_names_more_centres_than_examples_of_a_function():
    words = ("function.counts=[5, 20]", "function.num_examples=10")
    with pytest.raises(ConfigError, match="20 centres are more than the 10 examples"):
        load_config(RBFClassicalConfig, None, words)
