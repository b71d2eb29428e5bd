import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import global_average_pool, max_pool


@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (1, 2, 0)]
)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_max_pool_equals_a_loop(window, stride, padding, dtype):
    # All below zero: padding by zeros would win at the border.
    x = -1 - jax.random.uniform(jax.random.key(0), (2, 7, 6, 3))
    x = x.astype(dtype)
    y = max_pool(x, window=window, stride=stride, padding=padding)
    padded = np.full((2, 7 + 2 * padding, 6 + 2 * padding, 3), -np.inf)
    padded[:, padding : padding + 7, padding : padding + 6] = x.astype(jnp.float32)
    rows = range(0, padded.shape[1] - window + 1, stride)
    columns = range(0, padded.shape[2] - window + 1, stride)
    expected = [
        [padded[:, r : r + window, c : c + window].max((1, 2)) for c in columns]
        for r in rows
    ]
    assert y.dtype == dtype
    np.testing.assert_array_equal(
        y.astype(jnp.float32), np.moveaxis(np.array(expected), 2, 0)
    )


def test_max_pool_passes_the_gradient_to_the_largest_pixel():
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 1))
    pool_sum = lambda x: max_pool(x, window=2, stride=2).sum()
    grads = jax.jit(jax.grad(pool_sum))(x)[0, :, :, 0]
    for row in (0, 2):
        for column in (0, 2):
            window = np.asarray(x[0, row : row + 2, column : column + 2, 0])
            expected = window == window.max()
            found = grads[row : row + 2, column : column + 2]
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0, "stride": 1}, "window=0"),
        ({"window": 2, "stride": 0}, "stride=0"),
        ({"window": 3, "stride": 1, "padding": 2}, "padding=2"),
        ({"window": 3, "stride": 1, "padding": -1}, "padding=-1"),
        ({"window": 5, "stride": 1}, r"window 5 is larger than images \(4, 6\)"),
    ],
)
def test_max_pool_names_the_bad_option(options, message):
    with pytest.raises(ValueError, match=message):
        max_pool(jnp.ones((1, 4, 6, 1)), **options)


def test_global_average_pool_sums_bfloat16_in_float32():
    x = jnp.ones((1, 32, 32, 2), jnp.bfloat16).at[0, 0, 0, 1].set(3.0)
    y = global_average_pool(x)
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, [[1.0, 1 + 2 / 1024]], rtol=1e-6)
