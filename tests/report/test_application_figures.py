"""The figures of ratings and of ranks."""

import numpy as np
import pytest

from jaxdl.report import plot_ranks, plot_rating_errors


def test_plot_rating_errors_draws_a_pair_of_bars_per_variant(figures, path, check_png):
    errors = {"one": (1.0, 0.8), "two": (0.6, 0.5), "three": (0.55, 0.4)}
    plot_rating_errors(errors, path, title="held out", floor=0.5)
    check_png(path)
    (axes,) = figures[0].axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [1.0, 0.6, 0.55, 0.8, 0.5, 0.4]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(errors)
    assert list(axes.lines[0].get_xdata()) == [0.5, 0.5]
    plot_rating_errors({"one": (1.0, 0.8)}, path, title="no floor")
    assert not figures[1].axes[0].lines


def test_plot_ranks_draws_errors_below_their_bound_and_falling_scores(
    figures, path, check_png
):
    scores = np.array([0.1, 0.6, 0.3])
    plot_ranks(scores, [0.5, 0.01, 0.0], path, damping=0.5, title="a graph")
    check_png(path)
    left, right = figures[0].axes
    bound, measured = (line.get_ydata() for line in left.lines)
    np.testing.assert_allclose(bound, [1, 0.5, 0.25])
    np.testing.assert_allclose(measured, [0.5, 0.01, np.nan])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [0.6, 0.3, 0.1])


def test_plots_want_something_to_draw(path):
    with pytest.raises(ValueError, match="errors are empty"):
        plot_rating_errors({}, path, title="")
    with pytest.raises(ValueError, match="scores are empty"):
        plot_ranks(np.zeros(0), [], path, damping=0.5, title="")
