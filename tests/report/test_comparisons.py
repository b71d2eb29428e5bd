"""The figures of studies that compare trainings or layers."""

import numpy as np
import pytest
from matplotlib.patches import Polygon

from jaxdl.report import (
    Curve,
    DropoutOutputs,
    plot_dropout,
    plot_gaps,
    plot_pooled_axes,
    plot_variants,
)
from jaxdl.report.figures import VALIDATION, spread_out


def make_rows(losses):
    return [
        dict(split=split, epoch=float(epoch), loss=loss * factor, accuracy=1 - loss / 4)
        for epoch, loss in enumerate(losses, start=1)
        for split, factor in (("train", 1.0), ("validation", 2.0))
    ]


CURVES = [
    Curve("a", "left", [make_rows([2.0, 1.0, 0.5]), make_rows([1.0, 0.5, 0.3])]),
    Curve("b", "left", [make_rows([2.0, 1.5, 1.25])]),
    Curve("a", "right", [make_rows([2.0, 1.0])], diverged=True),
]


def test_plot_variants_draws_means_in_their_panels(figures, path, check_png):
    plot_variants(CURVES, path)
    check_png(path)
    grid = np.array(figures[0].axes).reshape(2, 2)
    assert [axes.get_title("left") for axes in grid[0]] == ["left", "right"]
    a, b = grid[0, 0].lines
    np.testing.assert_allclose(a.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(a.get_ydata(), [1.5, 0.75, 0.4])
    np.testing.assert_allclose(b.get_ydata(), [2.0, 1.5, 1.25])
    band = grid[0, 0].collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.3, 2.0)
    assert a.get_color() == grid[0, 1].lines[0].get_color() != b.get_color()
    errors = grid[1, 0].lines[1].get_ydata()
    np.testing.assert_allclose(errors, [50, 37.5, 31.25])
    assert grid[0, 0].get_ylabel() == "training loss"
    assert grid[1, 0].get_ylabel() == "validation error, %"


def test_plot_variants_labels_ends_and_marks_divergence(figures, path):
    plot_variants(CURVES, path, metrics=[("train", "loss")])
    left, right = figures[0].axes
    assert [text.get_text() for text in left.texts] == ["a  0.4", "b  1.25"]
    assert [text.get_text() for text in right.texts] == ["a  1 (diverged)"]
    assert [line.get_marker() for line in right.lines][-1] == "x"
    assert left.get_ylim() == right.get_ylim()


def test_plot_variants_keeps_a_blown_up_training_from_hiding_the_rest(figures, path):
    blown_up = Curve("c", "left", [make_rows([2.0, 1e6])], diverged=True)
    plot_variants([*CURVES, blown_up], path, metrics=[("train", "loss")])
    assert figures[0].axes[0].get_ylim()[1] < 4
    # What is alive at its end stays in sight.
    late = Curve("c", "left", [make_rows([30.0, 20.0])])
    plot_variants([*CURVES, late], path, metrics=[("train", "loss")])
    assert 20 < figures[1].axes[0].get_ylim()[1] < 30


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "NaN"])
def test_plot_variants_leaves_out_what_is_not_finite(figures, path, value):
    rows = make_rows([2.0, 1.0, 0.5])
    rows[4]["loss"] = value
    plot_variants([Curve("a", "all", [rows])], path, metrics=[("train", "loss")])
    (axes,) = figures[0].axes
    assert [text.get_text() for text in axes.texts] == ["a  1"]


@pytest.mark.parametrize("runs", [[], [[]], [[{"split": "test", "epoch": 1.0}]]])
def test_plot_variants_of_nothing_still_draws(path, runs, check_png):
    plot_variants([Curve("a", "all", runs)], path)
    check_png(path)


def test_plot_variants_refuses_an_unknown_metric(path):
    with pytest.raises(ValueError, match=r"metric \('test', 'loss'\) unknown"):
        plot_variants(CURVES, path, metrics=[("test", "loss")])


