"""Exact singular value decompositions of dense matrices, with fixed signs."""

import functools
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl.linalg.arrays import (
    as_matrix,
    full_precision,
    restore_scale,
    unit_scale,
)
from jaxdl.typing import Array, Float, Shaped


class SVD(NamedTuple):
    """A singular value decomposition: `a = (u * s[..., None, :]) @ vt`."""

    u: Float[Array, "*batch rows rank"]
    """Left singular vectors, the columns."""
    s: Float[Array, "*batch values"]
    """Singular values, at least 0, from the largest to the smallest."""
    vt: Float[Array, "*batch rank_too columns"]
    """Right singular vectors, the rows."""


@full_precision
def thin_svd(a: Shaped[Array, "*batch rows columns"]) -> SVD:
    """The singular value decomposition with min(rows, columns) vectors on each side.

    Signs: in each right vector the entry of largest magnitude is positive (the first
    of equals); the left vector follows. A matrix is first scaled by a power of two,
    so entries near the ends of the dtype's range, subnormal ones too, lose nothing
    (compiled arithmetic on CPU takes subnormal singular values for 0, NumPy doesn't).

    Derivatives, forward and reverse: those of `s` always hold (at repeated or zero
    values: of the values in the order in which this decomposition has them). Those of
    `u` and `vt` exist where the singular values differ, and are not 0 in a matrix
    that isn't square. Values apart by less than rounding errors,
    max(rows, columns) * eps * s[0] or 1000 of the smallest normal number, count as
    equal, or as 0: vectors are then taken not to turn among equals, and those with
    value 0 not out of the space that all span. What comes out is finite, but not the
    derivative of anything, not even of products such as `u @ vt`; for functions of
    the matrix that do have one, take `spectral_function`.

    Args:
      a: wide, tall or square, of real numbers; leading axes are a batch; any size may
        be 0. Integers and 16-bit floats become float32.

    Returns:
      `SVD` in the dtype of `a`, orthonormal to a few eps. All NaN where a traced
      matrix holds NaN or infinity; values beyond the dtype's range are infinite.

    Raises:
      ValueError: fewer than 2 axes, complex, or not finite (if concrete).

    Source:
      Townsend, "Differentiating the singular value decomposition" (2016), with
      quotients of differences and sums instead of those of squares, which overflow.

    Example:
      >>> u, s, vt = thin_svd(jnp.array([[3.0, 0.0], [0.0, -4.0]]))
      >>> s
      Array([4., 3.], dtype=float32)
    """
    return SVD(*_svd(as_matrix("thin_svd", a, batched=True), False))


@full_precision
def full_svd(a: Shaped[Array, "*batch rows columns"]) -> SVD:
    """The singular value decomposition with square matrices of vectors.

    As `thin_svd`, and the vectors that complete the bases have their entry of largest
    magnitude positive. They are one basis of many for the rest of the space; in
    derivatives they move only as far as they must to stay orthogonal to the others.

    Args:
      a: as for `thin_svd`.

    Returns:
      `SVD` with `u` rows x rows and `vt` columns x columns; identities where `a` has
      no entries.

    Raises:
      ValueError: fewer than 2 axes, complex, or not finite (if concrete).

    Example:
      >>> [part.shape for part in full_svd(jnp.ones((3, 2)))]
      [(3, 3), (2,), (2, 2)]
    """
    return SVD(*_svd(as_matrix("full_svd", a, batched=True), True))


@full_precision
def compact_svd(
    a: Shaped[Array, "*batch rows columns"], *, rtol: float | None = None
) -> SVD:
    """The singular value decomposition without the values that are numerically 0.

    Eager: the shape of its result depends on the numbers. `truncated_svd` can be
    compiled.

    Args:
      a: as for `thin_svd`. In a batch all keep as many as the matrix of highest rank.
      rtol: values above `rtol * s[0]` are kept; at least 0. If None,
        max(rows, columns) * eps of the dtype.

    Returns:
      `SVD` with `rank` vectors on each side, none for a matrix of zeros.

    Raises:
      ValueError: traced by `jit` or `vmap`; `rtol` is negative or not finite; or as
        for `thin_svd`.

    Example:
      >>> compact_svd(jnp.ones((3, 2))).s.shape
      (1,)
    """
    if rtol is not None and not 0 <= rtol < np.inf:
        raise ValueError(f"compact_svd: wanted a finite rtol of at least 0, got {rtol}")
    svd = SVD(*_svd(as_matrix("compact_svd", a, batched=True), False))
    if rtol is None:
        rtol = max(a.shape[-2:]) * float(jnp.finfo(svd.s.dtype).eps)
    try:
        s = np.asarray(lax.stop_gradient(svd.s), np.float64)
    except jax.errors.TracerArrayConversionError:
        raise ValueError(
            "compact_svd: the shape of the result depends on the numbers, so it can't "
            "be traced by jit or vmap; call it outside, or use truncated_svd"
        ) from None
    kept = s > rtol * s.max(axis=-1, initial=0.0, keepdims=True)
    return _first(svd, int(kept.sum(axis=-1).max(initial=0)))


