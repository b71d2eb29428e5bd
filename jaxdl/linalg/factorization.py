"""Ratings as biases and factors, by stochastic gradient descent."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.linalg.arrays import full_precision
from jaxdl.linalg.ratings import INIT_STD, MatrixFactorization, check_ratings
from jaxdl.typing import Array, Float, Int, PRNGKey


@full_precision
def biased_matrix_factorization(
    users: Int[Array, "ratings"],
    items: Int[Array, "ratings"],
    ratings: Float[Array, "ratings"],
    *,
    rank: int = 100,
    num_epochs: int = 20,
    learning_rate: float = 0.005,
    regularization: float = 0.02,
    batch_size: int = 1024,
    num_users: int | None = None,
    num_items: int | None = None,
    key: PRNGKey,
) -> MatrixFactorization:
    """Fits biases and factors to ratings by stochastic gradient descent.

    For each rating r of an item i by a user u with error e = r - prediction:
    b += learning_rate * (e - regularization * b) for both biases, and likewise
    p += learning_rate * (e q - regularization * p) for both factors. All ratings of a
    batch are predicted before any of its steps is taken, and the steps of one user or
    item in it add up: that is what a device can do at once, and equals rating after
    rating as long as each is a small part of a batch. If the error grows, take smaller
    batches or a smaller learning rate.

    Args:
      users: index of each rating's user.
      items: of its item.
      ratings: one per pair.
      rank: length of the factors, at least 0.
      num_epochs: passes over the ratings, each in a new order, at least 1.
      learning_rate: above 0.
      regularization: at least 0.
      batch_size: ratings per batch, at least 1.
      num_users: all there are; None is the largest index plus 1, which a traced
        array does not tell.
      num_items: likewise.
      key: draws the first factors, N(0, 0.1), and the orders.

    Returns:
      The model; the same for the same arguments. Users and items without a rating
      have a bias and factors of 0.

    Raises:
      ValueError: lengths that differ, no rating, ratings that are not finite, an index
        out of range, counts missing under jit, or an argument out of range.

    Source:
      Funk, "Netflix update: try this at home" (2006); rule and defaults those of
      Surprise's SVD, but for the batches.

    Example:
      >>> u, i = jnp.meshgrid(jnp.arange(4), jnp.arange(3))
      >>> u, i = u.ravel(), i.ravel()
      >>> model = biased_matrix_factorization(
      ...     u, i, jnp.float32(u), rank=2, key=jax.random.key(0)
      ... )
      >>> model.user_factors.shape, model.item_factors.shape
      ((4, 2), (3, 2))
    """
    name = "biased_matrix_factorization"
    data = check_ratings(name, users, items, ratings, num_users, num_items)
    for word, value, low in (
        ("rank", rank, 0),
        ("num_epochs", num_epochs, 1),
        ("batch_size", batch_size, 1),
        ("regularization", regularization, 0),
    ):
        if not value >= low:
            raise ValueError(f"{name}: {word} must be at least {low}, got {value}")
    if not learning_rate > 0:
        raise ValueError(f"{name}: learning_rate must be above 0, got {learning_rate}")
    sizes = (data.num_users, data.num_items)
    arrays = (data.users, data.items, data.values)
    return _descend(
        *arrays, learning_rate, regularization, key, sizes, rank, num_epochs, batch_size
    )


@functools.partial(jax.jit, static_argnums=(6, 7, 8, 9))
def _descend(
    users: Array,
    items: Array,
    values: Array,
    rate: Array,
    decay: Array,
    key: PRNGKey,
    sizes: tuple[int, int],
    rank: int,
    num_epochs: int,
    batch_size: int,
) -> MatrixFactorization:
    user_key, item_key, order_key = jax.random.split(key, 3)
    params = [
        (
            jnp.zeros(length, values.dtype),
            INIT_STD * jax.random.normal(init_key, (length, rank), values.dtype),
        )
        for length, init_key in zip(sizes, (user_key, item_key), strict=True)
    ]
    mean = jnp.mean(values)
    rates = [jnp.asarray(x, values.dtype) for x in (rate, decay)]
    run = _make_epoch(users, items, values - mean, batch_size, *rates)
    keys = jax.random.split(order_key, num_epochs)
    params, errors = lax.scan(run, params, keys)
    (user_bias, user_factors), (item_bias, item_factors) = params
    # Never drawn on by a rating, the first factors say nothing.
    is_rater = jnp.bincount(users, length=sizes[0])[:, None] > 0
    is_rated = jnp.bincount(items, length=sizes[1])[:, None] > 0
    user_factors = jnp.where(is_rater, user_factors, 0)
    item_factors = jnp.where(is_rated, item_factors, 0)
    return MatrixFactorization(
        mean, user_bias, item_bias, user_factors, item_factors, errors
    )


def _make_epoch(
    users: Array,
    items: Array,
    values: Array,
    batch_size: int,
    rate: Array,
    decay: Array,
):
    """A pass over all ratings, as a body of a scan over keys."""
    count = len(values)
    batch_size = min(batch_size, count)
    num_batches = math.ceil(count / batch_size)
    padding = num_batches * batch_size - count

    def advance(params, batch):
        rows, is_real = batch
        (user_bias, user_factors), (item_bias, item_factors) = params
        u, i = users[rows], items[rows]
        b, c, p, q = user_bias[u], item_bias[i], user_factors[u], item_factors[i]
        error = values[rows] - b - c - jnp.sum(p * q, axis=-1)
        real = is_real.astype(error.dtype)
        step, column = rate * real, rate * real[:, None]
        e = error[:, None]
        user_bias = user_bias.at[u].add(step * (error - decay * b))
        item_bias = item_bias.at[i].add(step * (error - decay * c))
        user_factors = user_factors.at[u].add(column * (e * q - decay * p))
        item_factors = item_factors.at[i].add(column * (e * p - decay * q))
        params = [(user_bias, user_factors), (item_bias, item_factors)]
        return params, jnp.sum(real * error**2)

    def run(params, key):
        order = jnp.pad(jax.random.permutation(key, count), (0, padding))
        is_real = jnp.arange(len(order)) < count
        batches = [x.reshape(num_batches, batch_size) for x in (order, is_real)]
        params, squares = lax.scan(advance, params, (batches[0], batches[1]))
        return params, jnp.sqrt(jnp.sum(squares) / count)

    return run
