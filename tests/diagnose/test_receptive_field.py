"""Fields by recursion and by tracing, against NaNs put into the image one by one."""

import functools
from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.diagnose import (
    ReceptiveField,
    Window,
    count_stack_parameters,
    stack_windows,
    trace_receptive_fields,
)
from jaxdl.diagnose.dependence import trace_dependences
from jaxdl.layers import adaptive_average_pool, average_pool, convolve, max_pool
from jaxdl.models import INPUTS, MODELS

# The last three columns are the published field, or that counted by hand.
_ALEXNET = [(11, 4, 2), (3, 2), (5, 1, 2), (3, 2), *[(3, 1, 1)] * 3, (3, 2)]
_VGG16 = [step for count in (2, 2, 3, 3, 3) for step in (*[(3, 1, 1)] * count, (2, 2))]
_STEM = [(7, 2, 3), (3, 2, 1)]


def list_resnet_windows(blocks, kernels, strided):
    """The longest path: `strided` is the convolution of a block that has the stride."""
    windows = list(_STEM)
    for stage, count in enumerate(blocks):
        for block in range(count):
            for index, kernel in enumerate(kernels):
                stride = 2 if stage and not block and index == strided else 1
                windows.append((kernel, stride, kernel // 2))
    return windows


_RESNET18 = list_resnet_windows((2, 2, 2, 2), (3, 3), 0)
_RESNET50 = list_resnet_windows((3, 4, 6, 3), (1, 3, 1), 1)
_RESNET50_V1 = list_resnet_windows((3, 4, 6, 3), (1, 3, 1), 0)


@pytest.mark.parametrize(
    ("windows", "size", "jump"),
    [
        (_ALEXNET, 195, 32),
        (_ALEXNET[:-1], 163, 16),
        (_VGG16, 212, 32),
        (_VGG16[:-1], 196, 16),
        (_RESNET18, 435, 32),
        (_RESNET50, 427, 32),
        (_RESNET50_V1, 483, 32),
        ([(3, 1, 2, 2)], 5, 1),
        ([(3, 2, 1), (3, 1, 2, 2)], 11, 2),
    ],
)
def test_stack_windows_gives_published_fields(windows, size, jump):
    field = stack_windows(windows)[-1]
    assert (field.size, field.jump) == (size, jump)


@pytest.mark.parametrize("depth", [1, 2, 3, 10])
def test_stack_windows_of_three_by_three_is_2n_plus_1(depth):
    field = stack_windows([Window(3, padding=1)] * depth)[-1]
    assert field == ReceptiveField(2 * depth + 1, 1, -depth)
    assert field.centre == 0


def test_stack_windows_names_a_window_that_is_out_of_range():
    for window in [(0,), (3, 0), (3, 1, -1), (3, 1, 0, 0)]:
        with pytest.raises(ValueError, match="padding at least 0, got .* at index 1"):
            stack_windows([(3,), window])


def test_three_small_kernels_have_fewer_weights_than_one_large():
    assert stack_windows([(3,)] * 3)[-1].size == stack_windows([(7,)])[-1].size == 7
    assert count_stack_parameters(3, 3, 64) == 27 * 64**2
    assert count_stack_parameters(1, 7, 64) == 49 * 64**2


@pytest.mark.parametrize(
    ("name", "map_name", "windows"),
    [
        ("alexnet", "stage3", _ALEXNET[:-1]),
        ("alexnet", "pooled", _ALEXNET),
        ("vgg16", "stage5", _VGG16[:-1]),
        ("resnet18", "stage4", _RESNET18),
        ("resnet50", "stage4", _RESNET50),
        ("resnet50_v1", "stage4", _RESNET50_V1),
    ],
)
def test_trace_receptive_fields_equals_the_recursion(name, map_name, windows):
    found = trace_model(name)[map_name]
    assert found == (stack_windows(windows)[-1],) * 2


@functools.cache
def trace_model(name):
    model, side = MODELS[name](num_classes=2), INPUTS[name].image_size
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    init = functools.partial(model.init, train=False)
    variables = jax.eval_shape(init, jax.random.key(0), images)

    def extract(images, variables):
        return model.apply(variables, images, train=False, method="extract")

    return trace_receptive_fields(extract, images, variables)


def test_trace_receptive_fields_sees_all_of_the_image_after_an_average():
    down, across = trace_model("resnet18")["features"]
    assert down == across == ReceptiveField(224, None, 0)


def test_trace_receptive_fields_of_factorised_kernels():
    def wide(images):
        return {"wide": convolve(images, jnp.ones((1, 7, 1, 1)), padding=(0, 3))}

    found = trace_receptive_fields(wide, jnp.ones((1, 9, 9, 1)))["wide"]
    assert found == (ReceptiveField(1, 1, 0), ReceptiveField(7, 1, -3))


def test_trace_receptive_fields_keeps_the_order_and_leaves_constants_out():
    def maps(images):
        return OrderedDict(z=images, constant=jnp.ones(3), a=images[:, 1:])

    found = trace_receptive_fields(maps, jnp.ones((1, 4, 4, 1)))
    assert list(found) == ["z", "a"]
    assert found["a"][0] == ReceptiveField(1, 1, 1)


def test_trace_receptive_fields_halves_the_jump_after_upsampling():
    kernel = jnp.ones((2, 2, 1, 1))

    def enlarge(images):
        return jax.lax.conv_transpose(images, kernel, (2, 2), "VALID")

    (found, _) = trace_receptive_fields(enlarge, jnp.ones((1, 6, 6, 1)))[""]
    assert (found.size, found.jump) == (1, 0.5)


def test_trace_receptive_fields_wants_four_axes():
    with pytest.raises(ValueError, match=r"batch, height, width.*got shape \(3, 3\)"):
        trace_receptive_fields(lambda x: x, jnp.ones((3, 3)))


# --- Against brute force ---------------------------------------------------------


def make_kernel(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def convolve_xla(x, kernel, **options):
    options = {"padding": ((1, 1), (1, 1)), "window_strides": (1, 1), **options}
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **options)


def add_branch(x):
    """A residual block: a strided branch on a strided shortcut."""
    y = convolve(jax.nn.relu(convolve(x, K3, padding=1)), K3, stride=2, padding=1)
    return y + x[:, ::2, ::2]


def normalise_groups(x):
    groups = x.reshape(*x.shape[:3], 2, 1)
    return (groups - groups.mean((1, 2, 4), keepdims=True)).reshape(x.shape)


def normalise_pixels(x):
    x = convolve(x, K3, padding=1)
    return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1)


def repeat_pixels(x):
    n, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c))
    return convolve(x.reshape(n, 2 * h, 2 * w, c), K3, padding=1)


