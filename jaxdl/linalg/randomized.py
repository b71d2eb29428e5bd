"""The leading part of a singular value decomposition, from random products.

A block Krylov method in the shorter of the two spaces: the products with the matrix
that build the basis serve for the projection too, and orthonormalisation is cheap.
"""

import functools
import math
from operator import index
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from jaxdl.linalg.arrays import full_precision
from jaxdl.linalg.operators import (
    LinearOperator,
    Matrix,
    as_dense,
    as_operator,
    check_operand,
    wrap_products,
)
from jaxdl.linalg.svd import SVD, fix_signs, thin_svd
from jaxdl.typing import Array, Float, PRNGKey

_AUTO_STEPS = 3
"""Error below that of 7 plain power iterations, in half as many products."""

_BLOCK = 16
"""Block sizes are multiples of this: CPU and GPU take as long for those below."""


@full_precision
def randomized_svd(
    a: Matrix,
    rank: int,
    *,
    oversampling: int = 10,
    power_iterations: int | Literal["auto"] = "auto",
    key: PRNGKey,
) -> SVD:
    """The `rank` largest singular values and their vectors, nearly optimal.

    With b = rank + oversampling, rounded up to a multiple of 16, and q steps, the basis
    holds (q + 1) b vectors and costs 2 (q + 1) products of the matrix or its transpose
    with b columns. It contains what q power iterations with every intermediate result
    forgotten would find, and is better than that: values up to `rank` times repeated
    are found too. If the basis would be three quarters of the space or more, the exact
    decomposition is computed, as it is for rank == min(rows, columns).

    `jax.jit(randomized_svd, static_argnames=("rank", ...))` works; operators must then
    be made inside of the compiled function. Arrays and sparse matrices are compiled
    anyway; with operators, each step is.

    Args:
      a: tall or wide array, `BCOO` or `LinearOperator`.
      rank: within 1..min(rows, columns), static.
      oversampling: more vectors than `rank` in each block, at least 0, static; clipped
        where there are no more.
      power_iterations: Krylov steps q, at least 0, static. "auto" is 3.
      key: for the random start.

    Returns:
      `SVD` in the dtype of `a` with `rank` vectors on each side, orthonormal for every
      input; signs as in `thin_svd`. All NaN where a traced matrix is not finite.

    Raises:
      ValueError: a size is out of range, or `a` isn't one matrix of finite numbers.

    Source:
      Musco and Musco, "Randomized block Krylov methods for stronger and faster
      approximate singular value decomposition", arXiv:1504.05477; Halko, Martinsson and
      Tropp, arXiv:0909.4061, for the projection. Differs: starts from a random
      combination of rows, and orthogonalises each block against all before.

    Example:
      >>> a = jnp.outer(jnp.arange(40.0), jnp.ones(30))
      >>> print(randomized_svd(a, 1, key=jax.random.key(0)).s.round())
      [785.]
    """
    return _start("randomized_svd", a, rank, oversampling, power_iterations, key)


@full_precision
def randomized_range_finder(
    a: Matrix,
    size: int,
    *,
    power_iterations: int | Literal["auto"] = "auto",
    key: PRNGKey,
) -> Float[Array, "rows size"]:
    """An orthonormal basis that holds most of what a matrix maps to.

    The leading left singular vectors as `randomized_svd` finds them, so that
    `q @ (q.T @ a)` is nearly the best approximation of rank `size`.

    Args:
      a: as for `randomized_svd`.
      size: vectors wanted, within 1..min(rows, columns), static.
      power_iterations: as for `randomized_svd`; 0 costs two products with `a`.
      key: for the random start.

    Returns:
      q, orthonormal columns for every input.

    Raises:
      ValueError: as for `randomized_svd`.

    Source:
      Halko, Martinsson and Tropp, arXiv:0909.4061, section 4.

    Example:
      >>> a = jnp.outer(jnp.arange(1.0, 41.0), jnp.ones(30))
      >>> q = randomized_range_finder(a, 2, key=jax.random.key(0))
      >>> bool(jnp.abs(q @ (q.T @ a) - a).max() < 1e-4)
      True
    """
    return _start("randomized_range_finder", a, size, 0, power_iterations, key).u


