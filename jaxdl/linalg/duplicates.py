"""Examples that are almost the same, found by the correlation of their PCA scores."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Integer

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.principal_components import pca, transform
from jaxdl.typing import Array, PRNGKey, Shaped

_SLACK = 1e-5
"""More than float32 errs in a correlation: close calls are decided in float64."""

_PIECE = 2**20
"""Pairs that are looked at in float64 at once."""


class NearDuplicates(NamedTuple):
    """Pairs of rows above a correlation, and what they connect.

    Attributes:
      pairs: positions (i, j) with i < j, sorted.
      correlations: of each pair, float64 in [-1, 1].
      groups: positions of at least two rows that pairs connect, directly or through
        others, so that the ends of a chain may differ; sorted, and in the order of
        their first positions.
    """

    pairs: Integer[np.ndarray, "num_pairs 2"]
    correlations: Float[np.ndarray, "num_pairs"]
    groups: tuple[tuple[int, ...], ...]


def find_near_duplicates(
    x: Shaped[Array, "examples features"],
    *,
    threshold: float = 0.97,
    num_components: int = 50,
    standardize: bool = True,
    block_size: int = 4096,
    max_pairs: int = 2_000_000,
    key: PRNGKey | None = None,
) -> NearDuplicates:
    """Finds rows whose scores on the first principal components correlate.

    Rows are standardised, centred and projected; scores are standardised by row, and
    their products are the correlations. Eager: the number of pairs depends on the data.
    Memory stays near that of the data: correlations are made a block at a time.

    Args:
      x: one example per row, such as the pixels of an image.
      threshold: a pair's correlation is above it; in (0, 1). What is right depends on
        how much alike examples of one kind are: look at the pairs.
      num_components: scores to compare, at least 2; no more are used than there are
        rows or columns. Few are forgiving, many tell details apart.
      standardize: whether rows are brought to mean 0 and deviation 1 first, so that an
        image's brightness and contrast make no difference.
      block_size: rows and columns of the blocks of correlations.
      max_pairs: refuse to collect more.
      key: lets `pca` draw a random start where that is faster: a few components of
        more than 1000 columns.

    Returns:
      See `NearDuplicates`. If `standardize`, rows without variation (images of one
      grey) are duplicates of each other. A row that equals the mean of all has no
      scores to compare, and is in no pair.

    Raises:
      ValueError: an argument out of range, or more than `max_pairs` pairs.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(6, 20)).astype(np.float32)
      >>> x[4] = 2 * x[1] + 3
      >>> find_near_duplicates(jnp.asarray(x)).groups
      ((1, 4),)
    """
    _check_arguments("find_near_duplicates", threshold, block_size)
    if num_components < 2:
        # A single number has no correlation with another.
        raise ValueError(
            f"find_near_duplicates: num_components {num_components} is below 2"
        )
    x = as_matrix("find_near_duplicates", x)
    if standardize:
        # Per row: a faint image is as good as any.
        size = jnp.max(jnp.abs(x), axis=1, keepdims=True, initial=0)
        x = _standardize(x, size, eps=jnp.finfo(x.dtype).eps)
    if len(x) > 1 and x.shape[1] > 0:
        x = transform(pca(x, min(num_components, *x.shape), key=key), x)
    pairs, correlations = find_correlated_rows(
        x, threshold=threshold, block_size=block_size, max_pairs=max_pairs
    )
    return NearDuplicates(pairs, correlations, group_pairs(pairs))


def find_correlated_rows(
    z: Shaped[Array, "examples features"],
    *,
    threshold: float,
    block_size: int = 4096,
    max_pairs: int = 2_000_000,
) -> tuple[Integer[np.ndarray, "num_pairs 2"], Float[np.ndarray, "num_pairs"]]:
    """Finds all pairs of rows with a correlation above a threshold.

    Blocks of the matrix of correlations are made on the device in float32; what comes
    near the threshold is computed again in float64, so that neither the device nor the
    size of the blocks decides.

    Args:
      z: one example per row. Rows that vary by less than rounding does, as measured
        by the largest number of all, correlate with none.
      threshold: in (0, 1).
      block_size: rows and columns of a block, at least 1.
      max_pairs: refuse to collect more.

    Returns:
      Positions (i, j) with i < j, sorted, and their correlations.

    Raises:
      ValueError: an argument out of range, or more than `max_pairs` pairs.

    Example:
      >>> z = jnp.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [1.0, 2.0, 3.1]])
      >>> pairs, correlations = find_correlated_rows(z, threshold=0.9)
      >>> pairs.tolist(), correlations.round(4).tolist()
      ([[0, 2]], [0.9996])
    """
    _check_arguments("find_correlated_rows", threshold, block_size)
    z = as_matrix("find_correlated_rows", z)
    found, correlations, count = [np.empty((0, 2), np.int64)], [np.empty(0)], 0
    if z.size == 0:
        return found[0], correlations[0]
    exact = np.asarray(z, np.float64)
    exact = _standardize(exact, np.abs(exact).max(), eps=jnp.finfo(z.dtype).eps)
    for pairs in _list_candidates(exact, threshold - _SLACK, block_size):
        values = np.einsum("ij,ij->i", exact[pairs[:, 0]], exact[pairs[:, 1]])
        values = np.minimum(values / exact.shape[1], 1.0)
        keep = values > threshold
        found.append(pairs[keep])
        correlations.append(values[keep])
        count += int(keep.sum())
        if count > max_pairs:
            raise ValueError(
                f"find_correlated_rows: more than {max_pairs:,} pairs of {len(z):,} "
                f"rows correlate above {threshold:g}; raise the threshold"
            )
    pairs, values = np.concatenate(found), np.concatenate(correlations)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], values[order]


def group_pairs(
    pairs: Integer[np.ndarray, "num_pairs 2"],
) -> tuple[tuple[int, ...], ...]:
    """Joins pairs into groups by union-find: connected components.

    Args:
      pairs: positions of two items each.

    Returns:
      Sorted positions of each group, groups in the order of their first positions;
      items in no pair are in no group.

    Example:
      >>> group_pairs(np.array([[0, 4], [1, 2], [4, 7]]))
      ((0, 4, 7), (1, 2))
    """
    parent: dict[int, int] = {}

    def find(item: int) -> int:
        root = item
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[item] != root:
            parent[item], item = root, parent[item]
        return root

    for left, right in pairs.tolist():
        low, high = sorted((find(left), find(right)))
        parent[high] = low
    groups: dict[int, list[int]] = {}
    for item in sorted(parent):
        groups.setdefault(find(item), []).append(item)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _check_arguments(name: str, threshold: float, block_size: int) -> None:
    if not 0 < threshold < 1:
        raise ValueError(f"{name}: threshold {threshold} is not in (0, 1)")
    if block_size < 1:
        raise ValueError(f"{name}: block_size {block_size} is below 1")


def _standardize(x, scale, *, eps):
    """Rows of mean 0 and mean square 1, or all 0 if rounding explains their variation.

    Works on arrays of NumPy and of JAX; `scale` is the size of the numbers that the
    rows were computed from, (rows, 1) or one for all.
    """
    xp = x.__array_namespace__()
    # Divided by the scale first: squares of huge or tiny numbers don't fit.
    x = x / xp.where(scale > 0, scale, 1)
    x = x - x.mean(axis=1, keepdims=True)
    std = xp.sqrt((x**2).mean(axis=1, keepdims=True))
    varies = std > 32 * eps
    return xp.where(varies, x / xp.where(varies, std, 1), 0)


def _list_candidates(
    exact: np.ndarray, threshold: float, block_size: int
) -> Iterator[np.ndarray]:
    """Pairs (i, j), i < j, near or above a threshold, at most `_PIECE` at a time."""
    count, num_columns = exact.shape
    size = min(block_size, count)
    # Rows of zeros fill the last block: one shape, one program. They correlate with
    # nothing.
    z = np.pad(exact, ((0, -count % size), (0, 0))) / np.sqrt(num_columns)
    z = jnp.asarray(z, jnp.float32)
    for top in range(0, count, size):
        for left in range(top, count, size):
            bits = np.asarray(_mark(z, top, left, threshold, size=size))
            rows = np.flatnonzero(bits.any(axis=1))
            for few in np.array_split(rows, -(-len(rows) * size // _PIECE) or 1):
                row, column = np.nonzero(np.unpackbits(bits[few], axis=1, count=size))
                pairs = np.stack([few[row] + top, column + left], axis=1)
                yield pairs[pairs[:, 0] < pairs[:, 1]]


@full_precision
@functools.partial(jax.jit, static_argnames="size")
def _mark(z, top, left, threshold, *, size):
    rows = jax.lax.dynamic_slice_in_dim(z, top, size)
    columns = jax.lax.dynamic_slice_in_dim(z, left, size)
    # One bit for each pair: an eighth of a byte to look through instead of four.
    return jnp.packbits(rows @ columns.T > threshold, axis=1)