def multiply_channels(x):
    return jnp.einsum("bhwc,cd->bhwd", convolve(x, K3, padding=1), jnp.ones((2, 3)))


K3 = make_kernel(3, 3, 2, 2)
FUNCTIONS = {
    "elementwise": lambda x: jax.nn.gelu(x) * 2 + jax.nn.silu(x),
    "convolution": lambda x: convolve(x, make_kernel(3, 5, 2, 2), padding=(1, 2)),
    "stride": lambda x: convolve(x, make_kernel(5, 3, 2, 2), stride=(3, 2), padding=1),
    "dilation": lambda x: convolve(x, K3, dilation=(1, 3), padding=(0, 2)),
    "groups": lambda x: convolve(x, make_kernel(3, 3, 1, 4), groups=2),
    "uneven padding": lambda x: convolve_xla(
        x, K3, padding=((0, 1), (2, 1)), window_strides=(2, 2), rhs_dilation=(1, 2)
    ),
    "transposed": lambda x: convolve_xla(x, K3, lhs_dilation=(2, 3)),
    "max pool": lambda x: max_pool(x, window=3, stride=2, padding=1),
    "average pool": lambda x: average_pool(x, window=2, stride=2),
    "adaptive pool": lambda x: adaptive_average_pool(x, size=5),
    "branch": add_branch,
    "two blocks": lambda x: add_branch(add_branch(x)),
    "slice": lambda x: x[:, 2:-1:3, ::-1],
    "pad": lambda x: convolve(jnp.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))), K3),
    "interior pad": lambda x: jax.lax.pad(
        x, jnp.zeros(()), ((0, 0, 0), (1, 0, 2), (-1, 1, 0), (0, 0, 0))
    ),
    "concatenated channels": lambda x: jnp.concatenate(
        [x, convolve(x, K3, padding=1)], axis=-1
    ),
    "concatenated rows": lambda x: jnp.concatenate(
        [x, jnp.ones_like(x[:, :2]), x[:, ::2]], axis=1
    ),
    "split": lambda x: jnp.split(x, [3, 9], axis=1)[1],
    "transposed axes": lambda x: x.transpose(0, 2, 1, 3) * 2,
    "groups of channels": normalise_groups,
    "channels": normalise_pixels,
    "matrix": multiply_channels,
    "repeated pixels": repeat_pixels,
    "row average": lambda x: x - x.mean(2, keepdims=True),
    "global average": lambda x: x.mean((1, 2)),
    "jitted": jax.jit(lambda x: jnp.where(x > 0, convolve(x, K3, padding=1), x)),
    "checkpointed": jax.checkpoint(lambda x: jnp.cos(convolve(x, K3))),
}
# At the border, the first tap of a dilated kernel may lie outside, the second inside.
WITH_GAPS = ("dilation", "uneven padding")
SHAPE = (13, 11)