@full_precision
def estimate_residual(
    a: Matrix, svd: SVD, *, num_probes: int = 10, key: PRNGKey
) -> Float[Array, ""]:
    """A bound on the spectral norm of what a decomposition leaves out.

    10 sqrt(2 / pi) times the largest |(a - u s vt) w| over `num_probes` Gaussian
    vectors w. The bound fails (is below the norm) with a probability of at most
    10**-num_probes over `key`, whatever the matrix; `key` must not be the one that
    made the decomposition. It is too large by about 8 times the square root of the
    residual's effective rank.

    Args:
      a: the matrix that was decomposed.
      svd: any approximation of it.
      num_probes: vectors, at least 1, static; one product with the block of them.
      key: for the vectors.

    Returns:
      The bound, in the unit of the singular values.

    Raises:
      ValueError: `num_probes` is below 1, shapes don't fit, or `a` isn't one matrix
        of finite numbers.

    Source:
      Halko, Martinsson and Tropp, arXiv:0909.4061, equation 4.3 (with alpha = 10).

    Example:
      >>> a = jnp.diag(jnp.array([3.0, 2.0, 0.0]))
      >>> bound = estimate_residual(a, thin_svd(a), key=jax.random.key(0))
      >>> bool(bound < 1e-4)
      True
    """
    num_probes = index(num_probes)
    if num_probes < 1:
        raise ValueError(
            f"estimate_residual: wanted num_probes of at least 1, got {num_probes}"
        )
    operator = as_operator(check_operand("estimate_residual", a))
    found = (svd.u.shape[0], svd.vt.shape[1])
    if found != tuple(operator.shape):
        raise ValueError(
            f"estimate_residual: the decomposition is of shape {found}, the matrix "
            f"of {tuple(operator.shape)}"
        )
    probes = jax.random.normal(key, (operator.shape[1], num_probes), operator.dtype)
    kept = svd.u @ (svd.s[:, None] * (svd.vt @ probes))
    rest = operator.matvec(probes) - kept
    scale = jnp.maximum(jnp.abs(rest).max(), jnp.finfo(rest.dtype).tiny)
    largest = jnp.sqrt(jnp.square(rest / scale).sum(axis=0).max())
    return 10 * math.sqrt(2 / math.pi) * scale * largest


