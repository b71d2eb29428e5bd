"""Pooling: several pixels to one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.layers.pairs import Pair, as_pair
from jaxdl.typing import Array, Float


def max_pool(
    x: Float[Array, "batch height width channels"],
    *,
    window: Pair,
    stride: Pair,
    padding: Pair = 0,
    ceil_mode: bool = False,
) -> Float[Array, "batch out_height out_width channels"]:
    """The largest value in each window, per channel.

    Sizes are one number or (vertical, horizontal).

    Args:
      x: images, channels last.
      window: sides of the window, at least 1.
      stride: pixels from one window to the next, at least 1.
      padding: pixels of minus infinity on each side, at most half the window, so
        that no window lies in the padding alone.
      ceil_mode: add a window that starts inside the image, or in the padding before
        it, and ends outside.

    Returns:
      Images of side `(side + 2 * padding - window) // stride + 1`, or one more.

    Raises:
      ValueError: a number is out of range, or the window is larger than the padded
        image.

    Source:
      `torch.nn.MaxPool2d`.

    Example:
      >>> x = -jnp.arange(16.0).reshape(1, 4, 4, 1)
      >>> max_pool(x, window=3, stride=2, padding=1)[0, :, :, 0].tolist()
      [[-0.0, -1.0], [-4.0, -5.0]]
      >>> max_pool(x, window=3, stride=2, ceil_mode=True)[0, :, :, 0].tolist()
      [[-0.0, -2.0], [-8.0, -10.0]]
    """
    axes = _plan("max_pool", x, window, stride, padding, ceil_mode)
    return _reduce_windows(x, -np.inf, jax.lax.max, axes)


def average_pool(
    x: Float[Array, "batch height width channels"],
    *,
    window: Pair,
    stride: Pair,
    padding: Pair = 0,
    count_include_pad: bool = True,
    ceil_mode: bool = False,
) -> Float[Array, "batch out_height out_width channels"]:
    """The mean of each window, per channel.

    Sizes are one number or (vertical, horizontal).

    Args:
      x: images, channels last, any float dtype; sums are float32.
      window: sides of the window, at least 1.
      stride: pixels from one window to the next, at least 1.
      padding: zeros on each side, at most half the window.
      count_include_pad: divide by the pixels of the window, those in the padding
        included; otherwise by those in the image.
      ceil_mode: as in `max_pool`. What a window has beyond the padding never counts.

    Returns:
      Images of side `(side + 2 * padding - window) // stride + 1`, or one more, in
      the dtype of `x`.

    Raises:
      ValueError: a number is out of range, or the window is larger than the padded
        image.

    Source:
      `torch.nn.AvgPool2d`.

    Example:
      >>> x, options = jnp.ones((1, 2, 2, 1)), {"window": 2, "stride": 2, "padding": 1}
      >>> average_pool(x, **options)[0, 0, 0]
      Array([0.25], dtype=float32)
      >>> average_pool(x, **options, count_include_pad=False)[0, 0, 0]
      Array([1.], dtype=float32)
    """
    axes = _plan("average_pool", x, window, stride, padding, ceil_mode)
    sums = _reduce_windows(x.astype(jnp.float32), 0, jax.lax.add, axes)
    counts = np.outer(*(_count_pixels(axis, count_include_pad) for axis in axes))
    factors = (1 / counts).astype(np.float32).reshape(1, *counts.shape, 1)
    return (sums * factors).astype(x.dtype)


def adaptive_average_pool(
    x: Float[Array, "batch height width channels"], *, size: Pair
) -> Float[Array, "batch out_height out_width channels"]:
    """The mean of windows chosen so that an image of the wanted size results.

    Window i of n starts at pixel floor(i * side / n) and ends before
    ceil((i + 1) * side / n): windows overlap where n does not divide the side, and
    repeat pixels where it is larger.

    Args:
      x: images, channels last, any float dtype; means are float32.
      size: sides of the result, at least 1; one number or (vertical, horizontal).

    Returns:
      Images of that size, in the dtype of `x`.

    Raises:
      ValueError: the size is out of range, or the images are empty.

    Source:
      `torch.nn.AdaptiveAvgPool2d`.

    Example:
      >>> x = jnp.arange(3.0).reshape(1, 1, 3, 1)
      >>> adaptive_average_pool(x, size=(1, 2))[0, 0, :, 0].tolist()
      [0.5, 1.5]
    """
    sizes = as_pair(size)
    if min(sizes) < 1 or min(x.shape[1:3]) < 1:
        raise ValueError(
            "adaptive_average_pool: size and images must be at least 1, got "
            f"size={size} and images {x.shape[1:3]}"
        )
    y = x.astype(jnp.float32)
    for axis, length in zip((1, 2), sizes, strict=True):
        y = _average_axis(y, axis, length)
    return y.astype(x.dtype)


def global_average_pool(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch channels"]:
    """The mean over all pixels, per channel, in float32.

    Args:
      x: images of any size, channels last, any float dtype.

    Returns:
      One float32 feature vector per image.

    Example:
      >>> global_average_pool(jnp.ones((2, 4, 4, 3))).shape
      (2, 3)
    """
    return jnp.mean(x.astype(jnp.float32), axis=(1, 2))


class _Axis(NamedTuple):
    """The windows along one axis of the images."""

    length: int
    window: int
    stride: int
    padding: int
    num: int


def _plan(name, x, window, stride, padding, ceil_mode):
    """How windows lie along each axis of the images, the numbers checked."""
    windows, strides, paddings = map(as_pair, (window, stride, padding))
    spare = [k // 2 - p for k, p in zip(windows, paddings, strict=True)]
    if min(*windows, *strides) < 1 or min(*paddings, *spare) < 0:
        raise ValueError(
            f"{name}: window and stride must be at least 1 and padding in "
            f"[0, window // 2], got window={window}, stride={stride}, "
            f"padding={padding}"
        )
    axes = []
    for n, k, s, p in zip(x.shape[1:3], windows, strides, paddings, strict=True):
        room = n + 2 * p - k
        num = 1 + (-(-room // s) if ceil_mode else room // s)
        if num < 1:
            raise ValueError(
                f"{name}: window {window} is larger than images {x.shape[1:3]} "
                f"padded by {padding}"
            )
        if ceil_mode and (num - 1) * s >= n + p:
            num -= 1  # it would start after the image
        axes.append(_Axis(n, k, s, p, num))
    return axes


def _reduce_windows(x, initial, reduce, axes):
    """Padded by the initial value, which does not change what a window gives."""
    ends = [(axis.num - 1) * axis.stride + axis.window - axis.padding for axis in axes]
    sides = [
        (axis.padding, max(0, end - axis.length))
        for axis, end in zip(axes, ends, strict=True)
    ]
    return jax.lax.reduce_window(
        x,
        np.array(initial, x.dtype),  # on the host: JAX then knows the gradient
        reduce,
        window_dimensions=(1, *(axis.window for axis in axes), 1),
        window_strides=(1, *(axis.stride for axis in axes), 1),
        padding=((0, 0), *sides, (0, 0)),
    )


def _count_pixels(axis, count_include_pad):
    """How many pixels of each window count along one axis."""
    starts = np.arange(axis.num) * axis.stride - axis.padding
    margin = axis.padding if count_include_pad else 0
    ends = np.minimum(starts + axis.window, axis.length + margin)
    return ends - np.maximum(starts, -margin)


def _average_axis(x, axis, size):
    """Adaptive average pooling along one axis; of float32 images."""
    length = x.shape[axis]
    if length % size == 0:
        shape = x.shape[:axis] + (size, length // size) + x.shape[axis + 1 :]
        return jnp.mean(x.reshape(shape), axis=axis + 1)
    if size % length == 0:
        return jnp.repeat(x, size // length, axis=axis)
    index = np.arange(size)[:, None]
    starts, ends = index * length // size, -(-(index + 1) * length // size)
    pixels = np.arange(length)
    weights = ((starts <= pixels) & (pixels < ends)) / (ends - starts)
    # Full precision: these are means, wherever products are rounded to fewer bits.
    y = jnp.tensordot(
        jnp.asarray(weights, jnp.float32), x, axes=(1, axis), precision="highest"
    )
    return jnp.moveaxis(y, 0, axis)
