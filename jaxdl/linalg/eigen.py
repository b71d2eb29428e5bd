"""The leading eigenpairs of symmetric matrices, from products with blocks."""

from operator import index
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from jaxdl.linalg.arrays import full_precision
from jaxdl.linalg.operators import (
    LinearOperator,
    Matrix,
    as_dense,
    check_operand,
    wrap_products,
)
from jaxdl.linalg.randomized import continue_basis, orthonormalize, power_above
from jaxdl.typing import Array, Bool, Float, Int, PRNGKey

_EXTRA = 4
"""Vectors in a block beyond those wanted: they speed up the last ones."""

_DEPTH = 4
"""Blocks in a Lanczos basis before it is restarted from its best vectors."""


class Eigenpairs(NamedTuple):
    """Eigenvalues and vectors of a symmetric matrix, and how exact they are."""

    values: Float[Array, " pairs"]
    """In descending order of what was asked for: magnitude or value."""
    vectors: Float[Array, "size pairs"]
    """Orthonormal columns; the entry of largest magnitude in each is positive."""
    residuals: Float[Array, " pairs"]
    """Lengths of a v - value v: some eigenvalue is at most that far from the value."""
    num_iterations: Int[Array, ""]
    """Restarts (Lanczos) or steps (power iteration) that were done."""
    has_converged: Bool[Array, ""]
    """Whether all residuals are within the tolerance."""


@full_precision
def top_eigenpairs(
    a: Matrix,
    num_pairs: int,
    *,
    method: Literal["lanczos", "power"] = "lanczos",
    which: Literal["magnitude", "algebraic"] = "magnitude",
    tolerance: float = 1e-5,
    max_iterations: int = 200,
    key: PRNGKey,
) -> Eigenpairs:
    """The largest eigenvalues of a symmetric matrix with their vectors.

    Both methods work on num_pairs + 4 vectors at once, so values repeated up to
    num_pairs times are found as often, and stop as soon as all residuals are small.
    Where the basis would be the whole space, the exact decomposition is computed.

    - "lanczos": a block Lanczos basis of 4 blocks, each orthogonalised against all
      before, restarted from its best vectors. 4 products per iteration.
    - "power": subspace iteration with a Rayleigh-Ritz step: 1 product per iteration,
      least memory; slow where magnitudes are close.

    Args:
      a: symmetric: array, `BCOO` or `LinearOperator` (only `matvec` is used).
      num_pairs: within 1..size, static.
      method: one of the above, static.
      which: "magnitude" for the largest absolute values, "algebraic" for the largest
        values ("lanczos" only), static.
      tolerance: for residuals, relative to the largest magnitude found; in float32
        below about 1e-6 can't be reached.
      max_iterations: at least 1.
      key: for the random start.

    Returns:
      `Eigenpairs`; after max_iterations the best so far, `has_converged` False. All
      NaN where a traced matrix is not finite.

    Raises:
      ValueError: a size or name is out of range, `a` is a concrete array that is not
        symmetric (to 1e-4 of its largest entry; in float64 1e-10) or not finite, or
        its shape isn't square.

    Source:
      Golub and Underwood, "The block Lanczos method for computing eigenvalues", in
      Mathematical Software III, 1977; Halko, Martinsson and Tropp, arXiv:0909.4061.

    Example:
      >>> a = jnp.diag(jnp.array([1.0, -5.0, 3.0]))
      >>> print(top_eigenpairs(a, 2, key=jax.random.key(0)).values.round(1))
      [-5.  3.]
    """
    a = check_operand("top_eigenpairs", a)
    num_pairs = _check_arguments(a, num_pairs, method, which, tolerance, max_iterations)
    arguments = num_pairs, method, which, max_iterations, tolerance, key
    if isinstance(a, LinearOperator):
        return _solve(a, *arguments)
    return _solve_compiled(a, *arguments)


def _check_arguments(a, num_pairs, method, which, tolerance, max_iterations):
    """The number of pairs as an int; an error where an argument does not fit."""
    rows, columns = a.shape
    num_pairs = index(num_pairs)
    problem = None
    if rows != columns:
        problem = f"a square matrix, got shape {tuple(a.shape)}"
    elif not 1 <= num_pairs <= rows:
        problem = f"num_pairs within 1..{rows}, got {num_pairs}"
    elif method not in ("lanczos", "power"):
        problem = f'method "lanczos" or "power", got {method!r}'
    elif which not in ("magnitude", "algebraic"):
        problem = f'which "magnitude" or "algebraic", got {which!r}'
    elif method == "power" and which == "algebraic":
        problem = 'method "lanczos" for which="algebraic": "power" finds magnitudes'
    elif not isinstance(max_iterations, Tracer) and max_iterations < 1:
        problem = f"max_iterations of at least 1, got {max_iterations}"
    elif not isinstance(tolerance, jax.Array) and not tolerance >= 0:
        problem = f"tolerance of at least 0, got {tolerance}"
    elif isinstance(a, jax.Array) and not isinstance(a, Tracer):
        largest = float(jnp.abs(a).max())
        difference = float(jnp.abs(a - a.T).max())
        allowed = 1e-4 if a.dtype == jnp.float32 else 1e-10
        if difference > allowed * largest:
            problem = f"a symmetric matrix, got one that differs by {difference:.3g}"
    if problem:
        raise ValueError(f"top_eigenpairs: wanted {problem}")
    return num_pairs


