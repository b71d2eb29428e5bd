"""Models of ratings: a mean, biases of users and items, products of short vectors."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from jaxdl.linalg.arrays import full_precision
from jaxdl.typing import Array, Float, Int

INIT_STD = 0.1
"""Of factors before they are fitted, as in Surprise."""


class MatrixFactorization(NamedTuple):
    """A model of ratings; `predict_ratings` applies it.

    Those of whom no rating was seen have a bias and factors of 0.
    """

    mean: Float[Array, ""]
    """Of all ratings."""
    user_bias: Float[Array, "users"]
    """How far above it each user rates."""
    item_bias: Float[Array, "items"]
    """How far above it each item is rated."""
    user_factors: Float[Array, "users rank"]
    """Tastes."""
    item_factors: Float[Array, "items rank"]
    """What they are tastes for."""
    train_rmse: Float[Array, "epochs"]
    """Root mean square error in each epoch, before the steps; to judge convergence."""


class Ratings(NamedTuple):
    """Checked ratings, each user and item an index below its count."""

    users: Int[Array, "ratings"]
    items: Int[Array, "ratings"]
    values: Float[Array, "ratings"]
    num_users: int
    num_items: int


def predict_ratings(
    model: MatrixFactorization,
    users: Int[Array, "ratings"],
    items: Int[Array, "ratings"],
) -> Float[Array, "ratings"]:
    """What users would give to items; not clipped to any range.

    Args:
      model: as one of the fits here made it.
      users: an index outside [0, num_users), such as -1, is a user never seen: the
        mean and the item's bias are left.
      items: likewise.

    Returns:
      A rating per pair.

    Example:
      >>> none = jnp.zeros((1, 0))
      >>> bias = jnp.array([0.5])
      >>> model = MatrixFactorization(jnp.array(3.0), bias, bias, none, none, bias)
      >>> predict_ratings(model, jnp.array([0, -1]), jnp.array([0, 0]))
      Array([4. , 3.5], dtype=float32)
    """

    def look_up(table: Array, indices: Array) -> Array:
        # Negative indices count from the end unless they are out of range too.
        indices = jnp.where(indices < 0, len(table), indices)
        return table.at[indices].get(mode="fill", fill_value=0)

    product = look_up(model.user_factors, users) * look_up(model.item_factors, items)
    biases = look_up(model.user_bias, users) + look_up(model.item_bias, items)
    return model.mean + biases + jnp.sum(product, axis=-1)


@full_precision
def fit_biases(
    users: Int[Array, "ratings"],
    items: Int[Array, "ratings"],
    ratings: Float[Array, "ratings"],
    *,
    num_users: int | None = None,
    num_items: int | None = None,
    num_epochs: int = 10,
    user_damping: float = 15.0,
    item_damping: float = 10.0,
) -> MatrixFactorization:
    """The model without factors: a mean, and damped means of what it leaves.

    Args:
      users: index of each rating's user.
      items: of its item; a pair may occur more than once.
      ratings: one per pair.
      num_users: all there are; None is the largest index plus 1, which a traced
        array does not tell.
      num_items: likewise.
      num_epochs: alternations between items and users, at least 1.
      user_damping: ratings at 0 that each user is taken to have beside the given ones.
      item_damping: likewise.

    Returns:
      The model, with factors of rank 0.

    Raises:
      ValueError: see `biased_matrix_factorization`.

    Source:
      Koren, "Factor in the neighbors" (2010), section 2.1, with the constants of
      Surprise's baseline.

    Example:
      >>> one = jnp.array([0, 0, 1, 1]), jnp.array([0, 1, 0, 1])
      >>> fit_biases(*one, jnp.array([1.0, 2.0, 3.0, 4.0])).mean
      Array(2.5, dtype=float32)
    """
    data = check_ratings("fit_biases", users, items, ratings, num_users, num_items)
    for name, value in (("user_damping", user_damping), ("item_damping", item_damping)):
        if not value >= 0:
            raise ValueError(f"fit_biases: {name} must be at least 0, got {value}")
    if num_epochs < 1:
        raise ValueError(f"fit_biases: num_epochs must be at least 1, got {num_epochs}")
    damping = (user_damping, item_damping)
    sizes = (data.num_users, data.num_items)
    return _average(*data[:3], damping, sizes, num_epochs)


@functools.partial(jax.jit, static_argnums=(4, 5))
def _average(
    users: Array,
    items: Array,
    values: Array,
    damping: tuple[Array, Array],
    sizes: tuple[int, int],
    num_epochs: int,
) -> MatrixFactorization:
    mean = jnp.mean(values)
    centred = values - mean
    user_count, item_count = (
        jnp.maximum(jnp.bincount(at, length=length).astype(mean.dtype) + extra, 1)
        for at, length, extra in zip((users, items), sizes, damping, strict=True)
    )

    def advance(biases, _):
        user_bias, item_bias = biases
        left = centred - user_bias[users]
        item_bias = jax.ops.segment_sum(left, items, sizes[1]) / item_count
        left = centred - item_bias[items]
        user_bias = jax.ops.segment_sum(left, users, sizes[0]) / user_count
        error = left - user_bias[users]
        return (user_bias, item_bias), jnp.sqrt(jnp.mean(error**2))

    zero = tuple(jnp.zeros(length, mean.dtype) for length in sizes)
    (user_bias, item_bias), errors = lax.scan(advance, zero, None, length=num_epochs)
    none = [jnp.zeros((length, 0), mean.dtype) for length in sizes]
    return MatrixFactorization(mean, user_bias, item_bias, none[0], none[1], errors)


def check_ratings(
    name: str,
    users: Array,
    items: Array,
    ratings: Array,
    num_users: int | None,
    num_items: int | None,
) -> Ratings:
    """Refuses ratings that no model can be fitted to.

    Args:
      name: of the routine, for the message.
      users: as `fit_biases` takes them, like the others.
      items: of each rating.
      ratings: one per pair.
      num_users: None is the largest index plus 1.
      num_items: likewise.

    Returns:
      The ratings as floats, and the counts.

    Raises:
      ValueError: see `biased_matrix_factorization`.

    Example:
      >>> one = jnp.zeros(1, jnp.int32)
      >>> check_ratings("fit", one, one, jnp.ones(1), None, 3)[3:]
      (1, 3)
    """
    shapes = [users.shape, items.shape, ratings.shape]
    if len(set(shapes)) > 1 or len(ratings.shape) != 1 or len(ratings) == 0:
        raise ValueError(
            f"{name}: wanted users, items and ratings as vectors of one length, at "
            f"least 1, got shapes {shapes}"
        )
    counts = [
        _check_indices(name, word, indices, count)
        for word, indices, count in (
            ("users", users, num_users),
            ("items", items, num_items),
        )
    ]
    is_traced = isinstance(ratings, Tracer)
    if not is_traced and not np.isfinite(np.asarray(ratings)).all():
        raise ValueError(f"{name}: some ratings are NaN or infinite; leave them out")
    values = jnp.asarray(ratings)
    if values.dtype not in (jnp.float32, jnp.float64):
        values = values.astype(jnp.float32)
    return Ratings(jnp.asarray(users), jnp.asarray(items), values, *counts)


def _check_indices(name: str, word: str, indices: Array, count: int | None) -> int:
    if isinstance(indices, Tracer):
        if count is None:
            raise ValueError(f"{name}: num_{word} must be given under jit")
        return count
    known = np.asarray(indices)
    low, high = int(known.min()), int(known.max())
    count = high + 1 if count is None else count
    if low < 0 or high >= count:
        raise ValueError(f"{name}: wanted {word} in [0, {count}), got {low} to {high}")
    return count
