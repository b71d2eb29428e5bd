"""Throughput, exchanges and memory against the number of devices."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    make_figure,
    mark_counts,
    save_figure,
    tidy_axes,
)
from jaxdl.report.legends import add_legend

_ROWS = {"strong": "devices share a batch", "weak": "the batch grows"}
_LEVELS = ("#1f5fa8", "#3fa7c4", "#8c564b", "#9aa5b1", "#e09f3e", "#c2679d")


class ScalingCurve(NamedTuple):
    """A layout on several numbers of devices, measured and forecast.

    Attributes:
        label: Of the layout; equal ones get the same colour.
        scaling: "strong" or "weak".
        devices: Numbers measured.
        images_per_second: Over all devices.
        efficiency: See `plot_scaling`.
        sent_bytes: Per device and step.
        forecast_devices: Numbers forecast.
        forecast_images_per_second: Over all devices.
        forecast_efficiency: Against as many single devices.
        forecast_bytes: Per device and step.
    """

    label: str
    scaling: str
    devices: Sequence[int]
    images_per_second: Sequence[float]
    efficiency: Sequence[float]
    sent_bytes: Sequence[float]
    forecast_devices: Sequence[int]
    forecast_images_per_second: Sequence[float]
    forecast_efficiency: Sequence[float]
    forecast_bytes: Sequence[float]


class MemoryBar(NamedTuple):
    """What one device keeps.

    Attributes:
        label: Of the bar.
        parts: Bytes by what they are for, from the bottom up.
    """

    label: str
    parts: Mapping[str, float]


def plot_scaling(
    curves: Sequence[ScalingCurve],
    bars: Sequence[MemoryBar],
    path: str | os.PathLike[str],
    *,
    title: str,
    shares_cores: bool,
) -> None:
    """Plots images per second and efficiency by scaling, exchanges, and memory.

    Points are measured, lines without are forecast.

    Args:
        curves: At least one.
        bars: At least one.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.
        shares_cores: Whether the devices measured are simulated on the same cores;
            measured efficiencies are then against one device on these cores.

    Raises:
        ValueError: There is no curve or no bar, or a scaling of another name.

    Example:
        >>> import os
        >>> counts, rates = [1, 2], [100.0, 180.0]
        >>> forecast = counts, [100.0, 190.0], [1.0, 0.95], [0.0, 8.0]
        >>> curve = ScalingCurve(
        ...     "data", "weak", counts, rates, [1.0, 0.9], [0.0, 8.0], *forecast
        ... )
        >>> bars = [MemoryBar("1 device", {"parameters": 4.0})]
        >>> plot_scaling([curve], bars, os.devnull, title="a net", shares_cores=False)
    """
    if not curves or not bars:
        raise ValueError("plot_scaling: wanted at least one curve and one bar")
    found = dict.fromkeys(curve.scaling for curve in curves)
    if not found.keys() <= _ROWS.keys():
        raise ValueError(
            f"plot_scaling: scaling must be one of {list(_ROWS)}, got {list(found)}"
        )
    labels = list(dict.fromkeys(curve.label for curve in curves))
    colors = {name: SERIES[i % len(SERIES)] for i, name in enumerate(labels)}
    figure = make_figure(14.0, 4.1 * max(2, len(found)))
    grid = figure.subplots(max(2, len(found)), 3, squeeze=False)
    for (rate, efficiency, _), scaling in zip(grid, found, strict=False):
        own = [curve for curve in curves if curve.scaling == scaling]
        _draw_rates(rate, own, colors, how=_ROWS[scaling])
        _draw_efficiencies(efficiency, own, colors, shares_cores=shares_cores)
    for rate, efficiency, _ in grid[len(found) :]:
        rate.set_axis_off()
        efficiency.set_axis_off()
    first = [curve for curve in curves if curve.scaling == curves[0].scaling]
    _draw_bytes(grid[0, 2], first, colors)
    _draw_memory(grid[1, 2], bars)
    add_legend(grid[0, 0], _list_handles(colors), loc="lower right", fontsize=8.5)
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    save_figure(figure, path)


def _list_handles(colors: Mapping[str, str]) -> list[Line2D]:
    handles = [Line2D([], [], color=c, lw=2, label=name) for name, c in colors.items()]
    dot = {"marker": "o", "markersize": 5, "color": QUIET}
    return [
        *handles,
        Line2D([], [], linestyle="", label="measured", **dot),
        Line2D([], [], linestyle="--", color=QUIET, label="forecast"),
    ]


def _draw_rates(
    axes: Axes, curves: Sequence[ScalingCurve], colors: Mapping[str, str], *, how: str
) -> None:
    _prepare(axes, curves, f"images/s, {how}")
    for curve in curves:
        color = colors[curve.label]
        _draw(axes, curve.devices, curve.images_per_second, color)
        expected = curve.forecast_images_per_second
        _draw(axes, curve.forecast_devices, expected, color, is_forecast=True)
    axes.set_yscale("log")


def _draw_efficiencies(
    axes: Axes,
    curves: Sequence[ScalingCurve],
    colors: Mapping[str, str],
    *,
    shares_cores: bool,
) -> None:
    _prepare(axes, curves, "efficiency against one device")
    for curve in curves:
        color = colors[curve.label]
        _draw(axes, curve.devices, curve.efficiency, color)
        expected = curve.forecast_efficiency
        _draw(axes, curve.forecast_devices, expected, color, is_forecast=True)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    highest = max(max(curve.efficiency) for curve in curves)
    axes.set_ylim(0, max(1.05, 1.05 * highest))
    if shares_cores:
        note = "measured on simulated devices:\nagainst one on the same cores"
        axes.text(0.02, 0.03, note, transform=axes.transAxes, fontsize=8, color=QUIET)


def _draw_bytes(
    axes: Axes, curves: Sequence[ScalingCurve], colors: Mapping[str, str]
) -> None:
    _prepare(axes, curves, "MB sent per device and step")
    for curve in curves:
        color = colors[curve.label]
        _draw(axes, curve.devices, [size / 1e6 for size in curve.sent_bytes], color)
        expected = [size / 1e6 for size in curve.forecast_bytes]
        _draw(axes, curve.forecast_devices, expected, color, is_forecast=True)
    axes.set_ylim(bottom=0)


def _draw_memory(axes: Axes, bars: Sequence[MemoryBar]) -> None:
    tidy_axes(axes)
    axes.grid(visible=False, axis="y")
    axes.set_title("MB kept per device", **_HEADING)
    left = np.zeros(len(bars))
    places = np.arange(len(bars))[::-1]
    for name, color in zip(bars[0].parts, _LEVELS, strict=False):
        sizes = np.array([bar.parts[name] for bar in bars]) / 1e6
        axes.barh(places, sizes, left=left, color=color, label=name, height=0.65)
        left += sizes
    for place, total in zip(places, left, strict=True):
        axes.text(total, place, f" {total:.3g}", va="center", fontsize=8.5, color=QUIET)
    axes.set_yticks(places, [bar.label for bar in bars])
    axes.set_xlim(0, 1.12 * max(left.max(), 1e-9))
    below = {"loc": "upper center", "bbox_to_anchor": (0.45, -0.08), "ncols": 3}
    add_legend(axes, fontsize=8.0, **below)


_HEADING = {"loc": "left", "fontsize": 11, "color": QUIET, "fontweight": "bold"}


def _prepare(axes: Axes, curves: Sequence[ScalingCurve], heading: str) -> None:
    tidy_axes(axes)
    axes.set_title(heading, **_HEADING)
    axes.set_xscale("log", base=2)
    counts = [n for curve in curves for n in (*curve.devices, *curve.forecast_devices)]
    mark_counts(axes, counts, most=8)


def _draw(
    axes: Axes,
    devices: Sequence[int],
    values: Sequence[float],
    color: str,
    *,
    is_forecast: bool = False,
) -> None:
    if is_forecast:
        axes.plot(devices, values, color=color, linestyle="--", linewidth=1.3)
        return
    axes.plot(devices, values, color=color, linewidth=1.8, marker="o", markersize=5)
