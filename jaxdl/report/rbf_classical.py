"""Radial basis function networks on vectors: what each phase of a training gives."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    TRAIN,
    VALIDATION,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
)
from jaxdl.report.legends import add_legend

_STYLES = ("o-", "s-", "^-", "D--", "v:")
"""The first three are those of the phases."""

Lines = Mapping[str, Mapping[int, Sequence[float]]]
"""By name of the line and number of centres, the values of one or more seeds."""


class FunctionFit(NamedTuple):
    """A function of one number and what a network makes of it.

    Attributes:
        name: Of the training.
        places: Where both are known, increasing.
        wanted: The function.
        found: The network's output.
        centers: Where its centres are.
    """

    name: str
    places: Float[np.ndarray, " places"]
    wanted: Float[np.ndarray, " places"]
    found: Float[np.ndarray, " places"]
    centers: Float[np.ndarray, " centers"]


def plot_phases(
    panels: Mapping[str, Lines], path: str | os.PathLike[str], *, title: str
) -> None:
    """Plots test accuracy over the number of centres, a line per way of training.

    Lines are means over the seeds in a band from the least to the greatest, small dots
    single seeds; a line has one colour in all panels.

    Args:
        panels: Lines by title of the panel.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: A panel has no line, or a line no seed.

    Example:
        >>> import os
        >>> lines = {"one phase": {10: [0.80, 0.84], 20: [0.87, 0.88]}}
        >>> plot_phases({"all": lines}, os.devnull, title="digits")
    """
    for name, lines in panels.items():
        _check_lines(lines, f"plot_phases: panel {name!r}")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    figure = make_figure(4.2 * len(panels) + 1.6, 4.0)
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    handles = {}
    for axes, (heading, lines) in zip(grid, panels.items(), strict=True):
        _draw_lines(axes, lines, names)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes.set_title(heading, loc="left", fontsize=10.5, color=QUIET)
        found, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, found, strict=True))
    grid[0].set_ylabel("test accuracy", color=QUIET)
    shown = [handles[name] for name in names]
    add_legend(figure, shown, loc="outside right center")
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    save_figure(figure, path)


def plot_function_fits(
    fits: Sequence[FunctionFit],
    errors: Lines,
    path: str | os.PathLike[str],
    *,
    title: str,
) -> None:
    """Plots fits of a function with their centres, their errors, and the largest ones.

    A row of fits, where triangles mark centres; below each its error; at the bottom the
    largest error over the number of centres, drawn as in `plot_phases`.

    Args:
        fits: From left to right.
        errors: Largest errors, by name as in `fits`.
        path: The PNG to write, in a folder that exists.
        title: Of the figure: what the function is.

    Raises:
        ValueError: There is no fit, or no error.

    Example:
        >>> import os
        >>> x = np.linspace(0.0, 1.0, 5)
        >>> fit = FunctionFit("one phase", x, x, x + 0.1, np.array([0.0, 1.0]))
        >>> lines = {"one phase": {2: [0.1]}}
        >>> plot_function_fits([fit], lines, os.devnull, title="x")
    """
    if not fits:
        raise ValueError("plot_function_fits: fits are empty, wanted at least one")
    _check_lines(errors, "plot_function_fits: errors")
    figure = make_figure(max(3.0 * len(fits), 6.0), 8.2)
    halves: Any = figure.subfigures(2, 1, height_ratios=[5, 4])
    top, bottom = halves
    curves = top.subplots(
        2, len(fits), squeeze=False, sharex=True, sharey="row", height_ratios=[3, 2]
    )
    for column, fit in enumerate(fits):
        _draw_fit(curves[0][column], fit)
        _draw_error(curves[1][column], fit)
    curves[0][0].set_ylabel(shorten_name(title, max_length=30), color=QUIET)
    curves[1][0].set_ylabel("size of the error", color=QUIET)
    top.supxlabel("x", fontsize=10, color=QUIET)
    axes = bottom.subplots()
    _draw_lines(axes, errors, list(errors))
    axes.set_yscale("log")
    axes.set_ylabel("largest error", color=QUIET)
    axes.tick_params(which="both", colors=QUIET)
    add_legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(
        f"{title}, fitted with {len(fits[0].centers)} centres (triangles)",
        fontsize=12,
        color=QUIET,
        fontweight="bold",
    )
    save_figure(figure, path)


def _check_lines(lines: Lines, where: str) -> None:
    runs = [values for line in lines.values() for values in line.values()]
    if not runs or not all(len(values) for values in runs):
        raise ValueError(f"{where}: wanted lines of at least one seed each")


def _draw_lines(axes: Axes, lines: Lines, names: Sequence[str]) -> None:
    """Means in a band, over a number on a logarithmic axis."""
    tidy_axes(axes)
    for name, line in lines.items():
        index = names.index(name)
        colour = SERIES[index % len(SERIES)]
        counts = sorted(line)
        means, low, high = (
            [float(measure(line[count])) for count in counts]
            for measure in (np.mean, min, max)
        )
        style = {"color": colour, "markersize": 5, "linewidth": 1.6}
        axes.plot(counts, means, _STYLES[index % len(_STYLES)], label=name, **style)
        axes.fill_between(counts, low, high, color=colour, alpha=0.14, lw=0)
        for count in counts:
            places = [count] * len(line[count])
            axes.scatter(places, line[count], s=9, color=colour, alpha=0.5, lw=0)
    axes.set_xscale("log")
    ticks = sorted({count for line in lines.values() for count in line})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("centres", color=QUIET)


def _draw_fit(axes: Axes, fit: FunctionFit) -> None:
    tidy_axes(axes)
    axes.plot(fit.places, fit.wanted, color=TRAIN, linewidth=4, alpha=0.6)
    axes.plot(fit.places, fit.found, color=VALIDATION, linewidth=1.4)
    # At the foot of the panel, so that they hide nothing of the curve.
    axes.plot(
        fit.centers,
        np.full(len(fit.centers), 0.03),
        "^",
        color=SERIES[1],
        markersize=4.5,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )
    axes.set_title(fit.name, loc="left", fontsize=10.5, color=QUIET)


def _draw_error(axes: Axes, fit: FunctionFit) -> None:
    tidy_axes(axes)
    error = np.abs(fit.found - fit.wanted)
    largest = float(error.max())
    axes.set_yscale("log")
    # Where the error changes its sign it is 0, which would stretch the axis.
    floor = max(1e-3 * largest, 1e-9)
    axes.plot(fit.places, np.maximum(error, floor), color=VALIDATION, linewidth=1.0)
    axes.axhline(max(largest, floor), color=QUIET, linewidth=1, linestyle=":")
    axes.set_title(f"at most {largest:.2g}", loc="left", fontsize=9, color=QUIET)
    axes.tick_params(which="both", colors=QUIET)
