"""The formulations for CPU against XLA's own, values and both gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxdl.layers import convolve
from jaxdl.layers.convolution_cpu import (
    convolve_on_cpu,
    input_gradient_on_cpu,
    kernel_gradient_on_cpu,
)
from jaxdl.layers.convolution_geometry import Geometry, convolve_plainly
from jaxdl.parallel import batch_sharding, make_mesh, replicated_sharding

# (image height, width, channels), (kernel height, width, features), stride, padding,
# dilation, groups
CASES = {
    "1x1": ((5, 4, 6), (1, 1, 3), 1, 0, 1, 1),
    "1x1, strided": ((5, 4, 6), (1, 1, 3), 2, 0, 1, 1),
    "1x1, padded": ((4, 4, 3), (1, 1, 2), 2, 1, 1, 1),
    "3x3": ((6, 5, 3), (3, 3, 4), 1, 1, 1, 1),
    "3x3, strided, even side": ((6, 8, 3), (3, 3, 4), 2, 1, 1, 1),
    "3x3, strided, odd side": ((7, 5, 3), (3, 3, 4), 2, 1, 1, 1),
    "3x3, stride above the window": ((9, 10, 2), (3, 3, 4), 4, 1, 1, 1),
    "2x2, stride as the window": ((6, 7, 3), (2, 2, 4), 2, 0, 1, 1),
    "even window, padded": ((5, 6, 3), (4, 4, 2), 2, 1, 1, 1),
    "7x7 of stride 2": ((10, 9, 3), (7, 7, 4), 2, 3, 1, 1),
    "1x7 and pairs": ((5, 8, 3), (1, 7, 4), (1, 2), (0, 3), 1, 1),
    "pixels left over": ((8, 8, 3), (3, 3, 2), 3, 0, 1, 1),
    "dilated": ((9, 8, 3), (3, 3, 4), 1, 2, 2, 1),
    "dilated and strided": ((9, 8, 3), (3, 3, 4), 2, 2, 2, 1),
    "padding above the window": ((4, 4, 3), (2, 2, 4), 1, 3, 1, 1),
    "one pixel": ((1, 1, 4), (3, 3, 5), 1, 1, 1, 1),
    "four pixels": ((2, 2, 4), (3, 3, 5), 1, 1, 1, 1),
    "four pixels, strided": ((2, 2, 4), (3, 3, 5), 2, 1, 1, 1),
    "depthwise": ((6, 5, 4), (3, 3, 4), 1, 1, 1, 4),
    "depthwise, strided": ((6, 7, 4), (5, 5, 4), 2, 2, 1, 4),
    "depthwise, dilated": ((8, 7, 4), (3, 3, 4), 1, 2, 2, 4),
    "depthwise with two features each": ((6, 5, 4), (3, 3, 8), 1, 1, 1, 4),
    "grouped": ((6, 5, 4), (3, 3, 6), 1, 1, 1, 2),
    "grouped and strided": ((6, 5, 4), (3, 3, 6), 2, 1, 1, 2),
    "Winograd": ((8, 10, 64), (3, 3, 64), 1, 1, 1, 1),
}


def draw(shape, seed):
    values = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(values, jnp.float32)


@pytest.mark.parametrize("batch_size", [5])
@pytest.mark.parametrize("case", CASES)
def test_cpu_formulation_equals_the_plain_one(case, batch_size, monkeypatch):
    (height, width, channels), window, stride, padding, dilation, groups = CASES[case]
    # Two images a part, and one left over.
    part = 2 * height * width * max(channels, window[2])
    monkeypatch.setattr("jaxdl.layers.convolution_parts.PART_SIZE", part)
    pair = lambda value: value if isinstance(value, tuple) else (value, value)
    geometry = Geometry(pair(stride), pair(padding), pair(dilation), groups)
    x = draw((batch_size, height, width, channels), 0)
    kernel = draw((*window[:2], channels // groups, window[2]), 1)
    y_shape = jax.eval_shape(lambda: convolve_plainly(x, kernel, geometry)).shape
    weights = draw(y_shape, 2)

    @jax.jit
    def plainly(x, kernel, weights):
        y, transpose = jax.vjp(lambda *a: convolve_plainly(*a, geometry), x, kernel)
        return y, *transpose(weights)

    @jax.jit
    def on_cpu(x, kernel, weights):
        return (
            convolve_on_cpu(x, kernel, geometry),
            input_gradient_on_cpu(weights, kernel, geometry, (height, width)),
            kernel_gradient_on_cpu(x, weights, geometry, window[:2]),
        )

    found = on_cpu(x, kernel, weights)
    for value, expected in zip(found, plainly(x, kernel, weights), strict=True):
        assert_equal_up_to_rounding(value, expected)


def assert_equal_up_to_rounding(found, expected):
    largest = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6 * largest)


def compare_derivative(take):
    """`take(function of images and kernel)` for our convolution and for XLA's own."""
    ours = functools.partial(convolve, stride=2, padding=1)
    geometry = Geometry((2, 2), (1, 1), (1, 1), 1)
    plain = lambda x, kernel: convolve_plainly(x, kernel, geometry)
    bent = lambda f: lambda x, kernel: jnp.sin(f(x, kernel))
    found, expected = take(bent(ours)), take(bent(plain))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4),
        found,
        expected,
    )


