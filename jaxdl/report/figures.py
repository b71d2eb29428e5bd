"""How all figures look and are saved; no display and no pyplot state."""

import math
import os
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

TRAIN, VALIDATION, QUIET = "#9aa5b1", "#1f5fa8", "#52606d"
"""Colours: the training split, the validation split, and what should not shout."""

DPI = 150


def make_figure(width: float, height: float) -> Figure:
    """Makes an empty figure of a size in inches that lays itself out."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def tidy_axes(axes: Axes) -> None:
    """Leaves the left and bottom edges and a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=QUIET)
    axes.grid(color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)


def spell_out_ticks(axes: Axes) -> None:
    """Writes plain numbers, and more of them, if a log axis spans few decades."""
    low, high = axes.get_ylim()
    if high / low > 100:
        return
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def mark_counts(axes: Axes, counts: Iterable[int], *, most: int) -> None:
    """Puts some of these numbers of devices under a log axis, evenly chosen.

    Args:
        axes: The horizontal axis is marked.
        counts: Numbers that occur; repeated ones count once.
        most: How many marks there is room for.
    """
    found = sorted(set(counts))
    size = min(len(found), most)
    places = np.linspace(0, len(found) - 1, size).round().astype(int)
    shown = [found[place] for place in places]
    axes.set_xticks(shown, [f"{count:,}" for count in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("devices", color=QUIET)


def write_note(axes: Axes, text: str) -> None:
    """Says in the middle of empty axes why there is nothing to see."""
    axes.set_axis_off()
    axes.text(
        0.5,
        0.5,
        text,
        ha="center",
        va="center",
        color=QUIET,
        fontsize=12,
        parse_math=False,
        transform=axes.transAxes,
    )


def shorten_name(name: str, *, max_length: int) -> str:
    """Cuts a long class name and marks the cut."""
    return name if len(name) <= max_length else f"{name[: max_length - 1]}…"


def spread_out(
    positions: Sequence[float], *, gap: float, low: float = -math.inf
) -> list[float]:
    """Moves positions as little as it takes to keep them a gap apart.

    Args:
        positions: Where labels would stand, in any order.
        gap: The least distance between two of them, at least 0.
        low: The lowest position there may be.

    Returns:
        The new positions, in the order of the old ones.

    Example:
        >>> spread_out([0.0, 5.0, 0.2], gap=1.0)
        [-0.4, 5.0, 0.6]
    """
    # Groups of labels that touch, from below: the sum and the indices of each.
    groups: list[tuple[float, list[int]]] = []
    for index in sorted(range(len(positions)), key=lambda i: positions[i]):
        total, members = positions[index], [index]
        while groups:
            below, others = groups[-1]
            end = _start(below, others, gap, low) + gap * len(others)
            if end <= _start(total, members, gap, low):
                break
            groups.pop()
            total, members = below + total, others + members
        groups.append((total, members))
    moved = [0.0] * len(positions)
    for total, members in groups:
        start = _start(total, members, gap, low)
        for rank, index in enumerate(members):
            moved[index] = start + rank * gap
    return moved


def _start(total: float, members: Sequence[int], gap: float, low: float) -> float:
    """Where the lowest label of a group stands, its middle being that of all."""
    return max(low, total / len(members) - gap * (len(members) - 1) / 2)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Writes a figure as a PNG; its folder must exist."""
    with warnings.catch_warnings():
        # Class names in a script that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=DPI, format="png")
