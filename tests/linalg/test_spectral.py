import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.linalg import nuclear_norm, singular_value_threshold, spectral_function
from tests.differences import directional_derivative

SHAPES = [(4, 4), (7, 4), (2, 4, 5)]
FUNCTIONS = {
    "shrink": lambda s: library(s).maximum(s - 1, 0),
    "tanh": lambda s: library(s).tanh(s),
    "cube": lambda s: s * s * s,
    "ratio": lambda s: s / (1 + s * s),
    "jump": lambda s: library(s).heaviside(s - 1, 0),
}
SPECTRA = {
    "distinct": [3, 2, 0.5, 0.2],
    "repeated": [2, 2, 2, 0.5],
    "equal": [2, 2, 2, 2],
    "zero": [3, 2, 0, 0],
    "all zero": [0, 0, 0, 0],
    "clustered to 1e-12": [2 + 1e-12, 2 - 1e-12, 0.5 + 1e-12, 0.5],
    "clustered to 1e-9": [2 + 1e-9, 2 - 3e-9, 0.5 + 1e-9, 0.5],
    "clustered to 1e-6": [2 + 1e-6, 2, 0.5 + 1e-6, 0.5],
    "clustered to 1e-3": [2 + 1e-3, 2, 0.5 + 1e-3, 0.5],
    "nearly zero": [2, 1e-5, 1e-9, 1e-11],
    "beside the kink": [1.03, 0.97, 0.2, 0],
}


def library(s):
    return np if isinstance(s, np.ndarray) else jnp


def make_matrix(*shape, values=None, seed=0):
    a = np.random.default_rng(seed).standard_normal(shape)
    if values is None:
        return a
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    return (u * np.asarray(values, float)) @ vt


def apply(a, f):
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    return (u * f(s)[..., None, :]) @ vt


@pytest.mark.parametrize("shape", SHAPES)
def test_spectral_function_applies_to_singular_values(shape):
    a = make_matrix(*shape)
    for name, f in FUNCTIONS.items():
        found = spectral_function(jnp.float32(a), f)
        np.testing.assert_allclose(found, apply(a, f), atol=2e-5, err_msg=name)


@pytest.mark.parametrize("shape", SHAPES)
def test_spectral_function_has_the_derivatives_of_differences(shape):
    # The SVD itself extends f to negative numbers as an odd function, which for all of
    # these is smooth enough at 0 for differences of high order.
    direction = make_matrix(*shape, seed=1)

    @jax.jit
    def differentiate(a, b):
        functions = FUNCTIONS.items()
        apply_all = lambda a: {name: spectral_function(a, f) for name, f in functions}
        return jax.jvp(apply_all, (a,), (b,))[1]

    for spectrum, values in SPECTRA.items():
        a = make_matrix(*shape, values=values)
        with jax.enable_x64(True):
            found = differentiate(a, direction)
        for name, f in FUNCTIONS.items():
            wanted = directional_derivative(lambda a, f=f: apply(a, f), a, direction)
            error = np.abs(np.asarray(found[name]) - wanted).max()
            error /= max(1, np.abs(wanted).max())
            assert error < 1e-6, (spectrum, name, error)


def test_spectral_function_gradients_are_adjoint_to_derivatives():
    shape = (2, 3, 4)
    a = make_matrix(*shape, values=[2, 2, 0])
    direction, weights = make_matrix(*shape, seed=1), make_matrix(*shape, seed=2)
    total = lambda a: (weights * spectral_function(a, jnp.tanh)).sum()
    with jax.enable_x64(True):
        forward = jax.jit(lambda a, b: jax.jvp(total, (a,), (b,))[1])(a, direction)
        backward = np.asarray(jax.jit(jax.grad(total))(a))
    np.testing.assert_allclose((backward * direction).sum(), forward, rtol=1e-10)


def test_spectral_function_of_the_identity_function_has_the_gradient_of_its_matrix():
    # Through U S V.T of an SVD at equal values it is NaN, or wrong by half.
    weights = jnp.float32(make_matrix(3, 3))
    total = lambda a: (weights * spectral_function(a, lambda s: s)).sum()
    gradient = jax.jit(jax.grad(total))
    for a in (jnp.eye(3), jnp.zeros((3, 3)), jnp.diag(jnp.array([2.0, 2.0, 0.0]))):
        np.testing.assert_allclose(gradient(a), weights, atol=1e-5)


def test_spectral_function_reaches_numbers_that_the_function_closes_over():
    a, weights = make_matrix(5, 3), make_matrix(5, 3, seed=1)

    def total(rate, a):
        f = lambda s: jnp.tanh(rate * s)
        return (weights * spectral_function(jnp.asarray(a), f)).sum()

    def reference(rate):
        return (weights * apply(a, lambda s: np.tanh(rate * s))).sum()

    wanted = directional_derivative(reference, 0.7, 1.0)
    with jax.enable_x64(True):
        plain, twice = jax.grad(total)(0.7, a), jax.jit(jax.grad(total))(0.7, a)
        mapped = jax.jit(jax.vmap(jax.grad(total), (0, None)))(np.full(2, 0.7), a)
        change = jax.jit(jax.grad(jax.grad(total)))(0.7, a)
    np.testing.assert_allclose([plain, twice, *mapped], wanted, rtol=1e-7)
    second = directional_derivative(
        lambda x: directional_derivative(reference, x, 1.0, step=1e-2), 0.7, 1.0
    )
    np.testing.assert_allclose(change, second, rtol=1e-5)


