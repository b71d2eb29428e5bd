"""Which arrays of a network decay and are rescaled, and which are left alone."""

import jax

from jaxdl.typing import Params, PyTree


def is_matrix(params: Params) -> PyTree:
    """Marks the arrays of two axes or more: kernels, but no bias and no norm's scale.

    Args:
      params: a tree of arrays.

    Returns:
      A tree of Python booleans.

    Example:
      >>> import jax.numpy as jnp
      >>> is_matrix({"bias": jnp.ones(2), "kernel": jnp.ones((3, 2))})
      {'bias': False, 'kernel': True}
    """
    return jax.tree.map(lambda array: array.ndim > 1, params)


def is_vector(params: Params) -> PyTree:
    """Marks the arrays that `is_matrix` does not.

    Args:
      params: a tree of arrays.

    Returns:
      A tree of Python booleans.

    Example:
      >>> import jax.numpy as jnp
      >>> is_vector({"bias": jnp.ones(2), "kernel": jnp.ones((3, 2))})
      {'bias': True, 'kernel': False}
    """
    return jax.tree.map(lambda array: array.ndim <= 1, params)
