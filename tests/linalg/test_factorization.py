"""Factorisations of ratings against loops in float64 and planted factors."""

import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.linalg import (
    alternating_least_squares,
    biased_matrix_factorization,
    fit_biases,
    predict_ratings,
)

FITS = {
    "fit_biases": fit_biases,
    "biased_matrix_factorization": functools.partial(
        biased_matrix_factorization, key=jax.random.key(0)
    ),
    "alternating_least_squares": functools.partial(
        alternating_least_squares, key=jax.random.key(0)
    ),
}


def draw_ratings(num_users, num_items, *, share, rank=5, noise=0.5, seed=0):
    """Pairs and ratings around planted biases and factors; NumPy arrays."""
    generator = np.random.default_rng(seed)
    users, items = np.nonzero(generator.random((num_users, num_items)) < share)
    p = generator.normal(size=(num_users, rank))
    q = generator.normal(size=(num_items, rank)) / np.sqrt(rank)
    ratings = (
        3
        + np.sum(p[users] * q[items], axis=1)
        + generator.normal(size=num_users)[users]
    )
    ratings = ratings + noise * generator.normal(size=len(users))
    return np.int32(users), np.int32(items), np.float32(ratings)


def as_jax(*arrays):
    return [jnp.asarray(array) for array in arrays]


