"""Decompositions of matrices with many more rows than columns.

The rows are touched by matrix products only. Split over the devices of a mesh they
stay where they are: what is sent is the (columns, columns) matrix of inner products.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.svd import SVD, fix_signs, thin_svd
from jaxdl.typing import Array, Float, Shaped

_TALL = 2
"""Rows per column from which on a matrix counts as tall."""

_LEAF = 64
"""Columns solved for at once through an inverse: few enough to stay accurate."""

_MAX_PASSES = 12
"""Four do for any matrix whose inner products are as accurate as they should be."""


@full_precision
def tall_skinny_qr(
    a: Shaped[Array, "rows columns"],
) -> tuple[Float[Array, "rows columns"], Float[Array, "columns columns"]]:
    """An orthonormal basis of a tall matrix's columns, and a triangular factor.

    Two passes of Cholesky QR where the condition number (columns scaled to length 1)
    is below about 3,000 in float32, else passes that clip small eigenvalues of the
    inner products, and a Householder QR of the small factor: q is orthonormal for
    every input, in rank-deficient ones too. Below 2 rows per column it is LAPACK's.

    Rows may be split over a mesh under `jit`: q is split alike, r is on every device,
    and what is communicated does not depend on the number of rows.

    Args:
      a: at least as many rows as columns. Subnormal numbers count as 0 on CPU.

    Returns:
      q, orthonormal columns; r, upper triangular, its diagonal not negative (0 for
      columns that are 0), with a = q r to rounding errors of each column's length.
      The derivative needs full column rank; it grows with the condition number.

    Raises:
      ValueError: fewer rows than columns, not one matrix of real numbers, or NaN or
        infinity in a concrete one (traced: NaN comes out).

    Source:
      Fukaya, Nakatsukasa, Yanagisawa and Yamamoto, CholeskyQR2, ScalA 2014;
      Stathopoulos and Wu, SIAM J. Sci. Comput. 23(6), 2002, for the clipped passes.

    Example:
      >>> q, r = tall_skinny_qr(jnp.array([[3.0], [4.0], [0.0]]))
      >>> print(q.ravel(), r)
      [0.6 0.8 0. ] [[5.]]
    """
    a = _check("tall_skinny_qr", a)
    return _factor_qr(a)


@full_precision
def tall_skinny_svd(a: Shaped[Array, "rows columns"]) -> SVD:
    """The thin singular value decomposition of a tall matrix.

    That of the triangular factor of `tall_skinny_qr`, the basis rotated: singular
    values are accurate to rounding errors of the largest, unlike those from an
    eigendecomposition of the inner products, which loses the small half.

    Rows may be split over a mesh under `jit`: u is split alike, s and vt are on every
    device, and what is communicated does not depend on the number of rows.

    Args:
      a: at least as many rows as columns.

    Returns:
      u, s and vt with the signs of `fix_signs`. The derivative needs full column rank
      besides what `thin_svd` needs.

    Raises:
      ValueError: see `tall_skinny_qr`.

    Source:
      T. F. Chan, An improved algorithm for computing the singular value
      decomposition, ACM TOMS 8(1), 1982; the QR as in `tall_skinny_qr`.

    Example:
      >>> tall_skinny_svd(jnp.array([[3.0, 0.0], [0.0, -2.0], [0.0, 0.0]])).s
      Array([3., 2.], dtype=float32)
    """
    a = _check("tall_skinny_svd", a)
    return SVD(*_factor_svd(a))


def _check(name: str, a: Array) -> Array:
    a = as_matrix(name, a)
    rows, columns = a.shape
    if rows < columns:
        raise ValueError(
            f"{name}: wanted at least as many rows as columns, got shape {a.shape}; "
            "transpose it"
        )
    return a


@jax.custom_jvp
@jax.jit
def _factor_qr(a: Array) -> tuple[Array, Array]:
    if not _is_tall(a):
        return _make_positive(*jnp.linalg.qr(a))
    w, r, gram = _nearly_orthonormalize(a)
    last = _cholesky(gram)
    return w @ _invert(last), last @ r


@jax.custom_jvp
@jax.jit
def _factor_svd(a: Array) -> tuple[Array, Array, Array]:
    if not _is_tall(a):
        whole = thin_svd(a)
        return whole.u, whole.s, whole.vt
    w, r, gram = _nearly_orthonormalize(a)
    last = _cholesky(gram)
    small = thin_svd(last @ r)
    # One product with the rows instead of two.
    return w @ (_invert(last) @ small.u), small.s, small.vt


@_factor_qr.defjvp
def _differentiate_qr(primals, tangents):
    (a,), (da,) = primals, tangents
    q, r = _factor_qr(a)
    da_r = _solve_right(da, r)
    c = q.T @ da_r
    lower = jnp.tril(c, -1)
    turn = lower - lower.T
    return (q, r), (da_r + q @ (turn - c), (c - turn) @ r)


@_factor_svd.defjvp
def _differentiate_svd(primals, tangents):
    def factor(a):
        if not _is_tall(a):
            return tuple(thin_svd(a))
        q, r = _factor_qr(a)
        small = thin_svd(r)
        return tuple(fix_signs(SVD(q @ small.u, small.s, small.vt)))

    return jax.jvp(factor, primals, tangents)


def _is_tall(a: Array) -> bool:
    rows, columns = a.shape
    return rows >= _TALL * columns and columns > 0


def _nearly_orthonormalize(a: Array) -> tuple[Array, Array, Array]:
    """w, upper triangular r and w'w: a = w r, and w'w is within 0.5 of the identity."""
    gram = a.T @ a
    squares = jnp.diagonal(gram)
    limits = jnp.finfo(a.dtype)
    # What of a column's squares is lost to underflow is below its rounding errors.
    is_safe = jnp.isfinite(squares) & (squares > limits.tiny / limits.eps**2)
    lengths = jnp.where(is_safe, jnp.sqrt(jnp.where(is_safe, squares, 1)), 1)
    r = _cholesky(gram / jnp.outer(lengths, lengths)) * lengths[None]
    w = _solve_right(a, r)
    gram = w.T @ w
    is_done = is_safe.all() & (_deviation(gram) <= 0.5)  # False for NaN
    return lax.cond(is_done, lambda: (w, r, gram), lambda: _clip_and_repeat(a))


def _clip_and_repeat(a: Array) -> tuple[Array, Array, Array]:
    """The same for any condition number, by passes that scale up weak directions."""
    w, lengths = _scale_columns(a)
    eps = jnp.finfo(a.dtype).eps
    # Moves each column by less than rounding does, and gives columns that depend on
    # others a direction of their own. Drawn where the rows are: nothing is sent.
    noise = jax.random.normal(jax.random.key(0), a.shape, a.dtype)
    w = w + noise * (eps / a.shape[0] ** 0.5)

    def is_coarse(state):
        _, _, gram, count = state
        return (_deviation(gram) > 0.5) & (count < _MAX_PASSES)

    def improve(state):
        w, r, gram, count = state
        values, vectors = jnp.linalg.eigh(gram)
        # Below this, eigenvalues are mostly rounding errors: not divided by.
        roots = jnp.sqrt(jnp.maximum(values, eps**0.5 * values[-1]))
        w = w @ (vectors / roots[None])
        return w, (roots[:, None] * vectors.T) @ r, w.T @ w, count + 1

    r = jnp.eye(a.shape[1], dtype=a.dtype)
    state = (w, r, w.T @ w, jnp.int32(0))
    w, r, gram, _ = lax.while_loop(is_coarse, improve, state)
    rotation, r = _make_positive(*jnp.linalg.qr(r * lengths[None]))
    return w @ rotation, r, rotation.T @ gram @ rotation


def _scale_columns(a: Array) -> tuple[Array, Array]:
    """Columns of length 1, or 0, and the lengths; squares neither over nor under."""
    largest = jnp.abs(a).max(axis=0)
    w = a / jnp.where(largest > 0, largest, 1)[None]
    lengths = jnp.sqrt((w * w).sum(axis=0))
    return w / jnp.where(lengths > 0, lengths, 1)[None], lengths * largest


def _make_positive(q: Array, r: Array) -> tuple[Array, Array]:
    signs = jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(r.dtype)
    return q * signs[None], r * signs[:, None]


def _deviation(gram: Array) -> Array:
    """Distance from the identity in the Frobenius norm: bounds all eigenvalues."""
    return jnp.linalg.norm(gram - jnp.eye(len(gram), dtype=gram.dtype))


def _cholesky(gram: Array) -> Array:
    """The upper factor; NaN where there is none."""
    return jnp.linalg.cholesky(gram).T


def _invert(r: Array) -> Array:
    identity = jnp.eye(len(r), dtype=r.dtype)
    return lax.linalg.triangular_solve(r, identity, left_side=False, lower=False)


def _solve_right(a: Array, r: Array) -> Array:
    """Solves x r = a by halves: products, half as many as with all of r's inverse.

    A product with the inverse of all of r would be off by r's condition number.
    """
    columns = len(r)
    if columns <= _LEAF:
        return a @ _invert(r)
    half = columns // 2
    left = _solve_right(a[:, :half], r[:half, :half])
    rest = a[:, half:] - left @ r[:half, half:]
    right = _solve_right(rest, r[half:, half:])
    return jnp.concatenate([left, right], axis=1)
