"""Rows of small images with a word below each and a frame around some."""

import os
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped
from matplotlib.axes import Axes

from jaxdl.report.figures import QUIET, make_figure, save_figure

_MOST_INCHES = 60.0


class SheetImage(NamedTuple):
    """One image of a sheet.

    Attributes:
        image: uint8, or floats in [0, 1], with one or three channels; if `is_signed`,
            floats of any size around 0.
        caption: Below the image.
        colour: Of its frame; None for no frame.
        is_signed: Whether 0 is the middle of the colours: blue, white, red for one
            channel; below and above grey for three.
    """

    image: Shaped[np.ndarray, "height width channels"]
    caption: str = ""
    colour: str | None = None
    is_signed: bool = False


def plot_image_sheet(
    rows: Sequence[Sequence[SheetImage | None]],
    path: str | os.PathLike[str],
    *,
    title: str,
    headings: Sequence[str] = (),
    row_names: Sequence[str] = (),
    size: float = 1.0,
) -> None:
    """Plots images in rows.

    Args:
        rows: From left to right; a row may be shorter than others, and None leaves a
            place empty. A column without images is narrow.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.
        headings: Above the columns.
        row_names: On the left of the rows.
        size: Of an image, in inches.

    Raises:
        ValueError: There is no image.

    Example:
        >>> import os
        >>> image = SheetImage(np.eye(4)[..., None], "eye")
        >>> plot_image_sheet([[image, None, image]], os.devnull, title="images")
    """
    num_columns = max((len(row) for row in rows), default=0)
    if num_columns == 0:
        raise ValueError("rows is empty, wanted at least one image")
    lines = [max((_count_lines(cell) for cell in row), default=0) for row in rows]
    heights = [size + 0.17 * count + 0.08 for count in lines]
    widths = [
        size + 0.16 if any(cell is not None for cell in column) else 0.3
        for column in zip_longest(*rows)
    ]
    width = sum(widths) + 0.3 + 0.2 * bool(row_names)
    width = max(width, 0.095 * max(map(len, title.split("\n"))) + 0.4)
    height = sum(heights) + 0.6 + 0.25 * bool(headings)
    figure = make_figure(width, min(height, _MOST_INCHES))
    grid = figure.subplots(
        len(rows),
        num_columns,
        squeeze=False,
        height_ratios=heights,
        width_ratios=widths,
    )
    for axes_row, row in zip(grid, rows, strict=True):
        for axes in axes_row[len(row) :]:
            axes.set_visible(False)
        for axes, cell in zip(axes_row, row, strict=False):
            if cell is None:
                axes.set_axis_off()
            else:
                _show(axes, cell)
    for axes, heading in zip(grid[0], headings, strict=False):
        axes.set_title(heading, fontsize=8, color=QUIET, fontweight="bold")
    for axes, name in zip(grid[:, 0], row_names, strict=False):
        axes.set_ylabel(name, fontsize=8, color=QUIET, fontweight="bold")
    figure.suptitle(title, fontsize=11, color=QUIET, fontweight="bold")
    save_figure(figure, path)


def _count_lines(cell: SheetImage | None) -> int:
    return 0 if cell is None or not cell.caption else cell.caption.count("\n") + 1


def _show(axes: Axes, cell: SheetImage) -> None:
    image = cell.image
    top = 255.0 if image.dtype == np.uint8 else 1.0
    if cell.is_signed:
        image, top = np.asarray(image, float), float(np.abs(image).max()) or 1.0
    if image.shape[-1] == 1:
        cmap = "RdBu_r" if cell.is_signed else "gray"
        low = -top if cell.is_signed else 0
        axes.imshow(image[..., 0], cmap=cmap, vmin=low, vmax=top)
    else:
        shown = 0.5 + image / (2 * top) if cell.is_signed else image / top
        axes.imshow(np.clip(shown[..., :3], 0, 1))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(cell.caption, fontsize=7, color=QUIET, labelpad=2, parse_math=False)
    axes.spines[:].set_visible(cell.colour is not None)
    if cell.colour is not None:
        axes.spines[:].set(color=cell.colour, linewidth=2.2)
