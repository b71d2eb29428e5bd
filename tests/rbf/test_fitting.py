"""The classical ways to fit a radial basis function network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from jaxdl.layers import RBFHead, RBFOutputs
from jaxdl.rbf import (
    descend,
    encode_classes,
    fit_one_phase,
    fit_three_phase,
    fit_two_phase,
    predict_by_nearest,
    solve_output,
)

KEY = jax.random.key(0)


def make_network(num_centers, num_classes, **options):
    options = {"metric": "euclidean", "kernel": "gaussian", **options}
    return RBFHead(num_centers, num_classes, None, **options)


def predict(head, fit, x):
    return np.asarray(head.apply({"params": fit.params}, x).logits)


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    x = jnp.asarray(images[order] / 16, jnp.float32)
    y = jnp.asarray(labels[order])
    return x[:1400], y[:1400], x[1400:], y[1400:]


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_solve_output_matches_float64(strength):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(30, 2)), jnp.float32)
    y = rng.normal(size=(30, 3)).astype(np.float32)
    head = make_network(5, 3)
    params = head.init(KEY, x)["params"]
    activations = np.asarray(head.apply({"params": params}, x).activations, np.float64)
    middle, mean = activations.mean(0), y.astype(np.float64).mean(0)
    h = activations - middle
    kernel = np.linalg.solve(h.T @ h + strength * np.eye(5), h.T @ (y - mean))
    solved = solve_output(head, params, x, jnp.asarray(y), strength=strength)
    np.testing.assert_allclose(solved["output"]["kernel"], kernel, rtol=1e-3)
    np.testing.assert_allclose(
        solved["output"]["bias"], mean - middle @ kernel, rtol=1e-3, atol=1e-4
    )


def test_fit_interpolates_a_sine_by_twenty_centres():
    x = jnp.linspace(0.0, 2 * np.pi, 20)[:, None]
    fit = fit_one_phase(make_network(20, 1), x, jnp.sin(x), width_scale=2.0, key=KEY)
    between = np.linspace(0.0, 2 * np.pi, 500)[:, None]
    error = predict(make_network(20, 1), fit, jnp.asarray(between, jnp.float32))
    assert np.abs(error - np.sin(between)).max() < 1e-3


def test_fit_phases_get_better_one_by_one():
    """Few centres of a function that needs them in certain places."""
    x = jnp.linspace(-1.0, 1.0, 200)[:, None]
    y = jnp.tanh(20 * (x - 0.5)) + x
    head = make_network(6, 1)
    errors = []
    for seed in range(3):
        key = jax.random.key(seed)
        two = fit_two_phase(head, x, y, key=key)
        three = fit_three_phase(head, x, y, num_steps=300, learning_rate=0.03, key=key)
        fits = fit_one_phase(head, x, y, key=key), two, three
        errors.append([np.mean((predict(head, fit, x) - y) ** 2) for fit in fits])
    one, two, three = np.mean(errors, axis=0)
    assert three < 0.9 * two < 0.9 * one


def test_fit_two_phase_reads_digits(digits):
    x, y, test_x, test_y = digits
    head = make_network(200, 10)
    fit = fit_two_phase(
        head, x, encode_classes(y, 10), labels=y, width_scale=2.0, key=KEY
    )
    accuracy = np.mean(predict(head, fit, test_x).argmax(1) == test_y)
    assert accuracy >= 0.96
    outputs = head.apply({"params": fit.params}, test_x)
    assert np.mean(predict_by_nearest(outputs, fit.classes) == test_y) >= 0.96


@pytest.mark.slow
def test_fit_two_phase_learns_an_embedding_s_centres(digits):
    x, y, *_ = digits
    head = RBFHead(20, 10, 8, kernel="gaussian")
    fit = fit_two_phase(head, x, encode_classes(y, 10), width_scale=2.0, key=KEY)
    embeddings = head.apply({"params": fit.params}, x).embeddings
    assert set(np.asarray(fit.classes)) == {-1}
    assert (np.asarray(fit.params["log_weights"]) == 0).all()
    embeddings, centers = np.asarray(embeddings), np.asarray(fit.params["centers"])
    nearest = np.linalg.norm(embeddings[:, None] - centers, axis=-1).argmin(1)
    middles = [embeddings[nearest == center].mean(0) for center in range(20)]
    np.testing.assert_allclose(centers, middles, atol=0.05)


@pytest.mark.slow
def test_descend_keeps_the_best_it_met():
    x = jnp.linspace(-1.0, 1.0, 20)[:, None]
    head = make_network(4, 1)
    params = fit_two_phase(head, x, x, key=KEY).params
    worse, losses = descend(head, params, x, x, num_steps=20, learning_rate=10.0)
    assert losses[0] < losses[-1]
    error = np.mean((head.apply({"params": worse}, x).logits - x) ** 2)
    np.testing.assert_allclose(error, losses.min(), rtol=1e-3, atol=1e-9)


@pytest.mark.slow
def test_descend_pulls_centres_to_examples():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(40, 2)), jnp.float32)
    head = make_network(3, 1)
    params = fit_one_phase(head, x, x[:, :1], key=KEY).params
    near = []
    for weight in (0.0, 10.0):
        moved, _ = descend(
            head,
            params,
            x,
            x[:, :1],
            cluster_weight=weight,
            learning_rate=0.01,
            num_steps=100,
        )
        outputs = head.apply({"params": moved}, x)
        widths = np.asarray(head.read_parts(moved).widths)
        scaled = np.asarray(outputs.squared_distances) / widths**2
        near.append(scaled.min(1).mean())
    assert near[1] < 0.8 * near[0]


def test_predict_by_nearest_passes_over_centres_without_class():
    outputs = RBFOutputs(None, None, jnp.array([[0.0, 2.0, 3.0]]), None)
    assert predict_by_nearest(outputs, jnp.array([-1, 4, 5])).tolist() == [4]


def test_fitting_names_what_does_not_fit():
    x = jnp.ones((4, 2))
    head = make_network(2, 3)
    params = head.init(KEY, x)["params"]
    with pytest.raises(ValueError, match=r"targets must be of shape \(4, 3\)"):
        solve_output(head, params, x, jnp.ones((4, 2)))
    with pytest.raises(ValueError, match="strength must be at least 0, got -1"):
        solve_output(head, params, x, jnp.ones((4, 3)), strength=-1.0)
    head = make_network(2, 3, nonnegative=True)
    with pytest.raises(ValueError, match="nonnegative=False"):
        solve_output(head, head.init(KEY, x)["params"], x, jnp.ones((4, 3)))
    with pytest.raises(ValueError, match=r"must be in \[0, 3\), got 0 to 3"):
        encode_classes(jnp.array([0, 3]), 3)
