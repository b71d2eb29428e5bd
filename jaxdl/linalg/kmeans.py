"""k-means clustering: k-means++ and Lloyd's iterations, or small batches."""

import math
from typing import Literal

import jax.numpy as jnp
from jax.core import Tracer

from jaxdl.linalg.arrays import as_matrix, check_finite, full_precision
from jaxdl.linalg.kmeans_fit import (
    KMeans,
    Settings,
    arrange,
    assign_points,
    choose_points,
    find_split,
    fit_clusters,
)
from jaxdl.linalg.kmeans_loops import Limits
from jaxdl.typing import Array, Float, Int, PRNGKey, Shaped

Init = Literal["k-means++", "plain k-means++"]


@full_precision
def kmeans(
    x: Shaped[Array, "rows columns"],
    num_clusters: int,
    *,
    num_restarts: int = 1,
    max_iterations: int = 100,
    tol: float = 1e-4,
    batch_size: int | None = None,
    init: Init | Shaped[Array, "clusters columns"] = "k-means++",
    sample_weight: Shaped[Array, "rows"] | None = None,
    key: PRNGKey,
) -> KMeans:
    """Centres that are near to all examples, and which example belongs to which.

    Rows that are split over a device mesh stay where they are; only centres and sums
    travel. Under `jit` the same holds if XLA finds it: there the split is not known
    while tracing. No table of all examples by all clusters is ever made.

    A cluster that loses all its examples starts again at the example farthest from its
    centre. With fewer distinct examples than clusters, the centres left over repeat
    examples and own none.

    Args:
      x: examples, one per row. Float64 is kept, other dtypes become float32.
      num_clusters: k, from 1 to the number of rows.
      num_restarts: fits from new first centres, of which the best is kept.
      max_iterations: at most so many iterations, or passes over small batches.
      tol: stop when the squared distances that the centres moved by in an iteration
        add up to at most `tol` times the mean variance of the columns.
      batch_size: examples per small batch; None uses all in every iteration. Batches
        are drawn in a new order for every pass.
      init: "k-means++" draws 2 + log(k) candidates per centre and keeps the best;
        "plain k-means++" draws one. Or the first centres themselves.
      sample_weight: 0 or more, how often each example counts; 1 by default. Those of
        weight 0 change nothing.
      key: a key; not used when `init` holds centres and all examples are used.

    Returns:
      The clusters. Distances are accurate wherever the examples lie: they are
      centred first. NaN where `x` holds any under `jit`.

    Raises:
      ValueError: a number out of its range, more clusters than rows, centres or
        weights of the wrong shape, restarts of given centres, NaN or infinity.

    Source:
      Lloyd (1982); Arthur and Vassilvitskii (2007), k-means++; Sculley (2010), small
      batches. Candidates and stopping as in scikit-learn.

    Example:
      >>> import jax
      >>> x = jnp.array([[0.0], [1.0], [10.0], [11.0]])
      >>> fit = kmeans(x, 2, key=jax.random.key(0))
      >>> sorted(fit.centers.ravel().tolist())
      [0.5, 10.5]
    """
    x = as_matrix("kmeans", x)
    centers = None if isinstance(init, str) else as_matrix("kmeans", init)
    _check_numbers(x, num_clusters, num_restarts, max_iterations, tol, batch_size)
    weights = _check_weights("kmeans", x, sample_weight)
    num_trials = 1
    if centers is not None:
        if centers.shape != (num_clusters, x.shape[1]):
            raise ValueError(
                f"kmeans: init has shape {centers.shape}, wanted "
                f"{(num_clusters, x.shape[1])}, num_clusters by the columns of x"
            )
        if num_restarts > 1:
            raise ValueError(
                f"kmeans: num_restarts={num_restarts} fits from the same init would "
                "be the same; wanted 1"
            )
        centers = centers.astype(x.dtype)
    elif init == "k-means++":
        num_trials = _count_trials(num_clusters)
    elif init != "plain k-means++":
        raise ValueError(
            f"kmeans: init={init!r}, wanted 'k-means++', 'plain k-means++' or centres"
        )
    settings = Settings(num_clusters, num_trials, num_restarts, batch_size)
    limits = Limits(jnp.int32(max_iterations), jnp.asarray(tol, x.dtype))
    # A batch is drawn from all rows: XLA moves them between devices as needed.
    split = find_split(x) if batch_size is None else (None, ())
    points, layout = arrange(x, weights, num_clusters, *split)
    return fit_clusters(points, centers, limits, key, settings=settings, layout=layout)