@full_precision
def truncated_svd(a: Shaped[Array, "*batch rows columns"], rank: int) -> SVD:
    """The `rank` largest singular values with their vectors: the best approximation.

    Computed from all of them; `randomized_svd` is faster for a few of many.

    Args:
      a: as for `thin_svd`.
      rank: within 1..min(rows, columns), static.

    Returns:
      `SVD` with `rank` vectors on each side.

    Raises:
      ValueError: `rank` is out of range, or as for `thin_svd`.

    Source:
      Eckart and Young, "The approximation of one matrix by another of lower rank"
      (1936).

    Example:
      >>> truncated_svd(jnp.diag(jnp.array([1.0, 3.0, 2.0])), 2).s
      Array([3., 2.], dtype=float32)
    """
    a = as_matrix("truncated_svd", a, batched=True)
    rank, limit = operator.index(rank), min(a.shape[-2:])
    if not 1 <= rank <= limit:
        raise ValueError(
            f"truncated_svd: wanted a rank within 1..{limit} for shape {a.shape}, "
            f"got {rank}"
        )
    return _first(SVD(*_svd(a, False)), rank)


def fix_signs(svd: SVD) -> SVD:
    """The same decomposition with the signs that all routines here give.

    Args:
      svd: of any rank, batched or not.

    Returns:
      The entry of largest magnitude in each right vector is positive (the first of
      equals), and the left vectors' signs follow.

    Example:
      >>> one = jnp.ones((1, 1))
      >>> fix_signs(SVD(one, jnp.ones(1), -one)).u
      Array([[-1.]], dtype=float32)
    """
    signs = _signs(svd.vt)
    return SVD(svd.u * jnp.swapaxes(signs, -1, -2), svd.s, svd.vt * signs)


def _first(svd, rank):
    """The first `rank` vectors and values."""
    return SVD(svd.u[..., :rank], svd.s[..., :rank], svd.vt[..., :rank, :])


