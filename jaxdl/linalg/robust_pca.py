"""Robust principal component analysis: low rank plus sparse."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.clipping import Clipped, clip_spectrum
from jaxdl.linalg.leading_clipping import (
    SPARE,
    clip_leading_spectrum,
    start_leading_basis,
)
from jaxdl.typing import Array, Bool, Float, Int, PRNGKey, Shaped

_GROWTH, _MOST_GROWTH = 1.5, 1e7
"""Of the penalty: per iteration and in all, those of the authors' program."""

_FINE_RESIDUAL = 100
"""In eps: below it, rounding in ordinary products would stop the convergence."""


_LARGE = 400
"""Shorter sides from which on a key is put to use."""

_SHARE = 16
"""The shorter side over the rank up to which a block of vectors does."""


class RobustPCA(NamedTuple):
    """A matrix as the sum of one of low rank, a sparse one, and next to nothing."""

    low_rank: Float[Array, "rows columns"]
    """What the rows have in common: of video frames, the background."""
    sparse: Float[Array, "rows columns"]
    """What sticks out, mostly exact zeros: of video frames, what moves."""
    rank: Int[Array, ""]
    """Of `low_rank`, before its entries were rounded."""
    num_iterations: Int[Array, ""]
    """Singular value decompositions taken, of all values or the first."""
    residual: Float[Array, ""]
    """Frobenius norm of `d - low_rank - sparse`, relative to that of `d`."""
    converged: Bool[Array, ""]
    """Whether the residual came down to the tolerance."""


