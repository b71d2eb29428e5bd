import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import (
    adaptive_average_pool,
    average_pool,
    global_average_pool,
    max_pool,
)


def draw(*shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), dtype)


def axis_windows(length, *, window, stride, padding, ceil_mode):
    """(start, end) of the windows along one axis, by PyTorch's rule in words.

    Without `ceil_mode` a window must end within the padding; with it, it need only
    start in the image or in the padding before it. The window that reaches the end of
    the image is the last one.
    """
    windows = []
    for start in range(-padding, length, stride):
        reaches_out = start + window > length + padding
        previous = windows[-1][1] if windows else -padding
        if reaches_out and not (ceil_mode and previous < length + padding):
            break
        windows.append((start, start + window))
    return windows


def pool_float64(
    x, *, window, stride, padding=0, ceil_mode=False, count_include_pad=None
):
    """One window at a time: the largest value if `count_include_pad` is None."""
    pair = lambda value: value if isinstance(value, tuple) else (value, value)
    rows, columns = (
        axis_windows(
            x.shape[axis + 1],
            window=pair(window)[axis],
            stride=pair(stride)[axis],
            padding=pair(padding)[axis],
            ceil_mode=ceil_mode,
        )
        for axis in (0, 1)
    )
    x = np.asarray(x, float)
    y = np.zeros((len(x), len(rows), len(columns), x.shape[3]))
    (height, width), (above, left) = x.shape[1:3], pair(padding)
    for (i, (top, bottom)), (j, (first, last)) in itertools.product(
        enumerate(rows), enumerate(columns)
    ):
        pixels = x[:, max(top, 0) : bottom, max(first, 0) : last]
        if count_include_pad is None:
            y[:, i, j] = pixels.max((1, 2))
            continue
        count = pixels.shape[1] * pixels.shape[2]
        if count_include_pad:
            tall = min(bottom, height + above) - top
            count = tall * (min(last, width + left) - first)
        y[:, i, j] = pixels.sum((1, 2)) / count
    return y


