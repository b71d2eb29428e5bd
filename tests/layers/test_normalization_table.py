"""Every normalisation against float64 NumPy, on every layout and dtype."""

import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.layers import (
    NORMS,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    normalize,
)

GROUPS = 2
ROWS = {
    **NORMS,
    "ghost": functools.partial(BatchNorm, num_groups=GROUPS),
    "group": functools.partial(GroupNorm, GROUPS),
}
LAYOUTS = {"vector": (8, 6), "image": (4, 3, 2, 6)}
CASES = [
    (name, layout, dtype)
    for name in ROWS
    for layout in LAYOUTS
    for dtype in (jnp.float32, jnp.bfloat16)
    if (name, layout) != ("instance", "vector")
]
TOLERANCE = {jnp.float32: 1e-5, jnp.bfloat16: 2e-2}


def pool_of(name, shape):
    """The number, for each element, of the pool that it shares statistics with."""
    n, *pixels, c = np.indices(shape)
    same = {
        "batch": [c],
        "ghost": [c, n // (shape[0] // GROUPS)],
        "layer": [n],
        "layer_channels": [n, *pixels],
        "instance": [n, c],
        "group": [n, c // (shape[-1] // GROUPS)],
    }[name]
    keys = np.stack([key.ravel() for key in same])
    return np.unique(keys, axis=1, return_inverse=True)[1].ravel()


def pooled_mean(values, pool):
    means = np.bincount(pool, values.ravel()) / np.bincount(pool)
    return means[pool].reshape(values.shape)


def exact_norm(x, pool, scale, bias, g, epsilon=1e-5):
    """Value and gradients of sum(g * norm(x)) in float64."""
    deviation = x - pooled_mean(x, pool)
    spread = np.sqrt(pooled_mean(deviation**2, pool) + epsilon)
    unit = deviation / spread
    scaled = g * scale
    dx = scaled - pooled_mean(scaled, pool) - unit * pooled_mean(scaled * unit, pool)
    batch = tuple(range(x.ndim - 1))
    dparams = {"scale": (g * unit).sum(batch), "bias": g.sum(batch)}
    return unit * scale + bias, dx / spread, dparams


def draw(shape, dtype=jnp.float32, seed=0):
    generator = np.random.default_rng(seed)
    x = jnp.asarray(generator.normal(1, 3, shape), dtype)
    g = jnp.asarray(generator.normal(size=shape), dtype)
    params = {
        "scale": jnp.asarray(generator.uniform(0.5, 1.5, shape[-1]), jnp.float32),
        "bias": jnp.asarray(generator.normal(size=shape[-1]), jnp.float32),
    }
    return x, g, params


def start(params):
    """Variables with given parameters, and running statistics of mean 0."""
    statistics = {"mean": jnp.zeros(len(params["bias"]))}
    statistics["var"] = statistics["mean"] + 1
    return {"params": params, "batch_stats": statistics}


@functools.partial(jax.jit, static_argnums=0)
def value_and_grads(norm, params, x, g):
    def apply(params, x):
        variables = start(params)
        return norm.apply(variables, x, train=True, mutable=["batch_stats"])[0]

    y, pull_back = jax.vjp(apply, params, x)
    dparams, dx = pull_back(g)
    return y, dx, dparams


def close(actual, expected, tolerance):
    expected = np.asarray(expected)
    np.testing.assert_allclose(
        np.asarray(actual, float),
        expected,
        rtol=tolerance,
        atol=tolerance * np.abs(expected).max(),
    )


@pytest.mark.parametrize(("name", "layout", "dtype"), CASES)
def test_norms_equal_numpy_in_float64(name, layout, dtype):
    x, g, params = draw(LAYOUTS[layout], dtype)
    y, dx, dparams = value_and_grads(ROWS[name](dtype=dtype), params, x, g)
    assert y.dtype == dx.dtype == dtype
    assert dparams["scale"].dtype == jnp.float32
    exact = (np.asarray(array, float) for array in (params["scale"], params["bias"], g))
    expected = exact_norm(np.asarray(x, float), pool_of(name, x.shape), *exact)
    for actual, wanted in zip((y, dx), expected[:2], strict=True):
        close(actual, wanted, TOLERANCE[dtype])
    for parameter, wanted in expected[2].items():
        close(dparams[parameter], wanted, TOLERANCE[dtype])


@pytest.mark.parametrize("name", ["batch", "group"])
def test_norms_keep_bfloat16_statistics_in_float32(name):
    # Rounded to bfloat16 on the way, a mean of 100 would be off by up to 0.25.
    x = jax.random.normal(jax.random.key(0), (4, 3, 2, 6)) + 100
    x = x.astype(jnp.bfloat16)
    _, g, params = draw(x.shape)
    y, _, _ = value_and_grads(ROWS[name](dtype=jnp.float32), params, x, g)
    exact = (np.asarray(array, float) for array in (params["scale"], params["bias"], g))
    expected = exact_norm(np.asarray(x, float), pool_of(name, x.shape), *exact)[0]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ROWS)
def test_norms_of_a_constant_have_finite_gradients(name):
    _, g, params = draw(LAYOUTS["image"])
    x = jnp.full(g.shape, 7.0)
    y, dx, dparams = value_and_grads(ROWS[name](), params, x, g)
    close(y, np.broadcast_to(params["bias"], x.shape), 1e-6)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((dx, dparams)))


