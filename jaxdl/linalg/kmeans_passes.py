"""Passes over all examples for `kmeans`: chunk by chunk, on one device or on many.

Every function works on the examples that one device holds. `axes` names the mesh axes
that they are split over (none: one device holds them all); what all devices must agree
on is summed or gathered over them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.typing import Array

Axes = tuple[str, ...]

BLOCK = 128
"""Chunks hold a multiple of so many points."""


class Points(NamedTuple):
    """Examples centred, scaled and filled up with points of weight 0."""

    x: Array
    """(columns, points): products with centres and distances are faster this way."""
    weights: Array
    """(points,)."""
    norms: Array
    """(points,): squared lengths."""
    mean: Array
    """(columns,): what was subtracted."""
    scale: Array
    """A power of two by which the differences were divided: squares stay finite."""
    variance: Array
    """Mean over the columns, of the scaled points."""


class Totals(NamedTuple):
    """What the points of each cluster add up to."""

    sums: Array
    """(clusters, columns): weighted."""
    mass: Array
    """(clusters,): sums of the weights."""
    members: Array
    """(clusters,): points with a weight above 0; counted, so never off by rounding as
    `mass` may be."""


def choose_chunk_size(num_points: int, num_clusters: int, *, elements: int) -> int:
    """Points per chunk, for about `elements` distances at a time.

    Example:
      >>> choose_chunk_size(50_000, 100, elements=2**19)
      5120
    """
    chunks = max(1, round(num_points * num_clusters / elements))
    return -(-num_points // (chunks * BLOCK)) * BLOCK


def sum_devices(values, axes: Axes):
    """Sums each array of a tree over the devices that share the examples."""
    return jax.lax.psum(values, axes) if axes else values


def sum_points(values: Array, axes: Axes) -> Array:
    """Sums over all points, the last axis, of all devices.

    In two levels: one running float32 sum over many millions would stand still.
    """
    blocks = values.reshape(*values.shape[:-1], -1, BLOCK).sum(axis=-1)
    return sum_devices(blocks.sum(axis=-1), axes)


def gather_devices(values: Array, axes: Axes) -> Array:
    """All devices' values one after the other, along the first axis."""
    return jax.lax.all_gather(values, axes, tiled=True) if axes else values


def arrange_points(x: Array, weights: Array, size: int, axes: Axes) -> Points:
    """Centres, scales and turns the rows of `x`, filled up to a multiple of `size`.

    Centring first keeps |x|^2 - 2xc + |c|^2 accurate where the data lie far from 0.
    """
    padding = -len(x) % size
    x = jnp.pad(x, ((0, padding), (0, 0)))
    weights = jnp.pad(weights, (0, padding))
    total = sum_points(weights, axes)
    weighted = x * (weights / total)[:, None]
    blocks = weighted.reshape(-1, BLOCK, x.shape[1]).sum(axis=1)
    mean = sum_devices(blocks.sum(axis=0), axes)
    x = jnp.where(weights[:, None] > 0, x - mean[None], 0)
    largest = jnp.abs(x).max()
    largest = jax.lax.pmax(largest, axes) if axes else largest
    scale = jnp.ldexp(jnp.ones((), x.dtype), jnp.frexp(largest)[1])
    # Apart from the arithmetic, turning the rows is six times faster on CPU.
    x = jax.lax.optimization_barrier(x / scale)
    norms = jnp.square(x).sum(axis=1)
    variance = sum_points(norms * weights, axes) / (total * x.shape[1])
    return Points(x.T, weights, norms, mean, scale, variance)


def square_norms(x: Array) -> Array:
    """Squared lengths of the columns."""
    return jnp.square(x).sum(axis=0)


def _map_chunks(visit: Callable, size: int, *arrays: Array):
    """Applies `visit` to pieces of `size` of the last axes; joins what it returns."""

    def visit_piece(start: Array):
        cut = lambda a: jax.lax.dynamic_slice_in_dim(a, start, size, a.ndim - 1)
        return visit(*map(cut, arrays))

    starts = jnp.arange(0, arrays[0].shape[-1], size)
    return jax.tree.map(jnp.ravel, jax.lax.map(visit_piece, starts))


