"""The figure of what a training costs."""

import numpy as np
import pytest

from jaxdl.report import CostCurve, plot_costs

COUNTS = [1, 8, 64]
TIMES = ["10 min", "1 h", "6 h"]
GROWS = CostCurve(
    "grows",
    COUNTS,
    hours=[13.0, 1.7, 0.2],
    efficiency=[1.0, 0.99, 0.97],
    owned=[18.0, 19.0, 20.0],
    rented=[17.0, 18.0, 19.0],
    carbon_kg=[8.0, 8.1, 8.2],
)
SHARED = CostCurve("shared", *(column[:2] for column in GROWS[1:]))


def test_plot_costs_draws_time_efficiency_money_and_carbon(figures, path, check_png):
    plot_costs([GROWS, SHARED], path, title="a training")
    check_png(path)
    time, efficiency, money, carbon = figures[0].axes
    for axes, columns in (
        (time, [GROWS.hours, SHARED.hours]),
        (efficiency, [GROWS.efficiency, SHARED.efficiency]),
        (money, [GROWS.owned, GROWS.rented, SHARED.owned, SHARED.rented]),
        (carbon, [GROWS.carbon_kg, SHARED.carbon_kg]),
    ):
        assert len(axes.lines) == len(columns)
        for line, column in zip(axes.lines, columns, strict=True):
            np.testing.assert_allclose(line.get_ydata(), column)
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "8", "64"]
    assert [text.get_text() for text in time.get_yticklabels()] == TIMES
    assert [line.get_linestyle() for line in money.lines] == ["-", "--"] * 2


def test_plot_costs_of_times_alike_names_its_hours(figures, path, check_png):
    one = CostCurve("one", [1, 2], [3.0, 2.9], [1.0, 0.5], *[[2.0, 4.0]] * 3)
    plot_costs([one], path, title="")
    check_png(path)
    assert figures[0].axes[0].get_ylabel() == "hours"


@pytest.mark.parametrize("curves", [[], [CostCurve("none", *[[]] * 6)]])
def test_plot_costs_wants_devices(path, curves):
    with pytest.raises(ValueError, match="curves: wanted at least one, with devices"):
        plot_costs(curves, path, title="")
