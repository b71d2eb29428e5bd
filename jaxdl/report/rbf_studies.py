"""Comparisons of heads: the gap in test accuracy to another one."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxdl.report.figures import (
    QUIET,
    VALIDATION,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
)


def plot_head_gaps(
    accuracies: Mapping[str, Sequence[float]],
    path: str | os.PathLike[str],
    *,
    baseline: str,
    title: str,
) -> None:
    """Plots the test accuracy of variants against that of a baseline.

    Large dots are means over the seeds, bars one deviation to each side, small dots
    single seeds; the band is the baseline's mean and deviation. The words on the right
    tell the mean and its distance to the baseline's in points.

    Args:
        accuracies: By variant, of each seed, in [0, 1].
        path: The PNG to write, in a folder that exists.
        baseline: One of the variants, as a softmax head.
        title: Of the figure.

    Raises:
        ValueError: The baseline is none of the variants, or one has no seed.

    Example:
        >>> import os
        >>> runs = {"softmax head": [0.92, 0.93], "RBF head": [0.91, 0.92]}
        >>> plot_head_gaps(runs, os.devnull, baseline="softmax head", title="digits")
    """
    if baseline not in accuracies:
        raise ValueError(
            f"plot_head_gaps: baseline {baseline!r} is none of {list(accuracies)}"
        )
    for name, values in accuracies.items():
        if not len(values):
            raise ValueError(f"plot_head_gaps: {name!r} has no seed, wanted one")
    means = {name: float(np.mean(values)) for name, values in accuracies.items()}
    stds = {name: _deviation(values) for name, values in accuracies.items()}
    figure = make_figure(8.2, 1.4 + 0.42 * len(accuracies))
    axes = figure.subplots()
    tidy_axes(axes)
    middle, spread = means[baseline], stds[baseline]
    axes.axvspan(middle - spread, middle + spread, color="#e4e7eb", zorder=0)
    axes.axvline(middle, color=QUIET, linewidth=1.2, linestyle="--", zorder=1)
    for place, (name, values) in enumerate(accuracies.items()):
        colour = QUIET if name == baseline else VALIDATION
        axes.scatter(values, [place] * len(values), s=14, c=colour, alpha=0.55, lw=0)
        axes.errorbar(
            means[name],
            place,
            xerr=stds[name],
            fmt="o",
            color=colour,
            markersize=7,
            markeredgecolor="white",
            capsize=3,
            zorder=4,
        )
        gap = 100 * (means[name] - middle)
        words = f"{means[name]:.2%}"
        words += "" if name == baseline else f"   {gap:+.2f}".replace("-", "−")
        _annotate(axes, words, float(place))
    _annotate(axes, "mean      points", -0.75)
    names = [shorten_name(name, max_length=36) for name in accuracies]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("test accuracy", color=QUIET)
    axes.set_title(title, loc="left", fontsize=11, color=QUIET, parse_math=False)
    save_figure(figure, path)


def _deviation(values: Sequence[float]) -> float:
    """Of a sample; one seed has none."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _annotate(axes: Axes, words: str, place: float) -> None:
    axes.annotate(
        words,
        (1.02, place),
        xycoords=axes.get_yaxis_transform(),
        annotation_clip=False,
        va="center",
        fontsize=9,
        color=QUIET,
    )
