import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import ResNet
from jaxdl.trees import named_leaves
from tests.float64 import convolve, normalize, pool


def resnet18_float64(variables, x, *, version):
    """The network in evaluation, written out."""
    leaves = {
        path: np.asarray(leaf, float) for path, leaf in named_leaves(variables).items()
    }

    def conv(x, name, stride=1):
        return convolve(x, leaves[f"params/{name}/kernel"], stride=stride)

    def norm(x, name):
        return normalize(x, leaves, name, train=False)

    def relu_norm(x, name):
        return np.maximum(norm(x, name), 0)

    def run_block(x, at, strides):
        y, stride = x, max(strides)
        for index, s in enumerate(strides, start=1):
            y = norm(conv(y, f"{at}/conv{index}", s), f"{at}/norm{index}")
            y = np.maximum(y, 0) if index < len(strides) else y
        if f"params/{at}/shortcut_conv/kernel" in leaves:
            x = norm(conv(x, f"{at}/shortcut_conv", stride), f"{at}/shortcut_norm")
        return np.maximum(x + y, 0)

    def run_preactivation_block(x, at, strides):
        y, activated = x, relu_norm(x, f"{at}/norm1")
        for index, s in enumerate(strides, start=1):
            y = conv(relu_norm(y, f"{at}/norm{index}"), f"{at}/conv{index}", s)
        if f"params/{at}/shortcut_conv/kernel" in leaves:
            x = conv(activated, f"{at}/shortcut_conv", max(strides))
        return x + y

    is_v2 = version == "v2"
    x = conv(x, "stem_conv", 2)
    x = x if is_v2 else relu_norm(x, "stem_norm")
    x = pool(x, np.max, window=3, stride=2, padding=1, fill=-np.inf)
    run = run_preactivation_block if is_v2 else run_block
    for stage in (1, 2, 3, 4):
        x = run(x, f"stage{stage}/block0", (1 if stage == 1 else 2, 1))
        x = run(x, f"stage{stage}/block1", (1, 1))
    x = relu_norm(x, "final_norm") if is_v2 else x
    return x.mean((1, 2)) @ leaves["params/head/kernel"] + leaves["params/head/bias"]


@pytest.mark.parametrize("version", ["v1.5", "v2"])
def test_resnet_equals_numpy_in_float64(version, draw_variables):
    model = ResNet(depth=18, version=version, num_classes=3, width=2)
    images = np.random.default_rng(1).normal(size=(2, 36, 33, 3))
    variables = draw_variables(model, jnp.asarray(images, jnp.float32))
    apply = jax.jit(functools.partial(model.apply, train=False))
    logits = apply(variables, jnp.asarray(images, jnp.float32))
    expected = resnet18_float64(variables, images, version=version)
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
