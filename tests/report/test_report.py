import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex

from jaxdl.report import (
    plot_confusion,
    plot_curves,
    plot_mistakes,
)
from jaxdl.report.figures import VALIDATION


def texts(figure):
    axes = figure.axes
    found = [text.get_text() for panel in axes for text in panel.texts]
    return found + [panel.get_title() for panel in axes]


def make_rows():
    rows = []
    for epoch, accuracy in enumerate([0.5, 0.9, 0.8, 0.9], start=1):
        for part in (0.5, 1.0):
            at = epoch - 1 + part
            rows.append(dict(split="train", epoch=at, loss=1 / at, accuracy=0.7))
        rows.append(
            dict(
                split="validation",
                epoch=float(epoch),
                loss=2.0 / epoch,
                accuracy=accuracy,
            )
        )
    return rows


def test_plot_curves_draws_both_splits_and_marks_the_best_epoch(
    figures, path, check_png
):
    plot_curves(make_rows(), path)
    check_png(path)
    loss, accuracy = figures[0].axes
    for axes, best in [(loss, 1.0), (accuracy, 0.9)]:
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_allclose(lines["train"].get_xdata(), np.arange(1, 9) / 2)
        np.testing.assert_allclose(lines["validation"].get_xdata(), [1, 2, 3, 4])
        # The first of the two epochs that are equally good.
        mark = lines[f"best epoch 2: {best:.4f}"]
        assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([2.0], [best])
        assert to_hex(lines["validation"].get_color()) == VALIDATION
    np.testing.assert_allclose(
        {line.get_label(): line for line in loss.lines}["validation"].get_ydata(),
        [2, 1, 2 / 3, 0.5],
    )


def test_plot_curves_without_accuracy_marks_the_lowest_loss(figures, path):
    losses = [3.0, 1.0, 2.0]
    rows = [
        dict(split="validation", epoch=float(epoch), loss=loss)
        for epoch, loss in enumerate(losses)
    ]
    plot_curves(rows, path)
    (axes,) = figures[0].axes
    assert "best epoch 1: 1.0000" in [line.get_label() for line in axes.lines]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "NaN"])
def test_plot_curves_leaves_a_gap_where_a_value_is_not_finite(figures, path, value):
    rows = make_rows()
    rows[2]["loss"] = rows[2]["accuracy"] = value
    plot_curves(rows, path)
    line = {line.get_label(): line for line in figures[0].axes[0].lines}["validation"]
    np.testing.assert_array_equal(
        np.isnan(line.get_ydata()), [True, False, False, False]
    )
    assert any("best epoch 2" in line.get_label() for line in figures[0].axes[0].lines)


def test_plot_curves_without_finite_validation_marks_nothing(figures, path):
    rows = [dict(split="validation", epoch=1.0, loss=None, accuracy=None)]
    plot_curves(rows, path)
    labels = [line.get_label() for line in figures[0].axes[0].lines]
    assert labels == ["validation"]


@pytest.mark.parametrize("rows", [[], [{"split": "test", "epoch": 1.0}]])
def test_plot_curves_of_nothing_says_so(figures, path, rows, check_png):
    plot_curves(rows, path)
    check_png(path)
    assert "No metrics were written." in texts(figures[0])


def test_plot_confusion_writes_counts_and_colours_by_row(figures, path, check_png):
    matrix = np.array([[9, 1, 0], [0, 0, 0], [30, 0, 70]])
    plot_confusion(matrix, ["cat", "dog", "eel"], path)
    check_png(path)
    axes = figures[0].axes[0]
    np.testing.assert_allclose(
        axes.images[0].get_array(), [[0.9, 0.1, 0], [0, 0, 0], [0.3, 0, 0.7]]
    )
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "9", (1, 0): "1", (0, 2): "30", (2, 2): "70"}
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "cat",
        "dog",
        "eel",
    ]
    assert axes.get_title("left") == "accuracy 0.7182 on 110 examples"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


