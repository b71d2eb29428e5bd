"""A run of a radial basis function network, in this process."""

import json

import jax
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
        (
            ["centers.class_weight=1.0", "centers.method=drawn"],
            "drawn centres stand for no class",
        ),
        (["unknown.path=mnist"], "a source that is null; wanted null"),
        (["unknown.source=idx"], "source 'idx' needs unknown.path"),
        (["unknown.source=digits", "unknown.path=x"], "part of scikit-learn"),
        (["unknown.source=digits", "unknown.split=validation"], "has no validation"),
        (["unknown.source=idx", "unknown.path=nowhere"], "unknown.path: no such file"),
    ],
)
def test_train_rbf_names_what_does_not_fit(tmp_path, words, message):
    import re

    status, text = run_main("train_rbf", *WORDS, f"run.folder={tmp_path}", *words)
    # Data that are not there have a status of their own.
    assert status == (3 if "no such file" in message else 2)
    assert re.search(message, text), text


class Started(Exception):
    """Carries the head that a run would have started from."""


@pytest.mark.parametrize("widths", ["null", "neighbors", "spread"])
def test_head_starts_as_its_section_says(tmp_path, monkeypatch, widths):
    def start(config, plan, task, variables, *rest, **options):
        raise Started(jax.device_get(variables["params"]["head"]))

    monkeypatch.setattr("jaxdl.recipes.rbf_training.build_training", start)
    words = (
        "head.num_centers=10",
        "centers.warm_start=null",
        "centers.method=class_kmeans",
        "centers.class_weight=3.0",
        f"centers.widths={widths}",
    )
    with pytest.raises(Started) as started:
        run_main("train_rbf", *WORDS, f"run.folder={tmp_path}", *words)
    head = started.value.args[0]
    np.testing.assert_array_equal(head["output"]["kernel"], 3 * np.eye(10))
    differences = head["centers"][:, None] - head["centers"]
    distances = np.sort(np.sqrt((differences**2).sum(-1)), axis=1)
    neighbors = distances[:, 1:3].mean(axis=1)
    got = np.exp(head["log_widths"])
    if widths == "null":
        np.testing.assert_array_equal(got, np.ones(10))
    elif widths == "neighbors":
        np.testing.assert_allclose(got, neighbors, rtol=1e-4)
    else:
        assert (got > 0).all() and not np.isclose(got, 1).any()
        assert not np.allclose(got, neighbors, rtol=0.1)


def test_train_rbf_freezes_the_backbone_and_resumes(tmp_path):
    words = (
        *WORDS,
        f"run.folder={tmp_path}",
        "head.freeze_backbone=true",
        "head.metric=full",
        "centers.method=random",
        "loss.embedding_mixup=0.5",
        "loss.activation_dropout=0.2",
        # The test images once more: nothing can tell them from themselves.
        "unknown.source=digits",
        "unknown.split=test",
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
    assert set(summary["unknown_auroc"]) == {"shuffled pixels", "digits"}
    assert summary["unknown_auroc"]["digits"] == 0.5
    assert 1 <= summary["effective_centers"] <= summary["used_centers"] <= 3
    assert 1 / 3 <= summary["largest_center_share"] <= 1
    assert summary["adjusted_mutual_information"] <= 1
    check_snapshots(folder, summary["final"]["validation"]["purity"])
    page = (folder / "report.html").read_text()
    nearest = summary["nearest_center_accuracy"]
    assert (
        f"of 3 centres {'is' if summary['used_centers'] == 1 else 'are'} in use" in page
    )
    assert f"alone is right for {nearest:.1%} of the test images" in page
    assert "digits: 0.50, not told from the test images." in page
    assert "data:image/png;base64" in page and "http" not in page.split("</style>")[1]
    # Nothing is left to do, and the figures are drawn again.
    (folder / "purity.png").unlink()
    assert run_main("train_rbf", *words, "--resume") == (0, "")
    assert (folder / "purity.png").is_file()
    again = json.loads((folder / "summary.json").read_text())
    assert np.isclose(again["purity"], summary["purity"])


def check_snapshots(folder, purity):
    """Those before the first step and after each evaluation, of the same images."""
    files = sorted((folder / "embeddings").iterdir())
    assert [int(file.stem) for file in files] == [0, 1, 2]
    first, _, last = (dict(np.load(file)) for file in files)
    np.testing.assert_array_equal(first["labels"], last["labels"])
    assert last["activations"].shape == (len(last["labels"]), 3)
    assert not np.array_equal(first["activations"], last["activations"])
    assert (folder / "neighborhoods.png").is_file()
    # The metric is the identity still, nearly: the head has taken two small steps.
    differences = last["embeddings"][:, None] - last["centers"]
    nearest = (differences**2).sum(axis=-1).argmin(axis=1)
    counts = np.zeros((3, 10), int)
    np.add.at(counts, (nearest, last["labels"]), 1)
    assert abs(counts.max(axis=1).sum() / counts.sum() - purity) < 0.05
