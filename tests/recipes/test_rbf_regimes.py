"""Clusters that follow the labels, and clusters that ignore them."""

import json

import pytest

from tests.scripts import ROOT, run_main

WORDS = (
    ROOT / "configs/train_rbf/quick.yaml",
    "model.name=mlp",
    "head.num_centers=10",
    "head.nonnegative=true",
    "centers.warm_start=null",
    "centers.widths=spread",
    "augment.crop_padding=0",
    "optimizer.learning_rate=1e-3",
    "run.evaluate_every=12 epochs",
    "run.tensorboard=false",
    "report.num_maps=0",
    "report.tsne_images=0",
    "mesh.data=1",
    "run.name=run",
)


def train(folder, *words):
    assert run_main("train_rbf", *WORDS, f"run.folder={folder}", *words) == (0, "")
    return json.loads((folder / "train_rbf/run/summary.json").read_text())


@pytest.mark.slow
def test_centres_follow_the_labels_where_these_dominate(tmp_path):
    summary = train(
        tmp_path,
        "centers.method=class_kmeans",
        "centers.class_weight=1.0",
        "loss.cluster_weight=0.02",
    )
    assert summary["final"]["test"]["accuracy"] > 0.96
    assert summary["used_centers"] == 10 and summary["purity"] > 0.97
    assert summary["adjusted_mutual_information"] > 0.95
    assert summary["nearest_center_accuracy"] > 0.96


@pytest.mark.slow
def test_centres_ignore_the_labels_where_clusters_dominate(tmp_path):
    summary = train(
        tmp_path,
        "head.metric=euclidean",
        "loss.cluster_weight=50.0",
        "loss.center_repulsion=1000.0",
        "loss.assignment_imbalance=1000.0",
    )
    assert summary["used_centers"] > 5 and summary["effective_centers"] > 4
    assert summary["purity"] < 0.65
    assert summary["adjusted_mutual_information"] < 0.6
