"""Pooling: several pixels to one."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.typing import Array, Float


def max_pool(
    x: Float[Array, "batch height width channels"],
    *,
    window: int,
    stride: int,
    padding: int = 0,
) -> Float[Array, "batch out_height out_width channels"]:
    """The largest value in each window, per channel.

    Args:
      x: images, channels last.
      window: side of the window, at least 1.
      stride: pixels from one window to the next, at least 1.
      padding: pixels of minus infinity on each side, at most half the window, so
        that no window lies in the padding alone.

    Returns:
      Images of side `(side + 2 * padding - window) // stride + 1`.

    Raises:
      ValueError: a number is out of range, or the window is larger than the padded
        image.

    Example:
      >>> x = -jnp.arange(16.0).reshape(1, 4, 4, 1)
      >>> max_pool(x, window=3, stride=2, padding=1)[0, :, :, 0].tolist()
      [[-0.0, -1.0], [-4.0, -5.0]]
    """
    if window < 1 or stride < 1 or not 0 <= padding <= window // 2:
        raise ValueError(
            "max_pool: window and stride must be at least 1 and padding in "
            f"[0, window // 2], got window={window}, stride={stride}, "
            f"padding={padding}"
        )
    if min(x.shape[1:3]) + 2 * padding < window:
        raise ValueError(
            f"max_pool: window {window} is larger than images {x.shape[1:3]} "
            f"padded by {padding}"
        )
    sides = (padding, padding)
    return jax.lax.reduce_window(
        x,
        np.array(-np.inf, x.dtype),  # on the host: JAX then knows the gradient
        jax.lax.max,
        window_dimensions=(1, window, window, 1),
        window_strides=(1, stride, stride, 1),
        padding=((0, 0), sides, sides, (0, 0)),
    )


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