def _solve(a, num_pairs, method, which, max_iterations, tolerance, key):
    operator = a if isinstance(a, LinearOperator) else wrap_products(a)
    size = operator.shape[0]
    block = min(num_pairs + _EXTRA, size)
    depth = _DEPTH if method == "lanczos" else 1
    if 4 * block * depth >= 3 * size:
        return _solve_exactly(a, operator, num_pairs, which)
    start_key, key = jax.random.split(key)
    start = jax.random.normal(start_key, (size, block), operator.dtype)
    power = power_above(operator.matvec(start))

    def multiply(x):
        return operator.matvec(x) / power

    def is_unfinished(state):
        _, _, values, residuals, count = state
        allowed = tolerance * jnp.abs(values[0])
        # False for NaN, which no further step can mend.
        return (residuals[:num_pairs] > allowed).any() & (count < max_iterations)

    def improve(state):
        x, image, *_, count = state
        if depth == 1:
            x = orthonormalize(image)
            basis, images = x, multiply(x)
        else:
            keys = jax.random.split(jax.random.fold_in(key, count), depth - 1)
            basis, images = _extend(multiply, x, image, keys)
        return *_rayleigh_ritz(basis, images, block, which), count + 1

    x = orthonormalize(start)
    state = *_rayleigh_ritz(x, multiply(x), block, which), jnp.int32(0)
    # At least one step: a start that is an eigenvector by chance may be a wrong one.
    state = lax.while_loop(is_unfinished, improve, improve(state))
    x, _, values, residuals, count = state
    has_converged = (residuals[:num_pairs] <= tolerance * jnp.abs(values[0])).all()
    return _finish(
        x, values * power, residuals * power, num_pairs, count, has_converged
    )


_solve_compiled = jax.jit(_solve, static_argnums=(1, 2, 3))


def _extend(multiply, x, image, keys):
    """A Krylov basis from block x on, and its products with the matrix."""
    basis, images = x, image
    for key in keys:
        x = continue_basis(image, basis, key)
        image = multiply(x)
        basis = jnp.concatenate([basis, x], axis=1)
        images = jnp.concatenate([images, image], axis=1)
    return basis, images


def _rayleigh_ritz(basis, images, block, which):
    """The best block of the basis: vectors, products, values and residuals."""
    inner = basis.T @ images
    values, small = jnp.linalg.eigh((inner + inner.T) / 2)
    chosen = _order(values, which)[:block]
    values, small = values[chosen], small[:, chosen]
    x, image = basis @ small, images @ small
    # Vectors kept over many restarts would slowly stop being orthonormal.
    mend = 1.5 * jnp.eye(block, dtype=x.dtype) - 0.5 * (x.T @ x)
    x, image = x @ mend, image @ mend
    residuals = jnp.linalg.norm(image - x * values[None], axis=0)
    return x, image, values, residuals


def _order(values, which):
    return jnp.argsort(jnp.abs(values) if which == "magnitude" else values)[::-1]


def _solve_exactly(a, operator, num_pairs, which):
    """All pairs of a matrix that is too small for a basis to be much smaller."""
    dense = a if isinstance(a, jax.Array) else as_dense(operator)
    power = power_above(dense)
    dense = dense / power
    values, vectors = jnp.linalg.eigh((dense + dense.T) / 2)
    chosen = _order(values, which)
    values, vectors = values[chosen], vectors[:, chosen]
    residuals = jnp.linalg.norm(dense @ vectors - vectors * values[None], axis=0)
    done = jnp.isfinite(values).all()
    return _finish(
        vectors, values * power, residuals * power, num_pairs, jnp.int32(0), done
    )


def _finish(vectors, values, residuals, num_pairs, count, has_converged):
    """The pairs wanted, with signs; NaN throughout where there is any."""
    vectors, values = vectors[:, :num_pairs], values[:num_pairs]
    residuals = residuals[:num_pairs]
    at = jnp.argmax(jnp.abs(vectors), axis=0)
    largest = jnp.take_along_axis(vectors, at[None], axis=0)
    vectors = jnp.where(largest < 0, -vectors, vectors)
    is_finite = jnp.isfinite(values).all()
    values, vectors, residuals = (
        jnp.where(is_finite, x, jnp.nan) for x in (values, vectors, residuals)
    )
    return Eigenpairs(values, vectors, residuals, count, has_converged)
