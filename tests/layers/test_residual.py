import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.layers import BasicBlock, Bottleneck, Stage, subsample_and_pad
from jaxdl.trees import named_leaves, path_string


def convolve_float64(x, kernel, *, stride):
    """A convolution padded by half its kernel, as a product with all windows."""
    k = kernel.shape[0]
    sides = (k // 2, k // 2)
    x = np.pad(x, ((0, 0), sides, sides, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
    return np.einsum("nhwcij,ijcf->nhwf", windows[:, ::stride, ::stride], kernel)


def normalize_float64(x, leaves, name, *, train):
    if train:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    else:
        mean = leaves[f"batch_stats/{name}/mean"]
        var = leaves[f"batch_stats/{name}/var"]
    scale, bias = leaves[f"params/{name}/scale"], leaves[f"params/{name}/bias"]
    return scale * (x - mean) / np.sqrt(var + 1e-5) + bias


def block_float64(variables, x, *, strides, shortcut, train):
    """A residual block written out: convolutions of the strides given, one each."""
    leaves = {
        path: np.asarray(leaf, float) for path, leaf in named_leaves(variables).items()
    }
    y = x = np.asarray(x, float)
    for index, stride in enumerate(strides, start=1):
        y = convolve_float64(y, leaves[f"params/conv{index}/kernel"], stride=stride)
        y = normalize_float64(y, leaves, f"norm{index}", train=train)
        if index < len(strides):
            y = np.maximum(y, 0)
    stride = max(strides)
    if shortcut == "none":
        x = 0
    elif x.shape != y.shape and shortcut == "pad":
        half = (y.shape[-1] - x.shape[-1]) // 2
        x = np.pad(x[:, ::stride, ::stride], ((0, 0),) * 3 + ((half, half),))
    elif x.shape != y.shape:
        x = convolve_float64(x, leaves["params/shortcut_conv/kernel"], stride=stride)
        x = normalize_float64(x, leaves, "shortcut_norm", train=train)
    return np.maximum(x + y, 0)


def draw_variables(module, x):
    """Values for all variables, scales and variances above 0; faster than `init`."""
    generator = np.random.default_rng(0)
    init = functools.partial(module.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), x)

    def draw(path, leaf):
        low = 0.2 if path_string(path).endswith(("scale", "var")) else -1.0
        return jnp.asarray(generator.uniform(low, 1, leaf.shape), leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)


CASES = {
    "basic, same shape": (BasicBlock(4), (1, 1)),
    "basic, projection": (BasicBlock(6, stride=2), (2, 1)),
    "basic, wider at stride 1": (BasicBlock(6), (1, 1)),
    "basic, padded": (BasicBlock(6, stride=2, shortcut="pad"), (2, 1)),
    "basic, no shortcut": (BasicBlock(6, stride=2, shortcut="none"), (2, 1)),
    "bottleneck, same shape": (Bottleneck(1), (1, 1, 1)),
    "bottleneck, projection": (Bottleneck(2, stride=2), (1, 2, 1)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("train", [False, True])
def test_block_equals_numpy_in_float64(name, train):
    block, strides = CASES[name]
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, 4))
    variables = draw_variables(block, x)
    apply = functools.partial(block.apply, train=train, mutable=["batch_stats"])
    y, _ = jax.jit(apply)(variables, x)
    expected = block_float64(
        variables, x, strides=strides, shortcut=block.shortcut, train=train
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", [BasicBlock(4), Bottleneck(1)])
def test_block_with_zero_init_starts_as_its_shortcut(block):
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 4))
    block = block.clone(zero_init_residual=True)
    y, variables = block.init_with_output(jax.random.key(0), x, train=True)
    np.testing.assert_array_equal(y, nn.relu(x))
    zeros = [path for path, leaf in named_leaves(variables).items() if not leaf.any()]
    last = "norm2" if isinstance(block, BasicBlock) else "norm3"
    assert f"params/{last}/scale" in zeros
    assert "params/norm1/scale" not in zeros


@pytest.mark.parametrize("shortcut", ["projection", "pad", "none"])
def test_block_in_bfloat16_stays_in_bfloat16(shortcut):
    block = BasicBlock(6, stride=2, shortcut=shortcut, dtype=jnp.bfloat16)
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


def test_block_names_an_unknown_shortcut(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    block = BasicBlock(6, shortcut="identity")
    with pytest.raises(ValueError, match="shortcut.*'identity' in BasicBlock"):
        block.init(jax.random.key(0), jnp.ones((1, 2, 2, 4)), train=False)
