"""Scores of a graph's nodes, and how an iteration came to them."""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import QUIET, make_figure, save_figure, tidy_axes


def plot_ranks(
    scores: Float[np.ndarray, " nodes"],
    errors: Sequence[float],
    path: str | os.PathLike[str],
    *,
    damping: float,
    title: str,
) -> None:
    """Plots errors by iteration beside their bound, and scores by rank.

    Args:
        scores: Of the nodes, in any order, at least 0.
        errors: Sum of magnitudes of the scores' errors after 1, 2, ... iterations.
        path: The PNG to write, in a folder that exists.
        damping: The bound is 2 `damping` ** iterations.
        title: Of the figure.

    Raises:
        ValueError: There is no score.

    Example:
        >>> import os
        >>> scores = np.array([0.5, 0.3, 0.2])
        >>> plot_ranks(scores, [0.1, 0.01], os.devnull, damping=0.85, title="a graph")
    """
    if len(scores) == 0:
        raise ValueError("scores are empty, wanted at least one node")
    figure = make_figure(10.4, 4.4)
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        tidy_axes(axes)
        axes.set_yscale("log")
    steps = np.arange(1, len(errors) + 1)
    line = {"linewidth": 1.8}
    left.plot(
        steps,
        2 * damping**steps,
        color=SERIES[3],
        linestyle="--",
        label="bound",
        **line,
    )
    heights = np.array(errors, np.float64)
    heights = np.where(heights > 0, heights, np.nan)
    left.plot(steps, heights, color=SERIES[0], label="measured", marker=".", **line)
    left.set_xlabel("iterations", color=QUIET)
    left.set_ylabel("sum of errors of all scores", color=QUIET)
    left.legend(frameon=False, labelcolor=QUIET, fontsize=9)
    left.xaxis.get_major_locator().set_params(integer=True)
    falling = np.sort(scores)[::-1]
    right.set_xscale("log")
    right.plot(
        np.arange(1, len(scores) + 1),
        np.where(falling > 0, falling, np.nan),
        color=SERIES[0],
        **line,
    )
    right.axhline(1 / len(scores), color=QUIET, linestyle=":", label="all alike")
    right.set_xlabel("rank of the node", color=QUIET)
    right.set_ylabel("score", color=QUIET)
    right.legend(frameon=False, labelcolor=QUIET, fontsize=9)
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    save_figure(figure, path)
