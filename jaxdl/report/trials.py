"""Trials of a search as lines across parallel axes, one for each hyper-parameter."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator

from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
    write_note,
)

_FAILED = "#bcc4cd"
_MOST_TICKS = 6


class TrialAxis(NamedTuple):
    """One of the parallel axes.

    Attributes:
        name: Of the hyper-parameter, with dots.
        low: Its number at the bottom.
        high: Its number at the top.
        is_log: Whether the axis is logarithmic; `low` is above 0 then.
        is_integer: Whether only whole numbers are of interest.
        choices: All that it may be, in place of numbers, from the bottom.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    is_log: bool = False
    is_integer: bool = False
    choices: tuple[str, ...] = ()


def plot_trials(
    axes: Sequence[TrialAxis],
    values: Float[np.ndarray, "trials axes"],
    scores: Float[np.ndarray, " trials"],
    path: str | os.PathLike[str],
    *,
    metric: str,
    maximise: bool = True,
) -> None:
    """Plots each trial as a line through its values to its score; the best is on top.

    Lines are the darker the better they rank; the best one is thick. Trials without a
    score are grey and end at a cross.

    Args:
        axes: The hyper-parameters, from left to right.
        values: Of the trials; of an axis with choices, the index of the choice.
        scores: Of the trials; NaN for one that failed.
        path: The PNG to write, in a folder that exists.
        metric: What the score is.
        maximise: Whether a high score is a good one.

    Raises:
        ValueError: There is no axis, or not a value for each trial and axis.

    Example:
        >>> import os
        >>> axes = [TrialAxis("rate", 1e-3, 1.0, is_log=True), TrialAxis("width", 1, 9)]
        >>> values = np.array([[0.1, 3.0], [0.5, 7.0]])
        >>> plot_trials(axes, values, np.array([0.9, np.nan]), os.devnull, metric="a")
    """
    if not axes:
        raise ValueError("plot_trials: axes are empty, wanted a hyper-parameter")
    if values.shape != (len(scores), len(axes)):
        raise ValueError(
            f"plot_trials: values have shape {values.shape}, wanted "
            f"{(len(scores), len(axes))} for {len(scores)} scores"
        )
    figure = make_figure(1.9 * (len(axes) + 1) + 0.8, 4.8)
    panel = figure.subplots()
    if len(scores) == 0:
        write_note(panel, "There are no trials.")
        save_figure(figure, path)
        return
    is_scored = np.isfinite(scores)
    places = np.stack(
        [_place(axis, values[:, i]) for i, axis in enumerate(axes)], axis=1
    )
    last = _make_score_axis(metric, scores[is_scored])
    _draw_failed(panel, places[~is_scored])
    if is_scored.any():
        heights = _place(last, scores[is_scored])
        heights = heights if maximise else 1 - heights
        _draw_scored(panel, np.column_stack([places[is_scored], heights]))
    for index, axis in enumerate(axes):
        _draw_axis(panel, index, axis)
    if is_scored.any():
        _draw_axis(panel, len(axes), last, is_flipped=not maximise)
    names = [axis.name for axis in axes] + [metric] * bool(is_scored.any())
    _finish_panel(panel, names)
    panel.set_title(
        _write_title(scores, metric, maximise=maximise),
        loc="left",
        fontsize=11,
        color=QUIET,
        parse_math=False,
    )
    save_figure(figure, path)


def _place(axis: TrialAxis, numbers: np.ndarray) -> np.ndarray:
    """Heights in [0, 1] on an axis."""
    if axis.choices:
        return (numbers + 0.5) / len(axis.choices)
    low, high = axis.low, axis.high
    if axis.is_log:
        numbers, low, high = np.log(numbers), np.log(low), np.log(high)
    return (numbers - low) / (high - low)


def _make_score_axis(metric: str, scores: np.ndarray) -> TrialAxis:
    """An axis with room for all scores, logarithmic if they span many decades."""
    if len(scores) == 0:
        return TrialAxis(metric)
    low, high = float(scores.min()), float(scores.max())
    if low > 0 and high / low > 100:
        room = (high / low) ** 0.04
        return TrialAxis(metric, low / room, high * room, is_log=True)
    room = 0.04 * (high - low) or 0.1 * abs(high) or 1.0
    return TrialAxis(metric, low - room, high + room)


