"""Pictures of functions and matrices in three parts."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, Rectangle

from jaxdl.report import (
    FunctionSteps,
    MatrixSteps,
    plot_function_steps,
    plot_matrix_steps,
)

PARITY = FunctionSteps(["1", "2", "3"], [0, 1, 0], [1, 0], ["even", "odd", "neither"])


def find_arrows(axes):
    return [text for text in axes.texts if getattr(text, "arrow_patch", None)]


def find_words(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_plot_function_steps_draws_each_step(figures, path, check_png):
    plot_function_steps(PARITY, path, title="parity")
    check_png(path)
    (axes,) = figures[0].axes
    # One arrow per element, two per class: to its value, and into the codomain.
    assert len(find_arrows(axes)) == 3 + 2 + 2
    boxes = [p for p in axes.patches if isinstance(p, FancyBboxPatch)]
    assert len(boxes) == 2
    assert boxes[0].get_width() != boxes[1].get_width()
    words = find_words(axes)
    # As an element and in its class; a value and in the codomain; unreached once.
    for word, count in [("1", 2), ("2", 2), ("even", 2), ("odd", 2), ("neither", 1)]:
        assert words.count(word) == count


def test_plot_function_steps_keeps_a_class_and_its_arrows_in_one_colour(figures, path):
    plot_function_steps(PARITY, path, title="parity")
    (axes,) = figures[0].axes
    colours = [to_hex(a.arrow_patch.get_edgecolor()) for a in find_arrows(axes)]
    odd, even = colours[0], colours[1]
    assert colours == [odd, even, odd, odd, odd, even, even] and odd != even


def test_plot_function_steps_draws_images(figures, path):
    images = list(np.random.default_rng(0).random((3, 5, 5)))
    plot_function_steps(PARITY._replace(elements=images), path, title="images")
    assert len(figures[0].axes[0].images) == 6


def test_plot_function_steps_wants_an_element(path):
    with pytest.raises(ValueError, match="steps has no elements"):
        plot_function_steps(FunctionSteps([], [], [], []), path, title="")


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_plot_matrix_steps_draws_four_heat_maps_to_scale(
    figures, path, check_png, rank
):
    generator = np.random.default_rng(0)
    parts = [generator.normal(size=size) for size in [(4, rank), (rank, rank)]]
    parts += [generator.normal(size=(rank, 6))]
    matrix = parts[0] @ parts[1] @ parts[2] + 1
    steps = MatrixSteps("title", matrix, *parts, rows=[1], columns=[0, 2])
    plot_matrix_steps([steps, steps], path, title="two")
    check_png(path)
    axes = figures[0].axes[0]
    assert len(axes.images) == (4 if rank else 1)
    for image, part in zip(axes.images, [matrix, *parts], strict=False):
        np.testing.assert_array_equal(image.get_array(), part)
        left, right, bottom, top = image.get_extent()
        assert (bottom - top, right - left) == pytest.approx(part.shape)
    assert axes.get_aspect() == 1
    sizes = [
        (p.get_height(), p.get_width())
        for p in axes.patches
        if isinstance(p, Rectangle) and to_hex(p.get_edgecolor()) == "#000000"
    ]
    assert sizes == [(4, 1), (4, 1), (1, 6)]
    assert f"tall: one-to-one\n4 × {rank}" in find_words(axes)


def test_plot_matrix_steps_wants_a_picture(path):
    with pytest.raises(ValueError, match="pictures is empty"):
        plot_matrix_steps([], path, title="")
