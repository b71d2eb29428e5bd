import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import ResNet
from jaxdl.trees import named_leaves

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


def convolve_float64(x, kernel, *, stride):
    """A convolution padded by half its kernel, as a product with all windows."""
    k = kernel.shape[0]
    windows = windows_of(x, k, padding=k // 2, fill=0.0)
    return np.einsum("nhwcij,ijcf->nhwf", windows[:, ::stride, ::stride], kernel)


def windows_of(x, size, *, padding, fill):
    sides = (padding, padding)
    x = np.pad(x, ((0, 0), sides, sides, (0, 0)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))


def resnet_float64(variables, x, *, depth):
    """The network in evaluation, written out."""
    leaves = {
        path: np.asarray(leaf, float) for path, leaf in named_leaves(variables).items()
    }

    def conv_norm(x, conv, norm, stride):
        x = convolve_float64(x, leaves[f"params/{conv}/kernel"], stride=stride)
        mean, var = (leaves[f"batch_stats/{norm}/{name}"] for name in ("mean", "var"))
        scale, bias = (leaves[f"params/{norm}/{name}"] for name in ("scale", "bias"))
        return (x - mean) / np.sqrt(var + 1e-5) * scale + bias

    x = np.maximum(conv_norm(x, "stem_conv", "stem_norm", 2), 0)
    x = windows_of(x, 3, padding=1, fill=-np.inf)[:, ::2, ::2].max((-1, -2))
    for stage, num_blocks in enumerate(BLOCKS[depth], start=1):
        for block in range(num_blocks):
            at = f"stage{stage}/block{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            strides = (stride, 1) if depth < 50 else (1, stride, 1)
            y = x
            for index, s in enumerate(strides, start=1):
                y = conv_norm(y, f"{at}/conv{index}", f"{at}/norm{index}", s)
                y = np.maximum(y, 0) if index < len(strides) else y
            if f"params/{at}/shortcut_conv/kernel" in leaves:
                x = conv_norm(x, f"{at}/shortcut_conv", f"{at}/shortcut_norm", stride)
            x = np.maximum(x + y, 0)
    return x.mean((1, 2)) @ leaves["params/head/kernel"] + leaves["params/head/bias"]


@pytest.mark.parametrize("depth", BLOCKS)
def test_resnet_equals_numpy_in_float64(depth, draw_variables):
    model = ResNet(depth=depth, num_classes=3, width=2)
    images = np.random.default_rng(1).normal(size=(2, 36, 33, 3))
    variables = draw_variables(model, jnp.asarray(images, jnp.float32))
    apply = jax.jit(functools.partial(model.apply, train=False))
    logits = apply(variables, jnp.asarray(images, jnp.float32))
    expected = resnet_float64(variables, images, depth=depth)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_resnet_with_zero_init_starts_each_branch_at_zero():
    model = ResNet(depth=18, num_classes=2, width=1, zero_init_residual=True)
    images = jnp.ones((1, 8, 8, 1))

    @jax.jit  # which drops the kernels, whose draws are slow to compile
    def init_scales():
        variables = model.init(jax.random.key(0), images, train=False)
        params = named_leaves(variables["params"])
        return {path: leaf for path, leaf in params.items() if path.endswith("scale")}

    scales = init_scales()
    for path, scale in scales.items():
        np.testing.assert_array_equal(scale, 0.0 if "/norm2/" in path else 1.0)
    assert sum("/norm2/" in path for path in scales) == 8


@pytest.mark.parametrize("depth", [0, 20, 200])
def test_resnet_names_an_unknown_depth(depth):
    with pytest.raises(ValueError, match=f"18, 34, 50, 101, 152, got {depth}"):
        ResNet(depth=depth, num_classes=10)
