"""The first centres of `kmeans`: k-means++, greedy or plain."""

import jax
import jax.numpy as jnp

from jaxdl.linalg.kmeans_passes import (
    BLOCK,
    Axes,
    Points,
    gather_devices,
    square_norms,
    sum_devices,
    sum_points,
)
from jaxdl.typing import Array, PRNGKey


def seed_centers(
    points: Points, num_clusters: int, num_trials: int, axes: Axes, *, key: PRNGKey
) -> tuple[Array, Array]:
    """Draws centres one by one, with probability weight * squared distance so far.

    Args:
      points: the examples.
      num_clusters: centres to draw.
      num_trials: draws per centre, of which the one that leaves the least is kept.
      axes: mesh axes of the points.
      key: a key.

    Returns:
      The centres, and their positions among all devices' points (fillers counted).
    """
    x, weights, norms = points.x, points.weights, points.norms
    fractions = jax.random.uniform(key, (num_clusters, 2, num_trials), x.dtype)

    def leave(drawn: Array) -> Array:
        """(drawn, points): weighted squared distances to each of the drawn."""
        products = (-2 * drawn) @ x
        distances = norms[None] + products + square_norms(drawn.T)[:, None]
        return weights[None] * jnp.maximum(distances, 0)

    def add(i: Array, state: tuple[Array, Array, Array]):
        centers, positions, left = state
        # The first is drawn by weight alone, as are those after all points lie on one.
        anywhere = (i == 0) | (sum_points(left, axes) == 0)
        chances = jnp.where(anywhere, weights, left)
        drawn = _draw(chances, fractions[i], axes)
        drawn = jnp.where(i == 0, drawn[0], drawn)
        candidates = _fetch(x, drawn, axes).T
        left = jnp.minimum(left[None], leave(candidates))
        best = jnp.argmin(sum_points(left, axes))
        centers = centers.at[i].set(candidates[best])
        return centers, positions.at[i].set(drawn[best]), left[best]

    state = (
        jnp.zeros((num_clusters, len(x)), x.dtype),
        jnp.zeros(num_clusters, jnp.int32),
        jnp.full_like(weights, jnp.inf),
    )
    centers, positions, _ = jax.lax.fori_loop(0, num_clusters, add, state)
    return centers, positions


def _draw(chances: Array, fractions: Array, axes: Axes) -> Array:
    """Positions drawn in proportion to `chances`: first a block, then a point of it.

    One running sum over all points is slower. The fractions have a second, finer part:
    float32 alone could not reach every one of many millions.
    """
    blocks = chances.reshape(-1, BLOCK)
    coarse, fine = fractions
    masses = gather_devices(blocks.sum(axis=1), axes)
    sums = jnp.cumsum(masses)
    targets = coarse * sums[-1]
    block = _first_above(sums[None], masses[None], targets)
    inside = _fetch(blocks.T, block, axes).T
    left = targets - (sums - masses)[block]
    left = left + fine * jnp.finfo(fine.dtype).eps * sums[-1]
    return block * BLOCK + _first_above(jnp.cumsum(inside, axis=1), inside, left)


def _first_above(sums: Array, masses: Array, targets: Array) -> Array:
    """Per target, the first entry with mass whose running sum is above it."""
    hit = (sums > targets[:, None]) & (masses > 0)
    # Rounding may leave no hit for targets next to the whole.
    last = jnp.broadcast_to(masses, hit.shape).argmax(axis=1)
    return jnp.where(hit.any(axis=1), hit.argmax(axis=1), last).astype(jnp.int32)


def _fetch(x: Array, positions: Array, axes: Axes) -> Array:
    """Columns by their position among all devices' columns."""
    if not axes:
        return x[:, positions]
    local = positions - jax.lax.axis_index(axes) * x.shape[1]
    mine = (local >= 0) & (local < x.shape[1])
    found = x.at[:, local].get(mode="clip")
    return sum_devices(jnp.where(mine[None], found, 0), axes)
