import functools
import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.layers import Conv, ConvBlock, Dense, SeparableConv, Style
from jaxdl.trees import named_leaves


def convolve_float64(x, kernel, *, stride=1, padding=0, dilation=1, groups=1):
    """A sum over the taps of the window, each a product with shifted images."""
    stride, padding, dilation = (
        value if isinstance(value, tuple) else (value, value)
        for value in (stride, padding, dilation)
    )
    x = np.pad(np.asarray(x, float), ((0, 0), *((p, p) for p in padding), (0, 0)))
    kernel = np.asarray(kernel, float)
    height, width = (
        (x.shape[axis + 1] - dilation[axis] * (kernel.shape[axis] - 1) - 1)
        // stride[axis]
        + 1
        for axis in (0, 1)
    )
    inputs, features = kernel.shape[2], kernel.shape[3] // groups
    y = np.zeros((len(x), height, width, kernel.shape[3]))
    for row, column, group in itertools.product(
        *map(range, (*kernel.shape[:2], groups))
    ):
        top, left = row * dilation[0], column * dilation[1]
        taps = x[:, top :: stride[0], left :: stride[1]][:, :height, :width]
        into = slice(group * features, (group + 1) * features)
        y[..., into] += (
            taps[..., group * inputs : (group + 1) * inputs]
            @ kernel[row, column, :, into]
        )
    return y


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def draw_variables(module, x, **options):
    """Values for all variables, variances above 0; faster than `init`."""
    generator = np.random.default_rng(0)
    shapes = jax.eval_shape(
        lambda key: module.init(key, x, **options), jax.random.key(0)
    )
    draw = lambda leaf: jnp.asarray(generator.uniform(0.2, 1, leaf.shape), leaf.dtype)
    return jax.tree.map(draw, shapes)


@pytest.mark.parametrize(
    ("conv", "kernel_shape", "padding"),
    [
        (Conv(5, (1, 3)), (1, 3, 4, 5), (0, 1)),
        (Conv(5, (7, 1), stride=(2, 1)), (7, 1, 4, 5), (3, 0)),
        (Conv(5, 3, dilation=2), (3, 3, 4, 5), 2),
        (Conv(5, 3, dilation=(3, 1), stride=2), (3, 3, 4, 5), (3, 1)),
        (Conv(5, (3, 2), padding=(2, 0), dilation=(1, 2)), (3, 2, 4, 5), (2, 0)),
        (Conv(5, 2), (2, 2, 4, 5), 1),
        (Conv(5, 3, padding=0), (3, 3, 4, 5), 0),
        (Conv(6, 3, groups=2, stride=2), (3, 3, 2, 6), 1),
        (Conv(4, 5, groups=4), (5, 5, 1, 4), 2),
        (Conv(8, (3, 1), groups=4, dilation=2), (3, 1, 1, 8), (2, 0)),
    ],
)
def test_conv_equals_numpy_in_float64(conv, kernel_shape, padding):
    x = draw(2, 8, 7, 4)
    conv = conv.clone(use_bias=True)
    variables = draw_variables(conv, x)
    kernel, bias = (
        np.asarray(variables["params"][k], float) for k in ("kernel", "bias")
    )
    assert kernel.shape == kernel_shape
    expected = convolve_float64(
        x,
        kernel,
        stride=conv.stride,
        padding=padding,
        dilation=conv.dilation,
        groups=conv.groups,
    )
    y = jax.jit(conv.apply)(variables, x)
    np.testing.assert_allclose(y, expected + bias, rtol=1e-4, atol=1e-4)


def test_conv_standardizes_the_weights_of_each_feature():
    x = draw(2, 4, 5, 3)
    conv = Conv(4, 3, standardize=True)
    kernel = np.asarray(draw(3, 3, 3, 4, seed=1), float)
    y = jax.jit(conv.apply)({"params": {"kernel": jnp.asarray(kernel, jnp.float32)}}, x)
    kernel = (kernel - kernel.mean((0, 1, 2))) / kernel.std((0, 1, 2))
    expected = convolve_float64(x, kernel, padding=1)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("module", "x_shape", "fan_in"),
    [
        (Conv(4, (3, 5), use_bias=True), (1, 5, 5, 2), 30),
        (Conv(6, 3, groups=3, use_bias=True), (1, 5, 5, 6), 18),
        (Dense(4), (1, 7), 7),
    ],
)
def test_bias_is_drawn_by_the_fan_in_of_its_kernel(module, x_shape, fan_in):
    module = module.clone(
        bias_init=jax.nn.initializers.constant, kernel_init=jax.nn.initializers.zeros
    )
    variables = module.init(jax.random.key(0), jnp.ones(x_shape))
    np.testing.assert_array_equal(variables["params"]["bias"], fan_in)


def test_conv_names_images_that_are_not_floating_point(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    for module, x in ((Conv(6, 3), (1, 4, 4, 3)), (Dense(2), (1, 3))):
        with pytest.raises(ValueError, match="floating point, got uint8"):
            module.init(jax.random.key(0), jnp.zeros(x, jnp.uint8))


@pytest.mark.parametrize("groups", [0, 3])
def test_conv_names_groups_that_do_not_divide(groups):
    with pytest.raises(ValueError, match=f"4 channels.*groups={groups}"):
        Conv(6, 3, groups=groups).init(jax.random.key(0), draw(1, 4, 4, 4))


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 5, 3)])
def test_dense_is_a_product_over_the_last_axis(shape, use_bias):
    x, dense = draw(*shape), Dense(4, use_bias=use_bias)
    variables = draw_variables(dense, x)
    leaves = {k: np.asarray(v, float) for k, v in variables["params"].items()}
    assert set(leaves) == ({"kernel", "bias"} if use_bias else {"kernel"})
    expected = np.asarray(x, float) @ leaves["kernel"] + leaves.get("bias", 0)
    np.testing.assert_allclose(
        dense.apply(variables, x), expected, rtol=1e-5, atol=1e-5
    )


