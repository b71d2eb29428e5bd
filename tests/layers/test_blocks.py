"""Inception, squeeze-and-excitation and inverted residual blocks, against NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import (
    ConvStep,
    Inception,
    InvertedResidual,
    PoolStep,
    SqueezeExcitation,
    Style,
)
from jaxdl.trees import named_leaves
from tests.drawing import draw_variables
from tests.float64 import convolve, normalize, pool, sigmoid


def leaves_float64(variables):
    return {
        path: np.asarray(leaf, float) for path, leaf in named_leaves(variables).items()
    }


def silu(x):
    return x * sigmoid(x)


def conv_block(x, leaves, name, *, activate, **options):
    x = convolve(x, leaves[f"params/{name}/conv/kernel"], **options)
    return activate(normalize(x, leaves, f"{name}/norm", train=False))


def relu(x):
    return np.maximum(x, 0)


def test_inception_equals_numpy_in_float64():
    fork = (ConvStep("wide", 2, (1, 3)), ConvStep("tall", 3, (3, 1)))
    branches = (
        (ConvStep("first", 2, 3, stride=2, padding=0),),
        (ConvStep("narrow", 3), fork, ConvStep("last", 2, 3, stride=2, padding=0)),
        (PoolStep("max", stride=2, padding=0),),
        (PoolStep("average"), ConvStep("pooled", 1, 3, stride=2, padding=0)),
    )
    block = Inception(branches)
    x = jax.random.normal(jax.random.key(0), (2, 7, 6, 4))
    variables = draw_variables(block, x, train=False)
    y = jax.jit(functools.partial(block.apply, train=False))(variables, x)

    leaves, x = leaves_float64(variables), np.asarray(x, float)
    run = functools.partial(conv_block, leaves=leaves, activate=relu)
    shrink = functools.partial(run, stride=2, padding=0)
    narrow = run(x, name="narrow")
    forked = np.concatenate([run(narrow, name=n) for n in ("wide", "tall")], -1)
    average = pool(x, np.mean, window=3, stride=1, padding=1)
    expected = [
        shrink(x, name="first"),
        shrink(forked, name="last"),
        pool(x, np.max, window=3, stride=2),
        shrink(average, name="pooled"),
    ]
    np.testing.assert_allclose(y, np.concatenate(expected, -1), rtol=1e-4, atol=1e-5)


def squeeze_excitation_float64(x, leaves, name):
    def dense(y, layer):
        kernel = leaves[f"params/{name}{layer}/kernel"][0, 0]
        return y @ kernel + leaves[f"params/{name}{layer}/bias"]

    weights = sigmoid(dense(silu(dense(x.mean((1, 2)), "fc1")), "fc2"))
    return x * weights[:, None, None]


def test_squeeze_excitation_equals_numpy_in_float64():
    block = SqueezeExcitation(3, style=Style(activation="silu"))
    x = jax.random.normal(jax.random.key(0), (2, 4, 5, 6))
    variables = draw_variables(block, x)
    expected = squeeze_excitation_float64(
        np.asarray(x, float), leaves_float64(variables), ""
    )
    np.testing.assert_allclose(jax.jit(block.apply)(variables, x), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("features", "stride", "expansion"), [(8, 1, 2), (8, 2, 2), (6, 1, 1)]
)
def test_inverted_residual_equals_numpy_in_float64(features, stride, expansion):
    block = InvertedResidual(
        features,
        stride=stride,
        kernel_size=5,
        expansion=expansion,
        style=Style(activation="silu"),
    )
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 8))
    variables = draw_variables(block, x, train=False)
    y = jax.jit(functools.partial(block.apply, train=False))(variables, x)

    leaves, x = leaves_float64(variables), np.asarray(x, float)
    hidden_kernel = leaves["params/squeeze_excitation/fc1/kernel"]
    assert hidden_kernel.shape == (1, 1, 8 * expansion, 2)  # a quarter of the input's
    run = functools.partial(conv_block, leaves=leaves)
    z = run(x, name="expand", activate=silu) if expansion > 1 else x
    z = run(z, name="depthwise", activate=silu, stride=stride, groups=8 * expansion)
    z = squeeze_excitation_float64(z, leaves, "squeeze_excitation/")
    z = run(z, name="project", activate=lambda x: x)
    expected = z + x if z.shape == x.shape else z
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_inverted_residual_drops_the_branch_of_whole_examples():
    block = InvertedResidual(4, stochastic_depth_rate=0.5)
    x = jax.random.normal(jax.random.key(0), (16, 3, 3, 4))
    variables = draw_variables(block, x, train=False)

    def train(block):
        apply = functools.partial(block.apply, train=True, mutable=["batch_stats"])
        y, _ = jax.jit(apply)(variables, x, rngs={"dropout": jax.random.key(1)})
        return y

    y, whole = train(block), train(block.clone(stochastic_depth_rate=0.0))
    dropped = np.array([(a == b).all() for a, b in zip(y, x, strict=True)])
    assert 0 < dropped.sum() < 16
    kept = ~dropped
    np.testing.assert_allclose((y - x)[kept], 2 * (whole - x)[kept], atol=1e-4)


@pytest.mark.parametrize(
    "block",
    [
        Inception(
            ((ConvStep("a", 2),), (PoolStep("average"),)), Style(dtype="bfloat16")
        ),
        InvertedResidual(4, expansion=2, style=Style(dtype="bfloat16")),
    ],
)
def test_block_in_bfloat16_gives_bfloat16_and_keeps_float32_variables(block):
    init = functools.partial(block.init_with_output, train=True)
    y, variables = jax.eval_shape(init, jax.random.key(0), jnp.ones((2, 4, 4, 4)))
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
