"""Filling in what is missing of a matrix of about low rank."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.typing import Array, Bool, Float, Int, Shaped


class SoftImpute(NamedTuple):
    """A completed matrix as factors: `(u * s[..., None, :]) @ vt`.

    With a path of shrinkages each field has a leading axis for them.
    """

    u: Float[Array, "*path rows rank"]
    """Orthonormal columns."""
    s: Float[Array, "*path rank"]
    """Singular values after shrinking, falling, 0 from the rank on."""
    vt: Float[Array, "*path rank columns"]
    """Orthonormal rows."""
    num_iterations: Int[Array, "*path"]
    """Times the missing entries were filled in."""
    change: Float[Array, "*path"]
    """Of the matrix in the last iteration, relative, in the Frobenius norm."""
    converged: Bool[Array, "*path"]
    """Whether the change came down to the tolerance."""


@full_precision
def soft_impute(
    x: Shaped[Array, "rows columns"],
    is_observed: Bool[Array, "rows columns"],
    *,
    shrinkage: float | Float[Array, "*path"],
    max_rank: int | None = None,
    tol: float = 1e-4,
    max_iterations: int = 200,
) -> SoftImpute:
    """Completes a matrix: the best fit to what is observed with a small nuclear norm.

    Minimises half the sum of squared errors on observed entries plus `shrinkage` times
    the nuclear norm, by filling in missing entries with the current fit and shrinking
    the singular values, over and over.

    Args:
      x: observed entries; the others are ignored and may be anything, NaN too. About
        0 in the mean: subtract row and column means first if they aren't.
      is_observed: which entries are.
      shrinkage: taken off each singular value, at least 0; or a vector of falling
        ones, each started from the solution of the one before, which is faster than
        the last alone. At the largest singular value of `x` with zeros filled in, and
        above, the solution is 0.
      max_rank: the most singular values to keep, from 1 to min(rows, columns); None is
        that. Less makes an iteration cheap: one step of subspace iteration from the
        last singular vectors instead of a whole decomposition.
      tol: relative change of the matrix to stop at, above 0.
      max_iterations: for each shrinkage, at least 1.

    Returns:
      `SoftImpute`; not converged is said there. All NaN where a traced observed entry
      is NaN or infinite.

    Raises:
      ValueError: not a matrix, observed entries that are not finite, a mask of another
        shape, or an argument out of range.

    Source:
      Mazumder, Hastie, Tibshirani, "Spectral regularization algorithms for learning
      large incomplete matrices" (2010), algorithm 1; the subspace step is in the
      spirit of Hastie et al., "Matrix completion and low-rank SVD via fast alternating
      least squares" (2015, arXiv:1410.2596).

    Example:
      >>> x = jnp.outer(jnp.arange(1.0, 5.0), jnp.arange(1.0, 4.0))
      >>> known = jnp.ones((4, 3), bool).at[3, 2].set(False)
      >>> found = soft_impute(x, known, shrinkage=1.0, tol=1e-3)
      >>> found.s.shape, found.converged
      ((3,), Array(True, dtype=bool))
    """
    if is_observed.shape != x.shape:
        raise ValueError(
            f"soft_impute: is_observed has shape {is_observed.shape}, x {x.shape}"
        )
    x = as_matrix("soft_impute", jnp.where(is_observed, x, jnp.zeros_like(x)))
    most = min(x.shape)
    max_rank = most if max_rank is None else max_rank
    if not 1 <= max_rank <= most:
        raise ValueError(
            f"soft_impute: max_rank must be in [1, {most}] for shape {x.shape}, got "
            f"{max_rank}"
        )
    for name, value in (("tol", tol), ("max_iterations", max_iterations)):
        if not value > 0:
            raise ValueError(f"soft_impute: {name} must be above 0, got {value}")
    path = jnp.asarray(shrinkage, x.dtype)
    is_path = path.ndim > 0
    if not isinstance(path, Tracer) and bool(jnp.any(~(path >= 0))):
        raise ValueError(
            f"soft_impute: shrinkage must be at least 0, got {float(jnp.min(path))}"
        )
    found = _impute(x, is_observed, jnp.atleast_1d(path), max_rank, tol, max_iterations)
    return found if is_path else jax.tree.map(lambda leaf: leaf[0], found)


@jax.jit(static_argnames="max_rank")
def _impute(
    x: Array,
    is_observed: Array,
    path: Array,
    max_rank: int,
    tol: Array,
    max_iterations: Array,
) -> SoftImpute:
    num_rows, num_columns = x.shape
    tol = jnp.asarray(tol, x.dtype)
    # Any full set of directions will do to start from; constant, so that equal
    # arguments give equal results.
    noise = jax.random.normal(jax.random.key(0), (num_columns, max_rank), x.dtype)
    start = (
        jnp.zeros((num_rows, max_rank), x.dtype),
        jnp.zeros(max_rank, x.dtype),
        jnp.linalg.qr(noise)[0].T,
    )

    def solve(factors, shrinkage):
        def is_running(state):
            _, count, change = state
            return (count < max_iterations) & (change > tol)  # False at NaN

        def advance(state):
            (u, s, vt), count, _ = state
            old = (u * s[None, :]) @ vt
            new = _shrink(jnp.where(is_observed, x, old), vt, shrinkage)
            step = (new[0] * new[1][None, :]) @ new[2] - old
            size = jnp.linalg.norm(new[1])
            change = jnp.linalg.norm(step) / jnp.where(size == 0, 1, size)
            return new, count + 1, change

        far = jnp.asarray(jnp.inf, x.dtype)
        end = lax.while_loop(is_running, advance, (factors, jnp.int32(0), far))
        (u, s, vt), count, change = end
        return (u, s, vt), SoftImpute(u, s, vt, count, change, change <= tol)

    return lax.scan(solve, start, path)[1]


def _shrink(filled: Array, vt: Array, shrinkage: Array):
    """Singular values less `shrinkage`: the largest ones, if `vt` has fewer rows."""
    if len(vt) < min(filled.shape):
        basis, _ = jnp.linalg.qr(filled @ vt.T)
        u, s, vt = jnp.linalg.svd(basis.T @ filled, full_matrices=False)
        u = basis @ u
    else:
        u, s, vt = jnp.linalg.svd(filled, full_matrices=False)
    return u, jnp.maximum(s - shrinkage, 0), vt