def test_biased_matrix_factorization_takes_the_steps_of_the_rule():
    users, items, ratings = draw_ratings(6, 5, share=0.7)
    arguments = {"rank": 3, "learning_rate": 0.05, "regularization": 0.1}
    fit = functools.partial(
        biased_matrix_factorization, *as_jax(users, items, ratings), **arguments
    )
    # One batch of all ratings: the order, which the key draws, plays no part.
    key = jax.random.key(3)
    first = fit(num_epochs=1, batch_size=99, key=key)
    second = fit(num_epochs=2, batch_size=99, key=key)
    b, c, p, q = (np.float64(x) for x in first[1:5])
    errors = ratings - first.mean - b[users] - c[items] - np.sum(p[users] * q[items], 1)
    new = [b.copy(), c.copy(), p.copy(), q.copy()]
    for e, u, i in zip(errors, users, items, strict=True):
        new[0][u] += 0.05 * (e - 0.1 * b[u])
        new[1][i] += 0.05 * (e - 0.1 * c[i])
        new[2][u] += 0.05 * (e * q[i] - 0.1 * p[u])
        new[3][i] += 0.05 * (e * p[u] - 0.1 * q[i])
    for found, expected in zip(second[1:5], new, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(
        second.train_rmse[1], np.sqrt(np.mean(errors**2)), rtol=1e-5
    )


def test_biased_matrix_factorization_reaches_the_noise_of_planted_ratings():
    users, items, ratings = draw_ratings(300, 200, share=0.7)
    is_test = np.random.default_rng(1).random(len(users)) < 0.1
    train = as_jax(users[~is_test], items[~is_test], ratings[~is_test])
    model = biased_matrix_factorization(
        *train, rank=5, num_epochs=80, learning_rate=0.02, key=jax.random.key(0)
    )
    found = predict_ratings(model, *as_jax(users[is_test], items[is_test]))
    assert np.sqrt(np.mean((found - ratings[is_test]) ** 2)) <= 0.5 * 1.06
    biases = fit_biases(*train)
    found = predict_ratings(biases, *as_jax(users[is_test], items[is_test]))
    assert np.sqrt(np.mean((found - ratings[is_test]) ** 2)) > 1


@pytest.mark.parametrize("name", FITS)
def test_fits_repeat_themselves_and_run_under_jit(name):
    data = as_jax(*draw_ratings(12, 9, share=0.8))
    eager = FITS[name](*data)
    assert all((a == b).all() for a, b in zip(eager, FITS[name](*data), strict=True))
    compiled = jax.jit(lambda *data: FITS[name](*data, num_users=12, num_items=9))(
        *data
    )
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


@pytest.mark.parametrize("name", FITS)
def test_fits_leave_nothing_but_biases_to_those_never_seen(name):
    users, items, ratings = as_jax([0, 1, 1, 3], [0, 0, 2, 2], [1.0, 2.0, 4.0, 5.0])
    model = FITS[name](users, items, ratings, num_users=5, num_items=4)
    assert not model.user_factors[jnp.array([2, 4])].any()
    assert not model.item_factors[jnp.array([1, 3])].any()
    found = predict_ratings(model, *as_jax([2, -1, 99, 3], [1, 1, 0, -1]))
    mean, user, item = (np.asarray(x) for x in model[:3])
    expected = [mean, mean, mean + item[0], mean + user[3]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_biased_matrix_factorization_of_rank_0_has_biases_alone():
    data = as_jax(*draw_ratings(12, 9, share=0.8))
    model = FITS["biased_matrix_factorization"](*data, rank=0)
    assert model.user_factors.shape == (12, 0) and model.user_bias.any()


def test_fit_biases_is_the_damped_mean_of_what_is_left():
    users, items, ratings = draw_ratings(8, 6, share=0.6)
    model = fit_biases(*as_jax(users, items, ratings), num_epochs=200)
    mean, b, c = (np.float64(x) for x in model[:3])
    np.testing.assert_allclose(mean, ratings.mean(dtype=np.float64), rtol=1e-6)
    for u in range(8):
        left = (ratings - mean - c[items])[users == u]
        np.testing.assert_allclose(b[u], left.sum() / (15 + len(left)), atol=1e-5)
    for i in range(6):
        left = (ratings - mean - b[users])[items == i]
        np.testing.assert_allclose(c[i], left.sum() / (10 + len(left)), atol=1e-5)


def test_alternating_least_squares_solves_each_side():
    users, items, ratings = draw_ratings(9, 7, share=0.7)
    model = alternating_least_squares(
        *as_jax(users, items, ratings),
        rank=3,
        num_epochs=4,
        regularization=0.2,
        key=jax.random.key(0),
    )
    mean, b, c, p, q = (np.float64(x) for x in model[:5])
    left = ratings - mean - b[users] - c[items]
    for i in range(7):  # the items were the last side to be solved
        rows = p[users[items == i]]
        gram = rows.T @ rows + 0.2 * len(rows) * np.eye(3)
        expected = np.linalg.solve(gram, rows.T @ left[items == i])
        np.testing.assert_allclose(q[i], expected, atol=1e-4)
    fit = np.sum(p[users] * q[items], axis=1)
    np.testing.assert_allclose(
        model.train_rmse[-1], np.sqrt(np.mean((left - fit) ** 2)), rtol=1e-4
    )
    assert (np.diff(model.train_rmse) < 0).all()


BAD = {
    "lengths": ([0, 1], [0], [1.0, 2.0], {}, "vectors of one length"),
    "nothing": ([], [], [], {}, "at least 1"),
    "user": ([0, 5], [0, 1], [1.0, 2.0], {"num_users": 5}, r"\[0, 5\), got 0 to 5"),
    "item": ([0, 1], [0, -1], [1.0, 2.0], {}, r"items in \[0, 1\), got -1 to 0"),
    "nan": ([0, 1], [0, 1], [1.0, np.nan], {}, "ratings are NaN or infinite"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", FITS)
def test_fits_refuse_bad_ratings(monkeypatch, name, case):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    users, items, ratings, arguments, words = BAD[case]
    data = jnp.array(users, jnp.int32), jnp.array(items, jnp.int32), jnp.array(ratings)
    with pytest.raises(ValueError, match=f"{name}: .*{words}"):
        FITS[name](*data, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("fit_biases", {"user_damping": -1.0}, "user_damping must be at least 0"),
        ("fit_biases", {"num_epochs": 0}, "num_epochs must be at least 1, got 0"),
        ("biased_matrix_factorization", {"rank": -1}, "rank must be at least 0"),
        ("biased_matrix_factorization", {"batch_size": 0}, "batch_size must be"),
        ("biased_matrix_factorization", {"learning_rate": 0.0}, "above 0, got 0.0"),
        (
            "biased_matrix_factorization",
            {"regularization": -0.1},
            "at least 0, got -0.1",
        ),
        ("alternating_least_squares", {"rank": 0}, "must be at least 1, got 0, 20"),
        ("alternating_least_squares", {"regularization": 0.0}, "above 0, got 0.0"),
    ],
)
def test_fits_name_an_argument_out_of_range(name, arguments, words):
    with pytest.raises(ValueError, match=f"{name}: .*{words}"):
        FITS[name](*as_jax([0], [0], [1.0]), **arguments)


def test_fits_want_counts_under_jit():
    with pytest.raises(ValueError, match="num_users must be given under jit"):
        jax.jit(fit_biases)(*as_jax([0], [0], [1.0]))
