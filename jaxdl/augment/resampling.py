"""Resampling of one image by a few taps per row and column."""

import functools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.augment.mapping import keep_apart
from jaxdl.typing import Array, Bool, Float, Int

Interpolation = Literal["bicubic", "bilinear"]
"""Cubic convolution with a = -0.5, or a triangle; both as Pillow has them."""

_SUPPORT = {"bicubic": 2, "bilinear": 1}
"""Half the width of each kernel, in source pixels where nothing shrinks."""


def check_interpolation(routine: str, interpolation: str) -> None:
    """Raises ValueError for an interpolation that there is not."""
    if interpolation not in _SUPPORT:
        raise ValueError(
            f"{routine}: interpolation must be 'bicubic' or 'bilinear', "
            f"got {interpolation!r}"
        )


class Taps(NamedTuple):
    """For each new row and column the first pixel that it is made of, and weights."""

    first_row: Int[Array, "batch new_height"]
    row_weights: Float[Array, "batch new_height row_taps"]
    first_column: Int[Array, "batch new_width"]
    column_weights: Float[Array, "batch new_width column_taps"]


def find_taps(
    boxes: Int[Array, "batch 4"],
    *,
    image_size: tuple[int, int],
    size: tuple[int, int],
    interpolation: Interpolation,
    antialias: bool,
) -> Taps:
    """What each row and column of resized boxes is made of.

    Args:
      boxes: top, left, height and width in pixels.
      image_size: height and width of the images.
      size: height and width of the results.
      interpolation: the kernel.
      antialias: widen the kernel by the factor that a box shrinks by.
    """
    taps = []
    for axis in (0, 1):
        find = functools.partial(
            _find_taps_along,
            num_pixels=image_size[axis],
            size=size[axis],
            interpolation=interpolation,
            antialias=antialias,
        )
        taps += jax.vmap(find)(boxes[:, axis], boxes[:, axis + 2])
    return Taps(*taps)


def mirror(taps: Taps, is_mirrored: Bool[Array, " batch"]) -> Taps:
    """Lets left and right change places where told to."""
    flips = is_mirrored[:, None]
    first, weights = taps.first_column, taps.column_weights
    return taps._replace(
        first_column=jnp.where(flips, first[:, ::-1], first),
        column_weights=jnp.where(flips[..., None], weights[:, ::-1], weights),
    )


def resample(image: Array, taps: Taps) -> Array:
    """Makes one image anew of its pixels, in float32.

    Args:
      image: height x width x channels.
      taps: of this image, without the batch axis.

    Returns:
      The result as width x channels x height, not clipped.
    """
    height, width, channels = image.shape
    # Both passes gather whole rows, which takes a tenth of the time of columns.
    resized = _combine_rows(image.reshape(height, -1), *taps[:2])
    turn = lambda x: x.T.reshape(width, -1)
    turned = keep_apart(turn, resized, needed=taps.first_row[0] >= 0)
    planes = _combine_rows(turned, *taps[2:])
    return planes.reshape(planes.shape[0], channels, -1)


def lay_down(image: Array) -> Array:
    """An image as width x channels x height, in float32."""
    return jnp.transpose(image, (1, 2, 0)).astype(jnp.float32)


def stand_up(planes: Array) -> Array:
    """What `lay_down` and `resample` give, as height x width x channels again."""
    return jnp.transpose(planes, (2, 0, 1))


def _combine_rows(x, first, weights):
    """Sums of neighbouring rows: `weights[i]` of those from `first[i]` on."""
    rows = [
        weights[:, tap, None]
        * x.at[first + tap].get(mode="promise_in_bounds").astype(jnp.float32)
        for tap in range(weights.shape[1])
    ]
    return sum(rows[1:], rows[0])


def _find_taps_along(start, length, *, num_pixels, size, interpolation, antialias):
    """The first pixel that each new one is made of, and the weights from it on."""
    support = _SUPPORT[interpolation]
    most = max(num_pixels, size) if antialias else size
    num_taps = min(math.ceil(2 * support * most / size), num_pixels)
    # Places are counted in whole parts of a pixel, 2 * size of them: exact, where a
    # float's rounding would show, and with it what is computed twice might differ.
    span = jnp.maximum(length, size) if antialias else size
    centres = (2 * jnp.arange(size) + 1) * length
    first = start + (centres - 2 * support * span + size) // (2 * size)
    first = jnp.clip(first, 0, num_pixels - num_taps)
    pixels = first[:, None] + jnp.arange(num_taps)[None, :]
    distances = 2 * size * (pixels - start) + size - centres[:, None]
    distances = jnp.abs(distances).astype(jnp.float32) / jnp.float32(2 * span)
    weights = _evaluate_kernel(distances, interpolation)
    # What lies outside the box has no part in it, as if it had been cut out before.
    is_inside = (pixels >= start) & (pixels < start + length)
    weights = jnp.where(is_inside, weights, 0.0)
    return first, weights / weights.sum(axis=1, keepdims=True)


def _evaluate_kernel(distances, interpolation):
    if interpolation == "bilinear":
        return jnp.maximum(1.0 - distances, 0.0)
    near = (1.5 * distances - 2.5) * distances**2 + 1.0
    far = ((-0.5 * distances + 2.5) * distances - 4.0) * distances + 2.0
    return jnp.where(distances < 1.0, near, jnp.where(distances < 2.0, far, 0.0))
