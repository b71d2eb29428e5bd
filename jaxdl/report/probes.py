"""How accurate probes of a network's features are: bars, and lines over a number."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import PercentFormatter

from jaxdl.report.curves import finite_or_gap
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

_COLOURS = (VALIDATION, TRAIN, *SERIES[1:])


def plot_accuracy_bars(
    accuracies: Mapping[str, Mapping[str, float | None]],
    path: str | os.PathLike[str],
    *,
    title: str,
    chance: float | None = None,
) -> None:
    """Plots accuracies as bars, side by side within groups.

    Args:
        accuracies: By group and name, in [0, 1]; one that is missing or not a finite
            number has no bar.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.
        chance: The accuracy of guessing; drawn as a dotted line.

    Raises:
        ValueError: There is no group.

    Example:
        >>> import os
        >>> bars = {"linear probe": {"trained": 0.9, "untrained": 0.7}}
        >>> plot_accuracy_bars(bars, os.devnull, title="digits", chance=0.1)
    """
    if not accuracies:
        raise ValueError("plot_accuracy_bars: accuracies are empty, wanted a group")
    names = list(dict.fromkeys(name for group in accuracies.values() for name in group))
    count = len(accuracies) * (len(names) + 0.7)
    figure = make_figure(6.4, 1.1 + 0.42 * count)
    axes = figure.subplots()
    tidy_axes(axes)
    width = 0.76 / max(len(names), 1)
    for index, name in enumerate(names):
        heights = np.arange(len(accuracies)) + (index - (len(names) - 1) / 2) * width
        values = [finite_or_gap(group.get(name)) for group in accuracies.values()]
        colour = _COLOURS[index % len(_COLOURS)]
        axes.barh(
            heights, np.nan_to_num(values), 0.94 * width, color=colour, label=name
        )
        for height, value in zip(heights, values, strict=True):
            axes.annotate(
                "no number" if np.isnan(value) else f"{value:.1%}",
                (0.0 if np.isnan(value) else value, height),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                color=QUIET,
            )
    if chance is not None:
        axes.axvline(chance, color=QUIET, linestyle=":", label=f"chance, {chance:.1%}")
    labels = [shorten_name(group, max_length=28) for group in accuracies]
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, 1.1)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("test accuracy", color=QUIET)
    axes.set_title(title, loc="left", fontsize=11, color=QUIET, parse_math=False)
    figure.legend(
        loc="outside lower center", ncols=4, frameon=False, labelcolor=QUIET, fontsize=9
    )
    save_figure(figure, path)


def plot_accuracy_lines(
    lines: Mapping[str, Mapping[int, Sequence[float]]],
    path: str | os.PathLike[str],
    *,
    title: str,
    xlabel: str,
) -> None:
    """Plots test accuracy over a number, a line through the means for each name.

    Args:
        lines: By name and whole number (above 0), the accuracies of one or more runs,
            in [0, 1]; small dots are single runs.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.
        xlabel: What the number is.

    Raises:
        ValueError: There is no line, or one without a run.

    Example:
        >>> import os
        >>> lines = {"trained": {10: [0.7, 0.8], 100: [0.9]}}
        >>> plot_accuracy_lines(lines, os.devnull, title="digits", xlabel="labels")
    """
    runs = [list(values) for line in lines.values() for values in line.values()]
    if not runs or not all(runs):
        raise ValueError("plot_accuracy_lines: wanted lines of at least one run each")
    figure = make_figure(6.4, 4.2)
    axes = figure.subplots()
    tidy_axes(axes)
    for index, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        numbers = sorted(line)
        means = [float(np.mean(line[number])) for number in numbers]
        style = {"marker": "os^D"[index % 4], "markersize": 6, "linewidth": 1.6}
        axes.plot(numbers, means, color=colour, label=name, **style)
        for number in numbers:
            if len(line[number]) > 1:
                places = [number] * len(line[number])
                axes.scatter(places, line[number], s=14, color=colour, alpha=0.6)
    axes.set_xscale("log")
    ticks = sorted({number for line in lines.values() for number in line})
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(xlabel, color=QUIET)
    axes.set_ylabel("test accuracy", color=QUIET)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_title(title, loc="left", fontsize=11, color=QUIET, parse_math=False)
    axes.legend(frameon=False, labelcolor=QUIET, fontsize=9)
    save_figure(figure, path)