def test_spectral_function_is_finite_where_the_derivative_at_zero_is_not():
    a = jnp.diag(jnp.array([1.0, 0.0, 0.0]))
    gradient = jax.jit(jax.grad(lambda a: spectral_function(a, jnp.sqrt).trace()))
    np.testing.assert_allclose(gradient(a), np.diag([0.5, 0, 0]), atol=1e-6)


def test_spectral_function_wants_an_elementwise_function(monkeypatch):
    with pytest.raises(ValueError, match=r"f made float32\[\] of float32\[2\]"):
        spectral_function(jnp.eye(2), jnp.sum)
    with pytest.raises(ValueError, match="spectral_function: 1 of 4 numbers are NaN"):
        spectral_function(jnp.eye(2).at[0, 1].set(jnp.nan), jnp.tanh)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"spectral_function: wanted a matrix"):
        spectral_function(jnp.ones(2), jnp.tanh)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 2, 3)])
def test_spectral_functions_of_nothing(shape):
    a = jnp.zeros(shape)
    assert spectral_function(a, jnp.tanh).shape == shape
    assert singular_value_threshold(a, 0.5).shape == shape
    np.testing.assert_array_equal(nuclear_norm(a), np.zeros(shape[:-2]))

    def total(a):
        return nuclear_norm(a).sum() + singular_value_threshold(a, 0.5).sum()

    assert jax.grad(total)(a).shape == shape


@pytest.mark.parametrize("shape", SHAPES)
def test_nuclear_norm_has_the_gradient_of_the_vectors(shape):
    a = make_matrix(*shape)
    differentiate = jax.jit(jax.vmap(jax.value_and_grad(nuclear_norm)))
    norm, gradient = differentiate(jnp.float32(a).reshape(-1, *shape[-2:]))
    wanted = np.linalg.norm(a, "nuc", axis=(-2, -1))
    np.testing.assert_allclose(norm.reshape(shape[:-2]), wanted, rtol=1e-5)
    np.testing.assert_allclose(
        gradient.reshape(shape), apply(a, np.ones_like), atol=1e-4
    )


def test_nuclear_norm_has_the_smallest_subgradient_at_low_rank():
    a = np.diag([3.0, 2.0, 0.0])
    gradient = jax.jit(jax.grad(nuclear_norm))
    np.testing.assert_allclose(gradient(jnp.float32(a)), np.diag([1, 1, 0]), atol=1e-6)
    np.testing.assert_array_equal(gradient(jnp.zeros((3, 3))), np.zeros((3, 3)))


def test_nuclear_norm_has_second_derivatives_at_equal_values():
    # At the identity U V.T changes by the skew part of what the matrix changes by.
    change = jnp.float32(make_matrix(3, 3))
    gradient = jax.grad(nuclear_norm)
    second = jax.jit(lambda a, b: jax.jvp(gradient, (a,), (b,))[1])(jnp.eye(3), change)
    np.testing.assert_allclose(second, (change - change.T) / 2, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_value_threshold_shrinks_and_has_gradients_of_both(shape):
    a, direction = make_matrix(*shape), make_matrix(*shape, seed=1)
    batch = shape[:-2]
    threshold, change = np.full(batch, 0.7), np.ones(batch)

    def shrink(a, threshold):
        return apply(a, lambda s: np.maximum(s - threshold[..., None], 0))

    wanted = directional_derivative(
        lambda t: shrink(a + t * direction, threshold + t * change), 0.0, 1.0
    )
    with jax.enable_x64(True):
        differentiate = jax.jit(lambda a, b: jax.jvp(singular_value_threshold, a, b))
        found, slope = differentiate((a, threshold), (direction, change))
    np.testing.assert_allclose(found, shrink(a, threshold), atol=1e-12)
    np.testing.assert_allclose(slope, wanted, atol=1e-7)


def test_singular_value_threshold_takes_one_threshold_per_matrix():
    a = jnp.float32(make_matrix(2, 4, 3))
    threshold = jnp.array([0.1, 1.5])
    found = singular_value_threshold(a, threshold)
    mapped = jax.vmap(singular_value_threshold)(a, threshold)
    alone = jnp.stack([singular_value_threshold(a[0], 0.1), *mapped[1:]])
    np.testing.assert_allclose(found, mapped, atol=1e-6)
    np.testing.assert_allclose(found, alone, atol=1e-6)


@pytest.mark.parametrize("threshold", [-0.5, np.nan])
def test_singular_value_threshold_wants_a_threshold_of_at_least_0(threshold):
    with pytest.raises(ValueError, match=f"threshold of at least 0, got {threshold}"):
        singular_value_threshold(jnp.eye(2), threshold)
