import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.diagnose import (
    activation_statistics,
    capture_outputs,
    measure_activations,
    output_gradients,
    root_mean_square,
)
from jaxdl.layers import BatchNorm


class Cell(nn.Module):
    """A product and an activation, as a module with another inside."""

    features: int

    @nn.compact
    def __call__(self, x):
        return jnp.tanh(nn.Dense(self.features, name="dense")(x))


class TwoCells(nn.Module):
    """Names that the alphabet would put in another order."""

    @nn.compact
    def __call__(self, x):
        x = Cell(4, name="second")(x)
        return Cell(3, name="first")(x)


def make_tanh(rng):
    """A model of two cells, its input, and every output in float64."""
    x = rng.normal(size=(5, 6))
    kernels = [rng.normal(size=shape) for shape in ((6, 4), (4, 3))]
    biases = [rng.normal(size=n) for n in (4, 3)]
    params = {
        name: {"dense": {"kernel": as_float(kernel), "bias": as_float(bias)}}
        for name, kernel, bias in zip(("second", "first"), kernels, biases, strict=True)
    }
    outputs, y = {}, x
    for name, kernel, bias in zip(("second", "first"), kernels, biases, strict=True):
        outputs[f"{name}/dense"] = y @ kernel + bias
        outputs[name] = y = np.tanh(outputs[f"{name}/dense"])
    outputs["output"] = y
    return {"params": params}, as_float(x), outputs, kernels


def as_float(x):
    return jnp.asarray(x, jnp.float32)


def test_capture_outputs_gives_every_module_in_the_order_of_computation():
    variables, x, expected, _ = make_tanh(np.random.default_rng(0))
    outputs = capture_outputs(TwoCells(), variables, x)
    assert list(outputs) == list(expected)
    for name, output in outputs.items():
        np.testing.assert_allclose(output, expected[name], rtol=1e-5, atol=1e-6)


def test_activation_statistics_equal_numpy():
    variables, x, expected, _ = make_tanh(np.random.default_rng(1))
    found = activation_statistics(TwoCells(), variables, x)
    assert list(found) == list(expected)
    for name, statistics in found.items():
        np.testing.assert_allclose(statistics.mean, expected[name].mean(), atol=1e-6)
        np.testing.assert_allclose(statistics.std, expected[name].std(), rtol=1e-5)
        assert statistics.shape == expected[name].shape
        assert statistics.zero_share == statistics.nonfinite_share == 0


def test_measure_activations_counts_zeros_and_what_is_not_finite():
    x = np.array([[0, 0, 3, np.nan], [np.inf, -np.inf, -1, 4]])
    found = measure_activations(as_float(x))
    finite = x[np.isfinite(x)]
    assert (found.zero_share, found.nonfinite_share) == (2 / 8, 3 / 8)
    np.testing.assert_allclose(found.mean, finite.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.std, finite.std(), rtol=1e-6)


def test_measure_activations_is_exact_far_from_zero():
    x = 1e4 + np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    np.testing.assert_allclose(
        measure_activations(jnp.asarray(x)).std, x.std(dtype=np.float64), rtol=1e-3
    )


def test_measure_activations_of_nothing_finite_has_no_mean():
    found = measure_activations(as_float([np.nan, np.inf]))
    assert np.isnan(found.mean) and np.isnan(found.std) and found.nonfinite_share == 1


class Various(nn.Module):
    """Batch statistics, dropout, a module called twice and outputs that are trees."""

    @nn.compact
    def __call__(self, x, *, train):
        norm = BatchNorm(name="norm")(x, train=train)
        x = nn.Dropout(0.5, deterministic=not train)(norm)
        dense = nn.Dense(3, name="dense")
        return {"a": dense(dense(x)), "b": jnp.arange(2)}


def test_capture_outputs_in_training_names_calls_and_parts():
    x = jnp.ones((4, 3))
    model = Various()
    variables = model.init(jax.random.key(0), x, train=False)
    rngs = {"dropout": jax.random.key(1)}
    outputs = capture_outputs(model, variables, x, train=True, rngs=rngs)
    assert list(outputs) == [
        "norm",
        "Dropout_0",
        "dense",
        "dense:2",
        "output/a",
        "output/b",
    ]
    # A constant batch is normalised to zeros by its own statistics.
    np.testing.assert_allclose(outputs["norm"], 0, atol=1e-3)


def test_output_gradients_equal_the_chain_rule():
    variables, x, outputs, kernels = make_tanh(np.random.default_rng(2))
    found = output_gradients(TwoCells(), variables, lambda y: jnp.sum(jnp.square(y)), x)
    # The loss is the sum of squares; each step back multiplies by what lies between.
    expected = {"output": 2 * outputs["output"]}
    expected["first"] = expected["output"]
    expected["first/dense"] = expected["first"] * (1 - outputs["first"] ** 2)
    expected["second"] = expected["first/dense"] @ kernels[1].T
    expected["second/dense"] = expected["second"] * (1 - outputs["second"] ** 2)
    assert list(found) == list(outputs)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5)


def test_output_gradients_of_a_module_called_twice():
    x = jnp.ones((4, 3))
    model = Various()
    variables = model.init(jax.random.key(0), x, train=False)
    loss_fn = lambda output: jnp.sum(output["a"])
    found = output_gradients(model, variables, loss_fn, x, train=False)
    kernel = np.asarray(variables["params"]["dense"]["kernel"], np.float64)
    np.testing.assert_allclose(found["dense:2"], np.ones((4, 3)))
    wanted = np.ones((4, 3)) @ kernel.T
    np.testing.assert_allclose(found["dense"], wanted, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_root_mean_square_neither_overflows_nor_underflows(scale):
    x = np.random.default_rng(0).normal(size=100)
    found = root_mean_square(as_float(scale * x))
    np.testing.assert_allclose(found, scale * np.sqrt(np.mean(x**2)), rtol=1e-5)


def test_root_mean_square_of_zeros_and_infinity():
    assert root_mean_square(jnp.zeros(3)) == 0
    assert root_mean_square(as_float([1, np.inf])) == np.inf
