"""Whole rounds: one client is plain SGD, many are as NumPy has them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.federated import (
    init_federated_state,
    make_client_training,
    make_server_optimizer,
    plan_round,
    run_round,
    sample_clients,
)
from tests.federated.regression_task import (
    SIZES,
    flatten,
    make_data,
    make_params,
    mean_square,
    train_in_numpy,
)


def run_rounds(parts, data, count, *, server, over="vmap", **options):
    train = make_client_training(mean_square, optax.sgd(0.1), over=over)
    state, reports = init_federated_state(make_params(), server), []
    for _ in range(count):
        state, report = run_round(
            state,
            jax.tree.map(jnp.asarray, data),
            parts,
            train=train,
            server=server,
            **{"seed": 2, **options},
        )
        reports.append(report)
    return state, reports


@pytest.mark.parametrize("over", ["vmap", "loop"])
def test_run_round_of_one_client_is_plain_sgd_bit_for_bit(over):
    data, _ = make_data((16,))
    parts = [np.arange(16)]
    options = {"batch_size": 4, "clients_per_round": 1, "over": over}
    server = make_server_optimizer("fedavg")
    state, _ = run_rounds(parts, data, 3, server=server, **options)

    @jax.jit
    def step(params, batch):
        grads = jax.grad(mean_square)(params, batch, jnp.ones(4, bool))
        return jax.tree.map(lambda w, g: w - 0.1 * g, params, grads)

    params = make_params()
    for index in range(3):
        plan = plan_round(parts, np.array([0]), round_index=index, batch_size=4, seed=2)
        for rows in plan.indices[0]:
            params = step(params, {name: x[rows] for name, x in data.items()})
    assert state.round_index == 3
    jax.tree.map(np.testing.assert_array_equal, state.params, params)


def test_run_round_weighs_the_clients_it_drew():
    data, parts = make_data()
    server = make_server_optimizer("fedavg", learning_rate=0.5)
    options = {"clients_per_round": 2, "batch_size": 2}
    state, (report,) = run_rounds(parts, data, 1, server=server, **options)
    clients = sample_clients(len(SIZES), count=2, round_index=0, seed=2)
    plan = plan_round(parts, clients, round_index=0, batch_size=2, seed=2)
    start, average = flatten(make_params()), 0
    for row, client in enumerate(clients):
        steps = range(plan.num_steps[row])
        batches = [plan.indices[row, s][plan.mask[row, s]] for s in steps]
        weights = train_in_numpy(make_params(), data, batches, learning_rate=0.1)
        average = average + len(parts[client]) / plan.sizes.sum() * weights
    expected = start + 0.5 * (average - start)
    np.testing.assert_allclose(flatten(state.params), expected, rtol=2e-6)
    np.testing.assert_array_equal(report.clients, clients)
    assert report.num_examples == plan.sizes.sum()
    weighed = (report.losses * plan.sizes).sum() / plan.sizes.sum()
    np.testing.assert_allclose(report.loss, weighed, rtol=1e-6)


def test_run_round_depends_on_nothing_but_the_state_and_the_seed():
    data, parts = make_data()
    server = make_server_optimizer("fedadam", learning_rate=0.1)
    options = {"clients_per_round": 3, "batch_size": 2}
    first, _ = run_rounds(parts, data, 2, server=server, **options)
    again, _ = run_rounds(parts, data, 2, server=server, **options)
    other, _ = run_rounds(parts, data, 2, server=server, **options, seed=3)
    np.testing.assert_array_equal(flatten(first.params), flatten(again.params))
    assert not np.array_equal(flatten(first.params), flatten(other.params))
