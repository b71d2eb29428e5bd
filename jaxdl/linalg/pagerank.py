"""Ranks of the nodes of a directed graph."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from jaxdl.typing import Array, Bool, Float, Int


class PageRank(NamedTuple):
    """How often a random surfer is at each node."""

    scores: Float[Array, "nodes"]
    """At least 0, with a sum of 1."""
    num_iterations: Int[Array, ""]
    """Passes over the edges."""
    error: Float[Array, ""]
    """The most that the sum of magnitudes of the scores' errors can be."""
    converged: Bool[Array, ""]
    """Whether the error came down to the tolerance."""


class _State(NamedTuple):
    scores: Array
    lost: Array  # by rounding, so far: the compensation of Kahan's sum
    change: Array
    num_iterations: Array


def pagerank(
    edges: Int[Array, "edges 2"],
    num_nodes: int,
    *,
    damping: float = 0.85,
    tol: float = 1e-6,
    max_iterations: int = 200,
    personalization: Float[Array, "nodes"] | None = None,
) -> PageRank:
    """Ranks nodes by how often one comes by, following edges at random.

    At each step the surfer follows one of the node's outgoing edges, or, with
    probability 1 - `damping` or where there is none, jumps to any node. The matrix of
    the graph is never formed: a pass over the edges is a gather and a segment sum.

    Args:
      edges: from and to, in [0, num_nodes). An edge given twice counts once; one from
        a node to itself is an edge.
      num_nodes: at least 1.
      damping: probability to follow an edge, in [0, 1).
      tol: sum of magnitudes of the scores' errors to stop at, above 0.
      max_iterations: at least 1. The error is at most 2 `damping` ** iterations.
      personalization: where jumps lead to, at least 0 each and above 0 in sum, which
        need not be 1; None is everywhere alike.

    Returns:
      `PageRank`, float64 if JAX is set to that and float32 otherwise; not converged
      is said there. All NaN where traced edges or personalization are out of range.

    Raises:
      ValueError: an argument out of range, or edges of another shape or dtype.

    Source:
      Page, Brin, Motwani, Winograd, "The PageRank citation ranking" (1999), as
      networkx has it, but for the tolerance (there: 1e-6 on the change per node). Here
      the iteration is on the changes of the scores, which shrink, and all sums are
      compensated: of float32, an error of about 1e-7 in all is left, whatever `tol`.

    Example:
      >>> edges = jnp.array([[0, 1], [1, 2], [2, 1]])
      >>> [f"{score:.3f}" for score in pagerank(edges, 3).scores]
      ['0.050', '0.486', '0.464']
    """
    if num_nodes < 1:
        raise ValueError(f"pagerank: num_nodes must be at least 1, got {num_nodes}")
    if not 0 <= damping < 1:
        raise ValueError(f"pagerank: damping must be in [0, 1), got {damping}")
    if not tol > 0:
        raise ValueError(f"pagerank: tol must be above 0, got {tol}")
    if max_iterations < 1:
        raise ValueError(
            f"pagerank: max_iterations must be at least 1, got {max_iterations}"
        )
    _check_edges(edges, num_nodes)
    if personalization is None:
        personalization = jnp.ones(num_nodes)
    _check_personalization(personalization, num_nodes)
    return _rank(
        jnp.asarray(edges), jnp.asarray(personalization), damping, tol, max_iterations
    )


def _check_edges(edges: Array, num_nodes: int) -> None:
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(f"pagerank: wanted edges of shape (E, 2), got {edges.shape}")
    if not jnp.issubdtype(edges.dtype, jnp.integer):
        raise ValueError(f"pagerank: wanted edges of integers, got {edges.dtype}")
    if isinstance(edges, Tracer) or edges.size == 0:
        return
    known = np.asarray(edges)
    low, high = int(known.min()), int(known.max())
    if low < 0 or high >= num_nodes:
        raise ValueError(
            f"pagerank: wanted nodes in [0, {num_nodes}), got {low} to {high}"
        )