def find_nearest(x: Array, centers: Array, *, size: int) -> tuple[Array, Array]:
    """The nearest centre of every point, the first of equals, and |c|^2 / 2 - xc.

    The minimum is taken twice instead of asking for the argmin, which XLA's CPU backend
    runs one element at a time.

    Args:
      x: (columns, points).
      centers: (clusters, columns).
      size: points per chunk; divides the points.

    Returns:
      Two arrays, (points,).
    """
    halves = square_norms(centers.T)[:, None] / 2
    last = len(centers) - 1

    def visit(chunk: Array) -> tuple[Array, Array]:
        scores = halves - centers @ chunk
        best = scores.min(axis=0, keepdims=True)
        index = jax.lax.broadcasted_iota(jnp.int32, scores.shape, 0)
        # NaN equals nothing: the last centre takes such points.
        return jnp.where(scores == best, index, last).min(axis=0), best[0]

    return _map_chunks(visit, size, x)


def measure(x: Array, centers: Array, labels: Array, *, size: int) -> Array:
    """Squared distances to the labelled centres, from differences: no cancellation."""
    visit = lambda chunk, labels: square_norms(chunk - centers[labels].T)
    return _map_chunks(visit, size, x, labels)


def add_up(
    x: Array,
    weights: Array,
    labels: Array,
    num_clusters: int,
    *,
    size: int,
    without: Array | None = None,
) -> Totals:
    """Sums of the points, per cluster, as products with matrices of zeros and ones.

    Args:
      x: (columns, points).
      weights: (points,).
      labels: (points,), the clusters that the points are added to.
      num_clusters: how many there are.
      size: points per chunk; divides the points.
      without: (points,), the clusters that they are taken from; of none by default.

    Returns:
      The totals.
    """

    def visit(totals: Totals, start: Array):
        cut = lambda a: jax.lax.dynamic_slice_in_dim(a, start, size, a.ndim - 1)
        share = lambda labels: jnp.where(
            jnp.arange(num_clusters, dtype=jnp.int32)[:, None] == cut(labels)[None],
            cut(weights)[None],
            0,
        )
        shares = share(labels)
        members = (shares > 0).sum(axis=1, dtype=jnp.int32)
        if without is not None:
            old = share(without)
            shares = shares - old
            members = members - (old > 0).sum(axis=1, dtype=jnp.int32)
        new = Totals(shares @ cut(x).T, shares.sum(axis=1), members)
        return jax.tree.map(jnp.add, totals, new), None

    starts = jnp.arange(0, len(labels), size)
    return jax.lax.scan(visit, no_totals(num_clusters, x), starts)[0]


def no_totals(num_clusters: int, x: Array) -> Totals:
    """Nothing added up yet."""
    return Totals(
        jnp.zeros((num_clusters, len(x)), x.dtype),
        jnp.zeros(num_clusters, x.dtype),
        jnp.zeros(num_clusters, jnp.int32),
    )


def add_changes(
    points: Points, old: Array, new: Array, num_clusters: int, *, room: int, size: int
) -> Totals:
    """What the points that changed cluster, at most `room`, add to the totals."""
    size = min(size, -(-room // BLOCK) * BLOCK)
    room = -(-room // size) * size
    changed = (old != new) & (points.weights > 0)
    (index,) = jnp.nonzero(changed, size=room, fill_value=len(old))
    take = lambda a: a.at[..., index].get(mode="fill", fill_value=0)
    x, weights, new, old = map(take, (points.x, points.weights, new, old))
    return add_up(x, weights, new, num_clusters, size=size, without=old)


def reseed(
    centers: Array, empty: Array, points: Points, scores: Array, axes: Axes
) -> Array:
    """Moves the empty clusters' centres to the points farthest from their own centre.

    Points that lie on their centre, up to rounding, are left alone: with fewer distinct
    points than clusters some clusters stay empty.

    Args:
      centers: (clusters, columns).
      empty: (clusters,), which have no member.
      points: the examples.
      scores: (points,), |c|^2 / 2 - xc of each point and its centre.
      axes: mesh axes of the points.

    Returns:
      The centres.
    """
    norms = points.norms
    distances = norms + 2 * scores
    rounding = 16 * jnp.finfo(norms.dtype).eps * (norms + norms.max())
    used = (points.weights > 0) & (distances > rounding)
    count = min(len(centers), len(norms))
    far, index = jax.lax.top_k(jnp.where(used, distances, -1), count)
    chosen = points.x[:, index].T
    if axes:
        chosen, far = gather_devices(chosen, axes), gather_devices(far, axes)
        far, order = jax.lax.top_k(far, min(len(centers), len(far)))
        chosen = chosen[order]
    rank = jnp.clip(jnp.cumsum(empty) - 1, 0, len(far) - 1)
    moved = empty & (far[rank] > 0)
    return jnp.where(moved[:, None], chosen[rank], centers)
