"""The weight gradient in parts, which only a process with one CPU device takes."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import convolution, convolve

SHAPES = [
    (3, 1, 1, 1),
    (3, 2, 1, 1),
    (1, 1, 0, 1),
    (1, 2, 0, 1),
    (3, 1, 1, 2),
    (5, 2, 2, 4),
]


def slow_weight_gradient(x, dy, shape, *, stride, padding, groups):
    """Written out in float64: every output pixel with the window it has seen."""
    x = np.pad(x.astype(np.float64), ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    side, channels, features = shape[0], shape[2], shape[3]
    gradient = np.zeros(shape)
    for row, column in itertools.product(range(dy.shape[1]), range(dy.shape[2])):
        top, left = row * stride, column * stride
        window = x[:, top : top + side, left : left + side]
        for group in range(groups):
            ins = slice(group * channels, (group + 1) * channels)
            outs = slice(group * features // groups, (group + 1) * features // groups)
            gradient[..., outs] += np.einsum(
                "nijc,nf->ijcf", window[..., ins], dy[:, row, column, outs]
            )
    return gradient


@pytest.fixture
def two_images_per_part(monkeypatch):
    """Five images then make three parts, the last one shorter."""
    monkeypatch.setattr(convolution, "images_per_part", lambda *shapes: 2)
    jax.clear_caches()
    yield
    jax.clear_caches()


@pytest.mark.parametrize(("side", "stride", "padding", "groups"), SHAPES)
def test_convolve_weight_gradient_in_parts_equals_float64(
    two_images_per_part, side, stride, padding, groups
):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(5, 6, 6, 4)).astype(np.float32)
    kernel_shape = (side, side, 4 // groups, 8)
    kernel = jnp.asarray(generator.normal(size=kernel_shape), jnp.float32)
    options = {"stride": stride, "padding": padding, "groups": groups}
    y, vjp = jax.vjp(lambda kernel: convolve(jnp.asarray(x), kernel, **options), kernel)
    dy = generator.normal(size=y.shape).astype(np.float32)
    expected = slow_weight_gradient(x, dy, kernel_shape, **options)
    np.testing.assert_allclose(vjp(dy)[0], expected, rtol=1e-4, atol=1e-5)


def test_convolve_in_parts_supports_every_kind_of_derivative(two_images_per_part):
    generator = np.random.default_rng(1)
    x = jnp.asarray(generator.normal(size=(5, 4, 4, 2)), jnp.float32)
    kernel = jnp.asarray(generator.normal(size=(3, 3, 2, 2)), jnp.float32)

    def loss(kernel, x, convolve=convolve):
        return jnp.square(convolve(x, kernel, padding=1)).sum()

    def plain(x, kernel, *, padding):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def derivatives(convolve):
        f = lambda kernel, x: loss(kernel, x, convolve)
        gradient = jax.grad(f)
        return {
            "both": jax.grad(f, argnums=(0, 1))(kernel, x),
            "forward": jax.jvp(f, (kernel, x), (kernel, x))[1],
            "forward over reverse": jax.jvp(
                lambda k: gradient(k, x), (kernel,), (kernel,)
            )[1],
            "reverse over reverse": jax.grad(
                lambda k: jnp.vdot(gradient(k, x), kernel)
            )(kernel),
            "per example": jax.vmap(lambda row: gradient(kernel, row[None]))(x),
        }

    for a, b in zip(
        jax.tree.leaves(derivatives(convolve)),
        jax.tree.leaves(derivatives(plain)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_images_per_part_is_the_batch_on_several_devices():
    assert jax.device_count() == 8
    shape = (128, 32, 32, 16)
    assert convolution.images_per_part(shape, shape, (3, 3, 16, 16)) == 128


@pytest.mark.parametrize(
    ("shape", "kernel", "rows"),
    [
        ((128, 32, 32, 16), (3, 3, 16, 16), 8),
        ((128, 8, 8, 64), (3, 3, 64, 64), 32),
        ((4, 8, 8, 64), (3, 3, 64, 64), 4),  # small: one part
        ((128, 4, 4, 512), (3, 3, 512, 512), 128),  # the sum would cost more
        ((128, 224, 224, 64), (3, 3, 64, 64), 8),  # no more than 16 parts
    ],
)
def test_images_per_part_on_one_device(monkeypatch, shape, kernel, rows):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    found = convolution.images_per_part(shape, shape, kernel)
    assert found == rows
    assert math.ceil(shape[0] / found) <= 16
