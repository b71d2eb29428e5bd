"""Ratings as biases and factors, by alternating ridge regressions."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.linalg.arrays import full_precision
from jaxdl.linalg.ratings import (
    INIT_STD,
    MatrixFactorization,
    check_ratings,
    fit_biases,
    predict_ratings,
)
from jaxdl.typing import Array, Float, Int, PRNGKey


@full_precision
def alternating_least_squares(
    users: Int[Array, "ratings"],
    items: Int[Array, "ratings"],
    ratings: Float[Array, "ratings"],
    *,
    rank: int = 10,
    num_epochs: int = 20,
    regularization: float = 0.1,
    num_users: int | None = None,
    num_items: int | None = None,
    key: PRNGKey,
) -> MatrixFactorization:
    """Fits factors to what `fit_biases` leaves of ratings, exactly on one side a time.

    Each user's factors are a ridge regression on those of the items rated, with a
    penalty that grows with the number of them; then each item's. No learning rate, and
    a few epochs do; each costs ratings * rank ** 2 and (users + items) * rank ** 3.

    Args:
      users: index of each rating's user.
      items: of its item.
      ratings: one per pair.
      rank: length of the factors, at least 1.
      num_epochs: alternations, at least 1.
      regularization: per rating, above 0.
      num_users: as in `biased_matrix_factorization`.
      num_items: likewise.
      key: draws the first factors.

    Returns:
      The model.

    Raises:
      ValueError: see `biased_matrix_factorization`.

    Source:
      Zhou, Wilkinson, Schreiber, Pan, "Large-scale parallel collaborative filtering for
      the Netflix prize" (2008), after biases.

    Example:
      >>> u, i = jnp.meshgrid(jnp.arange(4), jnp.arange(3))
      >>> u, i, key = u.ravel(), i.ravel(), jax.random.key(0)
      >>> alternating_least_squares(u, i, jnp.float32(u * i), rank=2, key=key).mean
      Array(1.5, dtype=float32)
    """
    name = "alternating_least_squares"
    data = check_ratings(name, users, items, ratings, num_users, num_items)
    if rank < 1 or num_epochs < 1:
        raise ValueError(
            f"{name}: rank and num_epochs must be at least 1, got {rank}, {num_epochs}"
        )
    if not regularization > 0:
        raise ValueError(
            f"{name}: regularization must be above 0, got {regularization}"
        )
    model = fit_biases(*data[:3], num_users=data.num_users, num_items=data.num_items)
    left = data.values - predict_ratings(model, data.users, data.items)
    sizes = (data.num_users, data.num_items)
    user_factors, item_factors, errors = _alternate(
        data.users, data.items, left, regularization, key, sizes, rank, num_epochs
    )
    return model._replace(
        user_factors=user_factors, item_factors=item_factors, train_rmse=errors
    )


@functools.partial(jax.jit, static_argnums=(5, 6, 7))
def _alternate(
    users: Array,
    items: Array,
    left: Array,
    regularization: Array,
    key: PRNGKey,
    sizes: tuple[int, int],
    rank: int,
    num_epochs: int,
):
    regularization = jnp.asarray(regularization, left.dtype)

    def advance(factors, _):
        _, q = factors
        p = _solve_side(q[items], left, users, sizes[0], regularization)
        q = _solve_side(p[users], left, items, sizes[1], regularization)
        error = left - jnp.sum(p[users] * q[items], axis=-1)
        return (p, q), jnp.sqrt(jnp.mean(error**2))

    first = INIT_STD * jax.random.normal(key, (sizes[1], rank), left.dtype)
    start = (jnp.zeros((sizes[0], rank), left.dtype), first)
    (p, q), errors = lax.scan(advance, start, None, length=num_epochs)
    return p, q, errors


_CHUNK = 4096
"""Ratings whose outer products are held at once."""


def _solve_side(
    factors: Array, values: Array, owners: Array, num_owners: int, regularization: Array
) -> Array:
    """Each owner's ridge regression of its values on the factors of their rows."""
    rank = factors.shape[1]
    count = jnp.bincount(owners, length=num_owners).astype(values.dtype)
    padding = -len(values) % min(_CHUNK, len(values))
    chunks = [
        jnp.pad(x, ((0, padding),) + ((0, 0),) * (x.ndim - 1)).reshape(
            -1, min(_CHUNK, len(values)), *x.shape[1:]
        )
        for x in (factors, owners)
    ]

    def add(grams, chunk):
        rows, at = chunk  # padded rows are 0: they change nothing
        return grams.at[at].add(rows[:, :, None] * rows[:, None, :]), None

    grams = jnp.zeros((num_owners, rank, rank), values.dtype)
    grams, _ = lax.scan(add, grams, (chunks[0], chunks[1]))
    sides = jax.ops.segment_sum(factors * values[:, None], owners, num_owners)
    penalty = regularization * jnp.maximum(count, 1)
    grams = grams + penalty[:, None, None] * jnp.eye(rank, dtype=values.dtype)[None]
    factor = jax.scipy.linalg.cho_factor(grams)
    return jax.scipy.linalg.cho_solve(factor, sides[..., None])[..., 0]
