"""Versions of one picture side by side, large enough to compare."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from jaxdl.report.figures import QUIET, make_figure, save_figure

_COLUMNS = 3
_WIDTH = 3.6
"""Of a picture, in inches."""


class Picture(NamedTuple):
    """One version.

    Attributes:
        pixels: With one or three channels.
        caption: Below the picture.
    """

    pixels: UInt8[np.ndarray, "height width channels"]
    caption: str


def plot_pictures(
    pictures: Sequence[Picture], path: str | os.PathLike[str], *, title: str
) -> None:
    """Plots pictures of one shape, three in a row.

    Args:
        pictures: In reading order.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no picture.

    Example:
        >>> import os
        >>> picture = Picture(np.zeros((4, 6, 3), np.uint8), "black")
        >>> plot_pictures([picture], os.devnull, title="a picture")
    """
    if not pictures:
        raise ValueError("pictures is empty, wanted at least one")
    height, width, _ = pictures[0].pixels.shape
    num_columns = min(_COLUMNS, len(pictures))
    num_rows = -(-len(pictures) // num_columns)
    inches = min(_WIDTH * height / width, 3 * _WIDTH) + 0.55
    figure = make_figure(
        max((_WIDTH + 0.2) * num_columns, 0.1 * len(title) + 0.5),
        inches * num_rows + 0.5,
    )
    grid = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, picture in zip(grid, pictures, strict=False):
        image = picture.pixels
        image = image[..., 0] if image.shape[-1] == 1 else image
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.text(
            0.5,
            -0.03,
            picture.caption,
            transform=axes.transAxes,
            ha="center",
            va="top",
            color=QUIET,
            fontsize=8.5,
            parse_math=False,
        )
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    save_figure(figure, path)
