"""Losses of real predictions against real targets."""

import jax.numpy as jnp

from jaxdl.typing import Array, Float


def squared_error(
    predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """The squared difference of each element; not reduced, not halved.

    Args:
      predictions: any float dtype; computed in float32.
      targets: of the same shape; nothing is broadcast.

    Returns:
      Float32 values, at least 0, in the target's unit squared.

    Raises:
      ValueError: the shapes differ.

    Example:
      >>> squared_error(jnp.array([1.0, 5.0]), jnp.array([2.0, 2.0]))
      Array([1., 9.], dtype=float32)
    """
    return jnp.square(_difference("squared_error", predictions, targets))


def absolute_error(
    predictions: Float[Array, "*shape"], targets: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """The absolute difference of each element; not reduced.

    Args:
      predictions: any float dtype; computed in float32.
      targets: of the same shape; nothing is broadcast.

    Returns:
      Float32 values, at least 0, in the target's unit. The gradient at 0 is 0.

    Raises:
      ValueError: the shapes differ.

    Example:
      >>> absolute_error(jnp.array([1.0, 5.0]), jnp.array([2.0, 2.0]))
      Array([1., 3.], dtype=float32)
    """
    difference = _difference("absolute_error", predictions, targets)
    # The gradient of jnp.abs at 0 is 1, which moves predictions that are right.
    return difference * jnp.sign(difference)


def _difference(name, predictions, targets):
    """The difference in float32; shapes must agree, as (n, 1) - (n,) is (n, n)."""
    if predictions.shape != targets.shape:
        raise ValueError(
            f"{name}: predictions and targets must have one shape, "
            f"got {predictions.shape} and {targets.shape}"
        )
    return predictions.astype(jnp.float32) - targets.astype(jnp.float32)