def _draw_failed(panel: Axes, places: np.ndarray) -> None:
    for line in places:
        ends = np.arange(len(line))
        panel.plot(ends, line, color=_FAILED, linestyle="--", linewidth=1.2, zorder=1)
        panel.plot(ends[-1], line[-1], "x", color=QUIET, markersize=8, zorder=6)


def _draw_scored(panel: Axes, places: np.ndarray) -> None:
    """Lines from the worst to the best, so that the best one is in front."""
    _, ranks = np.unique(places[:, -1], return_inverse=True)
    # The palest yellow can't be seen on white.
    shades = 0.06 + 0.94 * ranks / max(ranks.max(), 1)
    if ranks.max() == 0:
        shades = np.ones(len(ranks))
    order = np.argsort(ranks, kind="stable")
    for count, index in enumerate(order, start=1):
        panel.plot(
            np.arange(places.shape[1]),
            places[index],
            color=colormaps["viridis_r"](shades[index]),
            linewidth=3.2 if count == len(order) else 1.5,
            alpha=0.9,
            solid_joinstyle="round",
            zorder=2 + count / len(order),
        )


def _draw_axis(
    panel: Axes, position: int, axis: TrialAxis, *, is_flipped: bool = False
) -> None:
    panel.plot([position, position], [0, 1], color=QUIET, linewidth=1.2, zorder=4)
    ticks, labels = _list_ticks(axis)
    heights = _place(axis, np.array(ticks))
    heights = 1 - heights if is_flipped else heights
    for height, label in zip(heights.tolist(), labels, strict=True):
        panel.plot([position - 0.02, position], [height] * 2, color=QUIET, zorder=4)
        panel.annotate(
            label,
            (position, height),
            (-6, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8.5,
            color=QUIET,
            zorder=5,
            parse_math=False,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
        )


def _list_ticks(axis: TrialAxis) -> tuple[list[float], list[str]]:
    if axis.choices:
        names = [shorten_name(choice, max_length=20) for choice in axis.choices]
        return list(map(float, range(len(names)))), names
    if axis.is_log:
        subs = (1.0, 2.0, 5.0) if axis.high / axis.low < 200 else (1.0,)
        locator = LogLocator(subs=subs)
    else:
        steps = [1, 2, 5, 10]
        locator = MaxNLocator(_MOST_TICKS, integer=axis.is_integer, steps=steps)
    ticks = locator.tick_values(axis.low, axis.high)
    # What is at an end may be a rounding error beyond it.
    slack = 1e-9 * (axis.high - axis.low)
    inside = [float(t) for t in ticks if axis.low - slack <= t <= axis.high + slack]
    return inside, [f"{tick:.6g}" for tick in inside]


def _finish_panel(panel: Axes, names: Sequence[str]) -> None:
    tidy_axes(panel)
    panel.grid(visible=False)
    panel.spines[["left", "bottom"]].set_visible(False)
    panel.set_xlim(-0.45, len(names) - 0.85)
    panel.set_ylim(-0.03, 1.03)
    panel.set_yticks([])
    panel.tick_params(axis="x", length=0)
    lines = [
        "\n".join(shorten_name(part, max_length=22) for part in name.rsplit(".", 1))
        for name in names
    ]
    panel.set_xticks(range(len(names)), lines, parse_math=False)


def _write_title(scores: np.ndarray, metric: str, *, maximise: bool) -> str:
    is_scored = np.isfinite(scores)
    num_failed = int((~is_scored).sum())
    title = f"{len(scores)} trials"
    if is_scored.any():
        find_best = np.nanargmax if maximise else np.nanargmin
        best = int(find_best(np.where(is_scored, scores, np.nan)))
        title += f", dark: good; thick: the best, trial {best} with {scores[best]:.4g}"
    return title + f"; grey: {num_failed} failed" * (num_failed > 0)
