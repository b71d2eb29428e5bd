"""How far test accuracy stays behind training accuracy, by variant."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxdl.report.figures import (
    QUIET,
    TRAIN,
    VALIDATION,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
)

_COLUMNS = ("scored_train_accuracy", "test_accuracy")


def plot_gaps(
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    path: str | os.PathLike[str],
) -> None:
    """Plots the accuracy on both splits, a line for each variant from one to the other.

    Large dots are means over the seeds, small ones single runs.

    Args:
        results: By name of the variant, for each run `scored_train_accuracy` and
            `test_accuracy` in [0, 1]; runs that lack one of them are left out.
        path: The PNG to write, in a folder that exists.

    Raises:
        ValueError: There is no variant.

    Example:
        >>> import os
        >>> row = {"scored_train_accuracy": 1.0, "test_accuracy": 0.9}
        >>> plot_gaps({"rate 0": [row]}, os.devnull)
    """
    if not results:
        raise ValueError("results are empty, wanted at least one variant")
    figure = make_figure(6.4, 1.3 + 0.5 * len(results))
    axes = figure.subplots()
    tidy_axes(axes)
    for height, rows in enumerate(results.values()):
        pairs = [tuple(row.get(column) for column in _COLUMNS) for row in rows]
        pairs = [pair for pair in pairs if None not in pair]
        if pairs:
            _draw_pairs(axes, height, np.array(pairs, np.float64))
        else:
            at = {"xycoords": axes.get_yaxis_transform(), "va": "center"}
            axes.annotate("no scores", (0.02, height), color=QUIET, fontsize=9, **at)
    names = [shorten_name(name, max_length=30) for name in results]
    axes.set_yticks(range(len(results)), names, parse_math=False)
    axes.set_ylim(len(results) - 0.5, -0.7)
    axes.margins(x=0.12)  # room for the words of a small gap at the edge
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_xlabel("accuracy, both in evaluation mode", color=QUIET)
    axes.grid(axis="y", visible=False)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        handle_by_label = dict(zip(labels, handles, strict=True))
        axes.legend(
            handle_by_label.values(),
            handle_by_label,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
        )
    save_figure(figure, path)


def _draw_pairs(axes: Axes, height: int, pairs: np.ndarray) -> None:
    means = pairs.mean(axis=0)
    axes.plot(means, [height, height], color=TRAIN, linewidth=2, zorder=2)
    for column, colour, label in ((0, TRAIN, "train"), (1, VALIDATION, "test")):
        axes.scatter(
            pairs[:, column], np.full(len(pairs), height), s=12, color=colour, zorder=3
        )
        axes.scatter(
            means[column],
            height,
            s=70,
            color=colour,
            edgecolor="white",
            zorder=4,
            label=label,
        )
    axes.annotate(
        f"{100 * (means[0] - means[1]):.1f} points",
        (means.mean(), height),
        (0, 6),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
        color=QUIET,
    )
