"""The functions behind the normalisation layers."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.layers import (
    moments,
    normalize,
    normalize_with_moments,
    standardize,
    standardize_weights,
)


def draw(shape, dtype=jnp.float32, mean=0.0, deviation=1.0):
    draws = np.random.default_rng(0).normal(mean, deviation, shape)
    return jnp.asarray(draws, dtype)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 3), (1, 2), (3,)])
def test_moments_are_right_far_from_zero(axes):
    # The one-pass form gives 24 for a true variance of 1 at 1e4.
    both = lambda x: (moments(x, axes), normalize_with_moments(x, axes)[1])
    for mean in (1e4, -1e4, 1e5):
        x = draw((16, 8, 8, 64), mean=mean)
        exact = np.asarray(x, float)
        (average, var), same = jax.jit(both)(x)
        jax.tree.map(np.testing.assert_array_equal, (average, var), same)
        np.testing.assert_allclose(average, exact.mean(axes, keepdims=True), rtol=1e-6)
        np.testing.assert_allclose(var, exact.var(axes, keepdims=True), rtol=1e-3)


def test_moments_of_bfloat16_are_float32():
    # Rounded to bfloat16 on the way, a mean of 100 would be off by up to 0.25.
    x = draw((4, 50), jnp.bfloat16, mean=100)
    mean, var = moments(x, (1,))
    assert mean.dtype == var.dtype == jnp.float32
    exact = np.asarray(x, float)
    np.testing.assert_allclose(mean[:, 0], exact.mean(1), rtol=1e-6)
    np.testing.assert_allclose(var[:, 0], exact.var(1), rtol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_normalize_gives_mean_zero_and_variance_one_in_the_dtype_of_x(dtype):
    x = draw((4, 50), dtype, mean=30, deviation=20)
    y = normalize(x, (1,))
    assert y.dtype == dtype
    exact = np.asarray(x, float)
    exact = (exact - exact.mean(1, keepdims=True)) / exact.std(1, keepdims=True)
    tolerance = 4 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(
        np.asarray(y, float), exact, rtol=tolerance, atol=tolerance
    )


def test_normalize_takes_scale_and_bias_on_the_last_axes():
    x = draw((2, 3, 4))
    scale, bias = jnp.arange(12.0).reshape(3, 4), jnp.arange(4.0)
    y = normalize(x, (1, 2), scale=scale, bias=bias)
    plain = np.asarray(normalize(x, (1, 2)))
    expected = plain * np.asarray(scale) + np.asarray(bias)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_normalize_under_jit_equals_eager():
    x = draw((4, 3))
    np.testing.assert_allclose(
        jax.jit(normalize, static_argnums=1)(x, (0,)), normalize(x, (0,)), rtol=1e-6
    )


def test_standardize_of_given_statistics_equals_numpy():
    x = draw((5, 3))
    mean, var = jnp.arange(3.0), jnp.array([0.0, 1.0, 4.0])
    y = standardize(x, mean, var, eps=0.5)
    expected = (np.asarray(x, float) - [0, 1, 2]) / np.sqrt([0.5, 1.5, 4.5])
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 3, 8, 5), (20, 5)])
def test_standardize_weights_equals_numpy_per_output_feature(shape):
    kernel = draw(shape, mean=0.01, deviation=0.02)
    axes = tuple(range(len(shape) - 1))
    exact = np.asarray(kernel, float)
    exact = (exact - exact.mean(axes)) / exact.std(axes)
    np.testing.assert_allclose(standardize_weights(kernel), exact, rtol=1e-4, atol=1e-4)


def test_standardize_weights_frees_the_gradient_of_its_mean_and_of_the_weights():
    # The result changes neither with the mean nor with the size of the weights.
    kernel = draw((6, 2), deviation=0.1)
    weights = jnp.sin(jnp.arange(12.0)).reshape(6, 2)
    grads = jax.jit(jax.grad(lambda k: jnp.vdot(standardize_weights(k), weights)))(
        kernel
    )
    grads = np.asarray(grads)
    assert abs(grads).max() > 1
    np.testing.assert_allclose(grads.sum(0), 0, atol=1e-4)
    np.testing.assert_allclose((grads * np.asarray(kernel)).sum(0), 0, atol=1e-4)


def test_standardize_weights_of_equal_weights_is_zero_with_a_finite_gradient():
    y, pull_back = jax.vjp(standardize_weights, jnp.full((4, 2), 0.3))
    assert not y.any()
    assert jnp.isfinite(pull_back(jnp.arange(8.0).reshape(4, 2))[0]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: moments(jnp.ones(3, int), (0,)), "floating point, got int"),
        (lambda: moments(jnp.ones((0, 3)), (0,)), r"\(0, 3\) has no values over"),
        (lambda: normalize(jnp.ones(3), (0,), eps=0.0), "eps .*positive, got 0.0"),
        (
            lambda: standardize(jnp.ones(3), jnp.ones(3), jnp.ones(3), eps=-1.0),
            "eps .*positive, got -1.0",
        ),
    ],
)
def test_moments_name_a_bad_argument(call, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        call()
