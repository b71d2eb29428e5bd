"""A batch in parts that fit the cache of a core, for CPU."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.typing import Array

PART_SIZE = 2**17
"""Elements of an array to work on at a time: 0.5 MB of float32. Measured on cores with
1 and 2 MB of cache; half and twice that are within a tenth."""


def map_over_parts(function: Callable[[Array], Array], x: Array, *, size: int) -> Array:
    """`function` of parts of a batch, put together again.

    Args:
      function: takes and gives any number of images.
      x: all images.
      size: elements that one image takes up on the way.

    Returns:
      What `function(x)` gives, a part at a time.
    """
    rows = _images_per_part(len(x), size)
    whole = len(x) // rows * rows
    parts = [function(x[:rows])] if whole == rows else []
    if whole > rows:
        mapped = lax.map(function, _split(x[:whole], rows))
        parts = [mapped.reshape(whole, *mapped.shape[2:])]
    if whole < len(x):
        parts.append(function(x[whole:]))
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def sum_over_parts(function: Callable[..., Array], x: Array, y: Array) -> Array:
    """The sum of `function` over parts of two batches.

    Args:
      function: takes as many images of both.
      x: all images.
      y: as many others.

    Returns:
      What `function(x, y)` gives, if it adds up over images.
    """
    size = max(math.prod(x.shape[1:]), math.prod(y.shape[1:]))
    rows = _images_per_part(len(x), size)
    whole = len(x) // rows * rows
    if whole == rows:
        total = function(x[:rows], y[:rows])
    else:
        parts = (_split(x[:whole], rows), _split(y[:whole], rows))
        shape = jax.eval_shape(function, x[:rows], y[:rows])
        start = jnp.zeros(shape.shape, shape.dtype)
        total, _ = lax.scan(lambda a, part: (a + function(*part), None), start, parts)
    if whole < len(x):
        total += function(x[whole:], y[whole:])
    return total


def _split(x, rows):
    return x.reshape(-1, rows, *x.shape[1:])


def _images_per_part(count, size):
    return min(max(1, PART_SIZE // size), count)
