"""Comparisons of heads: scores of unknown images, and the gap to another head."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    VALIDATION,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
)
from jaxdl.report.legends import add_legend

_BINS = 40
_WIDE = 5
"""How many times larger one median must be for a logarithmic axis."""


def plot_unknown_scores(
    known: Float[np.ndarray, " known"],
    unknown: Float[np.ndarray, " unknown"],
    path: str | os.PathLike[str],
    *,
    auroc: float,
    known_name: str = "known classes",
    unknown_name: str = "unknown images",
    xlabel: str = "distance to the nearest centre",
) -> None:
    """Plots how the "unknown" scores of known and of unknown images are spread.

    Bars are shares of their kind; scores above the 99.5th percentile of both together
    are counted in the last one. The axis is logarithmic where the scores of one kind
    would else stand in a few bars.

    Args:
        known: Scores of images of the classes that were trained.
        unknown: Scores of others; higher means more unknown.
        path: The PNG to write, in a folder that exists.
        auroc: Area under the curve that tells both apart, in [0, 1].
        known_name: For the legend.
        unknown_name: For the legend.
        xlabel: What the score is.

    Raises:
        ValueError: One of both is empty or has a score that is not finite.

    Example:
        >>> import os
        >>> known, unknown = np.array([0.1, 0.2]), np.array([0.8, 0.9])
        >>> plot_unknown_scores(known, unknown, os.devnull, auroc=1.0)
    """
    for name, scores in (("known", known), ("unknown", unknown)):
        if not len(scores) or not np.isfinite(scores).all():
            raise ValueError(
                f"plot_unknown_scores: {name} of {len(scores)} scores, wanted at least "
                "one and all finite"
            )
    every = np.concatenate([known, unknown]).astype(np.float64)
    low, high = float(every.min()), float(np.quantile(every, 0.995))
    high = high if high > low else low + 1
    middles = sorted((float(np.median(known)), float(np.median(unknown))))
    is_log = low > 0 and middles[1] > _WIDE * middles[0]
    space = np.geomspace if is_log else np.linspace
    edges = space(low, high, _BINS + 1)
    figure = make_figure(7.0, 4.0)
    axes = figure.subplots()
    tidy_axes(axes)
    if is_log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="minor", length=0)
    for scores, name, colour in (
        (known, known_name, VALIDATION),
        (unknown, unknown_name, SERIES[3]),
    ):
        label = f"{shorten_name(name, max_length=30)}, {len(scores):,}"
        share = np.full(len(scores), 1 / len(scores))
        style = {"bins": edges, "weights": share, "color": colour}
        shown = np.clip(scores, edges[0], edges[-1])
        axes.hist(shown, alpha=0.45, label=label, **style)
        axes.hist(shown, histtype="step", linewidth=1.3, **style)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_ylabel("share of the images", color=QUIET)
    axes.set_xlabel(xlabel, color=QUIET)
    heading = f"unknown or not: area under the ROC curve {auroc:.3f}"
    axes.set_title(heading, loc="left", fontsize=11, color=QUIET)
    add_legend(axes, fontsize=9.5)
    save_figure(figure, path)


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
