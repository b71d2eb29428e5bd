"""The iterations of `kmeans`: over all examples, or over small batches."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.linalg.kmeans_passes import (
    Axes,
    Points,
    Totals,
    add_changes,
    add_up,
    find_nearest,
    no_totals,
    reseed,
    sum_devices,
)
from jaxdl.typing import Array, PRNGKey

REFRESH_EVERY = 16
"""Iterations after which the totals are added up anew, without old rounding errors."""

ROOMS = (4, 32)
"""If at most one in so many points changes cluster, the totals are only corrected."""


class Limits(NamedTuple):
    """When to stop."""

    max_iterations: Array
    tol: Array
    """Bound of the squared shift, relative to the variance."""


class Outcome(NamedTuple):
    """Where the iterations ended."""

    centers: Array
    num_iterations: Array
    converged: Array


class _State(NamedTuple):
    centers: Array
    labels: Array
    totals: Totals
    shift: Array
    """Sum over the centres of the squared distance they last moved by."""
    fresh: Array
    """Whether the totals were added up for these labels, not corrected."""
    num_iterations: Array


def iterate_lloyd(
    points: Points, centers: Array, limits: Limits, *, size: int, axes: Axes
) -> Outcome:
    """Lloyd's iterations: nearest centres, then means.

    After the first few iterations hardly any point changes cluster. The totals are then
    corrected by those that do, which saves half the work; that they are exact is made
    sure of before the end.
    """
    x, weights, num_clusters = points.x, points.weights, len(centers)
    limit = limits.tol * points.variance

    def step(state: _State) -> _State:
        labels, scores = find_nearest(x, state.centers, size=size)
        changes = ((labels != state.labels) & (weights > 0)).sum()
        changes = jax.lax.pmax(changes, axes) if axes else changes
        settled = (state.shift <= limit) & ~state.fresh
        anew = settled | (state.num_iterations % REFRESH_EVERY == 0)
        added, corrected = _add(
            points, state.labels, labels, changes, num_clusters, anew=anew, size=size
        )
        keep = lambda old, new: jnp.where(corrected, old, 0) + new
        totals = jax.tree.map(keep, state.totals, sum_devices(added, axes))
        centers = _move(state.centers, totals, points, scores, axes)
        shift = jnp.square(centers - state.centers).sum()
        fresh = ~corrected | (state.fresh & (changes == 0))
        return _State(centers, labels, totals, shift, fresh, state.num_iterations + 1)

    def goes_on(state: _State) -> Array:
        # NaN stops at once: it is neither above the limit nor below.
        moving = (state.shift > limit) | ~state.fresh
        return moving & (state.num_iterations < limits.max_iterations)

    start = _State(
        centers,
        jnp.full(weights.shape, -1, jnp.int32),
        no_totals(num_clusters, x),
        jnp.asarray(jnp.inf, x.dtype),
        jnp.asarray(False),
        jnp.asarray(0, jnp.int32),
    )
    end = jax.lax.while_loop(goes_on, step, start)
    return Outcome(end.centers, end.num_iterations, (end.shift <= limit) & end.fresh)


def _add(
    points: Points,
    old: Array,
    new: Array,
    changes: Array,
    num_clusters: int,
    *,
    anew: Array,
    size: int,
) -> tuple[Totals, Array]:
    """Totals of all points, or of the changes, and whether they are of the changes."""
    rooms = [max(1, len(old) // part) for part in ROOMS]

    def correct(room: int) -> Callable[[], Totals]:
        return lambda: add_changes(points, old, new, num_clusters, room=room, size=size)

    level = sum((changes <= room).astype(jnp.int32) for room in rooms)
    level = jnp.where(anew, 0, level)
    everything = lambda: add_up(points.x, points.weights, new, num_clusters, size=size)
    added = jax.lax.switch(level, [everything, *map(correct, rooms)])
    return added, level > 0


def _move(
    centers: Array, totals: Totals, points: Points, scores: Array, axes: Axes
) -> Array:
    """The means; those of clusters without points go to the farthest points."""
    empty = totals.members == 0
    mass = jnp.where(empty, 1, totals.mass)[:, None]
    means = jnp.where(empty[:, None], centers, totals.sums / mass)
    rescue = lambda: reseed(means, empty, points, scores, axes)
    return jax.lax.cond(empty.any(), rescue, lambda: means)


class _Pass(NamedTuple):
    centers: Array
    mass: Array
    """What each centre is the running mean of."""
    shift: Array
    num_iterations: Array
    key: PRNGKey


def iterate_batches(
    points: Points,
    centers: Array,
    num_points: int,
    limits: Limits,
    *,
    batch_size: int,
    key: PRNGKey,
) -> Outcome:
    """Passes over shuffled batches; a centre is the mean of all it was ever nearest to.

    Args:
      points: the examples.
      centers: to start from.
      num_points: those that are no fillers.
      limits: passes, and what they must move the centres by to go on.
      batch_size: points per batch; a pass' last batch is filled from its first.
      key: a key.

    Returns:
      The last centres.
    """
    steps = -(-num_points // batch_size)
    limit = limits.tol * points.variance
    take = lambda index: points._replace(
        x=points.x[:, index],
        weights=points.weights[index],
        norms=points.norms[index],
    )

    def step(carry: tuple[Array, Array, Array], index: Array):
        centers, mass, members = carry
        batch = take(index)
        labels, scores = find_nearest(batch.x, centers, size=batch_size)
        totals = add_up(batch.x, batch.weights, labels, len(centers), size=batch_size)
        mass = mass + totals.mass
        pull = totals.sums - totals.mass[:, None] * centers
        centers = centers + pull / jnp.where(mass > 0, mass, 1)[:, None]
        return (centers, mass, members + totals.members), scores

    def run_pass(state: _Pass) -> _Pass:
        key, shuffle = jax.random.split(state.key)
        order = jax.random.permutation(shuffle, num_points)
        order = jnp.resize(order, (steps, batch_size))
        members = jnp.zeros(len(centers), jnp.int32)
        (moved, mass, members), scores = jax.lax.scan(
            step, (state.centers, state.mass, members), order
        )
        moved = reseed(moved, members == 0, take(order[-1]), scores[-1], ())
        mass = jnp.where(members == 0, 0, mass)
        shift = jnp.square(moved - state.centers).sum()
        return _Pass(moved, mass, shift, state.num_iterations + 1, key)

    goes_on = lambda s: (s.shift > limit) & (s.num_iterations < limits.max_iterations)
    start = _Pass(
        centers,
        jnp.zeros(len(centers), centers.dtype),
        jnp.asarray(jnp.inf, centers.dtype),
        jnp.asarray(0, jnp.int32),
        key,
    )
    end = jax.lax.while_loop(goes_on, run_pass, start)
    return Outcome(end.centers, end.num_iterations, end.shift <= limit)
