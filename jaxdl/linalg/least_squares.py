"""Linear equations that have no solution, or more than one."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.linalg.arrays import as_matrix, check_finite, full_precision
from jaxdl.linalg.rank import rank_tolerance
from jaxdl.linalg.svd import SVD, thin_svd
from jaxdl.linalg.tall_skinny import tall_skinny_svd
from jaxdl.typing import Array, Float, Int, Shaped

_TALL = 8
"""Rows per column from which on `tall_skinny_svd` is worth its compile time."""


class LeastSquares(NamedTuple):
    """Solutions of least squares problems that share a matrix.

    Attributes:
      solution: of each right-hand side; of several, the shortest.
      residuals: sum of squares of what is left of each right-hand side.
      rank: number of singular values above the tolerance.
      singular_values: of the matrix, decreasing.
    """

    solution: Float[Array, " columns"] | Float[Array, "columns targets"]
    residuals: Float[Array, ""] | Float[Array, " targets"]
    rank: Int[Array, ""]
    singular_values: Float[Array, " values"]


@full_precision
def pinv(
    a: Shaped[Array, "*batch rows columns"], *, rtol: float | None = None
) -> Float[Array, "*batch columns rows"]:
    """The Moore-Penrose pseudo-inverse.

    Args:
      a: one or more matrices of any shape.
      rtol: singular values up to this share of the largest count as 0; by default
        max(rows, columns) times the dtype's epsilon.

    Returns:
      The pseudo-inverse. Its derivative is exact as long as the rank stays the same,
      also at repeated singular values and below full rank.

    Raises:
      ValueError: not matrices of real numbers, or NaN or infinity in a concrete one.

    Source:
      Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973, equation 4.12 for the
      derivative.

    Example:
      >>> print(pinv(jnp.array([[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])))
      [[0.5 0.  0. ]
       [0.  0.  0. ]]
    """
    a = as_matrix("pinv", a, batched=True)
    tolerance = rank_tolerance(a, rtol)
    if a.shape[-2] >= a.shape[-1]:
        return _pinv(tolerance, a)
    return _transpose(_pinv(tolerance, _transpose(a)))


@full_precision
def lstsq(
    a: Shaped[Array, "rows columns"],
    b: Shaped[Array, " rows"] | Shaped[Array, "rows targets"],
    *,
    rtol: float | None = None,
) -> LeastSquares:
    """The shortest x that minimises the length of a x - b.

    Args:
      a: of any shape and rank; its rows may be split over a mesh under `jit`.
      b: one right-hand side, or one in each column.
      rtol: singular values up to this share of the largest count as 0; by default
        max(rows, columns) times the dtype's epsilon.

    Returns:
      Solution, residuals, rank and singular values. The derivative of the solution is
      exact as long as the rank stays the same.

    Raises:
      ValueError: sizes that do not match, not a matrix of real numbers, or NaN or
        infinity in concrete arrays.

    Source:
      Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973.

    Example:
      >>> a = jnp.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
      >>> fit = lstsq(a, jnp.array([1.0, 4.0, 3.0]))
      >>> print(fit.solution, fit.residuals, fit.rank)
      [1. 2.] 9.0 2
    """
    a = as_matrix("lstsq", a)
    b = read_targets("lstsq", b, a)
    tolerance = rank_tolerance(a, rtol)
    solution, s = _solve(tolerance, a, b)
    residuals = ((a @ solution - b) ** 2).sum(axis=0)
    rank = (s > tolerance * s.max(initial=0)).sum().astype(jnp.int32)
    return LeastSquares(solution, residuals, rank, s)


def decompose_rows(a: Array) -> SVD:
    """The thin SVD, by `tall_skinny_svd` where that is faster.

    Args:
      a: a matrix that has passed `as_matrix`.

    Returns:
      Its thin SVD.

    Example:
      >>> print(decompose_rows(jnp.ones((4, 1))).s.round(3))
      [2.]
    """
    rows, columns = a.shape
    is_tall = rows >= _TALL * columns and a.size >= 100_000
    return tall_skinny_svd(a) if is_tall else thin_svd(a)


def invert_values(s: Array, tolerance: float) -> Array:
    """One over each singular value, and 0 for those that count as 0.

    Args:
      s: singular values along the last axis.
      tolerance: the share of the largest up to which they count as 0.

    Returns:
      The inverses.

    Example:
      >>> print(invert_values(jnp.array([2.0, 0.0]), 1e-6))
      [0.5 0. ]
    """
    # NaN is kept, so that it shows in the result.
    is_zero = s <= tolerance * s.max(axis=-1, initial=0, keepdims=True)
    return jnp.where(is_zero, 0, 1 / jnp.where(is_zero, 1, s))


def read_targets(name: str, b: Array, a: Array) -> Array:
    """Right-hand sides in the dtype of their matrix.

    Args:
      name: of the routine, for messages.
      b: one target for each row of the matrix, or a row of targets.
      a: the matrix.

    Returns:
      b, with its number of axes.

    Raises:
      ValueError: sizes that do not match, or NaN or infinity in a concrete array.

    Example:
      >>> read_targets("lstsq", jnp.array([1, 2]), jnp.ones((2, 3)))
      Array([1., 2.], dtype=float32)
    """
    b = jnp.asarray(b)
    if b.ndim not in (1, 2) or b.shape[0] != a.shape[0]:
        raise ValueError(
            f"{name}: wanted one target or row of targets for each of the "
            f"{a.shape[0]} rows, got shape {b.shape}"
        )
    check_finite(name, b)
    return b.astype(a.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _pinv(tolerance: float, a: Array) -> Array:
    u, s, vt = thin_svd(a)
    inverses = invert_values(s, tolerance)[..., None, :]
    return (_transpose(vt) * inverses) @ _transpose(u)


@_pinv.defjvp
def _differentiate_pinv(tolerance, primals, tangents):
    (a,), (da,) = primals, tangents
    p = _pinv(tolerance, a)
    pt, dat = _transpose(p), _transpose(da)
    # In this order nothing is larger than the matrix, which is tall.
    outer, inner = (p @ pt) @ dat, (dat @ pt) @ p
    change = outer - (outer @ a) @ p + inner - (p @ a) @ inner
    return p, change - (p @ da) @ p


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _solve(tolerance: float, a: Array, b: Array) -> tuple[Array, Array]:
    u, s, vt = decompose_rows(a)
    return vt.T @ _scale(u.T @ b, invert_values(s, tolerance)), s


@_solve.defjvp
def _differentiate_solve(tolerance, primals, tangents):
    (a, b), (da, db) = primals, tangents
    x, s = _solve(tolerance, a, b)
    u, _, vt = decompose_rows(a)
    inverses = invert_values(s, tolerance)
    apply = lambda y: vt.T @ _scale(u.T @ y, inverses)
    apply_transposed = lambda z: u @ _scale(vt @ z, inverses)
    rest = da.T @ apply_transposed(x)
    dx = apply(db - da @ x + apply_transposed(da.T @ (b - a @ x)))
    dx = dx + rest - apply(a @ rest)
    return (x, s), (dx, ((u.T @ da) * vt).sum(axis=1))


def _transpose(a: Array) -> Array:
    return jnp.swapaxes(a, -1, -2)


def _scale(rows: Array, factors: Array) -> Array:
    return rows * factors.reshape(-1, *[1] * (rows.ndim - 1))
