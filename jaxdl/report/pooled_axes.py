"""The cube picture: which activations share a mean and a variance."""

import os
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from jaxdl.report.figures import QUIET, VALIDATION, make_figure, save_figure

_PLAIN = "#dfe5ec"
_SHADE = {"top": 1.0, "front": 0.9, "side": 0.78}
_DEPTH = np.array([0.42, 0.3])  # where one step into the page leads, on the page


def plot_pooled_axes(
    masks: Mapping[str, Bool[np.ndarray, "batch pixels channels"]],
    path: str | os.PathLike[str],
) -> None:
    """Plots a cube of activations for each normalisation, those pooled in colour.

    Examples go into the page, pixels (height and width as one axis) go down, channels
    go right. The cell in front at the top left is the one that is normalised.

    Args:
        masks: By name, whether an activation counts in the mean and variance of the
            one at (0, 0, 0).
        path: The PNG to write, in a folder that exists.

    Raises:
        ValueError: There is no mask.

    Source:
        Wu and He 2018, figure 2, arXiv:1803.08494.

    Example:
        >>> import os
        >>> mask = np.zeros((2, 3, 4), bool)
        >>> mask[0, :, 0] = True
        >>> plot_pooled_axes({"instance": mask}, os.devnull)
    """
    if not masks:
        raise ValueError("masks is empty, wanted one per normalisation")
    num_columns = min(len(masks), 5)
    num_rows = -(-len(masks) // num_columns)
    figure = make_figure(2.4 * num_columns, 2.5 * num_rows)
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, mask) in zip(panels, masks.items(), strict=False):
        _draw_cube(axes, mask)
        _name_axes(axes, mask.shape)
        axes.set_title(name, fontweight="bold", color=QUIET, fontsize=11)
        axes.set_aspect("equal")
        axes.autoscale_view()
        axes.margins(0.06)
    save_figure(figure, path)


def _draw_cube(axes: Axes, mask: np.ndarray) -> None:
    """Draws the three faces that are seen: front, top and right side."""
    num_examples, num_pixels, num_channels = mask.shape
    down, right = np.array([0.0, -1.0]), np.array([1.0, 0.0])
    for pixel in range(num_pixels):
        for channel in range(num_channels):
            corner = right * channel + down * pixel
            _draw_face(axes, corner, right, down, "front", mask[0, pixel, channel])
    for example in range(num_examples):
        for channel in range(num_channels):
            corner = right * channel + _DEPTH * example
            _draw_face(axes, corner, right, _DEPTH, "top", mask[example, 0, channel])
        for pixel in range(num_pixels):
            corner = right * num_channels + down * pixel + _DEPTH * example
            is_pooled = mask[example, pixel, num_channels - 1]
            _draw_face(axes, corner, _DEPTH, down, "side", is_pooled)


def _draw_face(
    axes: Axes,
    corner: np.ndarray,
    across: np.ndarray,
    along: np.ndarray,
    face: str,
    is_pooled: bool | np.bool_,
) -> None:
    colour = VALIDATION if is_pooled else _PLAIN
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    shaded = [value * _SHADE[face] for value in channels]
    corners = [corner, corner + across, corner + across + along, corner + along]
    axes.add_patch(Polygon(corners, facecolor=shaded, edgecolor="white", linewidth=0.8))


def _name_axes(axes: Axes, shape: tuple[int, ...]) -> None:
    num_examples, num_pixels, num_channels = shape
    text = {"color": QUIET, "fontsize": 9, "ha": "center", "va": "center"}
    axes.text(num_channels / 2, -num_pixels - 0.55, "C", **text)
    axes.text(-0.65, -num_pixels / 2, "H, W", rotation=90, **text)
    middle = _DEPTH * num_examples / 2
    axes.text(middle[0] - 0.45, middle[1] + 0.25, "N", **text)
