"""What principal components hold: variance, errors, neighbours, and the first two."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    TRAIN,
    VALIDATION,
    make_figure,
    save_figure,
    shorten_name,
    spread_out,
    tidy_axes,
)


class ComponentCurves(NamedTuple):
    """What the first components of images are good for.

    Attributes:
        cumulative: Share of the variance in the first 1, 2, ... components.
        counts: The numbers of components that were tried.
        train_errors: Root mean square error of a rebuilt pixel, in grey levels.
        test_errors: The same for images that the components were not made from.
        same_class: Share of nearest neighbours of the query's class.
        same_class_pixels: The same for neighbours by all pixels.
    """

    cumulative: Float[np.ndarray, "components"]
    counts: Sequence[int]
    train_errors: Sequence[float]
    test_errors: Sequence[float]
    same_class: Sequence[float]
    same_class_pixels: float


def plot_components(curves: ComponentCurves, path: str | os.PathLike[str]) -> None:
    """Plots variance, reconstruction error and quality of neighbours by components.

    Args:
        curves: The numbers.
        path: The PNG to write, in a folder that exists.

    Example:
        >>> import os
        >>> shares = np.array([0.5, 0.8])
        >>> curves = ComponentCurves(shares, [1, 2], [9, 5], [9, 6], [0.4, 0.8], 0.9)
        >>> plot_components(curves, os.devnull)
    """
    figure = make_figure(11.0, 3.4)
    variance, error, neighbors = figure.subplots(1, 3)
    places = np.arange(1, len(curves.cumulative) + 1)
    variance.plot(places, curves.cumulative, color=VALIDATION)
    _finish(variance, "share of the variance, training images", curves, is_share=True)
    error.plot(curves.counts, curves.train_errors, "o-", color=TRAIN, label="training")
    error.plot(curves.counts, curves.test_errors, "o-", color=VALIDATION, label="test")
    error.set_ylim(bottom=0)
    error.legend(frameon=False, labelcolor=QUIET)
    _finish(error, "error of a rebuilt pixel, grey levels of 255", curves)
    neighbors.plot(curves.counts, curves.same_class, "o-", color=VALIDATION)
    neighbors.axhline(curves.same_class_pixels, color=QUIET, linestyle="--")
    neighbors.text(
        0.98,
        0.06,
        f"dashed: by all pixels, {100 * curves.same_class_pixels:.1f} %",
        transform=neighbors.transAxes,
        ha="right",
        color=QUIET,
        fontsize=9,
    )
    _finish(neighbors, "nearest neighbours of the same class", curves, is_share=True)
    save_figure(figure, path)


def _finish(
    axes: Axes, title: str, curves: ComponentCurves, *, is_share: bool = False
) -> None:
    tidy_axes(axes)
    axes.set_xscale("log")
    axes.set_xticks(curves.counts, [str(count) for count in curves.counts])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("components", color=QUIET)
    axes.set_title(title, fontsize=10, color=QUIET, loc="left")
    if is_share:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0, symbol=" %"))


def plot_scores(
    scores: Float[np.ndarray, "batch two"],
    labels: Integer[np.ndarray, " batch"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> None:
    """Plots the first two scores of each example, coloured by class.

    Each class is named at the middle of its points, as colours alone can't tell ten
    classes apart.

    Args:
        scores: One row per example.
        labels: The class of each example.
        class_names: One name per class.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: The scores are not pairs.

    Example:
        >>> import os
        >>> scores, labels = np.eye(2), np.array([0, 1])
        >>> plot_scores(scores, labels, ["a", "b"], os.devnull, title="scores")
    """
    if scores.shape[1] != 2:
        raise ValueError(f"scores of shape {scores.shape} are not pairs")
    figure = make_figure(7.0, 5.6)
    axes = figure.subplots()
    tidy_axes(axes)
    # In the order of the data: no class lies on top of all others.
    colours = np.array(SERIES)[labels % len(SERIES)]
    size = float(np.clip(8000 / max(len(labels), 1), 2, 18))
    axes.scatter(*scores.T, c=colours, s=size, alpha=0.6, linewidths=0)
    _name_classes(axes, scores, labels, class_names)
    axes.set_xlabel("score on component 1", color=QUIET)
    axes.set_ylabel("score on component 2", color=QUIET)
    axes.set_title(title, fontsize=11, color=QUIET, loc="left")
    save_figure(figure, path)


def _name_classes(
    axes: Axes, scores: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> None:
    present = np.unique(labels)
    if len(present) == 0:
        return
    middles = np.array(
        [np.median(scores[labels == label], axis=0) for label in present]
    )
    low, high = axes.get_ylim()
    heights = spread_out(middles[:, 1].tolist(), gap=0.035 * (high - low), low=low)
    for label, x, y in zip(present, middles[:, 0], heights, strict=True):
        text = axes.text(
            x,
            y,
            shorten_name(class_names[int(label)], max_length=14),
            color=SERIES[label % len(SERIES)],
            ha="center",
            va="center",
            fontsize=11,
            fontweight="bold",
            parse_math=False,
        )
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])
