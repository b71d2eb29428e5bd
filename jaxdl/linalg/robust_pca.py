"""Robust principal component analysis: low rank plus sparse."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.clipping import clip_spectrum
from jaxdl.typing import Array, Bool, Float, Int, Shaped

_GROWTH, _MOST_GROWTH = 1.5, 1e7
"""Of the penalty: per iteration and in all, those of the authors' program."""

_FINE_RESIDUAL = 100
"""In eps: below it, rounding in ordinary products would stop the convergence."""


class RobustPCA(NamedTuple):
    """A matrix as the sum of one of low rank, a sparse one, and next to nothing."""

    low_rank: Float[Array, "rows columns"]
    """What the rows have in common: of video frames, the background."""
    sparse: Float[Array, "rows columns"]
    """What sticks out, mostly exact zeros: of video frames, what moves."""
    rank: Int[Array, ""]
    """Of `low_rank`, before its entries were rounded."""
    num_iterations: Int[Array, ""]
    """Singular value decompositions taken."""
    residual: Float[Array, ""]
    """Frobenius norm of `d - low_rank - sparse`, relative to that of `d`."""
    converged: Bool[Array, ""]
    """Whether the residual came down to the tolerance."""


class _State(NamedTuple):
    low_rank: Array
    sparse: Array
    dual: Array  # the multipliers over the penalty: those of the paper are Y
    basis: Array
    is_above: Array
    penalty: Array  # mu in the paper
    num_iterations: Array
    residual: Array


@full_precision
def robust_pca(
    d: Shaped[Array, "rows columns"],
    *,
    sparsity: float | None = None,
    tol: float = 1e-7,
    max_iterations: int = 100,
) -> RobustPCA:
    """Splits a matrix into one of low rank and a sparse one.

    Minimises the nuclear norm of the one plus `sparsity` times the sum of magnitudes
    of the other. No key: every step is exact up to rounding. Time is mostly that of
    products with a square matrix as large as the shorter side, and of a singular value
    decomposition of that size; memory that of about eight copies of `d`.

    Args:
      d: rows are examples, such as frames of a video; or the transpose, which gives
        the transposed result. Integers and 16-bit floats become float32.
      sparsity: weight of the sparse part, above 0; None is 1 / sqrt(longer side).
        More makes it sparser, and the rank higher.
      tol: relative residual to stop at, above 0. 1e-7 is about what sums of float32
        numbers can be right to. Nothing else is looked at, as in the program: a
        matrix of a few equal numbers may be split exactly at once, short of the best.
      max_iterations: at least 1; the penalty stops growing at 40, and most matrices
        need 20 to 40.

    Returns:
      `RobustPCA`; not converged is said there, and both parts are then those of the
      last iteration. All NaN where a traced matrix holds NaN or infinity.

    Raises:
      ValueError: not a matrix of finite real numbers, or an argument out of range.

    Source:
      Candes, Li, Ma, Wright, "Robust principal component analysis?" (2011,
      arXiv:0912.3599) by the inexact augmented Lagrange multipliers of Lin, Chen, Ma
      (2009, arXiv:1009.5055), with the constants of their program. Here the whole
      spectrum is found in each iteration, from the last one's singular vectors, by
      Gram matrices that are scaled and, near the end, corrected (`clip_spectrum`), as
      float32 products of the usual kind leave a residual of some 4e-7.

    Example:
      >>> d = jnp.outer(jnp.arange(1.0, 9.0), jnp.ones(8)).at[2, 3].set(50.0)
      >>> found = robust_pca(d)
      >>> found.rank, found.sparse[2, 3].round(1)
      (Array(1, dtype=int32), Array(47., dtype=float32))
    """
    d = as_matrix("robust_pca", d)
    for name, value in (("sparsity", sparsity), ("tol", tol)):
        if value is not None and not value > 0:
            raise ValueError(f"robust_pca: {name} must be above 0, got {value}")
    if max_iterations < 1:
        raise ValueError(
            f"robust_pca: max_iterations must be at least 1, got {max_iterations}"
        )
    if sparsity is None:
        sparsity = 1 / math.sqrt(max(*d.shape, 1))
    if d.size == 0:
        zero = jnp.int32(0)
        none = jnp.zeros((), d.dtype)
        return RobustPCA(d, d, zero, zero, none, jnp.asarray(True))
    return _split(d, sparsity, tol, max_iterations)


@jax.jit
def _split(d: Array, sparsity: Array, tol: Array, max_iterations: Array) -> RobustPCA:
    is_wide = d.shape[0] < d.shape[1]
    d = d.T if is_wide else d
    sparsity, tol = (jnp.asarray(value, d.dtype) for value in (sparsity, tol))
    # Squares of entries near the ends of the dtype's range would not be finite.
    _, exponent = jnp.frexp(jnp.max(jnp.abs(d)))
    d = jnp.ldexp(d, -exponent)
    norm = jnp.linalg.norm(d)
    start = _start(d, sparsity)
    most = start.penalty * _MOST_GROWTH

    def is_running(state: _State) -> Array:
        # False at NaN too.
        return (state.num_iterations < max_iterations) & (state.residual > tol)

    def advance(state: _State) -> _State:
        return _advance(d, state, sparsity, norm, most)

    end = lax.while_loop(is_running, advance, start)
    parts = [jnp.ldexp(part, exponent) for part in (end.low_rank, end.sparse)]
    parts = [part.T if is_wide else part for part in parts]
    is_done = end.residual <= tol
    rank = jnp.sum(end.is_above)
    return RobustPCA(*parts, rank, end.num_iterations, end.residual, is_done)


def _start(d: Array, sparsity: Array) -> _State:
    _, basis = jnp.linalg.eigh(d.T @ d)
    basis = basis[:, ::-1]
    largest = jnp.linalg.norm(d @ basis[:, 0])
    largest = jnp.where(largest == 0, 1, largest)  # NaN stays
    penalty = 1.25 / largest
    dual = d / jnp.maximum(largest, jnp.max(jnp.abs(d)) / sparsity) / penalty
    zero = jnp.zeros_like(d)
    flags = jnp.zeros(d.shape[1], bool)
    far = jnp.asarray(jnp.inf, d.dtype)
    return _State(zero, zero, dual, basis, flags, penalty, jnp.int32(0), far)


def _advance(
    d: Array, state: _State, sparsity: Array, norm: Array, most: Array
) -> _State:
    dual, penalty = state.dual, state.penalty
    moved = (d - state.low_rank) + dual
    sparse = moved - jnp.clip(moved, -sparsity / penalty, sparsity / penalty)
    part, basis, is_above = clip_spectrum(
        (d - sparse) + dual,
        1 / penalty,
        state.basis,
        state.is_above,
        is_fine=state.residual < _FINE_RESIDUAL * float(jnp.finfo(d.dtype).eps),
    )
    low_rank = (d - sparse) + (dual - part)
    residual = jnp.linalg.norm((d - low_rank) - sparse) / jnp.where(norm == 0, 1, norm)
    # What thresholding takes away is, in exact numbers, the new multipliers over the
    # old penalty; it lacks the rounding errors of low_rank.
    raised = jnp.minimum(penalty * _GROWTH, most)
    return _State(
        low_rank,
        sparse,
        part * (penalty / raised),
        basis,
        is_above,
        raised,
        state.num_iterations + 1,
        residual,
    )
