"""3x3 convolutions by the minimal filtering algorithm F(2x2, 3x3), for CPU.

A tile of 4x4 pixels gives 2x2 results by 16 products per channel and feature instead of
36. Exact up to rounding: the transformations before and after only add, subtract and
halve.

Source: Winograd 1980; Lavin and Gray 2016, section 4.1, arXiv:1509.09308.
"""

import math

import jax.numpy as jnp
from jax import lax

from jaxdl.layers.convolution_geometry import Geometry
from jaxdl.layers.convolution_parts import PART_SIZE, map_over_parts
from jaxdl.typing import Array

# Each of four results is one input plus or minus another: (a, b, sign of b).
_INPUT_TERMS = ((0, 2, -1), (1, 2, 1), (2, 1, -1), (1, 3, -1))


def suits_winograd(
    x_shape: tuple[int, ...], kernel_shape: tuple[int, ...], geometry: Geometry
) -> bool:
    """Whether the algorithm applies and is faster than XLA's own convolution.

    Args:
      x_shape: of the images.
      kernel_shape: of the kernel.
      geometry: of the convolution.

    Returns:
      True for 3x3 kernels of stride 1 on images of even sides, where the products
      outweigh the transformations and an image fits the cache.
    """
    _, height, width, channels = x_shape
    features = kernel_shape[3]
    return (
        kernel_shape[:2] == (3, 3)
        and geometry == Geometry((1, 1), (1, 1), (1, 1), 1)
        and height % 2 == 0 == width % 2
        and min(height, width) >= 4
        and 64 <= min(channels, features)
        and max(channels, features) <= 512
        and height * width * max(channels, features) <= 2 * PART_SIZE
    )


def convolve_winograd(x: Array, kernel: Array) -> Array:
    """Convolves with stride 1 and padding 1.

    Args:
      x: images of even sides.
      kernel: a window of 3x3.

    Returns:
      Images of the same sides.
    """
    transformed = _transform_kernel(kernel)

    def convolve_part(part):
        tiles = _transform_tiles(part)
        products = lax.dot_general(
            tiles.reshape(16, -1, tiles.shape[-1]),
            transformed,
            (((2,), (1,)), ((0,), (0,))),
        )
        return _transform_back(products.reshape(4, 4, *tiles.shape[1:4], -1))

    # Parts twice as large as elsewhere: each is split into 16 products.
    size = math.prod(x.shape[1:3]) * max(kernel.shape[2:]) // 2
    return map_over_parts(convolve_part, x, size=size)


def _transform_kernel(kernel):
    """The 16 coefficients per channel and feature, as sums: an einsum is slow here."""

    def combine(taps):
        ends, middle = 0.5 * (taps[0] + taps[2]), 0.5 * taps[1]
        return [taps[0], ends + middle, ends - middle, taps[2]]

    columns = [combine([kernel[i, j] for i in range(3)]) for j in range(3)]
    return jnp.stack([t for i in range(4) for t in combine([c[i] for c in columns])])


def _transform_tiles(x):
    """The 16 coefficients of each tile: (16, images, tile rows, tile columns, c)."""
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    n, height, width, c = x.shape
    pixels = [
        [
            lax.slice(
                x, (0, i, j, 0), (n, height - 3 + i, width - 3 + j, c), (1, 2, 2, 1)
            )
            for j in range(4)
        ]
        for i in range(4)
    ]
    combine = lambda values: [values[a] + s * values[b] for a, b, s in _INPUT_TERMS]
    columns = [combine([pixels[i][j] for i in range(4)]) for j in range(4)]
    return jnp.stack([t for i in range(4) for t in combine([c[i] for c in columns])])


def _transform_back(products):
    """Four pixels per tile from its 16 products."""
    combine = lambda m: (m[0] + m[1] + m[2], m[1] - m[2] - m[3])
    columns = [combine([products[i, j] for i in range(4)]) for j in range(4)]
    rows = [
        jnp.stack(combine([column[i] for column in columns]), axis=3) for i in range(2)
    ]
    pixels = jnp.stack(rows, axis=2)
    n, tile_rows, _, tile_columns, _, features = pixels.shape
    return pixels.reshape(n, 2 * tile_rows, 2 * tile_columns, features)