@pytest.mark.parametrize("name", ROWS)
def test_norms_differ_between_training_and_evaluation_only_for_batch(name):
    x, _, params = draw(LAYOUTS["image"])
    train, _, _ = value_and_grads(ROWS[name](), params, x, x)
    evaluate = ROWS[name]().apply(start(params), x, train=False)
    assert np.allclose(train, evaluate, atol=1e-4) == (name not in ("batch", "ghost"))


@pytest.mark.parametrize(
    ("one", "other", "shape"),
    [
        (GroupNorm(1), LayerNorm(), (3, 4, 2, 6)),
        (GroupNorm(1), LayerNorm(), (3, 6)),
        (GroupNorm(6), InstanceNorm(), (3, 4, 2, 6)),
        (BatchNorm(num_groups=3), InstanceNorm(), (3, 4, 2, 6)),
    ],
)
def test_norms_that_pool_the_same_values_are_equal(one, other, shape):
    x, g, params = draw(shape)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
        value_and_grads(one, params, x, g),
        value_and_grads(other, params, x, g),
    )


@pytest.mark.parametrize("name", NORMS)
def test_norms_start_with_scale_one_and_bias_zero_per_channel(name):
    x, _, _ = draw((4, 3, 2, 6))
    params = NORMS[name]().init(jax.random.key(0), x, train=True)["params"]
    assert params.keys() == {"scale", "bias"}
    np.testing.assert_array_equal(params["scale"], np.ones(6))
    np.testing.assert_array_equal(params["bias"], np.zeros(6))


@pytest.mark.parametrize(("channels", "divisor"), [(64, 32), (6, 2)])
def test_group_norm_by_name_takes_the_common_divisor_of_32(channels, divisor):
    x, g, params = draw((2, 2, 2, channels))
    by_name = value_and_grads(NORMS["group"](), params, x, g)
    explicit = value_and_grads(GroupNorm(divisor), params, x, g)
    jax.tree.map(np.testing.assert_array_equal, by_name, explicit)


def test_normalize_has_exact_forward_and_second_derivatives():
    # Its derivative rule is written by hand; these take it apart and once more.
    x, v, params = draw((4, 2, 6))
    scale, bias = params["scale"], params["bias"]
    pool = pool_of("group", x.shape)

    def loss(x):
        groups = x.reshape(4, 2, 2, 3)
        shapes = {"scale": scale.reshape(2, 3), "bias": bias.reshape(2, 3)}
        return jnp.sum(jnp.sin(normalize(groups, (1, 3), **shapes)))

    exact = [np.asarray(a, float) for a in (scale, bias)]

    def exact_loss(x):
        return np.sin(exact_norm(x, pool, *exact, np.zeros(x.shape))[0]).sum()

    def exact_grad(x):
        y = exact_norm(x, pool, *exact, np.zeros(x.shape))[0]
        return exact_norm(x, pool, *exact, np.cos(y))[1]

    x64, v64, h = np.asarray(x, float), np.asarray(v, float), 1e-5
    along = lambda f: (f(x64 + h * v64) - f(x64 - h * v64)) / (2 * h)
    slope = jax.jit(lambda x, v: jax.jvp(loss, (x,), (v,))[1])(x, v)
    close(slope, along(exact_loss), 1e-4)
    curvature = jax.jit(lambda x, v: jax.jvp(jax.grad(loss), (x,), (v,))[1])(x, v)
    close(curvature, along(exact_grad), 1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GroupNorm(0), "num_groups must be at least 1, got 0"),
        (lambda: BatchNorm(num_groups=0), "num_groups must be at least 1, got 0"),
        (lambda: BatchNorm(momentum=1.5), r"momentum must be in \[0, 1\], got 1.5"),
        (lambda: LayerNorm(axes="height"), "axes must be .* got 'height'"),
    ],
)
def test_norms_name_a_bad_attribute(make, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("norm", "x", "message"),
    [
        (GroupNorm(4), jnp.ones((2, 6)), "6 channels do not divide.*num_groups=4"),
        (
            BatchNorm(num_groups=4),
            jnp.ones((6, 6)),
            "batch of 6 does not divide.*num_groups=4",
        ),
        (InstanceNorm(), jnp.ones((2, 6)), r"vectors of shape \(2, 6\) have none"),
        (
            LayerNorm(),
            jnp.ones(6),
            r"batch axis and channels, got float32 of shape \(6,\)",
        ),
        (LayerNorm(epsilon=0.0), jnp.ones((2, 6)), "eps must be positive, got 0.0"),
        (BatchNorm(), jnp.ones((0, 6)), "0, 6\\) has no values over axes"),
        (BatchNorm(), jnp.ones((2, 6), jnp.int8), "floating point.*got int8"),
    ],
)
def test_norms_name_a_bad_input(norm, x, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    variables = start({"scale": jnp.ones(6), "bias": jnp.zeros(6)})
    with pytest.raises(ValueError, match=message):
        norm.apply(variables, x, train=True, mutable=["batch_stats"])
