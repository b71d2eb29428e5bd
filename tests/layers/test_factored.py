"""Factored layers against the layers that they stand for."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import Conv, Dense, FactoredConv, FactoredDense
from jaxdl.linalg import factor_conv, factor_dense, kernel_spectra

METHODS = ("channel", "spatial", "tucker2")
GEOMETRIES = {
    "strided": {"kernel_size": 3, "stride": 2},
    "padded": {"kernel_size": (3, 5), "padding": (0, 3), "stride": (2, 1)},
    "dilated": {"kernel_size": (2, 3), "dilation": (1, 2), "stride": (1, 3)},
    "grouped": {"kernel_size": (3, 2), "groups": 2, "padding": 1},
    "depthwise": {"kernel_size": 3, "groups": 4},
    "1x1": {"kernel_size": 1, "stride": 2},
}


def name_parts(kernels, bias):
    names = ("first", *("core",) * (len(kernels) - 2), "second")
    params = {n: {"kernel": k} for n, k in zip(names, kernels, strict=True)}
    params["second"]["bias"] = bias
    return {"params": params}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_factored_conv_at_full_rank_is_the_convolution(name):
    options = {"features": 8, "use_bias": True, **GEOMETRIES[name]}
    conv, groups = Conv(**options), options.get("groups", 1)
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(2, 9, 8, 4)), jnp.float32)
    shapes = jax.eval_shape(conv.init, jax.random.key(0), x)["params"]
    kernel = generator.normal(size=shapes["kernel"].shape)
    kernel, bias = jnp.asarray(kernel, jnp.float32), jnp.arange(8.0)
    layers = {}
    for method in METHODS:
        spectra = kernel_spectra(kernel, method=method, groups=groups)
        rank = tuple(map(len, spectra)) if method == "tucker2" else len(spectra[0])
        factors = factor_conv(kernel, rank, method=method, groups=groups)
        layer = FactoredConv(**options, rank=rank, method=method)
        layers[method] = layer, name_parts(factors.kernels, bias)
        fresh = jax.eval_shape(layer.init, jax.random.key(0), x)
        chex.assert_trees_all_equal_shapes(fresh, layers[method][1])

    @jax.jit
    def run(x):
        variables = {"params": {"kernel": kernel, "bias": bias}}
        found = {m: layer.apply(v, x) for m, (layer, v) in layers.items()}
        return conv.apply(variables, x), found

    expected, found = run(x)
    for method in METHODS:
        np.testing.assert_allclose(found[method], expected, atol=2e-5)


def test_factored_dense_at_full_rank_is_the_dense_layer():
    x = jax.random.normal(jax.random.key(0), (2, 3, 6))
    expected, variables = Dense(4).init_with_output(jax.random.key(1), x)
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    factors = factor_dense(kernel, 4)
    variables = name_parts(factors.kernels, bias)
    found = FactoredDense(4, rank=4).apply(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_factored_conv_trains_all_its_parts(method):
    conv = FactoredConv(4, 3, rank=2, method=method, use_bias=True)
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
    variables = conv.init(jax.random.key(1), x)
    grads = jax.grad(lambda v: jnp.sum(conv.apply(v, x) ** 2))(variables)
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(grads))


def test_factored_conv_computes_in_its_dtype():
    conv = FactoredConv(4, 3, rank=2, dtype=jnp.bfloat16)
    x = jnp.ones((1, 4, 4, 3))
    y, variables = conv.init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cp"}, "method must be .* got 'cp'"),
        ({"rank": (1, 2)}, r"'channel' has one rank, got \(1, 2\)"),
        ({"standardize": True}, "standardize must be False, got True"),
    ],
)
def test_factored_conv_names_what_does_not_fit(monkeypatch, options, message):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        FactoredConv(4, 3, **options).init(jax.random.key(0), jnp.ones((1, 4, 4, 3)))
