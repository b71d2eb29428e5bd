"""The part of a matrix that soft thresholding of singular values takes away.

For iterations that threshold a matrix again and again while it changes ever less: the
right singular vectors of one call serve as the basis of the next, so that a product
with them has nearly orthogonal columns, whose Gram matrix, scaled to a diagonal of 1,
keeps small singular values that the Gram matrix of a raw matrix loses below
sqrt(eps) times the largest.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.typing import Array, Bool, Float


class Clipped(NamedTuple):
    """What `clip_spectrum` found."""

    part: Float[Array, "rows columns"]
    """The matrix with each singular value s made min(s, threshold)."""
    basis: Float[Array, "columns vectors"]
    """Its right singular vectors, all or the first, by falling singular value."""
    is_above: Bool[Array, "vectors"]
    """Which singular values are above the threshold."""


def clip_spectrum(
    x: Float[Array, "rows columns"],
    threshold: Float[Array, ""],
    basis: Float[Array, "columns columns"],
    is_above: Bool[Array, "columns"],
    *,
    is_fine: Bool[Array, ""],
) -> Clipped:
    """Clips the singular values of a tall matrix: `x - part` is the thresholded one.

    The large singular values leave only `threshold` in the part, so its rounding
    errors are small against `x`, and `x - part` is rounded once; summing up the large
    components instead costs several hundred times eps / 2 in entries.

    Args:
      x: not less rows than columns.
      threshold: above 0.
      basis: orthonormal columns, near the right singular vectors of `x`.
      is_above: which columns of the basis belong to values above the threshold.
      is_fine: whether to spend three products instead of one on errors below eps
        times the largest singular value; wants a basis right to sqrt(eps).

    Returns:
      The part, and the basis and flags for the next call.

    Source:
      The scaled Gram matrix is that of preconditioned CholeskyQR. Separating both
      groups of columns by first-order rotations before the small decomposition is
      Jacobi's idea by blocks: a decomposition of all columns at once mixes in eps
      times the largest ones everywhere.

    Example:
      >>> flags, basis = jnp.zeros(2, bool), jnp.eye(2)
      >>> x, fine = jnp.diag(jnp.array([5.0, 1.0])), jnp.asarray(False)
      >>> clip_spectrum(x, jnp.asarray(2.0), basis, flags, is_fine=fine).is_above
      Array([ True, False], dtype=bool)
    """
    product = lax.cond(is_fine, multiply_finely, jnp.matmul, x, basis)
    return clip_product(product, threshold, basis, is_above, is_fine=is_fine)


def clip_product(
    product: Float[Array, "rows columns"],
    threshold: Float[Array, ""],
    basis: Float[Array, "inner columns"],
    is_above: Bool[Array, "columns"],
    *,
    is_fine: Bool[Array, ""],
) -> Clipped:
    """What `clip_spectrum` does once it has the product of matrix and basis.

    Args:
      product: of `x` and the basis, not less rows than columns.
      threshold: above 0.
      basis: as for `clip_spectrum`, or only some of its columns.
      is_above: as for `clip_spectrum`.
      is_fine: whether the product was taken finely.

    Returns:
      As `clip_spectrum`, of `product @ basis.T` instead of `x`.

    Example:
      >>> product, basis = jnp.array([[5.0], [0.0]]), jnp.array([[1.0], [0.0]])
      >>> above, fine = jnp.zeros(1, bool), jnp.asarray(False)
      >>> clip_product(product, jnp.asarray(2.0), basis, above, is_fine=fine).part
      Array([[2., 0.],
             [0., 0.]], dtype=float32)
    """
    gram = product.T @ product
    size = jnp.sqrt(jnp.diagonal(gram))
    divisor = jnp.where(size > 0, size, 1)[:, None]
    # Above the rounding errors of the sums, so that there is always a Cholesky factor.
    num_rows, num_columns = product.shape
    ridge = 2 * float(jnp.finfo(gram.dtype).eps) * (num_columns + math.sqrt(num_rows))
    identity = jnp.eye(num_columns, dtype=gram.dtype)
    cosines = (gram / divisor / divisor.T + ridge * identity) / (1 + ridge)
    turn, cosines, is_together = _separate(cosines, is_above, is_fine)
    turn = turn / divisor * divisor.T
    rotation = identity + turn - turn.T
    triangle = jnp.linalg.cholesky(cosines).T * size[None, :]
    _, values, vt = jnp.linalg.svd(triangle, full_matrices=False)
    is_above = values > threshold
    kept = jnp.where(is_above, threshold / jnp.where(is_above, values, 1), 1)
    shrinkage = jnp.where(is_together, (vt.T * kept[None, :]) @ vt, 0)
    part = product @ (rotation @ (shrinkage @ (rotation.T @ basis.T)))
    # One step of Newton's keeps the product of many rotations orthogonal.
    basis = basis @ (rotation @ vt.T)
    basis = 1.5 * basis - 0.5 * (basis @ (basis.T @ basis))
    return Clipped(part, basis, is_above)


def multiply_finely(
    x: Float[Array, "rows inner"], y: Float[Array, "inner columns"]
) -> Float[Array, "rows columns"]:
    """A product with errors far below those of a sum in the dtype.

    Both factors are split at so many leading bits that the product of the coarse
    parts is exact, in whatever order it is summed up; what remains is small.

    Args:
      x: each row is split by its own largest magnitude.
      y: each column likewise.

    Returns:
      The product, after one rounding as good as exact if `inner` is a few hundred.

    Source:
      Ozaki, Ogita, Oishi, Rump, "Error-free transformations of matrix
      multiplication" (2012), with two slices, of which one product is exact.

    Example:
      >>> multiply_finely(jnp.ones((1, 2)), jnp.ones((2, 1)))
      Array([[2.]], dtype=float32)
    """
    sum_bits = math.ceil(math.log2(max(x.shape[1], 1)))
    num_bits = (jnp.finfo(x.dtype).nmant + 1 - sum_bits) // 2
    coarse_x = _round_to_bits(x, num_bits, axis=1)
    coarse_y = _round_to_bits(y, num_bits, axis=0)
    return coarse_x @ coarse_y + (coarse_x @ (y - coarse_y) + (x - coarse_x) @ y)


def _round_to_bits(x: Array, num_bits: int, *, axis: int) -> Array:
    """Multiples of one power of two per row or column, of `num_bits` bits or less."""
    largest = jnp.max(jnp.abs(x), axis=axis, keepdims=True)
    _, exponent = jnp.frexp(largest)
    unit = jnp.ldexp(jnp.ones_like(largest), exponent - num_bits)
    return jnp.round(x / unit) * unit


def _separate(cosines: Array, is_above: Array, is_fine: Array):
    """The turn of one group of columns against the other, and what it makes of them.

    With `is_fine` unset there is no turn, and all columns are one group.
    """
    from_above = is_above[:, None]
    is_across = from_above & ~is_above[None, :] & is_fine
    across = jnp.where(is_across, cosines, 0)
    # Ones in place of the other group keep the matrix regular.
    identity = jnp.eye(len(cosines), dtype=cosines.dtype)
    above = jnp.where(from_above & is_above[None, :], cosines, identity)
    factor = jax.scipy.linalg.cho_factor(above)
    turn = -jnp.where(is_across, jax.scipy.linalg.cho_solve(factor, across), 0)
    is_together = ~(is_across | is_across.T)
    # The Schur complement: no share of the large columns remains in the small ones.
    cosines = jnp.where(is_together, cosines + turn.T @ across, 0)
    return turn, cosines, is_together
