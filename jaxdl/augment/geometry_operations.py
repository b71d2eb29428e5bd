"""Shears, shifts and turns of one image of bytes, as Pillow's nearest neighbour."""

import jax.numpy as jnp

from jaxdl.typing import Array

MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
"""What `move` can do, by number."""

_FRACTION_BITS = 16
"""Of Pillow's fixed-point coordinates."""


def move(x: Array, kind: Array, amount: Array, *, fill: int) -> Array:
    """Moves the pixels of one image.

    Args:
      x: height x width x channels, uint8, of at most 8192 pixels a side.
      kind: a number of `MOVES`.
      amount: of a shear the shift to the left per row, or upwards per column, counted
        from the upper left corner; of a shift pixels to the right or downwards, of
        which only whole ones count; of a turn degrees counter-clockwise about the
        middle.
      fill: level of what comes in from outside.

    Returns:
      The same shape. A pixel is the one that its middle comes from, with no mixing.
      Coordinates have Pillow's 16 binary places, but are made of float32: a middle
      that comes from within 0.0001 pixels of the border between two pixels may take
      the other one.
    """
    height, width, num_channels = x.shape
    column, row = _find_sources(kind, amount, height=height, width=width)
    is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    places = jnp.where(is_inside, row * width + column, 0)
    pixels = x.reshape(-1, num_channels).at[places].get(mode="promise_in_bounds")
    return jnp.where(is_inside[..., None], pixels, jnp.uint8(fill))


def _find_sources(kind, amount, *, height: int, width: int) -> tuple[Array, Array]:
    """Column and row that every pixel comes from, which may lie outside."""

    def amount_of(name):
        return jnp.where(kind == MOVES.index(name), amount, 0.0)

    angle = jnp.deg2rad(amount_of("rotate"))
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    middle_x, middle_y = width / 2, height / 2
    start_x = middle_x - cosine * middle_x + sine * middle_y
    start_y = middle_y - sine * middle_x - cosine * middle_y
    to_column = (
        cosine,
        amount_of("shear_x") - sine,
        start_x - jnp.trunc(amount_of("translate_x")),
    )
    to_row = (
        amount_of("shear_y") + sine,
        cosine,
        start_y - jnp.trunc(amount_of("translate_y")),
    )
    size = {"height": height, "width": width}
    return _evaluate(*to_column, **size), _evaluate(*to_row, **size)


def _evaluate(per_column, per_row, start, *, height: int, width: int) -> Array:
    """A coordinate that is linear in column and row, at the middle of each pixel."""
    columns = jnp.arange(width, dtype=jnp.int32)[None, :]
    rows = jnp.arange(height, dtype=jnp.int32)[:, None]
    first = _fix(start + 0.5 * per_column + 0.5 * per_row)
    place = _fix(per_column) * columns + _fix(per_row) * rows + first
    return place >> _FRACTION_BITS


def _fix(number) -> Array:
    return jnp.floor(number * 2.0**_FRACTION_BITS + 0.5).astype(jnp.int32)
