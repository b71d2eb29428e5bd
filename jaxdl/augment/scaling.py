"""From stored bytes to the numbers that a network takes."""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxdl.typing import Array, Float, UInt8


def to_float(
    images: UInt8[Array, "batch height width channels"],
) -> Float[Array, "batch height width channels"]:
    """Bytes as float32 in [0, 1].

    Args:
      images: uint8, 0 black and 255 full.

    Returns:
      The images divided by 255.

    Raises:
      ValueError: the images are not uint8, so their range is not known.

    Example:
      >>> to_float(jnp.full((1, 1, 1, 1), 51, jnp.uint8)).ravel()
      Array([0.2], dtype=float32)
    """
    if images.dtype != jnp.uint8:
        raise ValueError(f"to_float: images must be uint8, got {images.dtype}")
    return images.astype(jnp.float32) / 255.0


def normalize(
    images: Float[Array, "batch height width channels"],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> Float[Array, "batch height width channels"]:
    """Subtracts the mean of each channel and divides by its standard deviation.

    Args:
      images: float32 or bfloat16, in the unit of mean and std ([0, 1] after
        `to_float`); computed in float32.
      mean: one number per channel.
      std: one number per channel, above 0.

    Returns:
      Images of the same dtype.

    Raises:
      ValueError: mean or std has not one number per channel, or a std is not above 0.

    Example:
      >>> normalize(jnp.ones((1, 1, 1, 1)), mean=[0.5], std=[0.25]).ravel()
      Array([2.], dtype=float32)
    """
    num_channels = images.shape[-1]
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != num_channels:
            raise ValueError(
                f"normalize: {name} must have {num_channels} numbers, one per channel, "
                f"got {tuple(values)}"
            )
    if not all(value > 0 for value in std):
        raise ValueError(f"normalize: std must be above 0, got {tuple(std)}")
    aligned = (1, 1, 1, num_channels)
    centre = jnp.asarray(mean, jnp.float32).reshape(aligned)
    spread = jnp.asarray(std, jnp.float32).reshape(aligned)
    return ((images.astype(jnp.float32) - centre) / spread).astype(images.dtype)
