"""Adding statistics: of two batches, two devices or two processes."""

from typing import TypeVar

import jax
import jax.numpy as jnp

from jaxdl.typing import Array

Statistics = TypeVar("Statistics")


def merge(a: Statistics, b: Statistics) -> Statistics:
    """The statistics of the examples of `a` and those of `b` together.

    Args:
      a: statistics of any kind from this room.
      b: statistics of the same kind and shapes.

    Returns:
      Their sum; counts exactly, float sums up to rounding.

    Raises:
      ValueError: the two differ in kind or in which parts they hold.

    Example:
      >>> from jaxdl.metrics import init_regression
      >>> int(merge(init_regression(), init_regression()).count)
      0
    """
    if jax.tree.structure(a) != jax.tree.structure(b):
        raise ValueError(
            "merge: a and b must be statistics of one kind, "
            f"got {jax.tree.structure(a)} and {jax.tree.structure(b)}"
        )
    return jax.tree.map(jnp.add, a, b)


def check_batch(name: str, num_examples: int, **arrays: Array | None) -> None:
    """Raises ValueError unless each array given is one value per example."""
    for argument, array in arrays.items():
        if array is not None and array.shape != (num_examples,):
            raise ValueError(
                f"{name}: {argument} must have shape ({num_examples},), "
                f"got {array.shape}"
            )
