import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxdl.layers import BatchNorm


def make_variables(channels, seed=0):
    """Scale, bias and running statistics that are all different."""
    generator = np.random.default_rng(seed)
    draw = lambda low: jnp.asarray(low + generator.uniform(size=channels), jnp.float32)
    return {
        "params": {"scale": draw(0.5), "bias": draw(-0.5)},
        "batch_stats": {"mean": draw(-0.5), "var": draw(0.5)},
    }


def normalize_float64(x, mean, var, params, epsilon=1e-5):
    mean, var = np.asarray(mean, float), np.asarray(var, float)
    scale, bias = (np.asarray(params[name], float) for name in ("scale", "bias"))
    return scale * (np.asarray(x, float) - mean) / np.sqrt(var + epsilon) + bias


def train(x, variables, norm=None):
    norm = norm or BatchNorm()
    apply = functools.partial(norm.apply, train=True, mutable=["batch_stats"])
    return jax.jit(apply)(variables, x)


@pytest.mark.parametrize("shape", [(6, 3), (2, 4, 5, 3), (1, 2, 2, 1)])
def test_batch_norm_in_training_equals_numpy_in_float64(shape):
    x = jax.random.normal(jax.random.key(0), shape) * 3 + 1
    variables = make_variables(shape[-1])
    y, updates = train(x, variables)
    axes = tuple(range(len(shape) - 1))
    exact = np.asarray(x, float)
    mean, var = exact.mean(axes), exact.var(axes)
    expected = normalize_float64(x, mean, var, variables["params"])
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    old, new = variables["batch_stats"], updates["batch_stats"]
    np.testing.assert_allclose(new["mean"], 0.9 * old["mean"] + 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(new["var"], 0.9 * old["var"] + 0.1 * var, rtol=1e-5)


def test_batch_norm_in_evaluation_uses_and_keeps_the_running_statistics():
    x = jax.random.normal(jax.random.key(0), (2, 3, 3, 4)) * 3 + 1
    variables = make_variables(4)
    norm = BatchNorm()
    y, updates = norm.apply(variables, x, train=False, mutable=["batch_stats"])
    running = variables["batch_stats"]
    expected = normalize_float64(
        x, running["mean"], running["var"], variables["params"]
    )
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], running)
    np.testing.assert_array_equal(norm.apply(variables, x, train=False), y)


def test_batch_norm_equals_flax_in_values_and_gradients():
    x = jax.random.normal(jax.random.key(0), (4, 3, 3, 5)) * 2 - 1
    weights = jax.random.normal(jax.random.key(1), x.shape)
    variables = make_variables(5)
    flax_norm = nn.BatchNorm(
        use_running_average=False, momentum=0.9, epsilon=1e-5, use_fast_variance=False
    )

    def weighted_sum(apply, params, x):
        variables_now = {**variables, "params": params}
        y, updates = apply(variables_now, x, mutable=["batch_stats"])
        return jnp.sum(y * weights), (y, updates)

    def value_and_grads(apply):
        function = functools.partial(weighted_sum, apply)
        function = jax.value_and_grad(function, argnums=(0, 1), has_aux=True)
        return jax.jit(function)(variables["params"], x)

    ours = value_and_grads(functools.partial(BatchNorm().apply, train=True))
    theirs = value_and_grads(flax_norm.apply)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6),
        ours[0][1],
        theirs[0][1],
    )
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
        ours[1],
        theirs[1],
    )


@pytest.mark.parametrize("mean", [1e4, -1e4])
def test_batch_norm_variance_is_right_far_from_zero(mean):
    # The one-pass form gives 24 for a true variance of 1 here.
    x = jax.random.normal(jax.random.key(0), (64, 4, 4, 2)) + mean
    variables = BatchNorm().init(jax.random.key(0), x, train=False)
    _, updates = train(x, variables, BatchNorm(momentum=0.0))
    expected = np.asarray(x, float).var((0, 1, 2))
    np.testing.assert_allclose(updates["batch_stats"]["var"], expected, rtol=1e-3)


def test_batch_norm_of_a_constant_is_its_bias():
    x = jnp.full((4, 2, 2, 3), 7.0)
    variables = make_variables(3)
    y, updates = train(x, variables)
    bias = np.broadcast_to(variables["params"]["bias"], x.shape)
    np.testing.assert_allclose(y, bias, atol=1e-5)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(updates))


def test_batch_norm_starts_as_the_identity_and_init_takes_no_statistics():
    x = jax.random.normal(jax.random.key(0), (4, 2, 2, 3)) + 5
    for train_flag in (False, True):
        variables = BatchNorm().init(jax.random.key(0), x, train=train_flag)
        np.testing.assert_array_equal(variables["params"]["scale"], np.ones(3))
        np.testing.assert_array_equal(variables["params"]["bias"], np.zeros(3))
        np.testing.assert_array_equal(variables["batch_stats"]["mean"], np.zeros(3))
        np.testing.assert_array_equal(variables["batch_stats"]["var"], np.ones(3))


def test_batch_norm_scale_can_start_at_zero():
    norm = BatchNorm(scale_init=nn.initializers.zeros)
    x = jnp.ones((2, 3))
    y, _ = norm.init_with_output(jax.random.key(0), x, train=True)
    assert not y.any()


def test_batch_norm_in_bfloat16_keeps_float32_statistics():
    x = (jax.random.normal(jax.random.key(0), (64, 3)) + 3).astype(jnp.bfloat16)
    variables = make_variables(3)
    y, updates = train(x, variables, BatchNorm(dtype=jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    exact, exact_updates = train(x.astype(jnp.float32), variables)
    np.testing.assert_allclose(y.astype(jnp.float32), exact, rtol=1e-2, atol=1e-2)
    jax.tree.map(np.testing.assert_array_equal, updates, exact_updates)
    assert updates["batch_stats"]["var"].dtype == jnp.float32


def test_batch_norm_on_eight_devices_uses_the_statistics_of_the_whole_batch():
    # Sorted, so that no shard has the statistics of the batch.
    x = jnp.sort(jax.random.normal(jax.random.key(0), (16, 2, 2, 3)), axis=0)
    variables = make_variables(3)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    whole = NamedSharding(mesh, PartitionSpec())
    on_eight = train(jax.device_put(x, split), jax.device_put(variables, whole))
    on_one = train(x, variables)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6),
        on_eight,
        on_one,
    )
