"""Numbers about the centres and the metric of a trained head, on the host."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, roc_auc_score

from jaxdl.layers import RBFHead, RBFParts, squared_distances

_QUERIES = 64
"""Queries at a time: a table of all distances could fill the memory."""


class Described(NamedTuple):
    """What a network says of a split, one row per example."""

    label: np.ndarray
    prediction: np.ndarray
    confidence: np.ndarray
    embeddings: np.ndarray
    squared_distances: np.ndarray
    activations: np.ndarray

    def take(self, rows: np.ndarray) -> "Described":
        """Those examples alone."""
        return Described(*(column[rows] for column in self))


def count_classes(described: Described, num_classes: int) -> np.ndarray:
    """Of each centre, how many of the images nearest to it are of each class.

    Args:
      described: of a split.
      num_classes: of the labels.

    Returns:
      Counts, (centers, classes).
    """
    counts = np.zeros((described.squared_distances.shape[1], num_classes), np.int64)
    np.add.at(counts, (described.squared_distances.argmin(1), described.label), 1)
    return counts


def purity(counts: np.ndarray) -> float:
    """Share of images that are of their centre's most frequent class.

    Args:
      counts: from `count_classes`.

    Returns:
      In [0, 1].

    Example:
      >>> purity(np.array([[3, 1], [0, 4]]))
      0.875
    """
    return float(counts.max(axis=1).sum() / max(counts.sum(), 1))


class CenterUse(NamedTuple):
    """How images are spread over the centres nearest to them.

    Attributes:
      used_centers: centres with at least one image.
      effective_centers: the exponential of the entropy of the shares: as many centres
        with equally many images each would be as uncertain; in [1, centers].
      largest_center_share: of the images, those at the centre with most of them.
      adjusted_mutual_information: of centre and class; 1 where each tells the other,
        about 0 where the assignment ignores the classes.
    """

    used_centers: int
    effective_centers: float
    largest_center_share: float
    adjusted_mutual_information: float


def measure_use(counts: np.ndarray) -> CenterUse:
    """How many centres are in use, and whether images meet there by their classes.

    Args:
      counts: of at least one image, from `count_classes`.

    Returns:
      Numbers about the assignment of the images to centres.

    Source:
      Vinh, Epps and Bailey 2010, JMLR 11:2837, with the mean of the entropies in the
      denominator, as scikit-learn computes it.

    Example:
      >>> use = measure_use(np.array([[2, 0], [0, 2], [0, 0]]))
      >>> use.used_centers, round(use.effective_centers, 6)
      (2, 2.0)
      >>> use.largest_center_share, round(use.adjusted_mutual_information, 6)
      (0.5, 1.0)
    """
    sizes = counts.sum(axis=1)
    shares = sizes[sizes > 0] / sizes.sum()
    centers, labels = np.indices(counts.shape).reshape(2, -1)
    repeats = counts.ravel()
    information = adjusted_mutual_info_score(
        np.repeat(labels, repeats), np.repeat(centers, repeats)
    )
    return CenterUse(
        used_centers=len(shares),
        effective_centers=float(np.exp(-np.sum(shares * np.log(shares)))),
        largest_center_share=float(shares.max()),
        adjusted_mutual_information=float(information),
    )


def nearest_accuracy(counts: np.ndarray, described: Described) -> float:
    """Share of images whose nearest centre is one of their class.

    A centre's class is the most frequent one of its training images; no output weight
    takes part in it. Centres without any are passed over.

    Args:
      counts: of the train split, from `count_classes`.
      described: of the split to score.

    Returns:
      In [0, 1].
    """
    is_used = counts.sum(axis=1) > 0
    distances = np.where(is_used[None], described.squared_distances, np.inf)
    return float(np.mean(counts.argmax(1)[distances.argmin(1)] == described.label))


def unknown_scores(described: Described, parts: RBFParts) -> np.ndarray:
    """How far images are from all centres: the least distance over the width.

    Args:
      described: of the images.
      parts: of the head.

    Returns:
      At least 0; higher means more unknown.
    """
    scaled = described.squared_distances / np.square(np.asarray(parts.widths))
    return np.sqrt(scaled.min(axis=1))


def measure_separation(known: np.ndarray, unknown: np.ndarray) -> float:
    """Area under the curve by which scores tell unknown from known images.

    Args:
      known: scores.
      unknown: likewise; higher is taken for unknown.

    Returns:
      In [0, 1]; 0.5 for scores that tell nothing.

    Example:
      >>> measure_separation(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
      1.0
    """
    is_unknown = np.repeat([0, 1], [len(known), len(unknown)])
    return float(roc_auc_score(is_unknown, np.concatenate([known, unknown])))


def measure_distances(
    queries: np.ndarray, examples: np.ndarray, head: RBFHead, parts: RBFParts
) -> np.ndarray:
    """Squared distances of embeddings under the learned metric.

    Where each centre has a metric of its own, that of the centre nearest to the query.

    Args:
      queries: embeddings.
      examples: embeddings to compare with.
      head: tells whose the metric is.
      parts: of the head.

    Returns:
      (queries, examples).
    """
    parts = jax.tree.map(jnp.asarray, parts)
    options: dict[str, Any] = {
        name: getattr(parts, name)
        for name in ("weights", "transforms")
        if getattr(parts, name) is not None
    }
    tables = []
    for start in range(0, len(queries), _QUERIES):
        some = jnp.asarray(queries[start : start + _QUERIES])
        own = options
        if head.per_center_metric:
            near = jnp.argmin(squared_distances(some, parts.centers, **options), axis=1)
            own = {name: matrix[near] for name, matrix in options.items()}
        # Queries in the place of centres: each may have a metric of its own.
        tables.append(np.asarray(_measure(jnp.asarray(examples), some, own)).T)
    return np.concatenate(tables)


def measure_precision(
    distances: np.ndarray, query_labels: np.ndarray, labels: np.ndarray, count: int
) -> float:
    """Share of the nearest examples that are of the query's class.

    Args:
      distances: (queries, examples).
      query_labels: of the queries.
      labels: of the examples.
      count: nearest examples per query; fewer where there are no more.

    Returns:
      In [0, 1], the mean over the queries.

    Example:
      >>> distances = np.array([[0.0, 1.0, 2.0]])
      >>> measure_precision(distances, np.array([5]), np.array([5, 3, 5]), 2)
      0.5
    """
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return float(np.mean(labels[nearest] == query_labels[:, None]))


def compare_metrics(
    queries: Described,
    examples: Described,
    head: RBFHead,
    parts: RBFParts,
    *,
    count: int,
) -> dict[str, float]:
    """Precision of the nearest examples by the learned and by other distances.

    Args:
      queries: of the test split.
      examples: of the train split.
      head: tells whose the metric is.
      parts: of the head.
      count: nearest examples per query.

    Returns:
      `"learned"`, `"euclidean"`, `"cosine"`, all of the same embeddings, and
      `"activations"`: Euclidean distances of the centres' activations.
    """
    unit = lambda rows: (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    )
    plain = head.clone(metric="euclidean", per_center_metric=False)
    bare = parts._replace(weights=None, transforms=None)
    rows = {
        "euclidean": (queries.embeddings, examples.embeddings),
        "cosine": (unit(queries.embeddings), unit(examples.embeddings)),
        "activations": (queries.activations, examples.activations),
    }
    tables = {
        "learned": measure_distances(
            queries.embeddings, examples.embeddings, head, parts
        ),
        **{name: measure_distances(q, e, plain, bare) for name, (q, e) in rows.items()},
    }
    labels = queries.label, examples.label
    return {
        name: measure_precision(table, *labels, count) for name, table in tables.items()
    }


@jax.jit
def _measure(examples, queries, options):
    return squared_distances(examples, queries, **options)
