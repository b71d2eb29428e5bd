"""Loss and accuracy over the epochs of a run."""

import math
import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from jaxdl.report.figures import (
    QUIET,
    TRAIN,
    VALIDATION,
    make_figure,
    save_figure,
    tidy_axes,
    write_note,
)

_COLOURS = {"train": TRAIN, "validation": VALIDATION}


def plot_curves(
    rows: Sequence[Mapping[str, Any]], path: str | os.PathLike[str]
) -> None:
    """Plots loss and accuracy of both splits and marks the best validation epoch.

    The best epoch is that of the highest validation accuracy or, where rows have no
    accuracy, of the lowest validation loss; the first one if several are equal.

    Args:
        rows: Rows of `metrics.jsonl`, each with `split` ("train" or "validation"; rows
            of others are left out), `epoch`, `loss`, and `accuracy` for classifiers.
            Values that are missing or not finite leave a gap.
        path: The PNG to write, in a folder that exists.

    Example:
        >>> import os
        >>> rows = [{"split": "train", "epoch": 1.0, "loss": 0.5, "accuracy": 0.8}]
        >>> plot_curves(rows, os.devnull)
    """
    names = [name for name in ("loss", "accuracy") if any(name in row for row in rows)]
    best = _find_best(rows)
    figure = make_figure(5.5 * max(len(names), 1), 3.8)
    panels = figure.subplots(1, max(len(names), 1), squeeze=False)[0]
    if not names:
        write_note(panels[0], "No metrics were written.")
    for axes, name in zip(panels, names, strict=False):
        _plot_metric(axes, rows, name)
        if best is not None:
            _mark_best(axes, best, name)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(edgecolor="none", framealpha=0.9)
    save_figure(figure, path)


def _plot_metric(axes: Axes, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    tidy_axes(axes)
    for split, colour in _COLOURS.items():
        points = [
            (row["epoch"], finite_or_gap(row.get(name)))
            for row in rows
            if row.get("split") == split
        ]
        if not points:
            continue
        # A line through one or two points would show nothing or a trend that isn't.
        marker = "o" if split == "validation" or len(points) < 3 else None
        epochs, values = zip(*points, strict=True)
        axes.plot(
            epochs,
            values,
            color=colour,
            marker=marker,
            markersize=3.5,
            linewidth=1.4,
            label=split,
        )
    axes.set_title(name, loc="left", fontweight="bold", color=QUIET)
    axes.set_xlabel("epoch", color=QUIET)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def _find_best(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    validation = [row for row in rows if row.get("split") == "validation"]
    scored = [r for r in validation if math.isfinite(finite_or_gap(r.get("accuracy")))]
    if scored:
        return max(scored, key=lambda row: row["accuracy"])
    measured = [r for r in validation if math.isfinite(finite_or_gap(r.get("loss")))]
    return min(measured, key=lambda row: row["loss"], default=None)


def _mark_best(axes: Axes, best: Mapping[str, Any], name: str) -> None:
    axes.axvline(best["epoch"], color=VALIDATION, linestyle=":", linewidth=1.2)
    value = finite_or_gap(best.get(name))
    if math.isfinite(value):
        axes.plot(
            best["epoch"],
            value,
            linestyle="none",
            marker="o",
            markersize=8,
            markerfacecolor="white",
            markeredgecolor=VALIDATION,
            markeredgewidth=1.8,
            label=f"best epoch {best['epoch']:.3g}: {value:.4f}",
        )


def finite_or_gap(value: Any) -> float:
    """A number to plot, or NaN, which leaves a gap.

    Args:
        value: A value of a row; anything.

    Returns:
        The value as a float if it is a finite number, else NaN.

    Example:
        >>> finite_or_gap("inf"), finite_or_gap(2)
        (nan, 2.0)
    """
    # JSON has no NaN: a loss that isn't finite may be null or text in the row.
    is_number = isinstance(value, numbers.Real) and math.isfinite(value)
    return float(value) if is_number else math.nan
