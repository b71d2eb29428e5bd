"""The figures of self-supervised training and of what its features are good for."""

import jaxtyping
import numpy as np
import pytest
from matplotlib.colors import to_hex

from jaxdl.report import (
    plot_accuracy_bars,
    plot_accuracy_lines,
    plot_correlations,
    plot_feature_map,
    plot_neighbors,
    plot_twin_curves,
    plot_views,
)
from jaxdl.report.depth import SERIES

NAMES = [f"class {index}" for index in range(30)]


def make_images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "shown"), [(2, 2), (11, 8)])
def test_plot_views_draws_images_above_their_views(
    figures, path, check_png, channels, count, shown
):
    images = make_images(count, 9, 9, channels)
    first = (images[:, :4, :4] / 255).astype(np.float16)
    second = (images[:, 4:8, 4:8] / 255).astype(np.float32)
    plot_views(images, first, second, path)
    check_png(path)
    panels = figures[0].axes
    assert len(panels) == 3 * shown
    assert [panels[i * shown].get_ylabel() for i in range(3)] == [
        "image",
        "view 1",
        "view 2",
    ]
    for row, rows in enumerate((images / 255, first, second)):
        for column in range(shown):
            drawn = panels[row * shown + column].images[0]
            top = 255 if channels == 1 and row == 0 else 1
            values = np.asarray(drawn.get_array()) / top
            expected = np.squeeze(rows[column], -1) if channels == 1 else rows[column]
            np.testing.assert_allclose(values, expected, atol=1e-3)


def test_plot_views_wants_both_views_of_each_image(path, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    images = make_images(3, 4, 4, 3)
    with pytest.raises(ValueError, match=r"plot_views: .* got \[3, 3, 2\]"):
        plot_views(images, images, images[:2], path)
    with pytest.raises(ValueError, match=r"at least one, got \[0, 0, 0\]"):
        plot_views(images[:0], images[:0], images[:0], path)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (1, [0]),
        (2, [0, 1]),
        (6, [0, 1, 2, 3, 4, 5]),
        (7, [0, 1, 2, 4, 5, 6]),
        (11, [0, 2, 4, 6, 8, 10]),
        (101, [0, 20, 40, 60, 80, 100]),
    ],
)
def test_plot_correlations_shows_the_first_the_last_and_some_between(
    figures, path, check_png, count, shown
):
    matrices = [np.full((4, 4), 0.5 * i / count) for i in range(count)]
    plot_correlations([1000 * i for i in range(count)], matrices, path)
    check_png(path)
    *panels, bar = figures[0].axes
    assert [p.get_title() for p in panels] == [f"step {1000 * i:,}" for i in shown]
    for axes, index in zip(panels, shown, strict=True):
        (image,) = axes.images
        assert image.get_clim() == (-1, 1)
        np.testing.assert_allclose(image.get_array(), matrices[index])
    assert bar.get_ylim() == (-1, 1)


def test_plot_correlations_says_that_there_are_none(figures, path, check_png):
    plot_correlations([], [], path)
    check_png(path)
    assert figures[0].axes[0].texts[0].get_text() == "No correlations were kept."


@pytest.mark.parametrize(
    ("steps", "shape", "words"),
    [([1, 2], (4, 4), "got 2 steps and 1 matrices"), ([1], (4, 3), r"\{\(4, 3\)\}")],
)
def test_plot_correlations_wants_a_square_for_each_step(path, steps, shape, words):
    with pytest.raises(ValueError, match=f"plot_correlations: .*{words}"):
        plot_correlations(steps, [np.zeros(shape)], path)


def make_rows():
    rows = []
    for epoch in (1, 2, 3, 4):
        on, off = 60.0 / epoch, 20.0 / epoch
        rows.append(
            {
                "split": "train",
                "epoch": epoch - 0.5,
                "loss": on + off,
                "on_diagonal": on,
                "off_diagonal": off,
                "probe_accuracy": 0.1 * epoch,
            }
        )
        rows.append(
            {
                "split": "validation",
                "epoch": float(epoch),
                "probe_accuracy": 0.2 * epoch,
                "neighbor_accuracy": 0.15 * epoch,
                "effective_rank": 3.0 * epoch,
                "mean_correlation": 0.1 / epoch,
            }
        )
    return rows


