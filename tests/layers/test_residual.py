import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.layers import BasicBlock, Bottleneck, Stage, Style, subsample_and_pad
from jaxdl.trees import named_leaves
from tests.drawing import draw_variables
from tests.float64 import convolve, normalize


def block_float64(variables, x, *, strides, shortcut, train, preactivation=False):
    """A residual block written out: convolutions of the strides given, one each."""
    leaves = {
        path: np.asarray(leaf, float) for path, leaf in named_leaves(variables).items()
    }
    y = x = activated = np.asarray(x, float)
    for index, stride in enumerate(strides, start=1):
        if preactivation:
            y = np.maximum(normalize(y, leaves, f"norm{index}", train=train), 0)
            activated = y if index == 1 else activated
        y = convolve(y, leaves[f"params/conv{index}/kernel"], stride=stride)
        if not preactivation:
            y = normalize(y, leaves, f"norm{index}", train=train)
            y = np.maximum(y, 0) if index < len(strides) else y
    stride = max(strides)
    if shortcut == "none":
        x = 0
    elif x.shape != y.shape and shortcut == "pad":
        half = (y.shape[-1] - x.shape[-1]) // 2
        x = np.pad(x[:, ::stride, ::stride], ((0, 0),) * 3 + ((half, half),))
    elif x.shape != y.shape:
        x = convolve(activated, leaves["params/shortcut_conv/kernel"], stride=stride)
        if not preactivation:
            x = normalize(x, leaves, "shortcut_norm", train=train)
    return x + y if preactivation else np.maximum(x + y, 0)


CASES = {
    "basic, same shape": (BasicBlock(4), (1, 1)),
    "basic, projection": (BasicBlock(6, stride=2), (2, 1)),
    "basic, wider at stride 1": (BasicBlock(6), (1, 1)),
    "basic, padded": (BasicBlock(6, stride=2, shortcut="pad"), (2, 1)),
    "basic, no shortcut": (BasicBlock(6, stride=2, shortcut="none"), (2, 1)),
    "bottleneck, same shape": (Bottleneck(1), (1, 1, 1)),
    "bottleneck, projection": (Bottleneck(2, stride=2), (1, 2, 1)),
    "bottleneck, v1": (Bottleneck(2, stride=2, stride_first=True), (2, 1, 1)),
    "basic, v2": (BasicBlock(4, preactivation=True), (1, 1)),
    "basic, v2, padded": (
        BasicBlock(6, stride=2, shortcut="pad", preactivation=True),
        (2, 1),
    ),
    "bottleneck, v2, projection": (
        Bottleneck(2, stride=2, preactivation=True),
        (1, 2, 1),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("train", [False, True])
def test_block_equals_numpy_in_float64(name, train):
    block, strides = CASES[name]
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 4))
    variables = draw_variables(block, x, train=False)
    apply = functools.partial(block.apply, train=train, mutable=["batch_stats"])
    y, _ = jax.jit(apply)(variables, x)
    expected = block_float64(
        variables,
        x,
        strides=strides,
        shortcut=block.shortcut,
        train=train,
        preactivation=block.preactivation,
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", [BasicBlock(4), Bottleneck(1)])
@pytest.mark.parametrize("preactivation", [False, True])
def test_block_with_zero_init_starts_as_its_shortcut(block, preactivation):
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 4))
    block = block.clone(zero_init_residual=True, preactivation=preactivation)
    init = functools.partial(block.init_with_output, train=True)
    y, variables = jax.jit(init)(jax.random.key(0), x)
    np.testing.assert_array_equal(y, x if preactivation else nn.relu(x))
    leaves = named_leaves(variables["params"])
    zeros = {path for path, leaf in leaves.items() if not leaf.any()}
    last = "2" if isinstance(block, BasicBlock) else "3"
    wanted = f"conv{last}/kernel" if preactivation else f"norm{last}/scale"
    assert {path for path in zeros if not path.endswith("bias")} == {wanted}


@pytest.mark.parametrize("shortcut", ["projection", "pad", "none"])
def test_block_in_bfloat16_stays_in_bfloat16(shortcut):
    style = Style(dtype=jnp.bfloat16)
    block = BasicBlock(6, stride=2, shortcut=shortcut, style=style)
    x = jnp.ones((2, 4, 4, 4))
    init = functools.partial(block.init_with_output, train=True)
    y, variables = jax.eval_shape(init, jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}


def test_subsample_and_pad_keeps_every_second_pixel_between_zero_channels():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    y = subsample_and_pad(jnp.asarray(x), features=8, stride=2)
    assert y.shape == (2, 3, 2, 8)
    np.testing.assert_array_equal(y[..., 2:5], x[:, ::2, ::2])
    assert not y[..., :2].any()
    assert not y[..., 5:].any()


def test_subsample_and_pad_names_too_few_features():
    with pytest.raises(ValueError, match="features must be at least 3.*got 2"):
        subsample_and_pad(jnp.ones((1, 2, 2, 3)), features=2, stride=1)


def test_stage_strides_in_its_first_block_alone():
    stage = Stage(BasicBlock, 6, num_blocks=3, stride=2)
    x = jnp.ones((1, 8, 8, 4))
    init = functools.partial(stage.init_with_output, train=False)
    y, variables = jax.eval_shape(init, jax.random.key(0), x)
    assert y.shape == (1, 4, 4, 6)
    assert sorted(variables["params"]) == ["block0", "block1", "block2"]
    with_projection = [
        name for name, block in variables["params"].items() if "shortcut_conv" in block
    ]
    assert with_projection == ["block0"]


def test_stage_gives_each_block_its_options():
    options = ({"zero_init_residual": True}, {"zero_init_residual": False})
    stage = Stage(BasicBlock, 4, num_blocks=2, options=options)
    init = functools.partial(stage.init, train=False)
    params = jax.jit(init)(jax.random.key(0), jnp.ones((1, 2, 2, 4)))["params"]
    assert not params["block0"]["norm2"]["scale"].any()
    assert params["block1"]["norm2"]["scale"].all()


def test_stage_names_options_that_are_not_one_per_block():
    with pytest.raises(ValueError, match="one per block, got 1 for num_blocks=2"):
        Stage(BasicBlock, 4, num_blocks=2, options=({},))


def test_block_without_norm_has_biases_instead():
    block, x = BasicBlock(6, style=Style(norm=None)), jnp.ones((1, 2, 2, 4))
    init = functools.partial(block.init, train=False)
    params = jax.eval_shape(init, jax.random.key(0), x)["params"]
    convolutions = {"conv1", "conv2", "shortcut_conv"}
    assert set(named_leaves(params)) == {
        f"{conv}/{leaf}" for conv in convolutions for leaf in ("kernel", "bias")
    }


def test_block_names_an_unknown_shortcut(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    block = BasicBlock(6, shortcut="identity")
    with pytest.raises(ValueError, match="shortcut.*'identity' in BasicBlock"):
        block.init(jax.random.key(0), jnp.ones((1, 2, 2, 4)), train=False)