def test_dense_computes_in_its_dtype_and_keeps_float32_parameters():
    dense, x = Dense(4, dtype=jnp.bfloat16), draw(2, 3)
    y, variables = dense.init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}


def block_float64(variables, x, *, order):
    """A block of a 3x3 convolution at stride 2, in evaluation."""
    leaves = {k: np.asarray(v, float) for k, v in named_leaves(variables).items()}
    x = np.asarray(x, float)
    for part in order:
        if part == "conv":
            kernel = leaves["params/conv/kernel"]
            x = convolve_float64(x, kernel, stride=2, padding=1)
            x = x + leaves.get("params/conv/bias", 0)
        elif part == "norm":
            mean, var = (leaves[f"batch_stats/norm/{k}"] for k in ("mean", "var"))
            scale, bias = (leaves[f"params/norm/{k}"] for k in ("scale", "bias"))
            x = (x - mean) / np.sqrt(var + 1e-5) * scale + bias
        else:
            x = np.maximum(x, 0)
    return x


ORDERS = [
    order
    for length in (1, 2, 3)
    for order in itertools.permutations(("conv", "norm", "activation"), length)
    if "conv" in order
]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_conv_block_does_its_parts_in_the_order_given(order):
    x = draw(2, 5, 4, 3)
    block = ConvBlock(4, 3, stride=2, order=order)
    variables = draw_variables(block, x, train=False)
    y = jax.jit(functools.partial(block.apply, train=False))(variables, x)
    expected = block_float64(variables, x, order=order)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def parameter_paths(module, x, **options):
    shapes = jax.eval_shape(
        lambda key: module.init(key, x, **options), jax.random.key(0)
    )
    return set(named_leaves(shapes["params"]))


@pytest.mark.parametrize(
    ("options", "has_bias"),
    [
        ({}, False),
        ({"order": ("norm", "activation", "conv")}, False),
        ({"order": ("conv", "activation")}, True),
        ({"style": Style(norm=None)}, True),
        ({"use_bias": True}, True),
        ({"use_bias": False, "style": Style(norm=None)}, False),
    ],
)
def test_conv_block_has_a_bias_where_nothing_normalizes(options, has_bias):
    paths = parameter_paths(ConvBlock(4, 3, **options), draw(1, 4, 4, 3), train=False)
    assert ("conv/bias" in paths) == has_bias


def test_conv_block_hands_its_style_on():
    style = Style(
        norm="group",
        activation="tanh",
        kernel_init=jax.nn.initializers.constant(0.5),
        bias_init=jax.nn.initializers.constant,
        dtype=jnp.bfloat16,
    )
    block = ConvBlock(4, 3, groups=2, use_bias=True, style=style, padding=0)
    x = draw(2, 4, 4, 6)
    init = jax.jit(functools.partial(block.init_with_output, train=True))
    y, variables = init(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert y.shape == (2, 2, 2, 4)
    assert bool((jnp.abs(y) < 1).all())
    assert set(variables) == {"params"}  # no running statistics
    kernel = variables["params"]["conv"]["kernel"]
    np.testing.assert_array_equal(kernel, np.full((3, 3, 3, 4), 0.5))
    np.testing.assert_array_equal(variables["params"]["conv"]["bias"], np.full(4, 27))


def test_conv_block_trains_its_running_statistics_and_can_start_as_zero():
    x, block = draw(2, 4, 4, 3), ConvBlock(4, 1, scale_init=jax.nn.initializers.zeros)
    y, variables = jax.jit(functools.partial(block.init_with_output, train=True))(
        jax.random.key(0), x
    )
    assert not y.any()
    apply = functools.partial(block.apply, train=True, mutable=["batch_stats"])
    _, updates = jax.jit(apply)(variables, x)
    assert updates["batch_stats"]["norm"]["mean"].all()


@pytest.mark.parametrize("use_bias", [False, True])
def test_separable_conv_is_a_depthwise_then_a_pointwise_convolution(use_bias):
    x = draw(2, 6, 5, 3)
    conv = SeparableConv(4, (3, 5), stride=2, use_bias=use_bias)
    variables = draw_variables(conv, x)
    leaves = {k: np.asarray(v, float) for k, v in named_leaves(variables).items()}
    assert leaves["params/depthwise/kernel"].shape == (3, 5, 1, 3)
    kernel, options = (
        leaves["params/depthwise/kernel"],
        {"stride": 2, "padding": (1, 2)},
    )
    expected = convolve_float64(x, kernel, groups=3, **options)
    expected = expected @ leaves["params/pointwise/kernel"][0, 0]
    expected += leaves.get("params/pointwise/bias", 0)
    assert ("params/pointwise/bias" in leaves) == use_bias
    y = jax.jit(conv.apply)(variables, x)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": ("norm", "activation")}, r"got \('norm', 'activation'\)"),
        ({"order": ("conv", "relu")}, r"got \('conv', 'relu'\)"),
        ({"order": ("conv", "norm", "conv")}, r"got \('conv', 'norm', 'conv'\)"),
    ],
)
def test_conv_block_names_what_does_not_fit(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        parameter_paths(ConvBlock(6, 3, **options), draw(1, 4, 4, 3), train=False)