def _start(name, a, rank, oversampling, power_iterations, key):
    """The decomposition, its arguments checked."""
    a = check_operand(name, a, look=False)
    rank, limit = index(rank), min(a.shape)
    wanted = "size" if name == "randomized_range_finder" else "rank"
    if not 1 <= rank <= limit:
        raise ValueError(
            f"{name}: wanted a {wanted} within 1..{limit} for shape {tuple(a.shape)}, "
            f"got {rank}"
        )
    if index(oversampling) < 0:
        raise ValueError(
            f"{name}: wanted oversampling of at least 0, got {oversampling}"
        )
    steps = _AUTO_STEPS if power_iterations == "auto" else power_iterations
    if not isinstance(steps, int) or steps < 0:
        raise ValueError(
            f'{name}: wanted power_iterations of at least 0 or "auto", '
            f"got {power_iterations!r}"
        )
    block = min(-(-(rank + oversampling) // _BLOCK) * _BLOCK, limit)
    if isinstance(a, LinearOperator):
        return _decompose(a, rank, block, steps, key)
    svd = _decompose_compiled(a, rank, block, steps, key)
    if not isinstance(svd.s, Tracer) and not bool(jnp.isfinite(svd.s).all()):
        # NaN comes out of NaN; looking at all of `a` first would take 5 % of the time.
        check_operand(name, a)
    return svd


def _decompose(a, rank, block, steps, key):
    """The decomposition in the shorter space, with signs."""
    operator = a if isinstance(a, LinearOperator) else wrap_products(a)
    rows, columns = operator.shape
    if 4 * block * (steps + 1) >= 3 * min(rows, columns):
        svd = thin_svd(a if isinstance(a, jax.Array) else as_dense(operator))
        return SVD(svd.u[:, :rank], svd.s[:rank], svd.vt[:rank])
    if rows < columns:
        svd = _decompose_tall(operator.T, rank, block, steps, key)
        svd = SVD(svd.vt.T, svd.s, svd.u.T)
    else:
        svd = _decompose_tall(operator, rank, block, steps, key)
    svd = fix_signs(svd)
    is_finite = jnp.isfinite(svd.s).all()
    return SVD(*(jnp.where(is_finite, part, jnp.nan) for part in svd))


_decompose_compiled = jax.jit(_decompose, static_argnums=(1, 2, 3))


def _decompose_tall(operator, rank, block, steps, key):
    """Krylov blocks of a'a from a'omega, each multiplied by a; then Rayleigh-Ritz.

    The images are scaled by a power of two: their products have to stay in range.
    """
    key, *keys = jax.random.split(key, steps + 1)
    omega = jax.random.normal(key, (operator.shape[0], block), operator.dtype)
    start = operator.rmatvec(omega)
    power = power_above(start)
    basis = orthonormalize(start / power)
    image = operator.matvec(basis) / power
    images, returns = [image], []
    for key in keys:
        back = operator.rmatvec(image) / power
        new = continue_basis(back, basis, key)
        image = operator.matvec(new) / power
        basis = jnp.concatenate([basis, new], axis=1)
        images.append(image)
        returns.append(back)
    svd = _project(basis, jnp.concatenate(images, axis=1), returns, rank, block)
    return SVD(svd.u, svd.s * power, svd.vt)


def power_above(x):
    """The power of two above the largest magnitude, within the dtype's range."""
    largest = jnp.abs(x).max()
    usable = jnp.isfinite(largest) & (largest > 0)
    exponent = jnp.frexp(jnp.where(usable, largest, 0.5))[1]
    limit = jnp.finfo(x.dtype).maxexp - 2
    return jnp.ldexp(jnp.ones((), x.dtype), jnp.clip(exponent, -limit, limit))


@jax.jit
def orthonormalize(x):
    """An orthonormal basis of columns, any where they are dependent."""
    q = _equalize(_equalize(x))
    return lax.cond(_is_orthonormal(q), lambda: q, lambda: jnp.linalg.qr(x)[0])


@jax.jit
def continue_basis(x, basis, key):
    """Orthonormal columns that x adds to a basis; random ones where it adds nothing."""

    def remove(x):
        return x - basis @ (basis.T @ x)

    def start_anew():
        # What is left of x may be rounding errors only, which are not orthogonal to
        # anything. Noise above them, another in each call, finds a way out.
        noise = jax.random.normal(key, x.shape, x.dtype) / x.shape[0] ** 0.5
        eps = float(jnp.finfo(x.dtype).eps)
        q = remove(x / _lengths(x)) + 100 * eps * noise
        q = jnp.linalg.qr(remove(q))[0]
        return jnp.linalg.qr(remove(q))[0]

    new = _equalize(remove(_equalize(remove(x))))
    is_done = _is_orthonormal(new) & _is_small(basis.T @ new)
    return lax.cond(is_done, lambda: new, start_anew)


def _equalize(x):
    """The same span with singular values much closer to 1, by eigenvectors of x'x.

    Not by Cholesky factors: LAPACK's triangular solves took longer than the products
    with the matrix. Small eigenvalues, rounding errors, are clipped.
    """
    x = x / _lengths(x)
    values, vectors = jnp.linalg.eigh(x.T @ x)
    eps = jnp.finfo(x.dtype).eps
    roots = jnp.sqrt(jnp.maximum(values, eps * values[-1]))
    return x @ (vectors / jnp.where(roots > 0, roots, 1)[None])


def _lengths(x):
    """Lengths of columns, as a row; 1 for zeros."""
    squares = jnp.square(x).sum(axis=0, keepdims=True)
    return jnp.where(squares > 0, jnp.sqrt(squares), 1)


def _is_orthonormal(q):
    return _is_small(q.T @ q - jnp.eye(q.shape[1], dtype=q.dtype))


def _is_small(products):
    """Rounding errors only; NaN counts too, as more work would not mend it."""
    return ~(jnp.abs(products).max() > 50 * jnp.finfo(products.dtype).eps)


@functools.partial(jax.jit, static_argnums=(3, 4))
def _project(basis, images, returns, rank, block):
    """The decomposition of a @ basis @ basis.T, from images = a @ basis.

    Eigenvectors of the inner products reduce it to `rank` columns first where the
    values wanted are large enough for that.
    """
    values, vectors = jnp.linalg.eigh(_inner_products(basis, images, returns, block))
    leading = vectors[:, -rank:]

    def reduce():
        columns = images @ leading
        lengths = _lengths(columns)
        # Almost orthogonal, so one pass makes them orthonormal.
        values, vectors = jnp.linalg.eigh((columns.T @ columns) / (lengths.T * lengths))
        roots = jnp.sqrt(values)[None]
        small = thin_svd(roots.T * vectors.T * lengths)
        rotation = (vectors / lengths.T / roots) @ small.u
        return columns @ rotation, small.s, small.vt @ leading.T

    def keep_all():
        svd = thin_svd(images)
        return svd.u[:, :rank], svd.s[:rank], svd.vt[:rank]

    # Squares below rounding errors of the largest are lost in the inner products.
    floor = 1000 * jnp.finfo(values.dtype).eps * values[-1]
    u, s, small = lax.cond(values[-rank] > floor, reduce, keep_all)
    return SVD(u, s, small @ basis.T)


def _inner_products(basis, images, returns, block):
    """images.T @ images; but for the last block it is known from products made."""
    last = images[:, -block:]
    if not returns:
        return last.T @ last
    left = basis.T @ jnp.concatenate(returns, axis=1)
    right = jnp.concatenate([left[-block:].T, last.T @ last], axis=0)
    inner = jnp.concatenate([left, right], axis=1)
    return (inner + inner.T) / 2
