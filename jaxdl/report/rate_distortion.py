"""How much of an image is left by how much of it is stored."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    VALIDATION,
    make_figure,
    save_figure,
    spread_out,
    tidy_axes,
)


class RankMark(NamedTuple):
    """A rank that is marked on the curve.

    Attributes:
        label: What chose it.
        rank: From 1 on; 0 is listed, but not marked.
    """

    label: str
    rank: int


def plot_rate_distortion(
    stored: Float[np.ndarray, " ranks"],
    psnr: Float[np.ndarray, " ranks"],
    marks: Sequence[RankMark],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> None:
    """Plots the peak signal-to-noise ratio against the share of numbers stored.

    Args:
        stored: Numbers stored over numbers in the image, of rank 1, 2, ...
        psnr: The ratio in decibels; what is not finite is left out.
        marks: Ranks to mark.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no rank, or a mark beyond the last one.

    Example:
        >>> import os
        >>> stored, psnr = np.array([0.2, 0.4]), np.array([20.0, 30.0])
        >>> marks = [RankMark("30 dB", 2)]
        >>> plot_rate_distortion(stored, psnr, marks, os.devnull, title="an image")
    """
    largest = max((mark.rank for mark in marks), default=0)
    if not len(stored) or largest > len(stored):
        raise ValueError(f"wanted ranks up to {max(largest, 1)}, got {len(stored)}")
    figure = make_figure(8.6, 4.6)
    axes = figure.subplots()
    tidy_axes(axes)
    # The last ranks before the full one rise to no end, and save nothing.
    is_shown = np.isfinite(psnr) & ((stored <= 1.05) | (np.arange(len(stored)) < 2))
    shown = psnr[is_shown]
    axes.plot(stored[is_shown], shown, color=VALIDATION, linewidth=1.8)
    axes.axvline(1.0, color=QUIET, linewidth=1, linestyle=":")
    axes.text(
        1.0,
        0.94,
        "as many numbers as the image ",
        transform=axes.get_xaxis_transform(),
        ha="right",
        color=QUIET,
        fontsize=8.5,
    )
    _draw_marks(axes, stored, psnr, marks)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, None, symbol=" %"))
    axes.set_xlabel("numbers stored, share of those in the image", color=QUIET)
    axes.set_ylabel("peak signal-to-noise ratio, dB", color=QUIET)
    axes.set_title(title, loc="left", color=QUIET, fontsize=11, fontweight="bold")
    save_figure(figure, path)


def _draw_marks(
    axes: Axes, stored: np.ndarray, psnr: np.ndarray, marks: Sequence[RankMark]
) -> None:
    """Dots on the curve, and their names in order of height at the right."""
    drawn = [m for m in marks if m.rank > 0 and np.isfinite(psnr[m.rank - 1])]
    low, high = axes.get_ylim()
    heights = [float(psnr[mark.rank - 1]) for mark in drawn]
    places = spread_out(heights, gap=(high - low) / 18, low=low)
    for index, (mark, height, place) in enumerate(
        zip(drawn, heights, places, strict=True)
    ):
        colour, share = SERIES[(index + 1) % len(SERIES)], stored[mark.rank - 1]
        axes.plot(share, height, "o", color=colour, markersize=7, zorder=3)
        axes.annotate(
            f"{mark.label}: rank {mark.rank}, {100 * share:.1f} %, {height:.1f} dB",
            (share, height),
            (1.02, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            color=colour,
            fontsize=9,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colour, "alpha": 0.35},
        )
