"""Histograms of activations as a grid: networks down, layers across."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped
from matplotlib.axes import Axes

from jaxdl.report.figures import QUIET, VALIDATION, make_figure, save_figure


class Histogram(NamedTuple):
    """How often a layer's activations fall into bins of equal width.

    Attributes:
        counts: Activations in each bin.
        edges: Where the bins begin and end, one more than there are bins.
        note: A line to write over the panel.
    """

    counts: Shaped[np.ndarray, " bins"]
    edges: Shaped[np.ndarray, " edges"]
    note: str = ""


def plot_histograms(
    rows: Mapping[str, Sequence[Histogram]],
    path: str | os.PathLike[str],
    *,
    column_title: str,
    title: str,
    xlabel: str,
) -> None:
    """Plots one histogram per layer, each scaled to its own highest bin.

    Args:
        rows: By name of the network, one histogram per layer; all rows equally long.
        path: The PNG to write, in a folder that exists.
        column_title: What a column is; its number is put after it.
        title: Of the figure.
        xlabel: What is counted, with its unit.

    Raises:
        ValueError: There is no histogram, or the rows are not equally long.

    Example:
        >>> import os
        >>> histogram = Histogram(np.array([1, 2, 1]), np.array([0.0, 1.0, 2.0, 3.0]))
        >>> rows = {"He": [histogram, histogram]}
        >>> words = dict(column_title="layer", title="ReLU", xlabel="activation")
        >>> plot_histograms(rows, os.devnull, **words)
    """
    lengths = {len(row) for row in rows.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "rows must be equally long and not empty, got lengths "
            f"{[len(row) for row in rows.values()]}"
        )
    (num_columns,) = lengths
    figure = make_figure(max(1.9 * num_columns + 1.0, 5.0), 1.6 * len(rows) + 1.0)
    grid = figure.subplots(len(rows), num_columns, squeeze=False, sharex=True)
    for axes_row, (name, histograms) in zip(grid, rows.items(), strict=True):
        for axes, histogram in zip(axes_row, histograms, strict=True):
            _plot_histogram(axes, histogram)
        words = textwrap.fill(name.replace("_", " "), 14, break_long_words=False)
        axes_row[0].set_ylabel(words, color=QUIET, fontsize=10, parse_math=False)
    for index, axes in enumerate(grid[0], start=1):
        over = f"{column_title} {index}\n{axes.get_title()}"
        axes.set_title(over, fontsize=9, color=QUIET)
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    figure.supxlabel(xlabel, fontsize=10, color=QUIET)
    save_figure(figure, path)


def _plot_histogram(axes: Axes, histogram: Histogram) -> None:
    counts = histogram.counts.astype(np.float64)
    heights = counts / (counts.max() or 1.0)
    axes.bar(
        histogram.edges[:-1],
        heights,
        width=np.diff(histogram.edges),
        align="edge",
        color=VALIDATION,
        linewidth=0,
    )
    axes.set_ylim(0, 1.05)
    axes.set_xlim(histogram.edges[0], histogram.edges[-1])
    axes.set_yticks([])
    axes.tick_params(colors=QUIET, labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.set_title(histogram.note, fontsize=9, color=QUIET)