def _check_personalization(personalization: Array, num_nodes: int) -> None:
    if personalization.shape != (num_nodes,):
        raise ValueError(
            f"pagerank: wanted personalization of shape ({num_nodes},), got "
            f"{personalization.shape}"
        )
    if isinstance(personalization, Tracer):
        return
    known = np.asarray(personalization, np.float64)
    low, total = known.min(), known.sum()
    if not (low >= 0 and 0 < total < math.inf):
        raise ValueError(
            "pagerank: wanted personalization of finite numbers at least 0, not all "
            f"0, got a smallest of {low} and a sum of {total}"
        )


@jax.jit
def _rank(
    edges: Array, jump: Array, damping: Array, tol: Array, max_iterations: Array
) -> PageRank:
    jump = jump.astype(jnp.result_type(float))
    damping, tol = jnp.asarray(damping, jump.dtype), jnp.asarray(tol, jump.dtype)
    is_good = jnp.all((edges >= 0) & (edges < len(jump))) & jnp.all(jump >= 0)
    jump = jnp.where(is_good, jump / jnp.sum(jump), jnp.nan)
    source, target, share, is_dangling = _prepare_edges(edges, jump)

    def follow(scores: Array) -> Array:
        """Where `scores` are a step later, without the jumps from everywhere."""
        arrived = _add_up(scores[source] * share, target, len(scores))
        return damping * (arrived + jnp.sum(jnp.where(is_dangling, scores, 0)) * jump)

    def bound(change: Array, count: Array) -> Array:
        # Each later change is at most `damping` times the one before; NaN stays.
        later = jnp.sum(jnp.abs(change)) * damping / (1 - damping)
        return jnp.minimum(later, 2 * damping ** count.astype(damping.dtype))

    def advance(state: _State) -> _State:
        change = follow(state.change)
        added = change - state.lost
        scores = state.scores + added
        lost = (scores - state.scores) - added
        return _State(scores, lost, change, state.num_iterations + 1)

    def is_running(state: _State) -> Array:
        is_far = bound(state.change, state.num_iterations) > tol  # False at NaN
        return is_far & (state.num_iterations < max_iterations)

    change = follow(jump) - damping * jump
    first = _State(jump + change, jnp.zeros_like(jump), change, jnp.int32(1))
    end = lax.while_loop(is_running, advance, first)
    scores = jnp.maximum(end.scores - end.lost, 0)
    error = bound(end.change, end.num_iterations)
    return PageRank(scores / jnp.sum(scores), end.num_iterations, error, error <= tol)


def _add_up(sent: Array, target: Array, num_nodes: int) -> Array:
    """Sums by target, whose rounding errors do not grow with the number of terms.

    A thousand terms one after another, many of them equal, err by a thousand times
    eps; the leading bits of all terms, on one grid, add up exactly.
    """
    _, exponent = jnp.frexp(jnp.sum(jnp.abs(sent)))
    unit = jnp.ldexp(jnp.ones((), sent.dtype), exponent - jnp.finfo(sent.dtype).nmant)
    leading = jnp.round(sent / unit) * unit
    parts = jnp.stack([leading, sent - leading], axis=1)
    sums = jax.ops.segment_sum(parts, target, num_nodes, indices_are_sorted=True)
    return sums[:, 0] + sums[:, 1]


def _prepare_edges(edges: Array, jump: Array):
    """Edges by target, the share of its source's score each carries, and dead ends."""
    num_nodes, dtype = len(jump), jump.dtype
    order = jnp.lexsort((edges[:, 0], edges[:, 1]))
    source, target = edges[order, 0], edges[order, 1]
    is_new = jnp.ones(len(edges), bool)
    is_repeated = (source[1:] == source[:-1]) & (target[1:] == target[:-1])
    is_new = is_new.at[1:].set(~is_repeated)
    degree = jax.ops.segment_sum(is_new.astype(jnp.int32), source, num_nodes)
    degrees = jnp.maximum(degree, 1)[source].astype(dtype)
    return source, target, jnp.where(is_new, 1 / degrees, 0), degree == 0
