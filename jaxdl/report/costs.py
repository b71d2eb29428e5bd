"""Time, efficiency, money and carbon dioxide against the number of devices."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, PercentFormatter

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    make_figure,
    mark_counts,
    save_figure,
    spell_out_ticks,
    tidy_axes,
)

_UNITS = (("s", 1 / 3600), ("min", 1 / 60), ("h", 1.0), ("d", 24.0), ("y", 8766.0))
_STEPS = {"s": (1, 10), "min": (1, 10), "h": (1, 6), "d": (1, 10, 100), "y": (1, 10)}


class CostCurve(NamedTuple):
    """A training on several numbers of devices; one entry of each for each.

    Attributes:
        label: What the devices do with the batch.
        devices: How many.
        hours: To the end of the training.
        efficiency: Against one device, in [0, 1].
        owned: Price on devices that were bought, with electricity.
        rented: Price on rented ones.
        carbon_kg: CO2 equivalent.
    """

    label: str
    devices: Sequence[int]
    hours: Sequence[float]
    efficiency: Sequence[float]
    owned: Sequence[float]
    rented: Sequence[float]
    carbon_kg: Sequence[float]


def plot_costs(
    curves: Sequence[CostCurve], path: str | os.PathLike[str], *, title: str
) -> None:
    """Plots four panels: time and efficiency above, money and CO2 below.

    Args:
        curves: At least one, a colour each.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no curve, or one without devices.

    Example:
        >>> import os
        >>> columns = [1, 8], [8.0, 1.1], [1.0, 0.9], [9.0, 9.5], [8.0, 9.0], [2.0, 2.2]
        >>> plot_costs([CostCurve("weak", *columns)], os.devnull, title="a training")
    """
    if not curves or not all(len(curve.devices) for curve in curves):
        raise ValueError("curves: wanted at least one, with devices in each")
    figure = make_figure(10.4, 7.4)
    (time, efficiency), (money, carbon) = figure.subplots(2, 2)
    for axes in (time, efficiency, money, carbon):
        _prepare(axes, curves)
    for index, curve in enumerate(curves):
        style = {"color": SERIES[index % len(SERIES)], "label": curve.label}
        _draw(time, curve.devices, curve.hours, **style)
        _draw(efficiency, curve.devices, curve.efficiency, **style)
        owned = {**style, "label": f"{curve.label}, bought"}
        rented = {**style, "label": f"{curve.label}, rented", "linestyle": "--"}
        _draw(money, curve.devices, curve.owned, **owned)
        _draw(money, curve.devices, curve.rented, **rented)
        _draw(carbon, curve.devices, curve.carbon_kg, **style)
    time.set_yscale("log")
    _mark_times(time)
    efficiency.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    efficiency.set_ylim(0, 1.05)
    names = {
        time: "time of the training",
        efficiency: "efficiency, against one device",
        money: "money for the training",
        carbon: "carbon dioxide, kg",
    }
    for axes, name in names.items():
        axes.set_title(name, loc="left", fontsize=11, color=QUIET, fontweight="bold")
    for axes in (money, carbon):
        axes.set_ylim(bottom=0)
    for axes in (time, money):
        axes.legend(frameon=False, labelcolor=QUIET, fontsize=9)
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    save_figure(figure, path)


def _mark_times(axes: Axes) -> None:
    """Ticks at times that people speak of, where there are two or more in sight."""
    low, high = axes.get_ylim()
    marks = {
        count * length: f"{count} {unit}"
        for unit, length in _UNITS
        for count in _STEPS[unit]
    }
    shown = {value: text for value, text in marks.items() if low <= value <= high}
    if len(shown) < 2:
        spell_out_ticks(axes)
        axes.set_ylabel("hours", color=QUIET)
        return
    axes.set_yticks(list(shown), list(shown.values()))
    axes.yaxis.set_minor_locator(NullLocator())


def _prepare(axes: Axes, curves: Sequence[CostCurve]) -> None:
    tidy_axes(axes)
    axes.set_xscale("log")
    mark_counts(axes, [n for curve in curves for n in curve.devices], most=7)


def _draw(
    axes: Axes,
    devices: Sequence[int],
    values: Sequence[float],
    *,
    color: str,
    label: str,
    linestyle: str = "-",
) -> None:
    axes.plot(
        devices,
        values,
        color=color,
        label=label,
        linestyle=linestyle,
        linewidth=1.8,
        marker="o",
        markersize=3.5,
    )
