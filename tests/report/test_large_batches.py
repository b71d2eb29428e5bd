"""The figures of the study of large batches."""

import numpy as np
import pytest

from jaxdl.diagnose import BatchTradeoff
from jaxdl.report import BatchSeries, NoiseCurve, plot_batch_tradeoff, plot_noise_scales

FIT = BatchTradeoff(100.0, 12_345.0, is_bounded=True, error=0.0)
RUNS = BatchSeries(
    "sgd", [10, 100, 1000, 4000], [1300, 230, 115, 99], [True, True, True, False], FIT
)
LOST = BatchSeries("lars", [10, 100], [50, 60], [False, False])


def read_points(line):
    return np.stack([line.get_xdata(), line.get_ydata()])


def test_plot_batch_tradeoff_draws_points_fit_and_perfect_scaling(
    figures, path, check_png
):
    plot_batch_tradeoff([RUNS, LOST], path, target="a loss of 0.1")
    check_png(path)
    steps, examples = figures[0].axes
    for axes, factor in ((steps, np.ones(3)), (examples, np.array([10, 100, 1000]))):
        points, missed, perfect, fit = axes.lines[:4]
        np.testing.assert_allclose(
            read_points(points), [[10, 100, 1000], factor * [1300, 230, 115]]
        )
        assert missed.get_marker() == "^" and len(missed.get_xdata()) == 1
        assert missed.get_xdata()[0] == pytest.approx(4000, rel=0.1)
        assert perfect.get_ydata()[0] == pytest.approx(1300 * factor[0])
        assert perfect.get_linestyle() == ":"
        sizes, heights = read_points(fit)
        by_size = heights if axes is steps else heights / sizes
        np.testing.assert_allclose(by_size, 100 * (1 + 123.45 / sizes))
        assert len(axes.lines) == 6  # of the series that was lost: no lines
    np.testing.assert_allclose(np.diff(examples.lines[2].get_ydata()), 0, atol=1e-6)
    product = np.prod(read_points(steps.lines[2]), axis=0)
    np.testing.assert_allclose(product, 13_000)
    texts = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert texts == [
        "sgd\ncritical batch 120",
        "lars",
        "perfect scaling",
        "not reached",
    ]


def test_plot_batch_tradeoff_needs_runs(path):
    for series in ([], [BatchSeries("sgd", [], [], [])]):
        with pytest.raises(ValueError, match="wanted at least one, with runs in each"):
            plot_batch_tradeoff(series, path, target="x")


def test_plot_noise_scales_draws_a_panel_for_each_kind(figures, path, check_png):
    curves = [
        NoiseCurve("sgd", "batch 8", [8.0, 16.0], [20.0, 40.0]),
        NoiseCurve("sgd", "batch 16", [16.0, 32.0], [30.0, 60.0]),
        NoiseCurve("lamb", "batch 16", [16.0, 32.0], [5.0, 7.0]),
        NoiseCurve("lars", "batch 16", [], []),
    ]
    plot_noise_scales(curves, path, critical={"lamb": 9.0})
    check_png(path)
    sgd, lamb = figures[0].axes
    assert [axes.get_title("left") for axes in (sgd, lamb)] == ["sgd", "lamb"]
    np.testing.assert_allclose(sgd.lines[1].get_ydata(), [30, 60])
    assert len(sgd.lines) == 2 and len(lamb.lines) == 2
    assert sgd.lines[1].get_color() == lamb.lines[0].get_color()
    np.testing.assert_allclose(lamb.lines[1].get_ydata(), 9)


def test_plot_noise_scales_says_when_there_is_none(figures, path, check_png):
    plot_noise_scales([NoiseCurve("sgd", "batch 8", [], [])], path, critical={})
    check_png(path)
    (text,) = figures[0].axes[0].texts
    assert text.get_text() == "No noise scale was measured."