# The last three drop the window that would start after the image.
OPTIONS = [
    {"window": 2, "stride": 2},
    {"window": 3, "stride": 2, "padding": 1},
    {"window": 3, "stride": 1, "padding": 1},
    {"window": 1, "stride": 2},
    {"window": (2, 3), "stride": (3, 1), "padding": (0, 1)},
    {"window": 3, "stride": 2, "ceil_mode": True},
    {"window": 5, "stride": (2, 3), "padding": (2, 0), "ceil_mode": True},
    {"window": 2, "stride": 2, "padding": 1, "ceil_mode": True},
    {"window": 2, "stride": 3, "padding": 1, "ceil_mode": True},
    {"window": 2, "stride": 4, "ceil_mode": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("pool", ["max", "average", "average of the image"])
def test_pool_equals_a_loop_in_float64(pool, options):
    # All below zero: padding by zeros would win at the border.
    x = -1 - jnp.abs(draw(2, 7, 6, 3))
    if pool == "max":
        y, expected = max_pool(x, **options), pool_float64(x, **options)
    else:
        counting = {**options, "count_include_pad": pool == "average"}
        y, expected = average_pool(x, **counting), pool_float64(x, **counting)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, expected, rtol=1e-6)


# Vectors from PyTorch 2.13: window 3, stride 2, padding 1 over the pixels 1 to 4.
@pytest.mark.parametrize(
    ("ceil_mode", "count_include_pad", "expected"),
    [
        (False, False, [1.5, 3.0]),
        (False, True, [1.0, 3.0]),
        (True, False, [1.5, 3.0, 4.0]),
        (True, True, [1.0, 3.0, 2.0]),
    ],
)
def test_average_pool_divides_as_pytorch(ceil_mode, count_include_pad, expected):
    y = average_pool(
        jnp.arange(1.0, 5.0).reshape(1, 1, 4, 1),
        window=(1, 3),
        stride=(1, 2),
        padding=(0, 1),
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )
    np.testing.assert_allclose(y[0, 0, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("window", "stride", "padding", "expected"),
    [(3, 2, 1, [-1, -2, -4]), (3, 2, 0, [-1, -3]), (2, 3, 1, [-1, -3])],
)
def test_max_pool_in_ceil_mode_equals_pytorch(window, stride, padding, expected):
    y = max_pool(
        -jnp.arange(1.0, 5.0).reshape(1, 1, 4, 1),
        window=(1, window),
        stride=(1, stride),
        padding=(0, padding),
        ceil_mode=True,
    )
    np.testing.assert_array_equal(y[0, 0, :, 0], expected)


@pytest.mark.parametrize("pool", [max_pool, average_pool])
def test_pool_in_ceil_mode_takes_an_image_smaller_than_the_window(pool):
    y = pool(jnp.full((1, 2, 2, 1), 5.0), window=3, stride=2, ceil_mode=True)
    np.testing.assert_array_equal(y, np.full((1, 1, 1, 1), 5.0))


def test_average_pool_of_bfloat16_sums_in_float32():
    x = jnp.ones((1, 32, 32, 1), jnp.bfloat16).at[0, 0, 0, 0].set(9.0)
    options = {"window": 32, "stride": 32}
    for y in (average_pool(x, **options), adaptive_average_pool(x, size=1)):
        assert y.dtype == jnp.bfloat16
        np.testing.assert_allclose(y.astype(jnp.float32), 1 + 8 / 1024, rtol=2**-8)


def matrix_of(pool, height, width):
    """A linear pooling as a matrix: its values at the images of one bright pixel."""
    pixels = np.eye(height * width).reshape(-1, height, width, 1)
    return pool(pixels).reshape(height * width, -1)


@pytest.mark.parametrize(
    "options",
    [
        {"window": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"window": 3, "stride": 2, "padding": 1, "count_include_pad": False},
        {"window": (1, 2), "stride": 1, "count_include_pad": True},
    ],
    ids=str,
)
def test_average_pool_has_the_gradient_of_its_matrix(options):
    options = {"count_include_pad": True, **options}
    x = draw(1, 4, 5, 1)
    matrix = matrix_of(functools.partial(pool_float64, **options), 4, 5)
    weights = np.arange(1.0, 1 + matrix.shape[1])
    weigh = lambda x: average_pool(x, **options).ravel() @ jnp.asarray(weights, x.dtype)
    grads = jax.jit(jax.grad(weigh))(x)
    np.testing.assert_allclose(np.ravel(grads), matrix @ weights, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"padding": 0}, {"padding": 1}, {"padding": 1, "ceil_mode": True}],
    ids=str,
)
def test_max_pool_passes_the_gradient_to_the_largest_pixel(options):
    options = {"window": 3, "stride": 2, **options}
    x = draw(1, 6, 6, 1)
    pooled = pool_float64(x, **options)
    weights = np.arange(1.0, 1 + pooled.size)
    weigh = lambda x: max_pool(x, **options).ravel() @ jnp.asarray(weights, x.dtype)
    grads = jax.jit(jax.grad(weigh))(x)
    # No two pixels are equal: each maximum names its own.
    expected = (np.asarray(x).reshape(-1, 1) == pooled.reshape(1, -1)) @ weights
    np.testing.assert_allclose(np.ravel(grads), expected, rtol=1e-6)


def adaptive_float64(x, *, size):
    """One window at a time, by the floor and ceiling of its ends."""
    height, width = x.shape[1:3]
    y = np.zeros((len(x), *size, x.shape[3]))
    for i, j in itertools.product(*map(range, size)):
        top, left = int(np.floor(i * height / size[0])), j * width // size[1]
        bottom = int(np.ceil((i + 1) * height / size[0]))
        right = int(np.ceil((j + 1) * width / size[1]))
        y[:, i, j] = np.asarray(x, float)[:, top:bottom, left:right].mean((1, 2))
    return y


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((6, 6), (6, 6)),
        ((6, 4), (3, 1)),
        ((1, 1), (7, 7)),
        ((2, 3), (6, 3)),
        ((5, 7), (3, 2)),
        ((7, 5), (6, 6)),
        ((2, 9), (7, 6)),
    ],
)
def test_adaptive_average_pool_equals_a_loop_in_float64(shape, size):
    x = draw(2, *shape, 3)
    pool = jax.jit(functools.partial(adaptive_average_pool, size=size))
    expected = adaptive_float64(x, size=size)
    np.testing.assert_allclose(pool(x), expected, rtol=1e-5, atol=1e-6)