def _signs(rows):
    """-1 for each row whose first entry of largest magnitude is negative, else 1."""
    # Reductions alone: argmax with a gather takes twice as long on CPU.
    largest = jnp.abs(rows).max(axis=-1, keepdims=True, initial=0)
    size = rows.shape[-1]
    place = lax.broadcasted_iota(jnp.int32, rows.shape, rows.ndim - 1)
    up = jnp.where(rows == largest, place, size).min(-1, keepdims=True, initial=size)
    down = jnp.where(rows == -largest, place, size).min(-1, keepdims=True, initial=size)
    return jnp.where(down < up, -1, 1).astype(rows.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _decompose(a, full):
    """Values and vectors of a batch, with signs; NaN for matrices that are not finite.

    Wide matrices are decomposed as their transposes, which is free (they already lie
    in memory column by column, as LAPACK wants) and up to 1.5 times as fast.
    """
    *batch, rows, columns = a.shape
    if a.size == 0:
        return _empty_svd(batch, rows, columns, full, a.dtype)
    scaled, exponent = unit_scale(a)
    if rows < columns:
        v, s, ut = _tall_svd(jnp.swapaxes(scaled, -1, -2), full)
        u, vt = jnp.swapaxes(ut, -1, -2), jnp.swapaxes(v, -1, -2)
    else:
        u, s, vt = _tall_svd(scaled, full)
    s = restore_scale(s, exponent[..., 0])
    failed = jnp.isnan(s[..., :1, None])
    right = jnp.where(failed, jnp.nan, _signs(vt))
    left = jnp.swapaxes(right[..., : s.shape[-1], :], -1, -2)
    if full and rows > columns:
        rest = _signs(jnp.swapaxes(u[..., columns:], -1, -2))
        rest = jnp.where(failed, jnp.nan, jnp.swapaxes(rest, -1, -2))
        left = jnp.concatenate([left, rest], axis=-1)
    return u * left, s, vt * right


def _tall_svd(a, full):
    """LAPACK's decomposition of matrices with at least as many rows as columns.

    A QR factorisation first is what LAPACK does itself; done here it was 5 to 10 %
    faster on CPU, and on GPU it leaves a small square matrix for the slow part.
    """
    rows, columns = a.shape[-2:]
    if full or rows < 4 * columns:
        return lax.linalg.svd(a, full_matrices=full)
    q, r = lax.linalg.qr(a, full_matrices=False)
    v, s, ut = lax.linalg.svd(jnp.swapaxes(r, -1, -2), full_matrices=False)
    return q @ jnp.swapaxes(ut, -1, -2), s, jnp.swapaxes(v, -1, -2)


def _empty_svd(batch, rows, columns, full, dtype):
    """The decomposition of matrices, or batches of them, without entries."""
    rank = min(rows, columns)
    left, right = (rows, columns) if full else (rank, rank)
    shapes = (rows, left), (right, columns)
    u, vt = (jnp.broadcast_to(jnp.eye(*s, dtype=dtype), (*batch, *s)) for s in shapes)
    return u, jnp.zeros((*batch, rank), dtype), vt


_svd = jax.jit(_decompose, static_argnums=1)


@_decompose.defjvp
@full_precision
def _differentiate(full, primals, tangents):
    """Rotations of the vectors among each other, and out of the space they span."""
    (a,), (da,) = primals, tangents
    u, s, vt = _svd(a, full)
    if a.size == 0:
        return (u, s, vt), (u * 0, s * 0, vt * 0)
    k = s.shape[-1]
    left = jnp.swapaxes(u, -1, -2) @ da
    inner = left @ jnp.swapaxes(vt, -1, -2)
    square = inner[..., :k, :k]
    turn_u, turn_v = _turns(square, s, max(a.shape[-2:]))
    values = jnp.diagonal(square, axis1=-2, axis2=-1)
    inverse = _safe_inverse(s, s, max(a.shape[-2:]))
    if full:
        turn_u = _with_rest(turn_u, inner[..., k:, :k] * inverse[..., None, :])
        rest = jnp.swapaxes(inner[..., :k, k:], -1, -2) * inverse[..., None, :]
        turn_v = _with_rest(turn_v, rest)
    du, dvt = u @ turn_u, jnp.swapaxes(turn_v, -1, -2) @ vt
    if not full and a.shape[-2] > k:
        right = da @ jnp.swapaxes(vt, -1, -2)
        du += (right - u @ inner) * inverse[..., None, :]
    if not full and a.shape[-1] > k:
        dvt += (left - inner @ vt) * inverse[..., :, None]
    return (u, s, vt), (du, values, dvt)


def _turns(inner, s, size):
    """How left and right vectors turn among themselves: two skew matrices.

    With P = u.T @ da @ v they solve P = turn_u S - S turn_v off the diagonal; adding
    and subtracting the equations of ij and ji leaves one unknown in each.
    """
    flipped = jnp.swapaxes(inner, -1, -2)
    column, row = s[..., :, None], s[..., None, :]
    both = (inner + flipped) * _safe_inverse(row - column, s, size) / 2
    apart = (inner - flipped) * _safe_inverse(row + column, s, size) / 2
    return both + apart, both - apart


def _with_rest(turn, rest):
    """The skew matrix for a full basis: the rest turns only as the others make it."""
    size = rest.shape[-2]
    corner = jnp.zeros((*rest.shape[:-2], size, size), rest.dtype)
    top = jnp.concatenate([turn, -jnp.swapaxes(rest, -1, -2)], axis=-1)
    return jnp.concatenate([top, jnp.concatenate([rest, corner], axis=-1)], axis=-2)


def _safe_inverse(x, s, size):
    """1 / x, and 0 where x is only the rounding error of singular values `s`."""
    info = jnp.finfo(s.dtype)
    noise = size * info.eps * s[..., :1]
    # Quotients of numbers near 1 by smaller ones could overflow.
    noise = jnp.maximum(noise, 1000 * info.tiny)
    noise = noise.reshape(*s.shape[:-1], *[1] * (x.ndim - s.ndim + 1))
    known = jnp.abs(x) > noise
    return jnp.where(known, 1 / jnp.where(known, x, 1), 0)