@full_precision
def choose_centers(
    x: Shaped[Array, "rows columns"],
    num_clusters: int,
    *,
    num_trials: int | None = None,
    sample_weight: Shaped[Array, "rows"] | None = None,
    key: PRNGKey,
) -> Int[Array, "clusters"]:
    """Examples that lie far from each other, drawn by k-means++.

    Args:
      x: examples, one per row.
      num_clusters: examples to choose, from 1 to the number of rows. They are distinct
        rows unless fewer rows differ.
      num_trials: candidates drawn for each, of which the best is kept; 1 is the plain
        k-means++ of the paper, None takes 2 + log(num_clusters).
      sample_weight: 0 or more, how often each example counts; 1 by default.
      key: a key.

    Returns:
      Which rows were chosen, in the order they were.

    Raises:
      ValueError: a number out of its range, more examples than rows, weights of the
        wrong shape, NaN or infinity.

    Source:
      Arthur and Vassilvitskii (2007).

    Example:
      >>> import jax
      >>> x = jnp.array([[0.0], [0.0], [9.0], [9.0]])
      >>> chosen = choose_centers(x, 2, key=jax.random.key(0))
      >>> sorted(x[chosen, 0].tolist())
      [0.0, 9.0]
    """
    x = as_matrix("choose_centers", x)
    _check_count("choose_centers", x, num_clusters)
    if num_trials is None:
        num_trials = _count_trials(num_clusters)
    if num_trials < 1:
        raise ValueError(f"choose_centers: num_trials={num_trials}, wanted 1 or more")
    weights = _check_weights("choose_centers", x, sample_weight)
    points, layout = arrange(x, weights, num_clusters, *find_split(x))
    return choose_points(
        points, key, num_clusters, num_trials=num_trials, layout=layout
    )


@full_precision
def assign_clusters(
    x: Shaped[Array, "rows columns"], centers: Shaped[Array, "clusters columns"]
) -> tuple[Int[Array, "rows"], Float[Array, "rows"]]:
    """The nearest centre of every example and the squared distance to it.

    Args:
      x: examples, one per row; they may be split over a device mesh.
      centers: one per row, at least one.

    Returns:
      Indices of the centres, the first of equally near ones, and squared distances.

    Raises:
      ValueError: no centre, not the columns of the examples, NaN or infinity.

    Example:
      >>> nearest, squared = assign_clusters(
      ...     jnp.array([[0.0], [4.0]]), jnp.array([[1.0], [9.0]])
      ... )
      >>> nearest.tolist(), squared.tolist()
      ([0, 0], [1.0, 9.0])
    """
    x = as_matrix("assign_clusters", x)
    centers = as_matrix("assign_clusters", centers).astype(x.dtype)
    if centers.shape[1] != x.shape[1] or not len(centers):
        raise ValueError(
            f"assign_clusters: centers has shape {centers.shape}, wanted one or more "
            f"rows of {x.shape[1]} columns as x has"
        )
    if not len(x):
        return jnp.zeros(0, jnp.int32), jnp.zeros(0, x.dtype)
    weights = jnp.ones_like(x[:, 0])
    points, layout = arrange(x, weights, len(centers), *find_split(x))
    return assign_points(points, centers, layout=layout)


def _count_trials(num_clusters: int) -> int:
    return 2 + int(math.log(num_clusters))


def _check_count(name: str, x: Array, num_clusters: int) -> None:
    if not 1 <= num_clusters <= len(x):
        raise ValueError(
            f"{name}: num_clusters={num_clusters}, wanted 1 to the {len(x)} rows of x"
        )


def _check_numbers(
    x: Array,
    num_clusters: int,
    num_restarts: int,
    max_iterations: int,
    tol: float,
    batch_size: int | None,
) -> None:
    _check_count("kmeans", x, num_clusters)
    for name, value in (
        ("num_restarts", num_restarts),
        ("max_iterations", max_iterations),
        ("batch_size", 1 if batch_size is None else batch_size),
    ):
        if value < 1:
            raise ValueError(f"kmeans: {name}={value}, wanted 1 or more")
    if not tol >= 0:
        raise ValueError(f"kmeans: tol={tol}, wanted 0 or more")


def _check_weights(name: str, x: Array, weights: Array | None) -> Array:
    if weights is None:
        return jnp.ones_like(x[:, 0])
    if weights.shape != (len(x),):
        raise ValueError(
            f"{name}: sample_weight has shape {weights.shape}, wanted ({len(x)},), one "
            "per row of x"
        )
    check_finite(f"{name}: sample_weight", weights)
    if not isinstance(weights, Tracer):
        least, most = float(weights.min()), float(weights.max())
        if least < 0 or most <= 0:
            raise ValueError(
                f"{name}: sample_weight from {least} to {most}, wanted 0 or more, and "
                "some above 0"
            )
    return weights.astype(x.dtype)
