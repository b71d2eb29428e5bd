"""The same thresholding where few singular values are above the threshold.

A block of vectors that is moved along from call to call takes the place of the whole
basis: products with it cost its share of columns, and no decomposition is as large as
the matrix.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.linalg.clipping import Clipped, clip_product, multiply_finely
from jaxdl.linalg.tall_skinny import tall_skinny_qr
from jaxdl.typing import Array, Bool, Float, PRNGKey

SPARE = 16
"""Vectors of a block beyond the values that it is for."""

_FRESH = 8
"""Vectors of a block that are drawn anew: none of the others might see a direction."""


def start_leading_basis(
    x: Float[Array, "rows columns"], num_vectors: int, *, key: PRNGKey
) -> tuple[Float[Array, "columns vectors"], Float[Array, ""]]:
    """A block near the first right singular vectors, from nothing.

    Args:
      x: not less rows than columns.
      num_vectors: at most the columns.
      key: draws the first block.

    Returns:
      Orthonormal columns, and the largest singular value.

    Source:
      Halko, Martinsson, Tropp (2011, arXiv:0909.4061), algorithm 4.4.

    Example:
      >>> x = jnp.diag(jnp.array([5.0, 1.0]))
      >>> start_leading_basis(x, 1, key=jax.random.key(0))[1].round(3)
      Array(5., dtype=float32)
    """
    block = jax.random.normal(key, (x.shape[1], num_vectors), x.dtype)
    block = lax.fori_loop(0, 4, lambda _, b: _iterate(x, b), block)
    _, values, vt = jnp.linalg.svd(x @ block, full_matrices=False)
    return block @ vt.T, values[0]


def clip_leading_spectrum(
    x: Float[Array, "rows columns"],
    threshold: Float[Array, ""],
    basis: Float[Array, "columns vectors"],
    is_above: Bool[Array, "vectors"],
    *,
    is_fine: Bool[Array, ""],
    key: PRNGKey,
) -> Clipped:
    """Clips those singular values of a tall matrix that a block of vectors can find.

    Args:
      x: not less rows than columns.
      threshold: above 0.
      basis: orthonormal columns, near the first right singular vectors.
      is_above: which of them belong to values above the threshold.
      is_fine: as for `clip_spectrum`.
      key: draws the last vectors of the block anew.

    Returns:
      As `clip_spectrum`, with as many vectors as were given. Right where far less of
      them than there are have values above the threshold.

    Source:
      Subspace iteration, Halko, Martinsson, Tropp (2011), section 4.5, one step from
      the last block; values as in `clip_spectrum`.

    Example:
      >>> x, basis = jnp.diag(jnp.array([5.0, 1.0])), jnp.eye(2)
      >>> clip_leading_spectrum(
      ...     x,
      ...     jnp.asarray(2.0),
      ...     basis,
      ...     jnp.zeros(2, bool),
      ...     is_fine=jnp.asarray(False),
      ...     key=jax.random.key(0),
      ... ).is_above
      Array([ True, False], dtype=bool)
    """
    num_fresh = min(_FRESH, basis.shape[1] // 2)
    fresh = jax.random.normal(key, (len(basis), num_fresh), x.dtype)
    fresh = fresh - basis @ (basis.T @ fresh)
    basis = _iterate(x, basis.at[:, basis.shape[1] - num_fresh :].set(fresh))
    product = lax.cond(is_fine, multiply_finely, jnp.matmul, x, basis)
    found = clip_product(product, threshold, basis, is_above, is_fine=is_fine)
    rest = lax.cond(is_fine, _subtract_finely, _subtract, x, product, basis, found)
    return found._replace(part=found.part + rest)


def _iterate(x: Array, block: Array) -> Array:
    # Of products alone: several times faster than Householder's on a busy CPU.
    left, _ = tall_skinny_qr(x @ block)
    return tall_skinny_qr(x.T @ left)[0]


def _subtract(x: Array, product: Array, basis: Array, found: Clipped) -> Array:
    """What of `x` is outside the block."""
    del found
    return x - product @ basis.T


def _subtract_finely(x: Array, product: Array, basis: Array, found: Clipped) -> Array:
    """The same without what rounded vectors leave of the large singular values.

    In exact singular vectors neither side of the rest has a share; a block that is
    off by eps leaves eps times the largest value, and twice taken off, eps**2 times.
    """
    rest = x - multiply_finely(product, basis.T)
    left = jnp.where(found.is_above, product @ (basis.T @ found.basis), 0)
    size = jnp.linalg.norm(left, axis=0, keepdims=True)
    left = left / jnp.where(size > 0, size, 1)
    rest = rest - left @ (left.T @ rest)
    return rest - (rest @ basis) @ basis.T
