"""How much each hyper-parameter matters, as bars."""

import os
from collections.abc import Mapping

from matplotlib.ticker import PercentFormatter

from jaxdl.report.figures import (
    QUIET,
    TRAIN,
    VALIDATION,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
    write_note,
)


def plot_importance(
    shares: Mapping[str, float],
    path: str | os.PathLike[str],
    *,
    explained: float | None,
    num_trials: int,
) -> None:
    """Plots shares of variance by hyper-parameter, the largest on top.

    Args:
        shares: By name, at least 0; they may add up to more than 1. Empty if they
            could not be measured, which the figure then says.
        path: The PNG to write, in a folder that exists.
        explained: Share of the variance of unseen trials that the model predicts
            which the shares are of, at most 1; bars are grey if it is none. None if
            that is not known.
        num_trials: How many the model has learnt from.

    Example:
        >>> import os
        >>> shares = {"learning_rate": 0.8, "depth": 0.3}
        >>> plot_importance(shares, os.devnull, explained=0.7, num_trials=20)
    """
    if not shares:
        figure = make_figure(6.4, 2.0)
        note = "Importance can't be told from {} trials,\nor from equal scores."
        write_note(figure.subplots(), note.format(num_trials))
        save_figure(figure, path)
        return
    names = sorted(shares, key=lambda name: -shares[name])
    figure = make_figure(6.4, 1.5 + 0.42 * len(names))
    axes = figure.subplots()
    tidy_axes(axes)
    heights = range(len(names))
    colour = VALIDATION if explained is None or explained > 0 else TRAIN
    axes.barh(heights, [shares[name] for name in names], 0.62, color=colour)
    for height, name in zip(heights, names, strict=True):
        axes.annotate(
            f"{shares[name]:.0%}",
            (shares[name], height),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=QUIET,
        )
    labels = [shorten_name(name, max_length=30) for name in names]
    axes.set_yticks(heights, labels, parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * max(*shares.values(), 1e-3))
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("differences between trials that need it", color=QUIET)
    title = f"Importance in a model of {num_trials} trials"
    axes.set_title(
        f"{title}\n{_judge(explained)}", loc="left", fontsize=11, color=QUIET
    )
    save_figure(figure, path)


def _judge(explained: float | None) -> str:
    if explained is None:
        return ""
    if explained <= 0:
        return "which says nothing of unseen ones: try more"
    return f"which explains {explained:.0%} of the order of unseen ones"
