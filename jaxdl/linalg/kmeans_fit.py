"""How `kmeans` lays out the examples and what it compiles for them."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.linalg.kmeans_loops import Limits, Outcome, iterate_batches, iterate_lloyd
from jaxdl.linalg.kmeans_passes import (
    Axes,
    Points,
    arrange_points,
    choose_chunk_size,
    find_nearest,
    measure,
    sum_points,
)
from jaxdl.linalg.kmeans_seeding import seed_centers
from jaxdl.typing import Array, Bool, Float, Int, PRNGKey

_ELEMENTS = {"one": 2**19, "several": 2**17, "accelerator": 2**24}
"""Distances per chunk. CPU caches want few; CPU devices that share a cache, fewer."""

_ALL = PartitionSpec()
"""The same on every device."""


class KMeans(NamedTuple):
    """Clusters of examples."""

    centers: Float[Array, "clusters columns"]
    assignments: Int[Array, "rows"]
    """The nearest centre of every example; the first of equally near ones."""
    inertia: Float[Array, ""]
    """Sum of the weighted squared distances of the examples to their centres."""
    num_iterations: Int[Array, ""]
    """Of the best restart; passes where `batch_size` was given."""
    converged: Bool[Array, ""]
    """Whether the centres stopped moving before `max_iterations`."""


class Settings(NamedTuple):
    """What a compiled fit depends on."""

    num_clusters: int
    num_trials: int
    num_restarts: int
    batch_size: int | None


class Layout(NamedTuple):
    """Where the points are, seen from one device."""

    num_rows: int
    """That it holds, without fillers."""
    size: int
    """Points per chunk."""
    mesh: Mesh | None
    axes: Axes
    """Of the mesh, over which the rows are split."""

    @property
    def split(self) -> PartitionSpec:
        """Of an array with one entry per row."""
        return PartitionSpec(self.axes)


def find_split(x: Array) -> tuple[Mesh | None, Axes]:
    """The mesh and its axes that the rows are split over; none if hidden by `jit`."""
    sharding = None if isinstance(x, Tracer) else x.sharding
    if not isinstance(sharding, NamedSharding) or not sharding.spec:
        return None, ()
    axes = sharding.spec[0]
    axes = (axes,) if isinstance(axes, str) else tuple(axes or ())
    mesh = sharding.mesh
    if not isinstance(mesh, Mesh) or all(mesh.shape[axis] == 1 for axis in axes):
        return None, ()
    return mesh, axes


def arrange(
    x: Array, weights: Array, num_clusters: int, mesh: Mesh | None, axes: Axes
) -> tuple[Points, Layout]:
    """The points, compiled apart: in one piece, XLA would undo that they are turned."""
    parts = math.prod(mesh.shape[axis] for axis in axes) if mesh else 1
    kind = "several" if axes else "one"
    if jax.default_backend() != "cpu":
        kind = "accelerator"
    num_rows = len(x) // parts
    size = choose_chunk_size(num_rows, num_clusters, elements=_ELEMENTS[kind])
    layout = Layout(num_rows, size, mesh, axes)
    return _turn(x, weights, layout=layout), layout


def _over_devices(function, layout: Layout, in_specs, out_specs):
    """`function` as each device runs it on its own rows."""
    if layout.mesh is None:
        return function
    return jax.shard_map(
        function,
        mesh=layout.mesh,
        in_specs=in_specs,
        out_specs=out_specs,
        check_vma=False,
    )


def _point_specs(split: PartitionSpec) -> Any:
    specs: Any = Points
    return specs(PartitionSpec(None, *split), split, split, _ALL, _ALL, _ALL)


@functools.partial(jax.jit, static_argnames="layout")
def _turn(x: Array, weights: Array, *, layout: Layout) -> Points:
    run = lambda x, weights: arrange_points(x, weights, layout.size, layout.axes)
    split = layout.split
    return _over_devices(run, layout, (split, split), _point_specs(split))(x, weights)


@functools.partial(jax.jit, static_argnames=("settings", "layout"))
def fit_clusters(
    points: Points,
    centers: Array | None,
    limits: Limits,
    key: PRNGKey,
    *,
    settings: Settings,
    layout: Layout,
) -> KMeans:
    """k-means, from the centres given or drawn ones."""
    num_rows, size, _, axes = layout

    def fit(
        points: Points, centers: Array | None, limits: Limits, key: PRNGKey
    ) -> KMeans:
        if centers is not None:
            centers = (centers - points.mean[None]) / points.scale
        keys = jax.random.split(key, settings.num_restarts)
        run = lambda key: _run_once(points, centers, limits, settings, layout, key=key)
        once = settings.num_restarts == 1
        best = run(keys[0]) if once else _keep_best(run, points, layout, keys=keys)
        labels, _ = find_nearest(points.x, best.centers, size=size)
        distances = measure(points.x, best.centers, labels, size=size)
        inertia = sum_points(points.weights * distances, axes)
        return KMeans(
            best.centers * points.scale + points.mean[None],
            labels[:num_rows],
            inertia * jnp.square(points.scale),
            best.num_iterations,
            best.converged,
        )

    in_specs = (_point_specs(layout.split), _ALL, _ALL, _ALL)
    out_specs = (_ALL, layout.split, _ALL, _ALL, _ALL)
    run = _over_devices(
        lambda *inputs: tuple(fit(*inputs)), layout, in_specs, out_specs
    )
    return KMeans(*run(points, centers, limits, key))


def _run_once(
    points: Points,
    centers: Array | None,
    limits: Limits,
    settings: Settings,
    layout: Layout,
    *,
    key: PRNGKey,
) -> Outcome:
    num_rows, size, _, axes = layout
    seeds, batches = jax.random.split(key)
    if centers is None:
        num_clusters, num_trials = settings.num_clusters, settings.num_trials
        centers, _ = seed_centers(points, num_clusters, num_trials, axes, key=seeds)
    if settings.batch_size is None:
        return iterate_lloyd(points, centers, limits, size=size, axes=axes)
    batch_size = min(settings.batch_size, num_rows)
    return iterate_batches(
        points, centers, num_rows, limits, batch_size=batch_size, key=batches
    )


def _keep_best(
    run: Callable[[PRNGKey], Outcome], points: Points, layout: Layout, *, keys: Array
) -> Outcome:
    """The restart that ends with the least inertia; the first of equals."""

    def visit(best: tuple[Outcome, Array], key: PRNGKey):
        new = run(key)
        _, scores = find_nearest(points.x, new.centers, size=layout.size)
        # That |x|^2 is missing is the same for all.
        inertia = sum_points(points.weights * scores, layout.axes)
        better = ~(inertia >= best[1])
        pick = lambda a, b: jnp.where(better, a, b)
        return jax.tree.map(pick, (new, inertia), best), None

    shapes = jax.eval_shape(run, keys[0])
    worst = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    infinite = jnp.asarray(jnp.inf, points.x.dtype)
    return jax.lax.scan(visit, (worst, infinite), keys)[0][0]


@functools.partial(jax.jit, static_argnames=("num_clusters", "num_trials", "layout"))
def choose_points(
    points: Points,
    key: PRNGKey,
    num_clusters: int,
    *,
    num_trials: int,
    layout: Layout,
) -> Array:
    """Which rows k-means++ draws."""

    def choose(points: Points, key: PRNGKey) -> Array:
        _, positions = seed_centers(
            points, num_clusters, num_trials, layout.axes, key=key
        )
        # Every device's fillers stand behind its own rows.
        device, row = jnp.divmod(positions, len(points.weights))
        return device * layout.num_rows + row

    in_specs = (_point_specs(layout.split), _ALL)
    return _over_devices(choose, layout, in_specs, _ALL)(points, key)


@functools.partial(jax.jit, static_argnames="layout")
def assign_points(
    points: Points, centers: Array, *, layout: Layout
) -> tuple[Array, Array]:
    """Every point's nearest centre and the squared distance."""

    def assign(points: Points, centers: Array) -> tuple[Array, Array]:
        scaled = (centers - points.mean[None]) / points.scale
        labels, _ = find_nearest(points.x, scaled, size=layout.size)
        distances = measure(points.x, scaled, labels, size=layout.size)
        distances = distances * jnp.square(points.scale)
        return labels[: layout.num_rows], distances[: layout.num_rows]

    in_specs = (_point_specs(layout.split), _ALL)
    out_specs = (layout.split, layout.split)
    return _over_devices(assign, layout, in_specs, out_specs)(points, centers)
