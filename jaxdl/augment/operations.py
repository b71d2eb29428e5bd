"""The operations that automatic augmentation chooses from, by number."""

import functools

import jax
import jax.numpy as jnp

from jaxdl.augment import pixel_operations
from jaxdl.augment.geometry_operations import MOVES, move
from jaxdl.augment.mapping import map_images
from jaxdl.augment.views import Images
from jaxdl.typing import Array, Float, Int

_CHANGES = {
    "identity": lambda x, amount: x,
    "auto_contrast": lambda x, amount: pixel_operations.auto_contrast(x),
    "invert": lambda x, amount: pixel_operations.invert(x),
    "equalize": lambda x, amount: pixel_operations.equalize(x),
    "solarize": pixel_operations.solarize,
    "posterize": pixel_operations.posterize,
    "contrast": pixel_operations.change_contrast,
    "color": pixel_operations.change_color,
    "brightness": pixel_operations.change_brightness,
    "sharpness": pixel_operations.change_sharpness,
}

OPERATIONS = (*MOVES, *_CHANGES)
"""What `apply_operations` can do, by number: the moves, then the changes of colour."""

IDENTITY = OPERATIONS.index("identity")
"""The number of the operation that changes nothing."""


@functools.partial(jax.jit, static_argnames="fill")
def apply_operations(
    images: Images,
    operations: Int[Array, "batch steps"],
    amounts: Float[Array, "batch steps"],
    *,
    fill: int = 128,
) -> Images:
    """Changes each image by given operations, one after the other, as Pillow does.

    Args:
      images: bytes, or floats in [0, 1], which are rounded to the nearest of 256
        levels; of 1 or 3 channels and at most 8192 pixels a side.
      operations: for each image numbers of `OPERATIONS`, in their order.
      amounts: float32, of each operation its own. Shears: shift in pixels per row (to
        the left) or column (upwards), from the upper left corner. Shifts: pixels to
        the right or downwards, cut to whole ones. `rotate`: degrees counter-clockwise.
        `solarize`: level from which on is inverted. `posterize`: bits that stay, 1 to
        8. `contrast`, `color`, `brightness`, `sharpness`: a factor at least 0, 1
        changing nothing. The others read none.
      fill: level in 0 to 255 of what a move brings in, in every channel.

    Returns:
      Images of the same shape and dtype; of floats the levels divided by 255. They
      have no derivative. `color` leaves images of one channel as they are.

    Raises:
      ValueError: another dtype or number of channels, or a fill out of range.

    Source:
      Pillow's ImageOps, ImageEnhance, Image.transform and Image.rotate (nearest
      neighbour), to the level but for three things: `auto_contrast` may be one level
      higher where float64 ends just below a level, a blend one level off where it
      falls on a level, and a move may choose the other pixel where the place that it
      comes from is within 0.0001 pixels of the border between two.

    Example:
      >>> images = jnp.array([[10, 20]], jnp.uint8).reshape(1, 1, 2, 1)
      >>> steps = jnp.array([[OPERATIONS.index("invert"), 2]])  # 2: translate_x
      >>> apply_operations(images, steps, jnp.array([[0.0, 1.0]])).ravel()
      Array([128, 245], dtype=uint8)
    """
    check_operands("apply_operations", images, fill=fill)

    def change(image, operations, amounts):
        def take(step, x):
            return _take_operation(x, operations[step], amounts[step], fill=fill)

        levels = jax.lax.fori_loop(0, operations.shape[0], take, _to_levels(image))
        return _from_levels(levels, image.dtype)

    return map_images(change, images, operations, amounts)


def check_operands(routine: str, images: Array, *, fill: int) -> None:
    """Raises ValueError for images or a fill that the operations don't know."""
    num_channels = images.shape[-1]
    if num_channels not in (1, 3):
        raise ValueError(
            f"{routine}: images must have 1 or 3 channels, got {num_channels}"
        )
    is_float = jnp.issubdtype(images.dtype, jnp.floating)
    if not is_float and images.dtype != jnp.uint8:
        raise ValueError(
            f"{routine}: images must be uint8, or floats in [0, 1], got {images.dtype}"
        )
    if not 0 <= fill <= 255:
        raise ValueError(f"{routine}: fill must be in 0 to 255, got {fill}")


def _take_operation(x, operation, amount, *, fill: int) -> Array:
    # All moves share a branch: where images go together every branch is computed.
    branches = [lambda x: move(x, operation, amount, fill=fill)]
    branches += [
        lambda x, change=change: change(x, amount) for change in _CHANGES.values()
    ]
    branch = jnp.maximum(operation - (len(MOVES) - 1), 0)
    return jax.lax.switch(branch, branches, x)


def _to_levels(image: Array) -> Array:
    if image.dtype == jnp.uint8:
        return image
    levels = jnp.round(image.astype(jnp.float32) * 255.0)
    return jnp.clip(levels, 0.0, 255.0).astype(jnp.uint8)


def _from_levels(levels: Array, dtype) -> Array:
    if dtype == jnp.uint8:
        return levels
    return (levels.astype(jnp.float32) / 255.0).astype(dtype)
