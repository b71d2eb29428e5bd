"""Operations of Pillow on the colours of one image of bytes, without its Python.

All take and give height x width x channels, uint8, of 1 or 3 channels, and round
where Pillow does: after every operation, most of them downwards.
"""

import jax.numpy as jnp

from jaxdl.typing import Array

_AROUND = (0, 1)
"""The axes along an image; each channel has its own histogram."""


def invert(x: Array) -> Array:
    """The negative, as `ImageOps.invert`."""
    return 255 - x


def solarize(x: Array, threshold: Array) -> Array:
    """Inverts what is not below a threshold in levels, as `ImageOps.solarize`."""
    return jnp.where(x.astype(jnp.float32) >= threshold, 255 - x, x)


def posterize(x: Array, num_bits: Array) -> Array:
    """Keeps the upper bits, 1 to 8 of them, as `ImageOps.posterize`."""
    lost = (8 - num_bits).astype(jnp.uint8)
    return (x >> lost) << lost


def auto_contrast(x: Array) -> Array:
    """Stretches each channel from 0 to 255, as `ImageOps.autocontrast`.

    What falls on a whole level by the rule stays on it; Pillow's float64 may end just
    below and give the level under it.
    """
    lowest = x.min(axis=_AROUND, keepdims=True)
    span = (x.max(axis=_AROUND, keepdims=True) - lowest).astype(jnp.float32)
    # The half keeps the quotient of two whole numbers off every whole number, so that
    # no rounding of the division can carry it across one.
    above = (x - lowest).astype(jnp.float32) * 255.0 + 0.5
    stretched = jnp.floor(above / jnp.maximum(span, 1.0)).astype(jnp.uint8)
    return jnp.where(span == 0.0, x, stretched)


def equalize(x: Array) -> Array:
    """Gives each channel a flat histogram, as `ImageOps.equalize`."""
    num_channels = x.shape[-1]
    channels = jnp.arange(num_channels).reshape(1, 1, num_channels)
    places = 256 * channels + x.astype(jnp.int32)
    counts = jnp.zeros(num_channels * 256, jnp.int32)
    counts = counts.at[places].add(1, mode="promise_in_bounds")
    counts = counts.reshape(num_channels, 256)
    of_brightest = (x == x.max(axis=_AROUND, keepdims=True)).sum(axis=_AROUND)
    step = (counts.sum(axis=1) - of_brightest)[:, None] // 255
    below = jnp.cumsum(counts, axis=1) - counts
    levels = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
    table = jnp.where(step == 0, jnp.arange(256)[None, :], levels).astype(jnp.uint8)
    return table.reshape(-1).at[places].get(mode="promise_in_bounds")


def change_contrast(x: Array, factor: Array) -> Array:
    """Moves away from the mean of the grayscale image, as `ImageEnhance.Contrast`."""
    gray = mix_gray(x)
    mean = (gray.astype(jnp.int32).sum() + gray.size // 2) // gray.size
    return _blend(mean.astype(jnp.uint8), x, factor)


def change_color(x: Array, factor: Array) -> Array:
    """Moves away from the grayscale image, as `ImageEnhance.Color`.

    An image of one channel has no colour and stays as it is.
    """
    return x if x.shape[-1] == 1 else _blend(mix_gray(x), x, factor)


def change_brightness(x: Array, factor: Array) -> Array:
    """Multiplies by a factor, as `ImageEnhance.Brightness`."""
    return _blend(jnp.uint8(0), x, factor)


def change_sharpness(x: Array, factor: Array) -> Array:
    """Moves away from a smoothed image, as `ImageEnhance.Sharpness`.

    The outermost pixels, and images of less than 3 pixels a side, stay as they are.
    """
    if min(x.shape[:2]) < 3:
        return x
    levels = x.astype(jnp.float32)
    rows = levels[:-2] + levels[1:-1] + levels[2:]
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4.0 * levels[1:-1, 1:-1]
    # Rounded to the nearest: a thirteenth is never half way between two levels.
    smooth = jnp.floor((total + 6.5) / 13.0).astype(jnp.uint8)
    return x.at[1:-1, 1:-1].set(_blend(smooth, x[1:-1, 1:-1], factor))


def mix_gray(x: Array) -> Array:
    """One channel of brightness, as Pillow's mode L."""
    if x.shape[-1] == 1:
        return x
    red, green, blue = jnp.split(x.astype(jnp.int32), 3, axis=-1)
    mixed = 19595 * red + 38470 * green + 7471 * blue + 2**15
    return (mixed >> 16).astype(jnp.uint8)


def _blend(other: Array, x: Array, factor: Array) -> Array:
    """From another image by a factor of the way to this one, as `Image.blend`."""
    other = other.astype(jnp.float32)
    mixed = other + factor * (x.astype(jnp.float32) - other)
    return jnp.floor(jnp.clip(mixed, 0.0, 255.0)).astype(jnp.uint8)
