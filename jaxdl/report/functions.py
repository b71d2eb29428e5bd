"""Activation functions and their derivatives as small multiples."""

import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import QUIET, make_figure, save_figure, tidy_axes


class FunctionCurve(NamedTuple):
    """A function and its derivative at the same points.

    Attributes:
        values: Of the function.
        derivatives: Of the function, too.
        note: A line to write under the name.
    """

    values: Float[np.ndarray, " points"]
    derivatives: Float[np.ndarray, " points"]
    note: str = ""


def plot_functions(
    points: Float[np.ndarray, " points"],
    curves: Mapping[str, FunctionCurve],
    path: str | os.PathLike[str],
) -> None:
    """Plots each function and its derivative in a panel of its own, on equal axes.

    Args:
        points: Where the functions were evaluated, growing.
        curves: By name of the function.
        path: The PNG to write, in a folder that exists.

    Raises:
        ValueError: There is no function.

    Example:
        >>> import os
        >>> points = np.linspace(-1.0, 1.0, 5)
        >>> square = FunctionCurve(points**2, 2 * points)
        >>> plot_functions(points, {"square": square}, os.devnull)
    """
    if not curves:
        raise ValueError("curves is empty, wanted at least one function")
    num_columns = min(5, len(curves))
    num_rows = -(-len(curves) // num_columns)
    figure = make_figure(max(2.5 * num_columns, 5.0), 2.4 * num_rows + 0.6)
    grid = figure.subplots(
        num_rows, num_columns, squeeze=False, sharex=True, sharey=True
    ).ravel()
    for axes in grid[len(curves) :]:
        axes.set_visible(False)
    for axes in grid[: len(curves)][-num_columns:]:
        axes.tick_params(labelbottom=True)  # hidden above the panels left out
    for axes, (name, curve) in zip(grid, curves.items(), strict=False):
        tidy_axes(axes)
        axes.axhline(0, color=QUIET, linewidth=0.6)
        axes.axvline(0, color=QUIET, linewidth=0.6)
        axes.plot(points, curve.values, color=SERIES[0], label="function")
        axes.plot(
            points,
            curve.derivatives,
            color=SERIES[1],
            linestyle="--",
            label="derivative",
        )
        axes.set_title(name, loc="left", fontsize=11, fontweight="bold", color=QUIET)
        axes.set_title(curve.note, loc="right", fontsize=8, color=QUIET)
    values = [np.concatenate(curve[:2]) for curve in curves.values()]
    lowest, highest = np.min(values), np.max(values)
    limit = float(points[-1])
    # The steep side of an unbounded function would flatten all others.
    grid[0].set_ylim(max(lowest, -1.4) - 0.1, min(highest, 0.7 * limit) + 0.1)
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        loc="outside upper right",
        ncols=2,
        frameon=False,
        labelcolor=QUIET,
    )
    figure.supxlabel("input", fontsize=10, color=QUIET)
    save_figure(figure, path)
