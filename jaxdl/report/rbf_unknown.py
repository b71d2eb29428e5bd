"""How far images of known and of unknown kinds are from all centres."""

import os
from collections.abc import Mapping

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

_COLOURS = tuple(colour for colour in SERIES if colour != VALIDATION)


def plot_unknown_scores(
    known: Float[np.ndarray, " known"],
    unknown: Mapping[str, Float[np.ndarray, " _"]],
    path: str | os.PathLike[str],
    *,
    auroc: Mapping[str, float],
    known_name: str = "known classes",
    xlabel: str = "distance to the nearest centre",
) -> None:
    """Plots how the "unknown" scores of known and of unknown images are spread.

    Bars are shares of their kind; scores above the 99.5th percentile of all together
    are counted in the last one. The axis is logarithmic where the scores of one kind
    would else stand in a few bars.

    Args:
        known: Scores of images of the classes that were trained.
        unknown: Scores of others, by what they are; higher means more unknown.
        path: The PNG to write, in a folder that exists.
        auroc: By the same names, area under the curve that tells them from the known
            ones, in [0, 1].
        known_name: For the legend.
        xlabel: What the score is.

    Raises:
        ValueError: There is nothing unknown, scores are empty or not finite, or the
            names of scores and areas differ.

    Example:
        >>> import os
        >>> known, noise = np.array([0.1, 0.2]), np.array([0.8, 0.9])
        >>> plot_unknown_scores(
        ...     known, {"noise": noise}, os.devnull, auroc={"noise": 1.0}
        ... )
    """
    _check(known, unknown, auroc)
    every = np.concatenate([known, *unknown.values()]).astype(np.float64)
    low, high = float(every.min()), float(np.quantile(every, 0.995))
    high = high if high > low else low + 1
    middles = [float(np.median(scores)) for scores in (known, *unknown.values())]
    is_log = low > 0 and max(middles) > _WIDE * min(middles)
    space = np.geomspace if is_log else np.linspace
    edges = space(low, high, _BINS + 1)
    figure = make_figure(7.6, 4.0 + 0.25 * len(unknown))
    axes = figure.subplots()
    tidy_axes(axes)
    if is_log:
        _use_decades(axes)
    rows = [(known_name, known, VALIDATION)]
    names = list(unknown)
    rows += [
        (name, unknown[name], _COLOURS[(3 + place) % len(_COLOURS)])
        for place, name in enumerate(names)
    ]
    for name, scores, colour in rows:
        label = f"{shorten_name(name, max_length=40)}, {len(scores):,}"
        label += f": area {auroc[name]:.3f}" if name in auroc else ""
        share = np.full(len(scores), 1 / len(scores))
        style = {"bins": edges, "weights": share, "color": colour}
        shown = np.clip(scores, edges[0], edges[-1])
        # Paler where they lie over the known ones.
        alpha = 0.15 if name in unknown else 0.45
        axes.hist(shown, alpha=alpha, label=label, **style)
        axes.hist(shown, histtype="step", linewidth=1.6, **style)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.set_ylabel("share of the images", color=QUIET)
    axes.set_xlabel(xlabel, color=QUIET)
    heading = "known or unknown, and the area under the ROC curve"
    axes.set_title(heading, loc="left", fontsize=11, color=QUIET)
    # Below the axes: inside them it would hide bars of one kind or another.
    add_legend(figure, axes.get_legend_handles_labels()[0], loc="outside lower center")
    save_figure(figure, path)


def _check(
    known: np.ndarray, unknown: Mapping[str, np.ndarray], auroc: Mapping[str, float]
) -> None:
    if not unknown or set(unknown) != set(auroc):
        raise ValueError(
            f"plot_unknown_scores: scores of {list(unknown)} and areas of "
            f"{list(auroc)}, wanted the same names, at least one"
        )
    for name, scores in (("known", known), *unknown.items()):
        if not len(scores) or not np.isfinite(scores).all():
            raise ValueError(
                f"plot_unknown_scores: {name} of {len(scores)} scores, wanted at least "
                "one and all finite"
            )


def _use_decades(axes: Axes) -> None:
    """A logarithmic axis with plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
