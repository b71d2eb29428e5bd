"""Small framed images at places of a plot, and the colours of classes."""

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from jaxdl.report.depth import SERIES


def class_colour(label: int) -> str:
    """The colour of a class; after ten classes colours begin anew.

    Example:
        >>> class_colour(0) == class_colour(10)
        True
    """
    return SERIES[label % len(SERIES)]


def to_colours(
    image: Shaped[np.ndarray, "height width channels"],
) -> Float[np.ndarray, "height width 3"]:
    """Turns an image into red, green and blue in [0, 1].

    Args:
        image: uint8, or floats in [0, 1], with one, three or four channels; the
            fourth is left out.

    Returns:
        Floats; those of one channel are repeated.

    Raises:
        ValueError: There is another number of channels.

    Example:
        >>> to_colours(np.full((1, 1, 1), 255, np.uint8)).tolist()
        [[[1.0, 1.0, 1.0]]]
    """
    if image.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"to_colours: image of {image.shape}, wanted 1, 3 or 4 channels at the end"
        )
    top = 255.0 if image.dtype == np.uint8 else 1.0
    colours = np.clip(np.asarray(image[..., :3], np.float32) / top, 0, 1)
    return np.broadcast_to(colours, (*colours.shape[:2], 3))


def draw_thumbnail(
    axes: Axes,
    image: Shaped[np.ndarray, "height width channels"],
    *,
    x: float,
    y: float,
    size: float,
    colour: str | None = None,
    linewidth: float = 1.3,
    zorder: float = 3.0,
) -> None:
    """Draws an image with its middle at a place; its longer side has the given size.

    The axes' limits and aspect are left to the caller.

    Args:
        axes: With axes of equal scale, or the image is stretched.
        image: As `to_colours` takes it.
        x: Of the middle, in units of the axes.
        y: Likewise.
        size: Of the longer side, in units of the axes.
        colour: Of the frame; None for no frame.
        linewidth: Of the frame, in points.
        zorder: What has a higher one is drawn over it.

    Example:
        >>> from jaxdl.report.figures import make_figure
        >>> axes = make_figure(2.0, 2.0).subplots()
        >>> draw_thumbnail(axes, np.zeros((4, 8, 1)), x=0.0, y=0.0, size=2.0)
        >>> [float(edge) for edge in axes.images[0].get_extent()]
        [-1.0, 1.0, -0.5, 0.5]
    """
    height, width = (size * side / max(image.shape[:2]) for side in image.shape[:2])
    left, bottom = x - width / 2, y - height / 2
    axes.imshow(
        to_colours(image),
        extent=(left, left + width, bottom, bottom + height),
        aspect=axes.get_aspect(),
        zorder=zorder,
    )
    if colour is not None:
        frame = Rectangle(
            (left, bottom),
            width,
            height,
            fill=False,
            edgecolor=colour,
            linewidth=linewidth,
            zorder=zorder + 0.01,
        )
        axes.add_patch(frame)
