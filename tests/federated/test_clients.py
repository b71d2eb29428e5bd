"""What clients learn: as NumPy has it, on any road and any number of devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.federated import make_client_training, plan_round
from jaxdl.parallel import make_mesh
from tests.federated.regression_task import (
    SIZES,
    flatten,
    make_data,
    make_params,
    mean_square,
    train_in_numpy,
)

EVERYONE = np.arange(len(SIZES))
ROADS = ("vmap", "loop")


def plan_everyone(parts, **options):
    options = {"round_index": 0, "epochs": 2, "batch_size": 2, "seed": 0, **options}
    return plan_round(parts, EVERYONE, **options)


def average_in_numpy(params, data, plan, **options):
    """The average over clients of the weights that each comes to on its own."""
    total = 0
    for client, size in enumerate(plan.sizes):
        steps = range(plan.num_steps[client])
        batches = [plan.indices[client, s][plan.mask[client, s]] for s in steps]
        weights = train_in_numpy(params, data, batches, **options)
        total = total + size / plan.sizes.sum() * weights
    return total


@pytest.mark.parametrize("over", ROADS)
@pytest.mark.parametrize("proximal", [0.0, 0.7])
def test_client_training_is_that_of_numpy(over, proximal):
    data, parts = make_data()
    params, plan = make_params(), plan_everyone(parts)
    optimizer = optax.sgd(0.1, momentum=0.5)
    train = make_client_training(mean_square, optimizer, proximal=proximal, over=over)
    average, losses = train(params, jax.tree.map(jnp.asarray, data), plan)
    rates = {"learning_rate": 0.1, "momentum": 0.5, "proximal": proximal}
    expected = average_in_numpy(params, data, plan, **rates)
    np.testing.assert_allclose(flatten(average), expected, rtol=2e-6)
    assert losses.shape == (len(SIZES),) and np.isfinite(losses).all()


@pytest.mark.parametrize("over", ROADS)
def test_client_training_tells_the_mean_loss_before_each_step(over):
    data, parts = make_data()
    plan = plan_everyone(parts, epochs=1)
    frozen = make_client_training(mean_square, optax.sgd(0.0), over=over)
    params = make_params()
    _, losses = frozen(params, jax.tree.map(jnp.asarray, data), plan)
    left = data["x"] @ np.asarray(params["w"]) + 0.25 - data["y"]
    expected = [(left[part].astype(float) ** 2).mean() for part in parts]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


def make_network(key, *, hidden=16):
    keys = jax.random.split(key)
    return {
        "first": jax.random.normal(keys[0], (6, hidden)),
        "second": jax.random.normal(keys[1], (hidden, 4)),
    }


def cross_entropy(params, batch, mask):
    logits = jnp.tanh(batch["x"] @ params["first"]) @ params["second"]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
    return jnp.sum(jnp.where(mask, losses, 0.0)) / jnp.sum(mask, dtype=jnp.float32)


def make_classes(count):
    generator = np.random.default_rng(1)
    return {
        "x": jnp.asarray(generator.normal(size=(count, 6)), jnp.float32),
        "label": jnp.asarray(generator.integers(0, 4, count), jnp.int32),
    }


@pytest.mark.parametrize("over", ROADS)
def test_one_client_with_its_full_batch_takes_a_plain_step_bit_for_bit(over):
    params, data = make_network(jax.random.key(0)), make_classes(24)
    plan = plan_round([np.arange(24)], np.array([0]), round_index=0, seed=0)
    train = make_client_training(cross_entropy, optax.sgd(0.1), over=over)
    average, _ = train(params, data, plan)

    @jax.jit
    def plain_step(params, batch):
        grads = jax.grad(cross_entropy)(params, batch, jnp.ones(24, bool))
        return jax.tree.map(lambda w, g: w - 0.1 * g, params, grads)

    order = plan.indices[0, 0]
    expected = plain_step(params, jax.tree.map(lambda rows: rows[order], data))
    assert not np.array_equal(expected["first"], params["first"])
    jax.tree.map(np.testing.assert_array_equal, average, expected)


@pytest.mark.parametrize("over", ROADS)
def test_all_clients_with_a_full_batch_step_take_the_centralised_step(over):
    data, parts = make_data()
    params, plan = make_params(), plan_everyone(parts, epochs=1, batch_size=None)
    train = make_client_training(mean_square, optax.sgd(0.1), over=over)
    average, _ = train(params, jax.tree.map(jnp.asarray, data), plan)
    everything = np.arange(sum(SIZES))
    expected = train_in_numpy(params, data, [everything], learning_rate=0.1)
    np.testing.assert_allclose(flatten(average), expected, rtol=5e-7, atol=1e-7)


@pytest.mark.parametrize("over", ROADS)
def test_without_a_proximal_term_the_steps_are_the_same_bit_for_bit(over):
    params, data = make_network(jax.random.key(0)), make_classes(24)
    parts = np.split(np.arange(24), [5, 14])
    plan = plan_round(parts, np.arange(3), round_index=0, batch_size=4, seed=0)
    results = []
    # So small a term is lost in the gradient, but it is computed.
    for proximal in (None, 0.0, 1e-30):
        options = {} if proximal is None else {"proximal": proximal}
        train = make_client_training(
            cross_entropy, optax.sgd(0.1), over=over, **options
        )
        results.append(train(params, data, plan)[0])
    for other in results[1:]:
        jax.tree.map(np.testing.assert_array_equal, results[0], other)


def test_all_roads_and_devices_come_to_the_same_average():
    params, data = make_network(jax.random.key(0)), make_classes(40)
    parts = np.split(np.arange(40), [3, 9, 16, 30])
    plan = plan_round(
        parts, np.arange(5), round_index=0, epochs=2, batch_size=4, seed=0
    )
    options = {"loss_fn": cross_entropy, "optimizer": optax.sgd(0.2)}
    expected, losses = make_client_training(**options, over="loop")(params, data, plan)
    for mesh in (None, make_mesh(data=1), make_mesh(data=2), make_mesh(data=8)):
        train = make_client_training(**options, mesh=mesh)
        average, found = train(params, data, plan)
        for name, leaf in average.items():
            np.testing.assert_allclose(leaf, expected[name], rtol=2e-5, atol=2e-6)
            if mesh is not None:
                assert leaf.sharding.is_fully_replicated
                assert leaf.sharding.device_set == set(mesh.devices.flat)
        np.testing.assert_allclose(found, losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("over", "program"), [("vmap", "train_clients"), ("loop", "step")]
)
def test_client_training_compiles_once_for_rounds_of_all_lengths(
    over, program, count_compiles
):
    data, parts = make_data()
    data = jax.tree.map(jnp.asarray, data)
    train = make_client_training(mean_square, optax.sgd(0.1), over=over)
    params = make_params()
    with count_compiles(program) as compiles:
        for index, clients in enumerate(([0, 1], [1, 3], [2, 4])):
            plan = plan_round(
                parts, np.array(clients), round_index=index, batch_size=2, seed=0
            )
            params, _ = train(params, data, plan)
        assert compiles() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proximal": -0.1}, "proximal must be at least 0, got -0.1"),
        ({"over": "scan"}, "over must be 'vmap' or 'loop', got 'scan'"),
        ({"over": "loop", "mesh": make_mesh}, "a mesh needs over='vmap', got 'loop'"),
    ],
)
def test_make_client_training_names_what_is_wrong(monkeypatch, options, message):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    if "mesh" in options:
        options = {**options, "mesh": options["mesh"](data=1)}
    with pytest.raises(ValueError, match=message):
        make_client_training(mean_square, optax.sgd(0.1), **options)
