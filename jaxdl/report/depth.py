"""How a number changes from layer to layer: lines in panels side by side."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    spell_out_ticks,
    tidy_axes,
)

SERIES = (
    "#1f5fa8",
    "#d1495b",
    "#2e8b57",
    "#e09f3e",
    "#7b4fa3",
    "#3fa7c4",
    "#8c564b",
    "#323f4b",
    "#c2679d",
    "#a3a847",
)
"""Colours of lines that mean different things, in the order they are given out."""


def plot_by_depth(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    path: str | os.PathLike[str],
    *,
    xlabel: str,
    ylabel: str,
    is_log: bool = True,
    band: tuple[float, float] | None = None,
    band_label: str = "",
    start: int = 1,
    share_y: bool = True,
) -> None:
    """Plots numbers by layer, the lines of one name in one colour in all panels.

    Args:
        panels: By title of the panel and name of the line, one number per layer. On a
            logarithmic axis, numbers that are not finite and above 0 leave a gap.
        path: The PNG to write, in a folder that exists.
        xlabel: What the layers are.
        ylabel: What the numbers are, with their unit.
        is_log: Whether the vertical axis is logarithmic.
        band: Lower and upper end of a range to shade.
        band_label: What the range means.
        start: Number of the first layer.
        share_y: Whether all panels have the same vertical axis.

    Raises:
        ValueError: There is no panel.

    Example:
        >>> import os
        >>> stds = {"He": [1.0, 1.0, 1.0], "0.01": [0.4, 0.2, 0.1]}
        >>> plot_by_depth(
        ...     {"width 64": stds}, os.devnull, xlabel="layer", ylabel="deviation"
        ... )
    """
    if not panels:
        raise ValueError("panels is empty, wanted at least one panel of lines")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    # Dashes let a line show through where it lies under another.
    styles = {
        name: (SERIES[i % len(SERIES)], ("-", "--")[i % 2])
        for i, name in enumerate(names)
    }
    figure = make_figure(4.6 * len(panels) + 2.2, 4.2)
    all_axes = figure.subplots(1, len(panels), squeeze=False, sharey=share_y)[0]
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        tidy_axes(axes)
        if is_log:
            axes.set_yscale("log")
        if band is not None:
            axes.axhspan(*band, color="#e4e7eb", zorder=0, label=band_label)
        for name, values in lines.items():
            _plot_line(axes, values, name, styles[name], is_log=is_log, start=start)
        axes.set_title(title, loc="left", fontweight="bold", color=QUIET, fontsize=11)
        axes.set_xlabel(xlabel, color=QUIET)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlim(left=start - 0.5)
        axes.tick_params(which="both", colors=QUIET)
        if is_log:
            spell_out_ticks(axes)
    all_axes[0].set_ylabel(ylabel, color=QUIET)
    handles = {}
    for axes in all_axes:
        found, labels = axes.get_legend_handles_labels()
        handles.update(zip(labels, found, strict=True))
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside right upper",
        frameon=False,
        labelcolor=QUIET,
        fontsize=9,
    )
    save_figure(figure, path)


def _plot_line(
    axes: Axes,
    values: Sequence[float],
    name: str,
    style: tuple[str, str],
    *,
    is_log: bool,
    start: int,
) -> None:
    heights = np.asarray(values, np.float64)
    drawable = np.isfinite(heights) & ((heights > 0) | (not is_log))
    axes.plot(
        np.arange(start, start + len(heights)),
        np.where(drawable, heights, np.nan),
        color=style[0],
        linestyle=style[1],
        zorder=2.0 if style[1] == "-" else 2.1,
        linewidth=1.6,
        marker="o" if len(heights) <= 24 else None,
        markersize=3.5,
        label=name,
    )