@pytest.mark.parametrize("label", [r"$\frac", "猫", "", "x" * 100])
def test_plot_variants_takes_any_label(path, label, check_png):
    plot_variants([Curve(label, "all", [make_rows([1.0, 0.5, 0.2])])], path)
    check_png(path)


def test_spread_out_moves_labels_no_more_than_needed():
    rng = np.random.default_rng(0)
    for _ in range(50):
        positions = rng.uniform(0, 10, 7).tolist()
        moved = np.array(spread_out(positions, gap=0.5, low=0.0))
        order = np.argsort(positions)
        steps = np.diff(moved[order])
        assert (steps >= 0.5 - 1e-9).all() and moved.min() >= 0
        # Labels apart from the others stay where they are.
        distance = np.abs(np.subtract.outer(positions, positions)) + 99 * np.eye(7)
        alone = (distance.min(axis=1) > 4) & (np.array(positions) > 0)
        np.testing.assert_allclose(moved[alone], np.array(positions)[alone])
    assert spread_out([1.0, 3.0], gap=0.5) == [1.0, 3.0]
    assert spread_out([0.0, 0.0], gap=1.0, low=0.0) == [0.0, 1.0]


def test_plot_pooled_axes_colours_what_is_pooled(figures, path, check_png):
    masks = {"batch": np.zeros((2, 3, 4), bool), "instance": np.zeros((2, 3, 4), bool)}
    masks["batch"][:, :, 0] = True
    masks["instance"][0, :, 0] = True
    plot_pooled_axes(masks, path)
    check_png(path)
    counts = []
    for axes in figures[0].axes:
        faces = [patch for patch in axes.patches if isinstance(patch, Polygon)]
        assert len(faces) == 3 * 4 + 2 * 4 + 2 * 3
        blue = [p for p in faces if p.get_facecolor()[2] > 1.5 * p.get_facecolor()[0]]
        counts.append(len(blue))
    # In front 3 pixels of a channel; on top both examples of it, or one.
    assert counts == [3 + 2, 3 + 1]
    assert [axes.get_title() for axes in figures[0].axes] == ["batch", "instance"]
    with pytest.raises(ValueError, match="masks is empty"):
        plot_pooled_axes({}, path)


def test_plot_gaps_draws_both_accuracies(figures, path, check_png):
    row = lambda train, test: {"scored_train_accuracy": train, "test_accuracy": test}
    results = {
        "rate 0": [row(1.0, 0.8), row(1.0, 0.9)],
        "rate 0.5": [row(0.9, 0.85), {"status": "diverged"}],
        "rate 0.9": [{"status": "diverged"}],
    }
    plot_gaps(results, path)
    check_png(path)
    (axes,) = figures[0].axes
    found = [line.get_xdata() for line in axes.lines]
    np.testing.assert_allclose(found, [[1.0, 0.85], [0.9, 0.85]])
    assert [text.get_text() for text in axes.texts] == [
        "15.0 points",
        "5.0 points",
        "no scores",
    ]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["train", "test"]
    with pytest.raises(ValueError, match="results are empty"):
        plot_gaps({}, path)


def test_plot_gaps_without_any_score_still_draws(path, check_png):
    plot_gaps({"a": [{}]}, path)
    check_png(path)


def test_plot_dropout_draws_forms_and_kinds(figures, path, check_png):
    outputs = {
        "inverted": DropoutOutputs(np.array([0.0, 1.0, 2.0]), 1.0),
        "classic": DropoutOutputs(np.array([0.0, 0.5, 1.0]), 0.5),
    }
    dropped = {"single": [np.eye(3, dtype=bool)] * 2, "spatial": [np.ones((3, 3)) > 0]}
    plot_dropout(outputs, dropped, path)
    check_png(path)
    axes = figures[0].axes
    assert [a.get_title("left") for a in axes[:2]] == ["inverted", "classic"]
    lines = [(line.get_xdata()[0], line.get_color()) for line in axes[1].lines]
    assert lines[0] == (0.5, VALIDATION) and lines[1][0] == 0.5
    assert len(axes) == 2 + 3
    with pytest.raises(ValueError, match="wanted outputs and dropped, got 0 and 2"):
        plot_dropout({}, dropped, path)