def list_lines(axes):
    return {line.get_label(): line.get_ydata() for line in axes.lines}


def test_plot_twin_curves_draws_each_number_in_its_panel(figures, path, check_png):
    plot_twin_curves(make_rows(), path, minimum=12.345)
    check_png(path)
    loss, accuracy, rank, correlation = figures[0].axes
    assert loss.get_yscale() == "log" and accuracy.get_yscale() == "linear"
    lines = list_lines(loss)
    np.testing.assert_allclose(lines["loss"], [80, 40, 80 / 3, 20])
    np.testing.assert_allclose(lines["on the diagonal"], [60, 30, 20, 15])
    np.testing.assert_allclose(lines["off the diagonal, weighted"], [20, 10, 20 / 3, 5])
    np.testing.assert_allclose(lines["least possible, 12.35"], [12.345, 12.345])
    lines = list_lines(accuracy)
    by_label = {
        "linear probe, training views": [0.1, 0.2, 0.3, 0.4],
        "linear probe, held out": [0.2, 0.4, 0.6, 0.8],
        "neighbours, held out": [0.15, 0.3, 0.45, 0.6],
    }
    assert lines.keys() == by_label.keys()
    for label, values in by_label.items():
        np.testing.assert_allclose(lines[label], values)
    np.testing.assert_allclose(rank.lines[0].get_ydata(), [3, 6, 9, 12])
    np.testing.assert_allclose(rank.lines[0].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(
        correlation.lines[0].get_ydata(), [0.1, 0.05, 0.1 / 3, 0.025]
    )


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "NaN", -1.0, 0])
def test_plot_twin_curves_leaves_a_gap_where_nothing_can_be_drawn(figures, path, value):
    rows = make_rows()
    rows[2]["loss"] = value
    plot_twin_curves(rows, path)
    values = list_lines(figures[0].axes[0])["loss"]
    np.testing.assert_array_equal(np.isnan(values), [False, True, False, False])


def test_plot_twin_curves_leaves_out_what_was_not_written(figures, path, check_png):
    rows = [{"split": "train", "epoch": 0.5, "loss": 3.0, "effective_rank": 2.0}]
    plot_twin_curves(rows, path, minimum=0.0)
    (loss,) = figures[0].axes
    assert list(list_lines(loss)) == ["loss"]
    for empty in ([], [{"split": "validation", "epoch": 1.0, "effective_rank": None}]):
        plot_twin_curves(empty, path)
        check_png(path)
        assert figures[-1].axes[0].texts[0].get_text() == "No metrics were written."


@pytest.mark.parametrize("num_classes", [1, 10, 20])
def test_plot_feature_map_names_up_to_twenty_classes(
    figures, path, check_png, num_classes
):
    labels = np.arange(60) % num_classes
    points = np.random.default_rng(0).normal(size=(60, 2))
    plot_feature_map(points, labels, NAMES, path, title="map")
    check_png(path)
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == NAMES[:num_classes]
    (axes,) = figures[0].axes
    drawn = [c for c in axes.collections if len(c.get_offsets())]
    shown = np.concatenate([c.get_offsets() for c in drawn])
    assert sorted(map(tuple, shown)) == sorted(map(tuple, points))


def test_plot_feature_map_gives_a_class_one_colour_and_marker(figures, path):
    labels = np.array([0, 11, 1, 0])
    points = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    plot_feature_map(points, labels, NAMES, path, title="map")
    looks = {}
    for collection in figures[0].axes[0].collections:
        for x, _ in collection.get_offsets():
            corners = len(collection.get_paths()[0].vertices)
            looks[int(x)] = to_hex(collection.get_facecolors()[0]), corners
    assert looks[0] == looks[3]
    assert [looks[place][0] for place in range(3)] == [SERIES[0], SERIES[1], SERIES[1]]
    assert looks[1][1] != looks[2][1]


