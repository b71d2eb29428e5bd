"""How a kernel slides over images, and XLA's own convolution."""

from collections.abc import Sequence
from typing import NamedTuple

from jax import lax

from jaxdl.typing import Array


class Geometry(NamedTuple):
    """How a kernel slides over images; (vertical, horizontal) pairs.

    Attributes:
      stride: pixels from one window to the next.
      padding: zeros on each side.
      dilation: pixels from one tap to the next.
      groups: parts that channels and features are split into.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


def convolve_plainly(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """XLA's own convolution; images NHWC, kernel HWIO."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=geometry.stride,
        padding=[(p, p) for p in geometry.padding],
        rhs_dilation=geometry.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=geometry.groups,
    )


def output_sides(
    sides: Sequence[int], window: Sequence[int], geometry: Geometry
) -> tuple[int, int]:
    """Height and width of the result of a convolution.

    Args:
      sides: height and width of its images.
      window: of the kernel.
      geometry: of the convolution.

    Returns:
      `(side + 2 * padding - dilation * (window - 1) - 1) // stride + 1` each.
    """
    vertical, horizontal = (
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(
            sides,
            window,
            geometry.stride,
            geometry.padding,
            geometry.dilation,
            strict=True,
        )
    )
    return vertical, horizontal
