"""Legends of names that others chose: what looks like a formula stays words."""

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.figures import QUIET


def add_legend(
    owner: Axes | Figure,
    handles: Sequence[Artist] | None = None,
    *,
    loc: str = "best",
    fontsize: float = 9,
    **style: Any,
) -> None:
    """Adds a legend without a frame.

    Args:
        owner: The axes or the figure it belongs to.
        handles: What it explains, each with a label; by default all that has one.
        loc: Where it stands, as Matplotlib calls it.
        fontsize: In points.
        **style: More of Matplotlib's options.

    Example:
        >>> from jaxdl.report.figures import make_figure
        >>> axes = make_figure(2.0, 2.0).subplots()
        >>> _ = axes.plot([0, 1], label="a$b$")
        >>> add_legend(axes)
        >>> axes.get_legend().get_texts()[0].get_parse_math()
        False
    """
    options: dict[str, Any] = {"loc": loc, "fontsize": fontsize, **style}
    if handles is not None:
        options["handles"] = list(handles)
    legend = owner.legend(frameon=False, labelcolor=QUIET, **options)
    for text in legend.get_texts():
        text.set_parse_math(False)