def probe(function, axis):
    """Which rows (or columns) of the image turn which elements of the result to NaN."""
    side = SHAPE[axis - 1]
    images = np.random.default_rng(1).uniform(0.5, 1.5, (side, *SHAPE, 2))
    for index in range(side):
        images[index].swapaxes(0, axis - 1)[index] = np.nan
    result = function(jnp.asarray(images, jnp.float32))
    return np.isnan(np.asarray(result))


@pytest.mark.parametrize("axis", [1, 2], ids=["rows", "columns"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_trace_dependences_equals_brute_force(name, axis):
    function, side = FUNCTIONS[name], SHAPE[axis - 1]
    images = jax.ShapeDtypeStruct((1, *SHAPE, 2), jnp.float32)
    jaxpr = jax.make_jaxpr(function)(images).jaxpr
    (found,) = trace_dependences(jaxpr, axis=axis, length=side)
    touched = probe(function, axis)
    if found.axis is None:
        seen = touched.reshape(side, 1, -1).any(-1)
    else:
        assert len(found.low) == touched.shape[found.axis]
        touched = np.moveaxis(touched, found.axis, 1)
        seen = touched.reshape(*touched.shape[:2], -1).any(-1)
    for index in range(seen.shape[1]):
        rows = np.flatnonzero(seen[:, index])
        low, high = found.low[index], found.high[index]
        inside = [max(low, 0), min(high, side - 1)]
        if len(rows) == 0:  # nothing at all, or pixels of the padding alone
            assert low > high or high < 0 or low >= side
        elif name in WITH_GAPS and inside != [low, high]:
            assert inside[0] <= rows[0] and rows[-1] <= inside[1]
        else:
            assert inside == [rows[0], rows[-1]]


def test_trace_dependences_of_an_unknown_operation_is_an_upper_bound():
    images = jax.ShapeDtypeStruct((1, 6, 6, 1), jnp.float32)
    jaxpr = jax.make_jaxpr(lambda x: jnp.sort(x, axis=2))(images).jaxpr
    (found,) = trace_dependences(jaxpr, axis=2, length=6)
    assert (found.axis, found.low, found.high) == (None, 0, 5)


def test_trace_receptive_fields_equals_brute_force_for_a_network():
    model, side = MODELS["resnet8_cifar"](num_classes=2), 32
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), images)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: jnp.asarray(rng.uniform(0.1, 0.2, leaf.shape), jnp.float32), shapes
    )

    def extract(images, variables):
        return model.apply(variables, images, train=False, method="extract")

    probes = np.ones((side, side, side, 3), np.float32)
    probes[np.arange(side), np.arange(side)] = np.nan
    touched = jax.jit(extract)(jnp.asarray(probes), variables)
    fields = trace_receptive_fields(extract, images, variables)
    for name in ("stem", "stage1", "stage2", "stage3"):
        down, _ = fields[name]
        seen = np.isnan(touched[name]).any((2, 3))
        for unit in range(seen.shape[1]):
            rows = np.flatnonzero(seen[:, unit])
            first = down.start + unit * down.jump
            last = first + down.size - 1
            assert [rows[0], rows[-1]] == [max(first, 0), min(last, side - 1)]
