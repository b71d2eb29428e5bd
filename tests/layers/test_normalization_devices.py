"""BatchNorm over a batch split across 8 devices, whole and by groups."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import BatchNorm
from jaxdl.parallel import batch_sharding, make_mesh, replicated_sharding

COLLECTIVE = re.compile(
    r"= (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)"
    r"(?:-start)?\("
)
VARIABLES = {
    "params": {"scale": jnp.arange(1.0, 4.0), "bias": jnp.arange(3.0)},
    "batch_stats": {"mean": jnp.zeros(3), "var": jnp.ones(3)},
}


def train(norm, variables, x):
    return norm.apply(variables, x, train=True, mutable=["batch_stats"])


def value(norm, variables, x):
    return train(norm, variables, x)[0]


def input_gradient(norm, variables, x):
    return jax.vjp(functools.partial(value, norm, variables), x)[1](jnp.sin(x))[0]


def updates(norm, variables, x):
    return train(norm, variables, x)[1]


def everything(norm, variables, x):
    def loss(params, x):
        y, updates = train(norm, {**variables, "params": params}, x)
        return jnp.sum(jnp.exp(jnp.sin(y))), (y, updates)

    grad = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    return grad(variables["params"], x)


def place(x, devices):
    mesh = make_mesh(data=devices)
    variables = jax.device_put(VARIABLES, replicated_sharding(mesh))
    return variables, jax.device_put(x, batch_sharding(mesh))


def draw(batch, pixels=(2, 2)):
    # Sorted, so that no shard has the statistics of the batch.
    draws = np.random.default_rng(0).normal(size=(batch, *pixels, 3))
    return jnp.asarray(np.sort(draws, axis=0), jnp.float32)


def compiled(function, num_groups, x):
    function = functools.partial(function, BatchNorm(num_groups=num_groups))
    return jax.jit(function).lower(*place(x, 8)).compile()


def collectives(program):
    return COLLECTIVE.findall(program.as_text())


@pytest.mark.parametrize("num_groups", [None, 8, 4, 16])
def test_batch_norm_on_eight_devices_equals_one(num_groups):
    # 4 groups lie on two devices each, 16 two on each device.
    run = jax.jit(functools.partial(everything, BatchNorm(num_groups=num_groups)))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
        run(*place(draw(32), 8)),
        run(*place(draw(32), 1)),
    )


def test_batch_norm_by_groups_equals_a_loop_over_groups():
    x = draw(32)
    norm = BatchNorm(num_groups=8)
    y, updates = jax.jit(functools.partial(train, norm))(*place(x, 8))
    alone = jax.jit(functools.partial(train, BatchNorm()))
    groups = [alone(VARIABLES, x[start : start + 4]) for start in range(0, 32, 4)]
    expected = np.concatenate([group for group, _ in groups])
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    means = jax.tree.map(lambda *leaves: np.mean(leaves, 0), *[u for _, u in groups])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7),
        updates,
        means,
    )
    exact = np.asarray(x, float).reshape(8, -1, 3)  # a loop, by NumPy's axes
    running = updates["batch_stats"]
    np.testing.assert_allclose(
        running["mean"], 0.1 * exact.mean(1).mean(0), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        running["var"], 0.9 + 0.1 * exact.var(1).mean(0), rtol=1e-5
    )


@pytest.mark.parametrize("function", [value, input_gradient])
def test_batch_norm_of_the_whole_batch_asks_the_other_devices(function):
    # Shows that the search below finds what it looks for.
    found = collectives(compiled(function, None, draw(32)))
    assert {kind for _, kind in found} == {"all-reduce"}


@pytest.mark.parametrize("pixels", [(2, 2), ()], ids=["images", "vectors"])
@pytest.mark.parametrize("num_groups", [8, 16])
@pytest.mark.parametrize("function", [value, input_gradient])
def test_batch_norm_by_groups_asks_no_other_device(function, num_groups, pixels):
    x = draw(32, pixels)
    program = compiled(function, num_groups, x)
    assert collectives(program) == []
    split = place(x, 8)[1].sharding
    assert program.output_shardings.is_equivalent_to(split, x.ndim)


def test_batch_norm_by_groups_sums_only_its_running_statistics():
    found = collectives(compiled(updates, 8, draw(32)))
    assert {kind for _, kind in found} == {"all-reduce"}
    shapes = [
        shape for result, _ in found for shape in re.findall(r"\[(.*?)\]", result)
    ]
    sizes = [np.prod([int(n) for n in shape.split(",")]) for shape in shapes]
    assert sizes == [3, 3]


def test_batch_norm_by_groups_leaves_a_chain_of_layers_free_of_collectives():
    norm = BatchNorm(num_groups=8)
    kernel = jnp.ones((3, 3))

    def chain(variables, x):
        for _ in range(2):
            x = jax.nn.relu(value(norm, variables, x @ kernel))
        return x

    def gradient(variables, x):
        return jax.vjp(functools.partial(chain, variables), x)[1](jnp.sin(x))[0]

    program = jax.jit(gradient).lower(*place(draw(32), 8)).compile()
    assert collectives(program) == []
