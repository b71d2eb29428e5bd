"""Completed matrices against optimality conditions and a float64 iteration."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.linalg import soft_impute


def make_case(rows=40, columns=25, rank=3, share=0.5, seed=0):
    """A noisy matrix of low rank and what is observed of it."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, rank)) @ generator.normal(size=(rank, columns))
    x = x + 0.1 * generator.normal(size=x.shape)
    return jnp.float32(x), jnp.asarray(generator.random(x.shape) < share)


def multiply(found):
    return (
        np.float64(found.u) * np.float64(found.s)[..., None, :] @ np.float64(found.vt)
    )


@pytest.mark.parametrize("max_rank", [None, 10])
def test_soft_impute_meets_the_conditions_of_the_minimum(max_rank):
    x, known = make_case()
    found = soft_impute(
        x, known, shrinkage=1.5, max_rank=max_rank, tol=1e-6, max_iterations=2000
    )
    assert found.converged and found.change <= 1e-6
    # The errors over the shrinkage are a subgradient of the nuclear norm.
    errors = np.where(known, x - multiply(found), 0) / 1.5
    kept = np.asarray(found.s) > 0
    assert 3 <= kept.sum() < 10
    u, v = np.asarray(found.u)[:, kept], np.asarray(found.vt)[kept].T
    np.testing.assert_allclose(u.T @ errors @ v, np.eye(kept.sum()), atol=2e-3)
    assert np.linalg.norm(errors, 2) <= 1 + 2e-3


@pytest.mark.parametrize("turned", [False, True])
def test_soft_impute_takes_the_steps_of_the_paper(turned):
    x, known = make_case()
    x, known = (x.T, known.T) if turned else (x, known)
    z = np.zeros(x.shape)
    for _ in range(5):
        filled = np.where(known, np.float64(x), z)
        u, s, vt = np.linalg.svd(filled, full_matrices=False)
        z = u * np.maximum(s - 2, 0) @ vt
    found = soft_impute(x, known, shrinkage=2.0, max_iterations=5)
    assert not found.converged and found.num_iterations == 5
    np.testing.assert_allclose(multiply(found), z, atol=1e-5)


def test_soft_impute_follows_a_path_to_the_same_end():
    x, known = make_case()
    arguments = {"tol": 1e-6, "max_iterations": 2000}
    path = jnp.array([20.0, 8.0, 4.0, 2.0])
    found = soft_impute(x, known, shrinkage=path, **arguments)
    assert found.u.shape == (4, 40, 25) and found.converged.all()
    alone = soft_impute(x, known, shrinkage=2.0, **arguments)
    np.testing.assert_allclose(multiply(found)[-1], multiply(alone), atol=2e-4)
    assert found.num_iterations[-1] < alone.num_iterations
    ranks = (np.asarray(found.s) > 0).sum(axis=-1)
    assert (np.diff(ranks) >= 0).all()


def test_soft_impute_recovers_missing_entries():
    x, known = make_case(rows=80, columns=60, share=0.6)
    found = soft_impute(x, known, shrinkage=1.0, max_rank=10)
    missing = ~np.asarray(known)
    error = np.sqrt(np.mean((multiply(found) - x)[missing] ** 2))
    assert error < 0.2  # noise of 0.1 is in the entries themselves, whose size is 1.7


def test_soft_impute_is_zero_from_the_largest_singular_value_on():
    x, known = make_case()
    most = np.linalg.norm(np.where(known, x, 0), 2)
    assert not soft_impute(x, known, shrinkage=float(most) * 1.001).s.any()
    assert soft_impute(x, known, shrinkage=float(most) * 0.999).s.any()
    zero = soft_impute(x, jnp.zeros_like(known), shrinkage=0.1)
    assert zero.converged and not zero.s.any()


def test_soft_impute_ignores_what_is_not_observed_and_repeats_itself():
    x, known = make_case()
    found = soft_impute(x, known, shrinkage=1.0, max_rank=5)
    holes = jnp.where(known, x, jnp.nan)
    compiled = jax.jit(soft_impute, static_argnames="max_rank")
    for again in (
        soft_impute(holes, known, shrinkage=1.0, max_rank=5),
        compiled(holes, known, shrinkage=1.0, max_rank=5),
    ):
        np.testing.assert_allclose(multiply(again), multiply(found), atol=1e-4)
    bad = compiled(holes, jnp.ones_like(known), shrinkage=1.0, max_rank=5)
    assert jnp.isnan(bad.u).all() and not bad.converged


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"shrinkage": -1.0}, "shrinkage must be at least 0, got -1.0"),
        ({"shrinkage": 1.0, "max_rank": 0}, r"max_rank must be in \[1, 2\].*got 0"),
        ({"shrinkage": 1.0, "max_rank": 3}, r"max_rank must be in \[1, 2\].*got 3"),
        ({"shrinkage": 1.0, "tol": 0.0}, "tol must be above 0, got 0.0"),
        ({"shrinkage": 1.0, "max_iterations": 0}, "max_iterations must be above 0"),
    ],
)
def test_soft_impute_names_an_argument_out_of_range(arguments, words):
    with pytest.raises(ValueError, match=f"soft_impute: {words}"):
        soft_impute(jnp.ones((2, 3)), jnp.ones((2, 3), bool), **arguments)


def test_soft_impute_refuses_bad_matrices(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    known = jnp.ones((2, 3), bool)
    with pytest.raises(ValueError, match="soft_impute: 6 of 6 numbers are NaN"):
        soft_impute(jnp.full((2, 3), jnp.inf), known, shrinkage=1.0)
    with pytest.raises(ValueError, match=r"is_observed has shape \(2, 3\), x \(3, 2\)"):
        soft_impute(jnp.ones((3, 2)), known, shrinkage=1.0)
