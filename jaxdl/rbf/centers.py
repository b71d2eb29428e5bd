"""Where centres lie before training, and how wide they are."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.layers import RBFHead, squared_distances
from jaxdl.linalg import kmeans
from jaxdl.typing import Array, Float, Int, Params, PRNGKey

CenterMethod = Literal["kmeans", "random"]

_SMALLEST = 1e-6
"""Width relative to the largest one: that of centres which lie on each other."""


class Centers(NamedTuple):
    """Centres, and the class that each stands for."""

    points: Float[Array, "centers size"]
    """One per row."""
    classes: Int[Array, " centers"]
    """Of the examples nearest to it, most of which are of this class; -1 without
    labels, or where a centre has no example."""


def find_centers(
    x: Float[Array, "rows size"],
    num_centers: int,
    *,
    method: CenterMethod = "kmeans",
    labels: Int[Array, " rows"] | None = None,
    per_class: bool = False,
    key: PRNGKey,
) -> Centers:
    """Picks centres among examples, or in the middle of clusters of them.

    Args:
      x: examples.
      num_centers: from 1 to the number of examples; with `per_class` shared out
        evenly, the first classes getting one more.
      method: `"kmeans"`, or `"random"`: examples themselves.
      labels: class per example, from 0.
      per_class: each class has centres of its own, found among its examples alone:
        sub-classes.
      key: of the draw, or of the clustering's start.

    Returns:
      The centres, those of a class in a row if `per_class`.

    Raises:
      ValueError: fewer examples than centres, or fewer centres than classes.

    Source:
      Schwenker, Kestler and Palm 2001, "Three learning phases for radial-basis-function
      networks", section 3.

    Example:
      >>> x = jnp.array([[0.0], [1.0], [10.0], [11.0]])
      >>> labels = jnp.array([0, 0, 1, 1])
      >>> found = find_centers(x, 2, labels=labels, key=jax.random.key(0))
      >>> sorted(zip(found.points.ravel().tolist(), found.classes.tolist()))
      [(0.5, 0), (10.5, 1)]
    """
    if not 1 <= num_centers <= len(x):
        raise ValueError(
            f"find_centers: num_centers must be in [1, {len(x)}], the number of "
            f"examples, got {num_centers}"
        )
    if not per_class:
        points = _choose(x, num_centers, method, key, np.arange(len(x)), len(x))
        return Centers(points, _name_centers(x, points, labels))
    if labels is None:
        raise ValueError("find_centers: per_class needs labels")
    names = np.unique(np.asarray(labels))
    if num_centers < len(names):
        raise ValueError(
            f"find_centers: num_centers must be at least {len(names)}, one per "
            f"class, got {num_centers}"
        )
    share, rest = divmod(num_centers, len(names))
    sizes = [int(np.sum(np.asarray(labels) == name)) for name in names]
    parts, classes = [], []
    for index, name in enumerate(names):
        rows = np.flatnonzero(np.asarray(labels) == name)
        count = share + (index < rest)
        if count > len(rows):
            raise ValueError(
                f"find_centers: class {name} has {len(rows)} examples, fewer than "
                f"its {count} centres"
            )
        own_key = jax.random.fold_in(key, index)
        parts.append(_choose(x, count, method, own_key, rows, max(sizes)))
        classes += [int(name)] * count
    return Centers(jnp.concatenate(parts), jnp.asarray(classes, jnp.int32))


def choose_widths(
    centers: Float[Array, "centers size"], *, num_neighbors: int = 2
) -> Float[Array, " centers"]:
    """Width per centre: its mean distance to its nearest other centres.

    Args:
      centers: one per row, at least 2.
      num_neighbors: how many to look at, at least 1; at most all others.

    Returns:
      Above 0: centres that lie on each other get a millionth of the largest width.

    Raises:
      ValueError: a single centre, or a number below 1.

    Source:
      Moody and Darken 1989, "Fast learning in networks of locally-tuned processing
      units", section 3.

    Example:
      >>> choose_widths(jnp.array([[0.0], [1.0], [3.0]]), num_neighbors=1)
      Array([1., 1., 2.], dtype=float32)
    """
    count = len(centers)
    if count < 2 or num_neighbors < 1:
        raise ValueError(
            "choose_widths: wanted at least 2 centres and 1 neighbour, got "
            f"{count} and {num_neighbors}"
        )
    distances = jnp.sqrt(squared_distances(centers, centers))
    nearest = jnp.sort(distances, axis=1)[:, 1 : num_neighbors + 1]
    widths = jnp.mean(nearest, axis=1)
    largest = jnp.max(widths)
    return jnp.maximum(widths, jnp.where(largest > 0, largest * _SMALLEST, 1.0))


def place_centers(
    head: RBFHead,
    params: Params,
    centers: Float[Array, "centers size"],
    *,
    widths: Float[Array, " centers"] | None = None,
) -> Params:
    """Parameters of a head with other centres; the rest stays.

    Args:
      head: the head.
      params: its parameters.
      centers: one per row.
      widths: above 0; None keeps them.

    Returns:
      New parameters.

    Raises:
      ValueError: another number of centres, or of another size.

    Example:
      >>> head = RBFHead(num_centers=2, num_classes=1, embedding_size=None)
      >>> params = head.init(jax.random.key(0), jnp.ones((1, 3)))["params"]
      >>> place_centers(head, params, jnp.zeros((2, 3)))["centers"].sum()
      Array(0., dtype=float32)
    """
    wanted = params["centers"].shape
    if centers.shape != wanted:
        raise ValueError(
            f"place_centers: wanted centres of shape {wanted}, got {centers.shape}"
        )
    placed = {**params, "centers": jnp.asarray(centers, jnp.float32)}
    if widths is not None:
        placed["log_widths"] = jnp.log(widths)
    return placed


def _choose(x, num_centers, method, key, rows, size):
    """Centres of some rows, which are filled up to one size for all classes.

    So that k-means is compiled once, not once per class.
    """
    if method == "random":
        chosen = jax.random.choice(key, len(rows), (num_centers,), replace=False)
        return jnp.asarray(x, jnp.float32)[rows[np.sort(chosen)]]
    filled = np.resize(rows, size)
    weights = jnp.asarray(np.arange(size) < len(rows), jnp.float32)
    return kmeans(x[filled], num_centers, sample_weight=weights, key=key).centers


def _name_centers(x, points, labels):
    """The class that most of each centre's examples have."""
    if labels is None:
        return jnp.full(len(points), -1, jnp.int32)
    nearest = jnp.argmin(squared_distances(x, points), axis=1)
    num_classes = int(jnp.max(labels)) + 1
    counts = jnp.zeros((len(points), num_classes), jnp.int32)
    counts = counts.at[nearest, labels].add(1)
    return jnp.where(counts.sum(1) > 0, jnp.argmax(counts, axis=1), -1)
