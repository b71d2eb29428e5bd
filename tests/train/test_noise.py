"""The noise scale measured in training: by parts of a batch, and by devices."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import batch_indices
from jaxdl.parallel import make_mesh, shard_batch, tree_shardings
from jaxdl.train import compute_noise, init_train_state, make_train_step
from jaxdl.train.noise import MeasuredStatistics
from jaxdl.train.state import clear_totals
from tests.train.linear_task import Sums, linear_loss

BATCH = 24


def quiet_loss(params, model_state, batch, *, key):
    """Half the squared error of a regression: nothing is drawn, nothing kept."""
    x = batch["images"].reshape(len(batch["images"]), -1).astype(jnp.float32) / 255
    wrong = x @ params["kernel"] - batch["labels"].astype(jnp.float32)
    losses = jnp.square(wrong) / 2
    statistics = Sums(jnp.asarray(len(losses), jnp.int32), losses.sum())
    return losses.mean(), (model_state, statistics)


def example_gradients(kernel, batch):
    """Of `quiet_loss`, one example each, in float64."""
    x = batch["images"].reshape(len(batch["images"]), -1) / 255.0
    return (x @ np.asarray(kernel, np.float64) - batch["labels"])[:, None] * x


@pytest.fixture(scope="module")
def batches(split):
    return [
        split.read(batch_indices(i, seed=0, num_examples=len(split), batch_size=BATCH))
        for i in range(3)
    ]


@pytest.fixture(scope="module")
def train(batches, optimizer):
    """`train(...)`: the state after three steps, on the host, and the first kernel."""

    def run(order=None, *, data=1, loss_fn=quiet_loss, noise_scale=True, **options):
        mesh = make_mesh(data=data)
        variables = {"params": {"kernel": jnp.linspace(-1.0, 1.0, 12)}}
        if loss_fn is linear_loss:
            variables["params"] = {"kernel": jnp.ones((3, 3)), "bias": jnp.zeros(3)}
            variables["seen"] = jnp.zeros((), jnp.int32)
        state = init_train_state(
            variables,
            loss_fn,
            optimizer,
            batches[0],
            noise_scale=noise_scale,
            key=jax.random.key(0),
        )
        shardings = tree_shardings(state, mesh)
        state = jax.device_put(state, shardings)
        step = make_train_step(
            loss_fn,
            optimizer,
            noise_scale=noise_scale,
            mesh=mesh,
            state_shardings=shardings,
            **options,
        )
        for batch in batches:
            rows = {k: v if order is None else v[order] for k, v in batch.items()}
            state, _ = step(state, shard_batch(rows, mesh))
        return jax.device_get(state.replace(key=None))

    return run


@pytest.fixture(scope="module")
def accumulated(train):
    return train(accumulate=8)


def test_make_train_step_measures_noise_as_float64_numpy_does(
    accumulated, train, batches
):
    kernel, found = np.linspace(-1, 1, 12), np.zeros(2)
    velocity = np.zeros(12)
    for batch in batches:
        # Rows i, i + 8, i + 16 are a part of 3.
        gradients = example_gradients(kernel, batch)
        parts = gradients.reshape(3, 8, 12).mean(axis=0)
        small, large = (parts**2).sum(axis=1).mean(), (parts.mean(axis=0) ** 2).sum()
        found[0] += (BATCH * large - 3 * small) / (BATCH - 3)
        found[1] += (small - large) / (1 / 3 - 1 / BATCH)
        velocity = 0.9 * velocity + gradients.mean(axis=0)
        kernel = kernel - 0.1 * velocity
    totals = accumulated.totals
    assert int(totals.steps) == 3 and int(totals.task.count) == 3 * BATCH
    measured = [totals.gradient_norm_squared, totals.gradient_variance]
    np.testing.assert_allclose(measured, found, rtol=1e-4)
    numbers = compute_noise(totals)
    np.testing.assert_allclose(numbers["gradient_norm_squared"], found[0] / 3, 1e-4)
    np.testing.assert_allclose(numbers["noise_scale"], found[1] / found[0], rtol=1e-4)


def test_make_train_step_measures_the_same_noise_on_eight_devices(accumulated, train):
    spread = train(data=8, accumulate=8)
    chex.assert_trees_all_close(spread, accumulated, rtol=1e-5, atol=1e-6)
    # Device d holds neighbouring rows: those that make part d of one device.
    order = np.arange(BATCH).reshape(3, 8).T.ravel()
    shares = train(order, data=8)
    chex.assert_trees_all_close(shares, accumulated, rtol=1e-5, atol=1e-6)
    assert float(shares.totals.gradient_variance) > 0


@pytest.mark.parametrize("loss_fn", [quiet_loss, linear_loss])
def test_make_train_step_trains_alike_whether_noise_is_measured(train, loss_fn):
    measured = train(accumulate=4, loss_fn=loss_fn)
    plain = train(accumulate=4, loss_fn=loss_fn, noise_scale=False)
    chex.assert_trees_all_equal(measured.totals.task, plain.totals)
    chex.assert_trees_all_equal(
        measured.replace(totals=None), plain.replace(totals=None)
    )


def test_make_train_step_trains_alike_by_shares(train):
    measured, plain = train(data=8), train(data=8, noise_scale=False)
    chex.assert_trees_all_close(
        measured.replace(totals=measured.totals.task), plain, rtol=1e-5, atol=1e-6
    )


def test_make_train_step_measures_noise_with_one_compile(
    batches, optimizer, count_compiles
):
    mesh = make_mesh(data=2)
    state = init_train_state(
        {"params": {"kernel": jnp.ones(12)}},
        quiet_loss,
        optimizer,
        batches[0],
        noise_scale=True,
        key=jax.random.key(0),
    )
    shardings = tree_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    step = make_train_step(
        quiet_loss, optimizer, noise_scale=True, mesh=mesh, state_shardings=shardings
    )
    with count_compiles("step") as compiles:
        for batch in batches:
            state, _ = step(state, shard_batch(batch, mesh))
            state = state.replace(totals=clear_totals(state.totals))
    assert compiles() == 1
    assert compute_noise(jax.device_get(state.totals)) == dict.fromkeys(
        ("noise_scale", "gradient_norm_squared", "gradient_variance")
    )


def test_make_train_step_says_what_the_noise_scale_needs(optimizer, batches, train):
    for mesh in (None, make_mesh(data=1)):
        with pytest.raises(ValueError, match="accumulate of 2 or more.*accumulate=1"):
            make_train_step(quiet_loss, optimizer, noise_scale=True, mesh=mesh)
    with pytest.raises(ValueError, match=r"without model state .*, got seen"):
        train(data=8, loss_fn=linear_loss)


def test_compute_noise_of_numbers_that_are_not_finite_is_none():
    statistics = MeasuredStatistics(
        None, np.int32(2), np.float32(np.inf), np.float32(4)
    )
    assert compute_noise(statistics) == {
        "noise_scale": None,
        "gradient_norm_squared": None,
        "gradient_variance": 2.0,
    }