# Vectors from PyTorch 2.13.
@pytest.mark.parametrize(
    ("side", "size", "expected"),
    [
        (5, 3, [1.5, 3.0, 4.5]),
        (5, 7, [1.0, 1.5, 2.5, 3.0, 3.5, 4.5, 5.0]),
        (4, 6, [1.0, 1.5, 2.0, 3.0, 3.5, 4.0]),
    ],
)
def test_adaptive_average_pool_has_the_windows_of_pytorch(side, size, expected):
    x = jnp.arange(1.0, 1.0 + side).reshape(1, 1, side, 1)
    y = adaptive_average_pool(x, size=(1, size))
    np.testing.assert_allclose(y[0, 0, :, 0], expected, rtol=1e-6)
    y = adaptive_average_pool(x.reshape(1, side, 1, 1), size=(size, 1))
    np.testing.assert_allclose(y[0, :, 0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "size"), [((4, 6), (2, 3)), ((1, 2), (3, 4)), ((5, 4), (3, 6))]
)
def test_adaptive_average_pool_has_the_gradient_of_its_matrix(shape, size):
    matrix = matrix_of(functools.partial(adaptive_float64, size=size), *shape)
    weights = np.arange(1.0, 1 + matrix.shape[1])
    weigh = lambda x: (
        adaptive_average_pool(x, size=size).ravel() @ jnp.asarray(weights, x.dtype)
    )
    grads = jax.jit(jax.grad(weigh))(draw(1, *shape, 1))
    np.testing.assert_allclose(np.ravel(grads), matrix @ weights, rtol=1e-5)


@pytest.mark.parametrize("size", [(7, 7), (1, 1), (14, 14), (28, 7)])
def test_adaptive_average_pool_multiplies_no_matrices_where_sizes_divide(size):
    pool = functools.partial(adaptive_average_pool, size=size)
    assert "dot_general" not in str(jax.make_jaxpr(pool)(jnp.ones((1, 14, 14, 2))))


@pytest.mark.parametrize("pool", [max_pool, average_pool])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0, "stride": 1}, "window=0"),
        ({"window": 2, "stride": (1, 0)}, r"stride=\(1, 0\)"),
        ({"window": 3, "stride": 1, "padding": 2}, "padding=2"),
        ({"window": (4, 2), "stride": 1, "padding": 2}, r"window=\(4, 2\)"),
        ({"window": 3, "stride": 1, "padding": -1}, "padding=-1"),
        ({"window": 5, "stride": 1}, r"window 5 is larger than images \(4, 6\)"),
        ({"window": 9, "stride": 2, "ceil_mode": True}, "window 9 is larger"),
    ],
)
def test_pool_names_the_bad_option(pool, options, message):
    with pytest.raises(ValueError, match=f"{pool.__name__}: .*{message}"):
        pool(jnp.ones((1, 4, 6, 1)), **options)


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        ((4, 4), 0, "size=0"),
        ((4, 4), (2, -1), r"-1\)"),
        ((0, 4), 1, r"images \(0, 4\)"),
    ],
)
def test_adaptive_average_pool_names_a_size_out_of_range(shape, size, message):
    with pytest.raises(ValueError, match=message):
        adaptive_average_pool(jnp.ones((1, *shape, 1)), size=size)


def test_global_average_pool_sums_bfloat16_in_float32():
    x = jnp.ones((1, 32, 32, 2), jnp.bfloat16).at[0, 0, 0, 1].set(3.0)
    y = global_average_pool(x)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, [[1.0, 1 + 2 / 1024]], rtol=1e-6)
