"""The figure of compressed networks: what it shows, and that it is written."""

import numpy as np
import pytest

from jaxdl.report import CompressionCurve, plot_compression


def test_plot_compression_draws_both_stages_in_order_of_size(figures, path, check_png):
    curves = [
        CompressionCurve("first", [0.7, 0.3, 0.5], [0.8, 0.2, 0.6], [0.9, 0.7, 0.85]),
        CompressionCurve("second", [0.5], [0.1], [0.5]),
    ]
    plot_compression(curves, path, original=0.92)
    check_png(path)
    before, after = figures[0].axes
    assert before.get_title("left") == "as compressed"
    for axes, values in ((before, [20, 60, 80]), (after, [70, 85, 90])):
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_allclose(lines["first"].get_xdata(), [0.3, 0.5, 0.7])
        np.testing.assert_allclose(lines["first"].get_ydata(), values)
        np.testing.assert_allclose(lines["original, 92.00%"].get_ydata(), 92)
        colours = {line.get_color() for line in axes.lines}
        assert len(colours) == 3
    (legend,) = figures[0].legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["original, 92.00%", "first", "second"]


def test_plot_compression_wants_a_curve(path):
    with pytest.raises(ValueError, match="curves is empty"):
        plot_compression([], path, original=0.9)
