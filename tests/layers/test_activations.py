import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxdl.layers import ACTIVATIONS, make_activation


def exact_gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def exact_elu(x):
    return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)


EXACT = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": exact_elu,
    "celu": exact_elu,  # the same at alpha 1
    "gelu": lambda x: x * 0.5 * (1 + special.erf(x / np.sqrt(2))),
    "gelu_tanh": exact_gelu_tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "identity": lambda x: x,
}
POINTS = np.linspace(-12, 12, 97)  # 0 among them
EXTREMES = [0.0, -0.0, 1e-30, 10.0, 1e4, 1e15, 1e25, 3e38]


@jax.jit
def evaluate(x):
    """All activations and their derivatives in one program: it compiles once."""
    values = {name: jax.vjp(f, x) for name, f in ACTIVATIONS.items()}
    return {name: (y, pull(jnp.ones_like(x))[0]) for name, (y, pull) in values.items()}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_numpy_in_float64(name):
    y, slope = evaluate(jnp.asarray(POINTS, jnp.float32))[name]
    np.testing.assert_allclose(y, EXACT[name](POINTS), rtol=1e-5, atol=3e-7)
    h = 1e-5
    exact = (EXACT[name](POINTS + h) - EXACT[name](POINTS - h)) / (2 * h)
    smooth = POINTS != 0
    np.testing.assert_allclose(slope[smooth], exact[smooth], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_finite_everywhere_with_their_derivatives(name, dtype):
    x = jnp.asarray(EXTREMES + [-value for value in EXTREMES], dtype)
    y, slope = evaluate(x)[name]
    assert y.dtype == slope.dtype == dtype
    assert y.shape == x.shape
    y, slope = np.asarray(y, float), np.asarray(slope, float)
    assert np.isfinite(y).all()
    assert (np.abs(slope) < 1.2).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_in_bfloat16_are_as_right_as_it_allows(name):
    x = jnp.asarray(POINTS, jnp.bfloat16)
    y, _ = evaluate(x)[name]
    exact = EXACT[name](np.asarray(x, float))
    np.testing.assert_allclose(np.asarray(y, float), exact, rtol=2e-2, atol=2e-2)


def test_make_activation_without_options_gives_the_table():
    assert all(make_activation(name) is f for name, f in ACTIVATIONS.items())


def test_activations_have_two_forms_of_gelu():
    x = jnp.asarray(POINTS, jnp.float32)
    values = evaluate(x)
    apart = np.abs(np.asarray(values["gelu"][0]) - values["gelu_tanh"][0]).max()
    assert 1e-4 < apart < 5e-4


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("leaky_relu", {"negative_slope": 0.2}, [-0.4, 3.0]),
        ("elu", {"alpha": 2.0}, [2 * (np.exp(-2) - 1), 3.0]),
        ("celu", {"alpha": 2.0}, [2 * (np.exp(-1) - 1), 3.0]),
    ],
)
def test_make_activation_takes_the_options_of_each(name, options, expected):
    y = make_activation(name, **options)(jnp.array([-2.0, 3.0]))
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("geluu", {}, "unknown activation 'geluu'.*gelu_tanh.*did you mean 'gelu'"),
        ("swish", {}, "unknown activation 'swish': choose sigmoid, tanh"),
        ("relu", {"alpha": 1.0}, "relu has no option 'alpha'; it has: none"),
        ("elu", {"slope": 1.0}, "elu has no option 'slope'; it has: alpha"),
        ("celu", {"alpha": 0.0}, "celu: alpha must be positive, got 0.0"),
    ],
)
def test_make_activation_names_what_is_wrong(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_activation(name, **options)