X, KERNEL = draw((2, 6, 5, 3), 3), draw((3, 3, 3, 4), 4)


@pytest.mark.parametrize("argument", [0, 1])
def test_convolve_has_second_derivatives_of_every_kind(argument):
    total = lambda f: lambda x, kernel: f(x, kernel).sum()

    def hessian_times_vector(f):
        grad = jax.grad(total(f), argnums=argument)
        return jax.jit(lambda: jax.jvp(grad, (X, KERNEL), (X, KERNEL))[1])()

    def grad_of_grad_norm(f):
        grad = jax.grad(total(f), argnums=argument)
        norm = lambda x, kernel: (grad(x, kernel) ** 2).sum()
        return jax.jit(jax.grad(norm, argnums=(0, 1)))(X, KERNEL)

    compare_derivative(hessian_times_vector)
    compare_derivative(grad_of_grad_norm)


def test_convolve_gives_the_gradients_of_single_examples_under_vmap():
    def per_example(f):
        loss = lambda kernel, image: f(image[None], kernel).sum()
        return jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(KERNEL, X)

    compare_derivative(per_example)


def test_convolve_takes_a_batch_of_kernels_under_vmap():
    kernels = jnp.stack([KERNEL, 2 * KERNEL])
    compare_derivative(lambda f: jax.jit(jax.vmap(f, in_axes=(None, 0)))(X, kernels))
    compare_derivative(
        lambda f: jax.jit(jax.vmap(f, in_axes=(1, None)))(X[:, None], KERNEL)
    )


# Of the images, of the kernel; how often the gradients of both are exchanged.
DATA, MODEL = "data", "model"
SPLITS = {
    "batch": ((DATA,), (), 1),
    "features": ((), (None, None, None, MODEL), 1),
    "batch and features": ((DATA,), (None, None, None, MODEL), 2),
    "channels": ((None, None, None, MODEL), (None, None, MODEL), 1),
    "batch and channels": ((DATA, None, None, MODEL), (None, None, MODEL), 2),
}
SPLIT_CASES = ["3x3", "1x1, strided", "four pixels", "Winograd", "dilated"]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("case", SPLIT_CASES)
def test_convolve_over_devices_equals_one_and_exchanges_sums_alone(case, split):
    image_spec, kernel_spec, exchanges = SPLITS[split]
    (height, width, _), (*window, _), stride, padding, dilation, _ = CASES[case]
    channels = 64 if case == "Winograd" else 4
    mesh = make_mesh(data=4, model=2)
    x = draw((8, height, width, channels), 0)
    kernel = draw((*window, channels, channels), 1)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    loss = lambda x, kernel: jnp.square(convolve(x, kernel, **options)).sum()
    grad = jax.jit(jax.grad(loss, argnums=(0, 1)))
    place = lambda array, spec: jax.device_put(
        array, NamedSharding(mesh, PartitionSpec(*spec))
    )
    operands = place(x, image_spec), place(kernel, kernel_spec)
    compiled = grad.lower(*operands).compile()
    text = compiled.as_text()
    assert text.count(" all-reduce(") == exchanges
    for other in ("all-gather", "all-to-all", "collective-permute"):
        assert other not in text
    for found, expected in zip(compiled(*operands), grad(x, kernel), strict=True):
        assert_equal_up_to_rounding(found, expected)


