"""What holds a radial basis function head back, against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.losses import (
    assignment_imbalance,
    center_repulsion,
    metric_decay,
    width_prior,
)

RNG = np.random.default_rng(0)
CENTERS = RNG.normal(size=(5, 3)).astype(np.float32)
WIDTHS = RNG.uniform(0.5, 2.0, size=5).astype(np.float32)


def test_center_repulsion_matches_float64():
    c, w = CENTERS.astype(np.float64), WIDTHS.astype(np.float64)
    pairs = [
        np.exp(-0.5 * np.sum((c[i] - c[j]) ** 2) / (w[i] * w[j]))
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    got = center_repulsion(jnp.asarray(CENTERS), jnp.asarray(WIDTHS))
    np.testing.assert_allclose(got, np.mean(pairs), rtol=1e-5)


def test_center_repulsion_pushes_centres_apart():
    two = jnp.array([[0.0], [1.0]])
    slope = jax.grad(lambda c: center_repulsion(c, jnp.ones(2)))(two)
    assert slope[0, 0] > 0 > slope[1, 0]
    alike = jax.grad(lambda c: center_repulsion(c, jnp.ones(2)))(jnp.zeros((2, 1)))
    np.testing.assert_array_equal(alike, np.zeros((2, 1)))


def test_center_repulsion_names_a_single_centre():
    with pytest.raises(ValueError, match="at least 2 centres, got 1"):
        center_repulsion(jnp.ones((1, 2)), jnp.ones(1))


def test_width_prior_and_metric_decay_match_float64():
    logs = np.log(WIDTHS.astype(np.float64))
    np.testing.assert_allclose(width_prior(jnp.asarray(WIDTHS)), logs.var(), rtol=1e-5)
    weights = RNG.uniform(0.1, 3.0, size=(4, 6)).astype(np.float32)
    wanted = np.log(weights.astype(np.float64)).var(axis=1).mean()
    np.testing.assert_allclose(metric_decay(jnp.asarray(weights)), wanted, rtol=1e-5)
    np.testing.assert_allclose(
        metric_decay(7 * jnp.asarray(weights)), wanted, rtol=1e-4
    )


def test_assignment_imbalance_matches_float64():
    distances = RNG.uniform(0, 9, size=(8, 5)).astype(np.float32)
    scores = -0.5 * distances.astype(np.float64) / WIDTHS**2
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    mean = shares.mean(0)
    wanted = np.log(5) + np.sum(mean * np.log(mean))
    got = assignment_imbalance(jnp.asarray(distances), widths=jnp.asarray(WIDTHS))
    np.testing.assert_allclose(got, wanted, rtol=1e-4)


def test_assignment_imbalance_is_finite_for_a_centre_nobody_is_near():
    distances = jnp.array([[0.0, 1e6], [1.0, 1e6]])
    run = jax.value_and_grad(lambda d: assignment_imbalance(d, widths=jnp.ones(2)))
    value, grads = run(distances)
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
    assert np.isfinite(grads).all()
