"""Votes, maps and pictures of neighbours, against scikit-learn."""

import csv
import json

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from jaxdl.parallel import make_mesh
from jaxdl.recipes import neighbor_probe
from jaxdl.recipes.build import build_dataset
from jaxdl.recipes.encoders import compute_features, load_encoder
from jaxdl.recipes.neighbor_probe import find_nearest, map_features
from jaxdl.recipes.probes_config import MapSection
from tests.scripts import run_main

pytestmark = pytest.mark.usefixtures("tiny_backbone")


@pytest.fixture(scope="module")
def study(short_runs, tiny_backbone, tmp_path_factory):
    """The run folder of a probe, and what was drawn in it."""
    folder, drawn = tmp_path_factory.mktemp("study"), {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("plot_feature_map", "plot_neighbors"):
            real = getattr(neighbor_probe, name)

            def plot(*args, real=real, name=name, **options):
                drawn[name] = args
                real(*args, **options)

            patch.setattr(neighbor_probe, name, plot)
        status, message = run_main(
            "knn_probe",
            short_runs["pretrain_barlow_twins"],
            f"run.folder={folder}",
            "run.name=a",
            "mesh.data=1",
            "votes.num_neighbors=[1, 5]",
            "votes.temperatures=[0.1, 0.5]",
            "map.method=pca",
            "map.num_images=50",
            "picture.num_queries=12",
            "picture.num_neighbors=3",
        )
    assert status == 0, message
    return folder / "knn_probe" / "a", drawn


@pytest.fixture(scope="module")
def features(short_runs, tiny_backbone):
    mesh = make_mesh(data=1)
    run = short_runs["pretrain_barlow_twins"]
    encoder = load_encoder(run, mesh, checkpoint="last")
    dataset = build_dataset(encoder.config.data)
    return {
        name: compute_features(encoder, split, mesh, batch_size=512)
        for name, split in dataset.splits.items()
    }


def test_study_writes_a_row_for_each_vote(study, features):
    folder, _ = study
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    votes = [("1", "0.1"), ("5", "0.1"), ("5", "0.5")]
    found = [(row["num_neighbors"], row["temperature"]) for row in rows]
    assert found == votes * 2
    assert [row["network"] for row in rows] == ["trained"] * 3 + ["untrained"] * 3
    assert [row["step"] for row in rows] == ["12"] * 3 + [""] * 3
    for row, temperature in zip(rows[:3], (0.1, 0.1, 0.5), strict=True):
        model = KNeighborsClassifier(
            int(row["num_neighbors"]),
            metric="cosine",
            weights=lambda distances, t=temperature: np.exp((1 - distances) / t),
        )
        model.fit(*features["train"])
        for name in ("validation", "test"):
            expected = model.score(*features[name])
            # An image more or less where similarities tie.
            assert float(row[f"{name}_accuracy"]) == pytest.approx(expected, abs=0.008)


def test_study_reports_what_is_best_on_validation(study):
    summary = json.loads((study[0] / "summary.json").read_text())
    for network, best in summary["best_by_validation"].items():
        rows = [row for row in summary["results"] if row["network"] == network]
        assert best in rows
        assert best["validation_accuracy"] == max(
            r["validation_accuracy"] for r in rows
        )
    for name in ("accuracy.png", "feature_map.png", "neighbors.png"):
        assert (study[0] / name).stat().st_size > 0


def test_study_maps_test_images(study, features):
    points, labels, class_names, _ = study[1]["plot_feature_map"]
    assert points.shape == (50, 2) and len(class_names) == 10
    chosen = np.random.default_rng(0).permutation(len(features["test"][1]))[:50]
    np.testing.assert_array_equal(labels, features["test"][1][chosen])


def test_study_shows_queries_of_every_class_and_what_is_nearest(study, features):
    queries, neighbors, labels, found_labels, similarities, *_ = study[1][
        "plot_neighbors"
    ]
    assert queries.shape == (12, 8, 8, 1) and neighbors.shape == (12, 3, 8, 8, 1)
    assert labels.tolist() == [*range(10), 0, 1]
    test, bank = features["test"], features["train"]
    firsts = [np.flatnonzero(test[1] == label)[0] for label in range(10)]
    near = NearestNeighbors(n_neighbors=3, metric="cosine").fit(bank[0])
    distances, places = near.kneighbors(test[0][firsts])
    np.testing.assert_allclose(similarities[:10], 1 - distances, atol=1e-5)
    agree = (found_labels[:10] == bank[1][places]).mean()
    assert agree > 0.9


def test_find_nearest_gives_cosines_and_survives_zeros():
    bank = np.array([[1.0, 0.0], [0.0, 0.0], [-2.0, 0.0], [3.0, 3.0]], np.float32)
    places, values = find_nearest(bank, np.float32([[5.0, 0.0]]), num_neighbors=9)
    assert places.tolist() == [[0, 3, 1, 2]]
    np.testing.assert_allclose(values, [[1, np.sqrt(0.5), 0, -1]], atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_map_features_by_components_does_not_depend_on_length(scale):
    rows = np.random.default_rng(0).normal(1, 1, (30, 5)).astype(np.float32)
    lengths = scale * np.random.default_rng(1).uniform(0.5, 2, (30, 1))
    section = MapSection(method="pca")
    points = map_features(section, (rows * lengths).astype(np.float32), seed=0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = PCA(2, svd_solver="full").fit_transform(unit)
    signs = np.sign((points * expected).sum(axis=0))
    np.testing.assert_allclose(points, expected * signs, atol=1e-4)


def test_map_features_by_tsne_keeps_classes_apart_and_takes_few_images():
    generator = np.random.default_rng(0)
    middles = np.eye(4)[np.arange(40) % 4] * 5
    rows = (middles + generator.normal(0, 0.2, (40, 4))).astype(np.float32)
    section = MapSection(perplexity=5.0)
    points = map_features(section, rows, seed=0)
    near = NearestNeighbors(n_neighbors=2).fit(points).kneighbors(points)[1][:, 1]
    assert (near % 4 == np.arange(40) % 4).mean() > 0.95
    assert map_features(MapSection(), rows[:3], seed=0).shape == (3, 2)
