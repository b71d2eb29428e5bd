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


def measure_widths(
    x: Float[Array, "rows size"], centers: Float[Array, "centers size"]
) -> Float[Array, " centers"]:
    """Width per centre: how far the examples nearest to it are, as a root mean square.

    So that an example of a cluster is about a width away from its centre, by Euclidean
    distance, however many dimensions there are and however close other clusters.

    Args:
      x: examples, at least 1.
      centers: one per row.

    Returns:
      Above 0: a centre without examples of its own, or with none but its equals, gets
      that of all; 1 where all examples lie on centres.

    Example:
      >>> x = jnp.array([[-1.0], [1.0], [7.0], [13.0]])
      >>> measure_widths(x, jnp.array([[0.0], [10.0]]))
      Array([1., 3.], dtype=float32)
    """
    distances = squared_distances(x, centers)
    nearest = jnp.argmin(distances, axis=1)
    least = jnp.min(distances, axis=1)
    sums = jnp.zeros(len(centers), jnp.float32).at[nearest].add(least)
    counts = jnp.zeros(len(centers), jnp.float32).at[nearest].add(1.0)
    whole = jnp.mean(least)
    squares = jnp.where(sums > 0, sums / jnp.maximum(counts, 1.0), whole)
    return jnp.sqrt(jnp.where(whole > 0, squares, 1.0))


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


def assign_classes(
    head: RBFHead,
    params: Params,
    classes: Int[Array, " centers"],
    *,
    weight: float,
) -> Params:
    """Parameters of a head whose centres each speak for one class alone.

    The quadratic kernel does well with a weight of 1. Activations between 0 and 1 need
    one of several units, as scores of classes lie no further apart.

    Args:
      head: the head.
      params: its parameters.
      classes: that each centre stands for, as `find_centers` names them; a centre of -1
        speaks for none.
      weight: above 0.

    Returns:
      New parameters: `weight` from a centre to its class, 0 to others and as bias; a
      hundredth of the weight for 0 if the output can't be negative.

    Raises:
      ValueError: another number of classes, a class out of range, or a weight that is
        not above 0.

    Example:
      >>> head = RBFHead(2, 3, None, metric="euclidean")
      >>> params = head.init(jax.random.key(0), jnp.ones((1, 1)))["params"]
      >>> params = assign_classes(head, params, jnp.array([2, -1]), weight=4.0)
      >>> params["output"]["kernel"]
      Array([[0., 0., 4.],
             [0., 0., 0.]], dtype=float32)
    """
    names = np.asarray(classes)
    if names.shape != (head.num_centers,) or names.max() >= head.num_classes:
        raise ValueError(
            f"assign_classes: wanted a class below {head.num_classes} for each of "
            f"{head.num_centers} centres, got {names.tolist()}"
        )
    if not weight > 0:
        raise ValueError(f"assign_classes: weight must be above 0, got {weight}")
    kernel = weight * jax.nn.one_hot(classes, head.num_classes, dtype=jnp.float32)
    output = {"kernel": kernel, "bias": jnp.zeros(head.num_classes, jnp.float32)}
    if head.nonnegative:
        output = jax.tree.map(
            lambda array: _invert_softplus(jnp.maximum(array, 0.01 * weight)), output
        )
    return {**params, "output": output}


def _invert_softplus(x):
    return x + jnp.log(-jnp.expm1(-x))


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
