"""Curves of several trainings side by side, in panels that share their axes."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from jaxdl.report.curves import finite_or_gap
from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    shorten_name,
    spread_out,
    tidy_axes,
    write_note,
)

_NAMES = {
    ("train", "loss"): "training loss",
    ("train", "error"): "training error, %",
    ("validation", "loss"): "validation loss",
    ("validation", "error"): "validation error, %",
}


@dataclasses.dataclass(frozen=True)
class Curve:
    """The trainings of one variant.

    Attributes:
        label: Names it in its panel; a label has one colour in all panels.
        panel: Heading of the panel it is drawn in.
        runs: For each seed, the rows of its `metrics.jsonl`.
        diverged: Whether a run ended at a number that is not finite.

    Example:
        >>> Curve("group", "batch size 4", runs=[]).diverged
        False
    """

    label: str
    panel: str
    runs: Sequence[Sequence[Mapping[str, Any]]]
    diverged: bool = False


class _Line(NamedTuple):
    """What is drawn of a curve: the mean over its seeds, and their range."""

    curve: Curve
    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def plot_variants(
    curves: Sequence[Curve],
    path: str | os.PathLike[str],
    *,
    metrics: Sequence[tuple[str, str]] = (("train", "loss"), ("validation", "error")),
) -> None:
    """Plots a row of panels for each metric; the panels of a row share their axis.

    Lines are means over the seeds that got that far, in a band from the least to the
    greatest; their last value stands beside them. A cross ends a line that diverged.

    Args:
        curves: What to draw, in this order of colours and panels.
        path: The PNG to write, in a folder that exists.
        metrics: Split ("train" or "validation") and number ("loss", or "error" in
            percent) of each row of panels.

    Raises:
        ValueError: A metric that is none of the four.

    Example:
        >>> import os
        >>> rows = [{"split": "train", "epoch": 1.0, "loss": 0.5, "accuracy": 0.8}]
        >>> plot_variants([Curve("a", "all", [rows])], os.devnull)
    """
    for metric in metrics:
        if metric not in _NAMES:
            raise ValueError(f"metric {metric} unknown, wanted one of {list(_NAMES)}")
    if not any(rows for curve in curves for rows in curve.runs):
        figure = make_figure(5.0, 3.0)
        write_note(figure.subplots(), "No metrics were written.")
        save_figure(figure, path)
        return
    labels = dict.fromkeys(curve.label for curve in curves)
    colours = {name: SERIES[i % len(SERIES)] for i, name in enumerate(labels)}
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    figure = make_figure(max(4.4 * len(panels), 5.6), 3.0 * len(metrics) + 0.3)
    grid = figure.subplots(
        len(metrics), len(panels), squeeze=False, sharex=True, sharey="row"
    )
    for row, metric in zip(grid, metrics, strict=True):
        lines = [_gather(curve, *metric) for curve in curves]
        _set_limits(row[0], lines, metric)
        for axes, panel in zip(row, panels, strict=True):
            shown = [line for line in lines if line.curve.panel == panel]
            _draw_panel(axes, shown, colours)
        row[0].set_ylabel(_NAMES[metric], color=QUIET)
    for axes, panel in zip(grid[0], panels, strict=True):
        name = shorten_name(panel, max_length=36)
        axes.set_title(
            name, loc="left", fontweight="bold", color=QUIET, parse_math=False
        )
    for axes in grid[-1]:
        axes.set_xlabel("epoch", color=QUIET)
    save_figure(figure, path)


def _gather(curve: Curve, split: str, name: str) -> _Line:
    values: dict[float, list[float]] = {}
    for row in (row for rows in curve.runs for row in rows):
        if row.get("split") == split:
            value = finite_or_gap(row.get("accuracy" if name == "error" else name))
            value = 100 * (1 - value) if name == "error" else value
            values.setdefault(row["epoch"], []).append(value)
    epochs = sorted(values)
    table = [values[epoch] for epoch in epochs]
    return _Line(
        curve,
        np.array(epochs),
        *(np.array([measure(v) for v in table]) for measure in (np.mean, min, max)),
    )


def _set_limits(axes: Axes, lines: Sequence[_Line], metric: tuple[str, str]) -> None:
    """Leaves out what is far above start and end: a training that blew up."""
    finite = [line.mean[np.isfinite(line.mean)] for line in lines]
    means = [mean for mean in finite if len(mean)]
    if not means:
        return
    ends = [
        float(mean[-1])
        for line, mean in zip(lines, finite, strict=True)
        if len(mean) and not line.curve.diverged
    ]
    start = float(np.median([mean[0] for mean in means]))
    ceiling = 100.0 if metric[1] == "error" else max([1.5 * start, *ends])
    top = min(max(float(mean.max()) for mean in means), ceiling)
    axes.set_ylim(0, 1.05 * top if top > 0 else 1)


def _draw_panel(axes: Axes, lines: Sequence[_Line], colours: Mapping[str, str]) -> None:
    tidy_axes(axes)
    ends = []
    for line in lines:
        finite = np.flatnonzero(np.isfinite(line.mean))
        if not len(finite):
            continue
        colour, last = colours[line.curve.label], finite[-1]
        # A line through one or two points would show a trend that isn't there.
        marker = "o" if len(finite) < 3 else None
        axes.plot(
            line.epochs, line.mean, color=colour, marker=marker, markersize=4, lw=1.6
        )
        if len(line.curve.runs) > 1:
            band = {"color": colour, "alpha": 0.15, "linewidth": 0}
            axes.fill_between(line.epochs, line.low, line.high, **band)
        if line.curve.diverged:
            axes.plot(line.epochs[last], line.mean[last], "x", color=colour, ms=9)
        name = shorten_name(line.curve.label, max_length=24)
        text = f"{name}  {line.mean[last]:.3g}"
        text += " (diverged)" * line.curve.diverged
        ends.append((float(line.mean[last]), text, colour))
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    low, high = axes.get_ylim()
    heights = spread_out(
        [min(end[0], high) for end in ends], gap=0.075 * (high - low), low=low
    )
    for height, (_, text, colour) in zip(heights, ends, strict=True):
        axes.annotate(
            text,
            (1.02, height),
            xycoords=axes.get_yaxis_transform(),
            annotation_clip=False,
            va="center",
            fontsize=8.5,
            color=colour,
            parse_math=False,
        )