def test_plot_feature_map_of_many_classes_has_no_legend(figures, path, check_png):
    labels = np.arange(30)
    plot_feature_map(np.eye(30)[:, :2], labels, NAMES, path, title="map")
    check_png(path)
    assert not figures[0].legends


def test_plot_feature_map_survives_no_points_and_wants_pairs(path):
    plot_feature_map(np.zeros((0, 2)), np.zeros(0, int), NAMES, path, title="none")
    with pytest.raises(ValueError, match=r"plot_feature_map: points of \(2, 3\)"):
        plot_feature_map(np.zeros((2, 3)), np.zeros(2, int), NAMES, path, title="")


def test_plot_neighbors_marks_those_of_another_class(figures, path, check_png):
    plot_neighbors(
        make_images(2, 5, 5, 3),
        make_images(2, 3, 5, 5, 3),
        np.array([4, 1]),
        np.array([[4, 4, 1], [1, 2, 1]]),
        np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]]),
        NAMES,
        path,
    )
    check_png(path)
    panels = np.reshape(figures[0].axes, (2, 5))
    assert [axes.get_title() for axes in panels[0]] == ["query", "", "nearest", "", ""]
    assert [axes.get_xlabel() for axes in panels[0]] == [
        "class 4",
        "",
        "class 4\n0.90",
        "class 4\n0.80",
        "× class 1\n0.70",
    ]
    is_framed = [[a.spines["top"].get_visible() for a in row[2:]] for row in panels]
    assert is_framed == [[False, False, True], [False, True, False]]


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_plot_neighbors_wants_a_neighbor(path, shape):
    images, numbers = make_images(*shape, 4, 4, 1), np.zeros(shape)
    queries, labels = make_images(shape[0], 4, 4, 1), np.zeros(shape[0], int)
    with pytest.raises(ValueError, match="plot_neighbors: .* at least one query"):
        plot_neighbors(
            queries, images, labels, numbers.astype(int), numbers, NAMES, path
        )


def test_plot_accuracy_bars_draws_a_bar_for_each_number(figures, path, check_png):
    accuracies = {
        "gradient descent": {"trained": 0.9, "untrained": 0.5},
        "ridge": {"trained": 1.0, "untrained": None},
    }
    plot_accuracy_bars(accuracies, path, title="digits", chance=0.1)
    check_png(path)
    (axes,) = figures[0].axes
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, [0.9, 1.0, 0.5, 0.0])
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["90.0%", "100.0%", "50.0%", "no number"]
    spans = sorted(
        (bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches
    )
    assert all(a[1] < b[0] for a, b in zip(spans, spans[1:], strict=False))
    assert [label.get_text() for label in axes.get_yticklabels()] == list(accuracies)
    (legend,) = figures[0].legends
    labels = {text.get_text() for text in legend.get_texts()}
    assert labels == {"trained", "untrained", "chance, 10.0%"}


def test_plot_accuracy_lines_goes_through_the_means(figures, path, check_png):
    lines = {"a": {100: [0.9], 10: [0.5, 0.7]}, "b": {10: [0.2]}}
    plot_accuracy_lines(lines, path, title="digits", xlabel="labels")
    check_png(path)
    (axes,) = figures[0].axes
    first, second = axes.lines
    assert (list(first.get_xdata()), second.get_label()) == ([10, 100], "b")
    np.testing.assert_allclose(first.get_ydata(), [0.6, 0.9])
    (dots,) = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[10, 0.5], [10, 0.7]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "100"]


def test_plots_of_accuracy_want_numbers(path):
    with pytest.raises(ValueError, match="accuracies are empty"):
        plot_accuracy_bars({}, path, title="")
    for lines in ({}, {"a": {}}, {"a": {1: []}}):
        with pytest.raises(ValueError, match="lines of at least one run each"):
            plot_accuracy_lines(lines, path, title="", xlabel="")
