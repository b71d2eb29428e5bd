"""The figure of throughput over devices and layouts."""

import numpy as np
import pytest

from jaxdl.report import MemoryBar, ScalingCurve, plot_scaling


def make_curve(label, scaling):
    return ScalingCurve(
        label,
        scaling,
        devices=[1, 2, 4],
        images_per_second=[100.0, 90.0, 80.0],
        efficiency=[1.0, 0.9, 0.8],
        sent_bytes=[0.0, 1e6, 1.5e6],
        forecast_devices=[1, 2, 4, 64],
        forecast_images_per_second=[100.0, 195.0, 380.0, 5000.0],
        forecast_efficiency=[1.0, 0.97, 0.95, 0.8],
        forecast_bytes=[0.0, 1e6, 1.5e6, 2e6],
    )


BARS = [
    MemoryBar("1 device", {"parameters": 3e6, "temporaries": 5e6}),
    MemoryBar("data, 4", {"parameters": 3e6, "temporaries": 1e6}),
]


def test_plot_scaling_draws_what_is_measured_and_forecast(figures, path, check_png):
    strong, weak = make_curve("data", "strong"), make_curve("data", "weak")
    other = make_curve("model", "strong")
    plot_scaling([strong, other, weak], BARS, path, title="a net", shares_cores=True)
    check_png(path)
    rate, efficiency, sent, weak_rate, _, memory = figures[0].axes
    for axes, measured, forecast in (
        (rate, strong.images_per_second, strong.forecast_images_per_second),
        (efficiency, strong.efficiency, strong.forecast_efficiency),
        (sent, [0, 1, 1.5], [0, 1, 1.5, 2]),
    ):
        first, second, *others = axes.lines
        np.testing.assert_allclose(first.get_ydata(), measured)
        np.testing.assert_allclose(second.get_ydata(), forecast)
        assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")
        assert len(others) == 2 and others[0].get_color() != first.get_color()
    assert len(weak_rate.lines) == 2
    # Ends of the bars, in MB.
    texts = [text.get_text().strip() for text in memory.texts]
    assert texts == ["8", "4"]


def test_plot_scaling_of_one_scaling_still_has_all_panels(path, check_png):
    curves = [make_curve("data", "weak")]
    plot_scaling(curves, BARS, path, title="a net", shares_cores=False)
    check_png(path)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ([], "wanted at least one curve and one bar"),
        ([make_curve("data", "sideways")], r"must be one of .*, got \['sideways'\]"),
    ],
)
def test_plot_scaling_names_what_it_can_not_draw(curves, message, path):
    with pytest.raises(ValueError, match=message):
        plot_scaling(curves, BARS, path, title="a net", shares_cores=False)