class _State(NamedTuple):
    low_rank: Array
    sparse: Array
    dual: Array  # the multipliers over the penalty: those of the paper are Y
    basis: Array
    is_whole: Array  # whether all columns of the basis are kept up
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
    key: PRNGKey | None = None,
) -> RobustPCA:
    """Splits a matrix into one of low rank and a sparse one.

    Minimises the nuclear norm of the one plus `sparsity` times the sum of magnitudes
    of the other. Without a key every step is exact up to rounding, and time mostly
    that of products with a square matrix as large as the shorter side, and of a
    singular value decomposition of that size. With a key, steps of a rank up to 1/16
    of it follow that many singular vectors (and 16 more) alone, several times faster
    for sides above a thousand; the result is the same to rounding.
    Memory is that of about eight copies of `d`.

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
      key: draws the vectors to begin with and to look for new ones by; None for the
        whole decomposition. Not used where the shorter side is below 400.

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
      float32 products of the usual kind leave a residual of some 4e-7. With a key by
      subspace iteration from the last step's vectors (`clip_leading_spectrum`).

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
    most_rank = min(d.shape) // _SHARE if min(d.shape) >= _LARGE else 0
    if key is None or not most_rank:
        return _split(d, sparsity, tol, max_iterations, None, most_rank=0)
    return _split(d, sparsity, tol, max_iterations, key, most_rank=most_rank)


@functools.partial(jax.jit, static_argnames="most_rank")
def _split(
    d: Array,
    sparsity: Array,
    tol: Array,
    max_iterations: Array,
    key: PRNGKey | None,
    *,
    most_rank: int,
) -> RobustPCA:
    is_wide = d.shape[0] < d.shape[1]
    d = d.T if is_wide else d
    sparsity, tol = (jnp.asarray(value, d.dtype) for value in (sparsity, tol))
    # Squares of entries near the ends of the dtype's range would not be finite.
    _, exponent = jnp.frexp(jnp.max(jnp.abs(d)))
    d = jnp.ldexp(d, -exponent)
    norm = jnp.linalg.norm(d)
    start = _start(d, sparsity, key, most_rank)
    most = start.penalty * _MOST_GROWTH

    def is_running(state: _State) -> Array:
        # False at NaN too.
        return (state.num_iterations < max_iterations) & (state.residual > tol)

    def advance(state: _State) -> _State:
        return _advance(d, state, sparsity, norm, most, key, most_rank)

    end = lax.while_loop(is_running, advance, start)
    parts = [jnp.ldexp(part, exponent) for part in (end.low_rank, end.sparse)]
    parts = [part.T if is_wide else part for part in parts]
    is_done = end.residual <= tol
    rank = jnp.sum(end.is_above)
    return RobustPCA(*parts, rank, end.num_iterations, end.residual, is_done)


def _start(d: Array, sparsity: Array, key: PRNGKey | None, most_rank: int) -> _State:
    if key is None:
        _, basis = jnp.linalg.eigh(d.T @ d)
        basis = basis[:, ::-1]
        largest = jnp.linalg.norm(d @ basis[:, 0])
    else:
        block, largest = start_leading_basis(d, most_rank + SPARE, key=key)
        basis = jnp.pad(block, ((0, 0), (0, len(block) - block.shape[1])))
    largest = jnp.where(largest == 0, 1, largest)  # NaN stays
    penalty = 1.25 / largest
    dual = d / jnp.maximum(largest, jnp.max(jnp.abs(d)) / sparsity) / penalty
    zero = jnp.zeros_like(d)
    flags = jnp.zeros(d.shape[1], bool)
    far = jnp.asarray(jnp.inf, d.dtype)
    is_whole = jnp.asarray(key is None)
    return _State(zero, zero, dual, basis, is_whole, flags, penalty, jnp.int32(0), far)


def _advance(
    d: Array,
    state: _State,
    sparsity: Array,
    norm: Array,
    most: Array,
    key: PRNGKey | None,
    most_rank: int,
) -> _State:
    dual, penalty = state.dual, state.penalty
    moved = (d - state.low_rank) + dual
    sparse = moved - jnp.clip(moved, -sparsity / penalty, sparsity / penalty)
    clip = _clip if key is None else functools.partial(_clip_few, key, most_rank)
    (part, basis, is_above), is_whole = clip((d - sparse) + dual, state)
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
        is_whole,
        is_above,
        raised,
        state.num_iterations + 1,
        residual,
    )


def _clip(x: Array, state: _State) -> tuple[Clipped, Array]:
    """All singular values at once."""
    threshold, is_fine = _settings(x, state)
    found = clip_spectrum(x, threshold, state.basis, state.is_above, is_fine=is_fine)
    return found, jnp.asarray(True)


def _clip_few(
    key: PRNGKey, most_rank: int, x: Array, state: _State
) -> tuple[Clipped, Array]:
    """The largest singular values alone, or all where those are too many."""
    threshold, is_fine = _settings(x, state)
    num_vectors = most_rank + SPARE
    shapes = (x, state.basis, state.is_above)

    def clip_leading():
        found = clip_leading_spectrum(
            x,
            threshold,
            state.basis[:, :num_vectors],
            state.is_above[:num_vectors],
            is_fine=is_fine,
            key=jax.random.fold_in(key, state.num_iterations),
        )
        flags = jnp.zeros_like(state.is_above).at[:num_vectors].set(found.is_above)
        basis = state.basis.at[:, :num_vectors].set(found.basis)
        return Clipped(found.part, basis, flags), jnp.sum(flags) <= most_rank

    def clip_all():
        # Any complement will do: the first vectors are right, the others are few.
        complete = lambda: jnp.linalg.qr(state.basis[:, :num_vectors], "complete")[0]
        basis = lax.cond(state.is_whole, lambda: state.basis, complete)
        return _clip(x, state._replace(basis=basis))

    is_likely = jnp.sum(state.is_above) <= most_rank
    nothing = lambda: (Clipped(*map(jnp.zeros_like, shapes)), jnp.asarray(False))
    found, is_enough = lax.cond(is_likely, clip_leading, nothing)
    return lax.cond(is_enough, lambda: (found, jnp.asarray(False)), clip_all)


def _settings(x: Array, state: _State) -> tuple[Array, Array]:
    """The threshold, and whether rounding errors count by now."""
    eps = float(jnp.finfo(x.dtype).eps)
    return 1 / state.penalty, state.residual < _FINE_RESIDUAL * eps
