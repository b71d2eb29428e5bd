"""Sheets of images, and what principal components hold."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from jaxdl.report import (
    ComponentCurves,
    SheetImage,
    plot_components,
    plot_image_sheet,
    plot_scores,
)


def test_plot_image_sheet_draws_rows_with_captions_and_frames(figures, path, check_png):
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), np.uint8)
    rows = [
        [SheetImage(image, "one", "#ff0000"), None, SheetImage(image, "two\nlines")],
        [SheetImage(image)],
    ]
    plot_image_sheet(rows, path, title="sheet", headings=["left"], row_names=["a"])
    check_png(path)
    axes = figures[0].axes
    assert [len(each.images) for each in axes] == [1, 0, 1, 1, 0, 0]
    assert [axes[i].get_xlabel() for i in (0, 2, 3)] == ["one", "two\nlines", ""]
    assert to_hex(axes[0].spines["left"].get_edgecolor()) == "#ff0000"
    assert axes[0].spines["left"].get_visible()
    assert not axes[2].spines["left"].get_visible()
    assert axes[0].get_title() == "left"
    assert [axes[0].get_ylabel(), axes[3].get_ylabel()] == ["a", ""]
    np.testing.assert_allclose(axes[0].images[0].get_array(), image / 255)


def test_plot_image_sheet_puts_zero_in_the_middle_of_signed_images(figures, path):
    grey = np.array([[-2.0, 0.0, 1.0]])[..., None]
    colour = np.repeat(grey, 3, axis=2)
    cells = [SheetImage(image, is_signed=True) for image in (grey, colour, 0 * grey)]
    plot_image_sheet([cells], path, title="signed")
    one, three, zero = (axes.images[0] for axes in figures[0].axes)
    assert one.get_clim() == (-2.0, 2.0) and zero.get_clim() == (-1.0, 1.0)
    np.testing.assert_allclose(three.get_array()[0, :, 0], [0, 0.5, 0.75])


def test_plot_image_sheet_wants_an_image(path):
    with pytest.raises(ValueError, match="rows is empty"):
        plot_image_sheet([[]], path, title="")


def test_plot_components_draws_what_it_is_given(figures, path, check_png):
    curves = ComponentCurves(
        cumulative=np.array([0.5, 0.7, 0.8]),
        counts=[1, 3],
        train_errors=[9.0, 4.0],
        test_errors=[10.0, 6.0],
        same_class=[0.4, 0.9],
        same_class_pixels=0.85,
    )
    plot_components(curves, path)
    check_png(path)
    variance, error, neighbors = figures[0].axes
    np.testing.assert_allclose(variance.lines[0].get_ydata(), [0.5, 0.7, 0.8])
    lines = {line.get_label(): line.get_ydata().tolist() for line in error.lines}
    assert lines == {"training": [9, 4], "test": [10, 6]}
    np.testing.assert_allclose(neighbors.lines[0].get_ydata(), [0.4, 0.9])
    np.testing.assert_allclose(neighbors.lines[1].get_ydata(), 0.85)
    assert "85.0 %" in neighbors.texts[0].get_text()


def test_plot_scores_names_the_classes_that_are_there(figures, path, check_png):
    scores = np.array([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]])
    names = ["first", "second", "third, which is long"]
    plot_scores(scores, np.array([0, 0, 2]), names, path, title="scores")
    check_png(path)
    (axes,) = figures[0].axes
    assert [text.get_text() for text in axes.texts] == ["first", "third, which …"]
    assert axes.texts[0].get_position()[0] == 1.0
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), scores)


def test_plot_scores_survives_no_scores_and_wants_pairs(path):
    plot_scores(np.zeros((0, 2)), np.zeros(0, int), ["a", "b"], path, title="none")
    with pytest.raises(ValueError, match="are not pairs"):
        plot_scores(np.zeros((2, 3)), np.zeros(2, int), ["a"], path, title="three")
