"""Principal component analysis of examples that arrive in batches."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.principal_components import PCA, check_components, make_pca
from jaxdl.linalg.svd import SVD, thin_svd
from jaxdl.typing import Array, Float, Int, Shaped


class IncrementalPCAState(NamedTuple):
    """What is kept of the examples seen; its size does not grow with them."""

    mean: Float[Array, " features"]
    """Of each feature."""
    components: Float[Array, "components features"]
    """Orthonormal rows; zeros before the first batch."""
    singular_values: Float[Array, " components"]
    """Of the centred examples; 0 for components without examples so far."""
    total: Float[Array, ""]
    """Sum of squares of the centred examples."""
    num_examples: Int[Array, ""]
    """Examples seen."""


def init_incremental_pca(
    num_features: int, num_components: int, *, dtype: DTypeLike = jnp.float32
) -> IncrementalPCAState:
    """The state before any example.

    Args:
      num_features: of each example.
      num_components: kept from batch to batch, within 1..num_features. More than are
        wanted in the end make these more accurate.
      dtype: float32 or float64.

    Returns:
      Zeros.

    Raises:
      ValueError: `num_components` is out of range.

    Example:
      >>> init_incremental_pca(3, 2).components.shape
      (2, 3)
    """
    name = "init_incremental_pca"
    num_components = check_components(name, num_components, None, num_features)
    return IncrementalPCAState(
        mean=jnp.zeros(num_features, dtype),
        components=jnp.zeros((num_components, num_features), dtype),
        singular_values=jnp.zeros(num_components, dtype),
        total=jnp.zeros((), dtype),
        num_examples=jnp.zeros((), jnp.int32),
    )


@full_precision
def update_incremental_pca(
    state: IncrementalPCAState, batch: Shaped[Array, "examples features"]
) -> IncrementalPCAState:
    """The state after one more batch.

    The components so far, the centred batch and one row for the difference of the
    means are decomposed together. What a batch adds outside of the components kept is
    lost, so results depend on the batches, unless the examples have that rank.

    Args:
      state: from `init_incremental_pca` or an earlier call.
      batch: at least 1 example, fewer than components too. Each number of examples is
        compiled once.

    Returns:
      The new state; the old one is as it was.

    Raises:
      ValueError: the number of features differs, the batch is empty, or it isn't a
        matrix of finite numbers.

    Source:
      Ross, Lim, Lin and Yang, "Incremental learning for robust visual tracking",
      IJCV 77, 2008, algorithm 1. Differs: no forgetting.

    Example:
      >>> state = init_incremental_pca(2, 1)
      >>> state = update_incremental_pca(state, jnp.array([[0.0, 1.0], [2.0, 1.0]]))
      >>> print(state.mean, state.num_examples)
      [1. 1.] 2
    """
    name, features = "update_incremental_pca", state.mean.shape[0]
    batch = as_matrix(name, batch).astype(state.mean.dtype)
    if batch.shape[1] != features or not len(batch):
        raise ValueError(
            f"{name}: wanted at least 1 example of {features} features, "
            f"got shape {batch.shape}"
        )
    return _update(state, batch)


@functools.partial(jax.jit, static_argnames="whiten")
def finish_incremental_pca(state: IncrementalPCAState, *, whiten: bool = False) -> PCA:
    """The analysis of all examples so far; updates can go on from the same state.

    Args:
      state: after at least 2 examples; with fewer, variances are 0.
      whiten: what `transform` does, static.

    Returns:
      `PCA` for `transform` and `inverse_transform`. Components beyond the examples'
      rank have variance 0 and are an arbitrary orthonormal completion.

    Example:
      >>> state = init_incremental_pca(2, 1)
      >>> state = update_incremental_pca(state, jnp.array([[0.0, 1.0], [2.0, 1.0]]))
      >>> print(finish_incremental_pca(state).explained_variance.round(3))
      [2.]
    """
    svd = SVD(state.components[:0], state.singular_values, state.components)
    found = make_pca(svd, state.mean, state.total, state.num_examples)
    return dataclasses.replace(found, whiten=whiten)


@jax.jit
def _update(state, batch):
    size, dtype = len(batch), batch.dtype
    mean = batch.mean(axis=0)
    centred = batch - mean[None]
    rest = centred.mean(axis=0)
    mean, centred = mean + rest, centred - rest[None]
    count = state.num_examples + size
    # As a quotient first: the product of two counts overflows.
    part = jnp.asarray(size, dtype) / count.astype(dtype)
    change = mean - state.mean
    between = jnp.sqrt(part * state.num_examples.astype(dtype)) * change
    rows = [state.singular_values[:, None] * state.components, centred, between[None]]
    svd = thin_svd(jnp.concatenate(rows))
    kept = len(state.components)
    within = jnp.square(centred).sum() + jnp.square(between).sum()
    return IncrementalPCAState(
        mean=state.mean + part * change,
        components=svd.vt[:kept],
        singular_values=svd.s[:kept],
        total=state.total + within,
        num_examples=count,
    )