@pytest.mark.parametrize("case", ["depthwise", "grouped"])
def test_convolve_over_devices_splits_groups_along_the_batch_alone(case):
    (height, width, channels), window, stride, padding, dilation, groups = CASES[case]
    x = draw((8, height, width, channels), 0)
    kernel = draw((*window[:2], channels // groups, window[2]), 1)
    options = {"padding": padding, "groups": groups}
    loss = lambda kernel, x: jnp.square(convolve(x, kernel, **options)).sum()
    grad = jax.jit(jax.grad(loss))
    split = jax.device_put(x, batch_sharding(make_mesh()))
    text = grad.lower(kernel, split).compile().as_text()
    assert text.count(" all-reduce(") == 1 and "all-gather" not in text
    assert_equal_up_to_rounding(grad(kernel, split), grad(kernel, x))


def test_convolve_over_devices_keeps_a_batch_that_does_not_divide_whole():
    mesh = make_mesh()
    x, kernel = draw((6, 6, 5, 3), 0), draw((3, 3, 3, 4), 1)

    def loss(kernel, x):
        return jnp.square(convolve(x, kernel, padding=1)).sum()

    @jax.jit
    def grad(kernel, x):
        # XLA fills up the shares before the cosine, with zeros that become ones.
        split = jax.lax.with_sharding_constraint(jnp.cos(x), batch_sharding(mesh))
        return jax.grad(loss)(kernel, split)

    placed = jax.device_put(kernel, replicated_sharding(mesh))
    assert_equal_up_to_rounding(grad(placed, x), jax.grad(loss)(kernel, jnp.cos(x)))


@pytest.mark.parametrize("check_vma", [True, False])
def test_convolve_inside_shard_map_gives_the_global_gradient(check_vma):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    x = draw((8, 6, 6, 3), 0)

    def loss(kernel, x):
        return jax.lax.pmean((convolve(x, kernel, padding=1) ** 2).mean(), "data")

    def local_grad(kernel, x):
        grad = jax.grad(loss)(kernel, x)
        return grad if check_vma else jax.lax.pmean(grad, "data")

    sharded = jax.shard_map(
        local_grad,
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec("data")),
        out_specs=PartitionSpec(),
        check_vma=check_vma,
    )
    whole = jax.grad(lambda kernel: (convolve(x, kernel, padding=1) ** 2).mean())
    assert "conv_general_dilated" not in str(jax.make_jaxpr(sharded)(KERNEL, x))
    found = jax.jit(sharded)(KERNEL, x)
    np.testing.assert_allclose(found, whole(KERNEL), rtol=1e-4, atol=1e-5)


def test_convolve_in_a_loop_keeps_its_fast_form():
    """XLA runs a convolution of any other layout in a loop 100 times slower."""
    x, kernel = draw((8, 16, 16, 8), 0), draw((3, 3, 8, 8), 1)

    def epoch(kernel):
        loss = lambda kernel: (convolve(x, kernel, padding=1) ** 2).sum()
        step = lambda kernel, _: (kernel - 1e-3 * jax.grad(loss)(kernel), None)
        return jax.lax.scan(step, kernel, length=2)[0]

    compiled = jax.jit(epoch).lower(kernel).compile().as_text()
    layouts = [
        line.split("dim_labels=")[1].split(",")[0]
        for line in compiled.splitlines()
        if "dim_labels=" in line
    ]
    assert layouts and set(layouts) == {"b01f_01io->b01f"}
