"""A run of a radial basis function network, in this process."""

import json

import numpy as np
import pytest

from tests.scripts import ROOT, list_small, run_main

QUICK = ROOT / "configs/train_rbf/quick.yaml"
WORDS = (QUICK, *list_small("train_rbf"), "mesh.data=1", "run.name=run")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["head.metric=full", "loss.metric_decay=1.0"], "wanted diagonal"),
        (["head.metric=euclidean", "head.per_center_metric=true"], "wanted another"),
        (["head.kernel=gausian"], "gaussian"),
        (["head.num_centers=5000"], r"num_centers must be in \[1, 50\]"),
        (["centers.method=class_kmeans"], "at least 10, one per class, got 3"),
    ],
)
def test_train_rbf_names_what_does_not_fit(tmp_path, words, message):
    import re

    status, text = run_main("train_rbf", *WORDS, f"run.folder={tmp_path}", *words)
    assert status == 2
    assert re.search(message, text), text


def test_train_rbf_freezes_the_backbone_and_resumes(tmp_path):
    words = (
        *WORDS,
        f"run.folder={tmp_path}",
        "head.freeze_backbone=true",
        "head.metric=full",
        "centers.method=random",
        "loss.embedding_mixup=0.5",
        "loss.activation_dropout=0.2",
    )
    assert run_main("train_rbf", *words) == (0, "")
    folder = tmp_path / "train_rbf" / "run"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["num_steps"] == 2
    assert set(summary["precision"]) == {
        "learned",
        "euclidean",
        "cosine",
        "activations",
    }
    page = (folder / "report.html").read_text()
    assert "data:image/png;base64" in page and "http" not in page.split("</style>")[1]
    # Nothing is left to do, and the figures are drawn again.
    (folder / "purity.png").unlink()
    assert run_main("train_rbf", *words, "--resume") == (0, "")
    assert (folder / "purity.png").is_file()
    again = json.loads((folder / "summary.json").read_text())
    assert np.isclose(again["purity"], summary["purity"])
