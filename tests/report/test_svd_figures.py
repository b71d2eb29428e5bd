"""The figures of the studies of compression and of regression."""

import numpy as np
import pytest

from jaxdl.report import (
    Picture,
    RankMark,
    RidgePath,
    plot_copied_feature,
    plot_pictures,
    plot_rate_distortion,
    plot_ridge_path,
)


def test_plot_rate_distortion_draws_the_curve_and_the_marks(figures, path, check_png):
    stored, psnr = np.arange(1, 7) / 5, np.array([10.0, 20, 25, 30, 40, np.inf])
    marks = [RankMark("30 dB", 4), RankMark("energy", 2), RankMark("noise", 0)]
    plot_rate_distortion(stored, psnr, marks, path, title="a picture")
    check_png(path)
    (axes,) = figures[0].axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), psnr[:5])
    np.testing.assert_allclose(axes.lines[0].get_xdata(), stored[:5])
    written = [text.get_text() for text in axes.texts]
    assert written[1:] == [
        "30 dB: rank 4, 80.0 %, 30.0 dB",
        "energy: rank 2, 40.0 %, 20.0 dB",
    ]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_ydata()[0] for line in dots] == [30, 20]
    assert axes.get_title("left") == "a picture"


def test_plot_rate_distortion_keeps_the_labels_of_equal_marks_apart(figures, path):
    stored, psnr = np.array([0.1, 0.2]), np.array([20.0, 30.0])
    marks = [RankMark(name, 1) for name in "abc"]
    plot_rate_distortion(stored, psnr, marks, path, title="")
    heights = [text.xyann[1] for text in figures[0].axes[0].texts[1:]]
    assert np.diff(sorted(heights)).min() > 0.5


@pytest.mark.parametrize(("ranks", "mark"), [(0, 0), (2, 3)])
def test_plot_rate_distortion_wants_the_ranks_it_marks(path, ranks, mark):
    numbers = np.ones(ranks)
    with pytest.raises(ValueError, match=f"up to {max(mark, 1)}, got {ranks}"):
        plot_rate_distortion(numbers, numbers, [RankMark("", mark)], path, title="")


@pytest.mark.parametrize("channels", [1, 3])
def test_plot_pictures_shows_them_in_order(figures, path, check_png, channels):
    pixels = np.arange(4 * 6 * channels, dtype=np.uint8).reshape(4, 6, channels)
    pictures = [Picture(pixels + n, f"picture {n}") for n in range(4)]
    plot_pictures(pictures, path, title="pictures")
    check_png(path)
    panels = [axes for axes in figures[0].axes if axes.images]
    assert [axes.texts[0].get_text() for axes in panels] == [
        p.caption for p in pictures
    ]
    for axes, picture in zip(panels, pictures, strict=True):
        shown = np.asarray(axes.images[0].get_array())
        np.testing.assert_array_equal(shown.reshape(pixels.shape), picture.pixels)
        assert (axes.images[0].norm.vmin, axes.images[0].norm.vmax) == (0, 255)


def test_plot_pictures_wants_a_picture(path):
    with pytest.raises(ValueError, match="pictures is empty"):
        plot_pictures([], path, title="")


def make_ridge(num_features=3):
    strengths = np.geomspace(0.1, 10, 5)
    weights = np.outer(1 / (1 + strengths), np.arange(1.0, num_features + 1))
    errors = {
        "training": strengths,
        "test": 2 + strengths,
        "left out": np.r_[np.inf, strengths[1:]],
    }
    names = [f"feature {n}" for n in range(num_features)]
    return RidgePath(strengths, weights, names, errors, 3 / strengths, 2)


def test_plot_ridge_path_draws_coefficients_errors_and_freedom(
    figures, path, check_png
):
    ridge = make_ridge()
    plot_ridge_path(ridge, path, title="ridge", target="price")
    check_png(path)
    paths, errors, freedom = figures[0].axes
    drawn = [line.get_ydata() for line in paths.lines if len(line.get_xdata()) == 5]
    np.testing.assert_allclose(np.stack(drawn, axis=1), ridge.coefficients)
    assert [text.get_text() for text in paths.texts] == list(ridge.features)
    lines = {line.get_label(): line.get_ydata() for line in errors.lines}
    np.testing.assert_allclose(lines["test"], ridge.errors["test"])
    assert np.isnan(lines["left out"][0])
    np.testing.assert_allclose(freedom.lines[1].get_ydata(), 3 / ridge.strengths)
    assert "price" in paths.get_ylabel() and "1)" in freedom.get_xlabel()


def test_plot_ridge_path_names_only_as_many_lines_as_fit(figures, path):
    plot_ridge_path(make_ridge(21), path, title="", target="y")
    assert not figures[0].axes[0].texts


def test_plot_ridge_path_wants_a_strength(path):
    nothing = np.zeros(0)
    ridge = RidgePath(nothing, np.zeros((0, 1)), ["a"], {}, nothing, 0)
    with pytest.raises(ValueError, match="no strengths"):
        plot_ridge_path(ridge, path, title="", target="y")


def test_plot_copied_feature_draws_bars_or_says_that_there_are_none(figures, path):
    pairs = {"one": (1.5, -2.5), "none": (float("nan"), 1.0)}
    plot_copied_feature(pairs, path, feature="age", target="price")
    one, none = figures[0].axes
    assert [bar.get_height() for bar in one.patches] == [1.5, -2.5]
    assert [text.get_text() for text in one.texts] == ["1.5", "-2.5"]
    (note,) = [text.get_text() for text in none.texts]
    assert note.startswith("no finite solution")
    with pytest.raises(ValueError, match="coefficients is empty"):
        plot_copied_feature({}, path, feature="age", target="price")
