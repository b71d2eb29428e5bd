"""How far predicted ratings are off, by variant."""

import os
from collections.abc import Mapping

import numpy as np

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
)


def plot_rating_errors(
    errors: Mapping[str, tuple[float, float]],
    path: str | os.PathLike[str],
    *,
    title: str,
    floor: float | None = None,
) -> None:
    """Plots root mean square and mean absolute errors as bars, a pair per variant.

    Args:
        errors: By name of the variant, both errors, in ratings.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.
        floor: The root mean square error of one who knows all but the noise.

    Raises:
        ValueError: There is no variant.

    Example:
        >>> import os
        >>> errors = {"biases": (0.94, 0.75), "factors": (0.91, 0.71)}
        >>> plot_rating_errors(errors, os.devnull, title="held out", floor=0.9)
    """
    if not errors:
        raise ValueError("errors are empty, wanted at least one variant")
    figure = make_figure(7.6, 1.5 + 0.62 * len(errors))
    axes = figure.subplots()
    tidy_axes(axes)
    heights = np.arange(len(errors))
    for column, name in enumerate(("root mean square", "mean absolute")):
        values = [pair[column] for pair in errors.values()]
        bars = axes.barh(
            heights + 0.38 * column - 0.19,
            values,
            height=0.34,
            color=SERIES[3 * column],
            label=name,
        )
        labels = [f"{value:.3f}" for value in values]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axes.bar_label(
            bars, labels, padding=4, fontsize=8.5, color=QUIET, bbox=box, zorder=5
        )
    if floor is not None:
        axes.axvline(floor, color=QUIET, linestyle="--", label="noise alone (rms)")
    names = [shorten_name(name, max_length=34) for name in errors]
    axes.set_yticks(heights, names, parse_math=False)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("error, in ratings", color=QUIET)
    axes.set_title(title, loc="left", fontweight="bold", color=QUIET, fontsize=11)
    figure.legend(
        loc="outside lower center",
        ncols=3,
        frameon=False,
        labelcolor=QUIET,
        fontsize=9,
    )
    save_figure(figure, path)
