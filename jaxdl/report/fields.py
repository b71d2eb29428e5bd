"""Heat maps of effective receptive fields inside their theoretical ones."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from jaxdl.report.figures import QUIET, make_figure, save_figure

_SQUARE, _CIRCLE = "#ffffff", "#7fd1ff"


class FieldPicture(NamedTuple):
    """An effective receptive field and what is drawn over it.

    Attributes:
        title: Above the picture.
        energy: Share of each pixel in the squared gradient.
        centre: Vertical and horizontal place of the field's middle, in pixels.
        size: Height and width of the theoretical field, in pixels.
        radius: Of the disc that holds 95 % of the energy, in pixels.
    """

    title: str
    energy: Float[np.ndarray, "height width"]
    centre: tuple[float, float]
    size: tuple[int, int]
    radius: float


def plot_fields(
    rows: Sequence[Sequence[FieldPicture]],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> None:
    """Plots effective fields, the theoretical ones as squares and 95 % as circles.

    The colour is the root of a pixel's energy, that is the size of its gradient,
    relative to the largest of the picture.

    Args:
        rows: Pictures from left to right; a row may be shorter than others.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no picture.

    Example:
        >>> import os
        >>> energy = np.eye(5) / 5
        >>> picture = FieldPicture("diagonal", energy, (2.0, 2.0), (5, 5), 2.0)
        >>> plot_fields([[picture]], os.devnull, title="a field")
    """
    num_columns = max((len(row) for row in rows), default=0)
    if num_columns == 0:
        raise ValueError("rows is empty, wanted at least one picture")
    figure = make_figure(max(2.7 * num_columns + 0.9, 5.5), 3.0 * len(rows) + 0.6)
    grid = figure.subplots(len(rows), num_columns, squeeze=False)
    image = None
    for axes_row, pictures in zip(grid, rows, strict=True):
        for axes in axes_row[len(pictures) :]:
            axes.set_visible(False)
        for axes, picture in zip(axes_row, pictures, strict=False):
            image = _show_field(axes, picture)
    bar = figure.colorbar(image, ax=list(grid.ravel()), shrink=0.6, pad=0.02)  # type: ignore
    bar.set_label("gradient, relative to the largest", color=QUIET)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=QUIET, length=0)
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    figure.supxlabel("pixels", fontsize=10, color=QUIET)
    save_figure(figure, path)


def _show_field(axes: Axes, picture: FieldPicture):
    gradient = np.sqrt(picture.energy)
    shown = gradient / (gradient.max() or 1.0)
    image = axes.imshow(shown, cmap="inferno", vmin=0, vmax=1, interpolation="nearest")
    row, column = picture.centre
    height, width = picture.size
    corner = (column - width / 2, row - height / 2)
    axes.add_patch(
        Rectangle(corner, width, height, fill=False, edgecolor=_SQUARE, linewidth=1.2)
    )
    if np.isfinite(picture.radius):
        axes.add_patch(
            Circle(
                (column, row),
                picture.radius,
                fill=False,
                edgecolor=_CIRCLE,
                linewidth=1.2,
                linestyle="--",
            )
        )
    bottom, right = (side - 0.5 for side in shown.shape)
    axes.set_xlim(-0.5, right)
    axes.set_ylim(bottom, -0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=QUIET, labelsize=7, length=2)
    axes.set_title(picture.title, fontsize=9, color=QUIET, parse_math=False)
    return image
