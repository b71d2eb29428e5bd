import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType

from jaxdl.diagnose import count_macs
from jaxdl.layers import convolve

MATRIX = jax.ShapeDtypeStruct((4, 4), jnp.float32)
PRODUCT = 4**3


@jax.custom_vjp
def square(x):
    return x @ x


square.defvjp(lambda x: (x @ x, x), lambda x, grad: (grad @ x.T + x.T @ grad,))


@pytest.mark.parametrize(
    ("function", "products"),
    [
        (lambda x: jnp.tanh(x @ x) + x, 1),
        (jax.jit(lambda x: x @ x), 1),
        (jax.vmap(lambda row: row @ row), 1 / 4),
        (jax.checkpoint(lambda x: x @ x), 1),
        (square, 1),
        (lambda x: jax.grad(lambda x: square(x).sum())(x), 3),
        (lambda x: jax.lax.scan(lambda c, _: (c @ x, None), x, length=5)[0], 5),
        (lambda x: jax.lax.fori_loop(0, 3, lambda _, c: c @ x, x), 3),
        (lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: x @ x @ x, jnp.abs, x), 2),
        (lambda x: jax.lax.fori_loop(0, x.shape[0], lambda _, c: c + x, x), 0),
    ],
)
def test_count_macs_looks_into_every_kind_of_call(function, products):
    assert count_macs(function, MATRIX) == products * PRODUCT


def test_count_macs_counts_all_devices_of_a_shard_map():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    rows = jax.P("data")
    product = jax.shard_map(
        jnp.dot, mesh=mesh, in_specs=(rows, jax.P()), out_specs=rows
    )
    assert count_macs(product, MATRIX, MATRIX) == PRODUCT


@pytest.mark.parametrize(
    ("stride", "padding", "groups", "pixels"),
    [(1, 1, 1, 8 * 6), (2, 1, 1, 4 * 3), (1, 0, 1, 6 * 4), (2, 1, 4, 4 * 3)],
)
def test_count_macs_of_a_convolution_is_taps_times_pixels(
    stride, padding, groups, pixels
):
    convolution = functools.partial(
        convolve, stride=stride, padding=padding, groups=groups
    )
    x = jax.ShapeDtypeStruct((2, 8, 6, 4), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 4 // groups, 12), jnp.float32)
    forward = 2 * pixels * 9 * (4 // groups) * 12
    assert count_macs(convolution, x, kernel) == forward


def test_count_macs_of_a_transposed_convolution_passes_over_the_holes():
    x = jax.ShapeDtypeStruct((2, 5, 5, 3), jnp.float32)
    kernel = jax.ShapeDtypeStruct((2, 2, 3, 7), jnp.float32)
    upsample = functools.partial(
        jax.lax.conv_transpose, strides=(2, 2), padding="VALID"
    )
    assert count_macs(upsample, x, kernel) == 2 * 5 * 5 * 3 * 2 * 2 * 7


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 4)])
def test_count_macs_of_a_gradient_is_twice_that_of_the_values(stride, groups):
    x = jax.ShapeDtypeStruct((2, 8, 8, 4), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 4 // groups, 8), jnp.float32)
    convolution = functools.partial(convolve, stride=stride, padding=1, groups=groups)
    forward = count_macs(convolution, x, kernel)

    def loss(x, kernel):
        return jnp.square(convolution(x, kernel)).sum()

    assert count_macs(jax.grad(loss, argnums=(0, 1)), x, kernel) == 3 * forward


def test_count_macs_names_a_loop_of_unknown_length():
    def repeat(x):
        steps = x[0, 0].astype(jnp.int32)
        return jax.lax.fori_loop(0, steps, lambda _, c: c @ x, x)

    with pytest.raises(ValueError, match="inside a while loop"):
        count_macs(repeat, MATRIX)
