"""Where a network puts images of each class: two coordinates of their features."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import QUIET, make_figure, save_figure, shorten_name

_MOST_NAMES = 20
_MARKERS = ("o", "^")
"""The second ten classes have triangles: colours alone can't tell twenty apart."""


def plot_feature_map(
    points: Float[np.ndarray, "batch two"],
    labels: Integer[np.ndarray, " batch"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> None:
    """Plots a map of examples, coloured by class.

    Args:
        points: Two coordinates per example, as of t-SNE; only distances matter, so the
            axes have no numbers.
        labels: The class of each example.
        class_names: One name per class; a legend has those of up to 20 classes.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: The points are not pairs.

    Example:
        >>> import os
        >>> points, labels = np.eye(2), np.array([0, 1])
        >>> plot_feature_map(points, labels, ["a", "b"], os.devnull, title="map")
    """
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"plot_feature_map: points of {points.shape} are not pairs")
    present = [int(label) for label in np.unique(labels)]
    has_legend = 0 < len(present) <= _MOST_NAMES
    figure = make_figure(7.2 if has_legend else 6.0, 5.6)
    axes = figure.subplots()
    size = float(np.clip(9000 / max(len(labels), 1), 3, 22))
    # In the order of the data, not by class: no class lies on top of all others.
    for part in np.array_split(np.arange(len(labels)), min(len(labels), 16) or 1):
        for label in np.unique(labels[part]).tolist():
            rows = part[labels[part] == label]
            axes.scatter(
                *points[rows].T, s=size, alpha=0.65, linewidths=0, **_choose(label)
            )
    if has_legend:
        for label in present:
            name = shorten_name(class_names[label], max_length=18)
            axes.scatter([], [], s=36, linewidths=0, label=name, **_choose(label))
        legend = figure.legend(
            loc="outside right center", frameon=False, labelcolor=QUIET, fontsize=9
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#e4e7eb")
    axes.set_title(title, fontsize=11, color=QUIET, loc="left", parse_math=False)
    save_figure(figure, path)


def _choose(label: int) -> dict[str, Any]:
    """The colour and the marker of a class."""
    turn = label // len(SERIES)
    return {
        "color": SERIES[label % len(SERIES)],
        "marker": _MARKERS[turn % len(_MARKERS)],
    }
