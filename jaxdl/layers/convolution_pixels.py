"""Convolutions of images of a few pixels, for CPU: a product for each pair that meets.

XLA's own convolution of a 2x2 image with a padded 3x3 window takes 100 times longer.
"""

import jax.numpy as jnp
import numpy as np

from jaxdl.layers.convolution_geometry import Geometry, output_sides
from jaxdl.typing import Array

_MAX_PAIRS = 16
Pairs = list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
"""(input pixel, output pixel, tap of the kernel) of all that meet."""


def pixel_pairs(
    x_shape: tuple[int, ...], kernel_shape: tuple[int, ...], geometry: Geometry
) -> Pairs | None:
    """Which pixels meet, or None where the images have too many for this form."""
    sides = output_sides(x_shape[1:3], kernel_shape[:2], geometry)
    if np.prod(x_shape[1:3]) * np.prod(sides) > _MAX_PAIRS:
        return None
    pairs = []
    for output in np.ndindex(*sides):
        for tap in np.ndindex(*kernel_shape[:2]):
            pixel = tuple(
                o * s + t * d - p
                for o, s, t, d, p in zip(
                    output,
                    geometry.stride,
                    tap,
                    geometry.dilation,
                    geometry.padding,
                    strict=True,
                )
            )
            if all(0 <= i < n for i, n in zip(pixel, x_shape[1:3], strict=True)):
                pairs.append((pixel, output, tap))
    return pairs


def convolve_pixels(x: Array, kernel: Array, geometry: Geometry, pairs: Pairs) -> Array:
    """The result of a convolution."""
    sides = output_sides(x.shape[1:3], kernel.shape[:2], geometry)
    shape = (len(x), kernel.shape[3])
    sums = {output: jnp.zeros(shape, x.dtype) for output in np.ndindex(*sides)}
    for pixel, output, tap in pairs:
        sums[output] += x[:, *pixel] @ kernel[tap]
    return _arrange(sums, sides)


def spread_pixels(
    y_gradient: Array, kernel: Array, shape: tuple[int, ...], pairs: Pairs
) -> Array:
    """Its transpose in the images, of that shape."""
    sums = {
        pixel: jnp.zeros((len(y_gradient), shape[3]), y_gradient.dtype)
        for pixel in np.ndindex(*shape[1:3])
    }
    for pixel, output, tap in pairs:
        sums[pixel] += y_gradient[:, *output] @ kernel[tap].T
    return _arrange(sums, shape[1:3])


def correlate_pixels(
    x: Array, y_gradient: Array, shape: tuple[int, ...], pairs: Pairs
) -> Array:
    """Its transpose in the kernel, of that shape."""
    sums = {tap: jnp.zeros(shape[2:], x.dtype) for tap in np.ndindex(*shape[:2])}
    for pixel, output, tap in pairs:
        sums[tap] += x[:, *pixel].T @ y_gradient[:, *output]
    return jnp.stack(list(sums.values())).reshape(shape)


def _arrange(pixels: dict[tuple[int, ...], Array], sides) -> Array:
    stacked = jnp.stack(list(pixels.values()), axis=1)
    return stacked.reshape(len(stacked), *sides, -1)
