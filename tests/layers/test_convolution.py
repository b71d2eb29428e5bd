import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import Conv, convolve


def convolve_float64(x, kernel, *, stride, padding, groups):
    """Every output pixel, one at a time."""
    x, kernel = np.asarray(x, float), np.asarray(kernel, float)
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    k_height, k_width, group_channels, features = kernel.shape
    height = (x.shape[1] - k_height) // stride + 1
    width = (x.shape[2] - k_width) // stride + 1
    y = np.zeros((x.shape[0], height, width, features))
    for row in range(height):
        for column in range(width):
            top, left = row * stride, column * stride
            window = x[:, top : top + k_height, left : left + k_width]
            for feature in range(features):
                first = feature // (features // groups) * group_channels
                channels = window[..., first : first + group_channels]
                y[:, row, column, feature] = (channels * kernel[..., feature]).sum(
                    (1, 2, 3)
                )
    return y


def draw(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize(
    ("kernel_shape", "options"),
    [
        ((3, 3, 4, 6), {"stride": 1, "padding": 1, "groups": 1}),
        ((3, 3, 4, 6), {"stride": 2, "padding": 1, "groups": 1}),
        ((1, 1, 4, 6), {"stride": 2, "padding": 0, "groups": 1}),
        ((7, 7, 4, 2), {"stride": 2, "padding": 3, "groups": 1}),
        ((3, 2, 4, 2), {"stride": 3, "padding": 2, "groups": 1}),
        ((3, 3, 2, 6), {"stride": 2, "padding": 1, "groups": 2}),
        ((3, 3, 1, 8), {"stride": 1, "padding": 1, "groups": 4}),
    ],
)
def test_convolve_equals_a_loop_in_float64(kernel_shape, options):
    x, kernel = draw(2, 8, 7, 4), draw(*kernel_shape, seed=1)
    y = convolve(x, kernel, **options)
    expected = convolve_float64(x, kernel, **options)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("kernel_size", [1, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_conv_pads_both_sides_alike_as_pytorch_does(side, kernel_size, stride):
    conv = Conv(2, kernel_size, stride=stride)
    x = draw(1, side, side, 3)
    y, variables = conv.init_with_output(jax.random.key(0), x)
    expected = convolve_float64(
        x,
        variables["params"]["kernel"],
        stride=stride,
        padding=kernel_size // 2,
        groups=1,
    )
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_conv_adds_a_bias_only_if_asked():
    x = draw(1, 4, 4, 3)
    assert set(Conv(2, 3).init(jax.random.key(0), x)["params"]) == {"kernel"}
    conv = Conv(2, 3, use_bias=True)
    y, variables = conv.init_with_output(jax.random.key(0), x)
    assert not variables["params"]["bias"].any()
    shifted = {"params": {**variables["params"], "bias": jnp.array([1.0, -2.0])}}
    difference = conv.apply(shifted, x) - y
    np.testing.assert_allclose(difference[0, 0, 0], [1, -2], rtol=1e-5)


def test_conv_computes_in_its_dtype_and_keeps_float32_parameters():
    x = draw(1, 4, 4, 3)
    conv = Conv(2, 3, use_bias=True, dtype=jnp.bfloat16)
    y, variables = conv.init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    exact = Conv(2, 3, use_bias=True).apply(variables, x)
    np.testing.assert_allclose(y.astype(jnp.float32), exact, rtol=2e-2, atol=2e-2)


def test_conv_starts_as_kaiming_with_fan_out():
    x = draw(1, 4, 4, 16)
    kernel = Conv(64, 3).init(jax.random.key(0), x)["params"]["kernel"]
    np.testing.assert_allclose(np.std(kernel), np.sqrt(2 / (9 * 64)), rtol=0.03)


@pytest.mark.parametrize(
    ("kernel_shape", "options", "message"),
    [
        ((3, 3, 4, 2), {"stride": 0}, "stride=0"),
        ((3, 3, 4, 2), {"padding": -1}, "padding=-1"),
        ((3, 3, 4, 2), {"groups": 0}, "groups=0"),
        ((3, 3, 3, 2), {}, r"kernel \(3, 3, 3, 2\).*4 channels"),
        ((3, 3, 2, 3), {"groups": 2}, r"kernel \(3, 3, 2, 3\) with groups=2"),
        ((7, 3, 4, 2), {}, r"kernel \(7, 3\) is larger than images \(5, 6\)"),
    ],
)
def test_convolve_names_what_does_not_fit(kernel_shape, options, message):
    with pytest.raises(ValueError, match=message):
        convolve(draw(1, 5, 6, 4), draw(*kernel_shape), **options)