@pytest.mark.parametrize(
    ("num_classes", "counts", "names"),
    [(20, True, True), (21, False, True), (61, False, False)],
)
def test_plot_confusion_of_many_classes_stays_readable(
    figures, path, num_classes, counts, names
):
    class_names = [f"a rather long class name {index}" for index in range(num_classes)]
    plot_confusion(np.eye(num_classes, dtype=np.int32), class_names, path)
    axes = figures[0].axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert (len(axes.texts) > 0) == counts
    assert ("a rather long cla…" in labels) == names


def test_plot_confusion_of_no_examples_says_so(figures, path, check_png):
    plot_confusion(np.zeros((2, 2), np.int32), ["a", "b"], path)
    check_png(path)
    assert "No examples were scored." in texts(figures[0])


def test_plot_confusion_refuses_names_that_do_not_match(path):
    with pytest.raises(ValueError, match="class_names has 2 names, matrix 3 classes"):
        plot_confusion(np.eye(3, dtype=np.int32), ["a", "b"], path)


def make_mistakes(channels=1, dtype=np.uint8):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 4, 4, channels))
    images = images.astype(dtype) if dtype == np.uint8 else images.astype(dtype) / 255
    labels = np.array([0, 1, 0, 1, 0, 1])
    predictions = np.array([0, 0, 1, 0, 0, 0])
    confidences = np.array([0.99, 0.6, 0.9, 0.7, 0.98, np.nan], np.float32)
    return images.astype(dtype), labels, predictions, confidences


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_plot_mistakes_shows_the_most_confident_first(
    figures, path, channels, dtype, check_png
):
    images, labels, predictions, confidences = make_mistakes(channels, dtype)
    plot_mistakes(images, labels, predictions, confidences, ["cat", "dog"], path)
    check_png(path)
    panels = figures[0].axes
    assert [panel.get_title() for panel in panels] == [
        "cat → dog\n0.900",
        "dog → cat\n0.700",
        "dog → cat\n0.600",
        "dog → cat\nnan",
    ]
    for panel, index in zip(panels, [2, 3, 1, 5], strict=True):
        shown = np.asarray(panel.images[0].get_array())
        wanted = images[index, ..., 0] if channels == 1 else images[index]
        np.testing.assert_array_equal(shown, wanted)
    assert figures[0].get_suptitle().startswith("4 mistakes:")


def test_plot_mistakes_shows_at_most_max_images(figures, path):
    plot_mistakes(*make_mistakes(), ["cat", "dog"], path, max_images=2)
    assert len(figures[0].axes) == 2
    assert figures[0].get_suptitle().startswith("2 most confident of 4 mistakes:")


def test_plot_mistakes_without_mistakes_says_so(figures, path, check_png):
    images, labels, _, confidences = make_mistakes()
    plot_mistakes(images, labels, labels, confidences, ["cat", "dog"], path)
    check_png(path)
    assert "No mistakes in 6 examples." in texts(figures[0])


def test_plot_mistakes_refuses_what_cannot_be_shown(path):
    images, *others = make_mistakes(channels=2)
    with pytest.raises(ValueError, match="2 channels, wanted 1, 3 or 4"):
        plot_mistakes(images, *others, ["cat", "dog"], path)
    with pytest.raises(ValueError, match="max_images is 0"):
        plot_mistakes(*make_mistakes(), ["cat", "dog"], path, max_images=0)


@pytest.mark.parametrize("name", [r"$\frac", "a_b^c", "猫", "", "x" * 300, "%d {0}"])
def test_figures_take_any_class_name(path, name, check_png):
    plot_confusion(np.array([[1, 2], [0, 3]]), [name, "dog"], path)
    check_png(path)
    plot_mistakes(*make_mistakes(), [name, "dog"], path)
    check_png(path)


def test_figures_need_neither_jax_nor_a_display(path, check_png):
    code = (
        "import sys; from jaxdl.report import plot_curves;"
        f"plot_curves([], {str(path)!r});"
        "assert not {'jax', 'matplotlib.pyplot', 'tkinter'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    check_png(path)
