import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import batch_indices
from jaxdl.parallel import make_mesh, shard_batch, tree_shardings
from jaxdl.train import find_nonfinite, make_train_step
from jaxdl.train.state import clear_totals
from tests.train.linear_task import linear_loss


def batches(split, count, *, size=8):
    for step in range(count):
        yield split.read(
            batch_indices(step, seed=0, num_examples=len(split), batch_size=size)
        )


def momentum_sgd(gradients, params, *, learning_rate=0.1, momentum=0.9):
    """The update written out in float64, independent of optax."""
    velocity = np.zeros_like(params)
    for gradient in gradients:
        velocity = momentum * velocity + gradient(params)
        params = params - learning_rate * velocity
    return params


def test_make_train_step_equals_float64_numpy(split, optimizer, make_state):
    step, state = make_train_step(linear_loss, optimizer), make_state()
    key, gradients = jax.random.key(0), []
    for index, batch in enumerate(batches(split, 3)):
        noise = jax.random.normal(jax.random.fold_in(key, index), (8, 3))
        x = batch["images"].astype(np.float64).mean(axis=(1, 2)) / 255
        x = np.concatenate([x + 0.01 * np.asarray(noise), np.ones((8, 1))], axis=1)
        target = np.eye(3)[batch["labels"]]

        def gradient(params, x=x, target=target):
            scores = np.exp(x @ params)
            return x.T @ (scores / scores.sum(1, keepdims=True) - target) / 8

        gradients.append(gradient)
        state, _ = step(state, batch)
    start = np.concatenate([np.full((3, 3), 0.1), np.zeros((1, 3))])
    expected = momentum_sgd(gradients, start)
    np.testing.assert_allclose(state.params["kernel"], expected[:3], rtol=1e-5)
    np.testing.assert_allclose(state.params["bias"], expected[3], rtol=1e-4, atol=1e-7)
    assert int(state.step) == 3 and int(state.model_state["seen"]) == 24
    assert int(state.totals.count) == 24


def test_make_train_step_compiles_once(split, optimizer, make_state, count_compiles):
    mesh = make_mesh()
    state = make_state()
    shardings = tree_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    step = make_train_step(linear_loss, optimizer, state_shardings=shardings)
    with count_compiles("step") as compiles:
        for batch in batches(split, 4):
            state, _ = step(state, shard_batch(batch, mesh))
            state = state.replace(totals=clear_totals(state.totals))
    assert compiles() == 1


def test_make_train_step_donates_the_state(split, optimizer, make_state):
    step, state = make_train_step(linear_loss, optimizer), make_state()
    step(state, next(batches(split, 1)))
    assert state.params["kernel"].is_deleted()


def test_make_train_step_same_on_one_and_eight_devices(split, optimizer, make_state):
    results = []
    for data in (1, 8):
        mesh = make_mesh(data=data)
        state = make_state()
        shardings = tree_shardings(state, mesh)
        state = jax.device_put(state, shardings)
        step = make_train_step(linear_loss, optimizer, state_shardings=shardings)
        for batch in batches(split, 4):
            state, _ = step(state, shard_batch(batch, mesh))
        assert jax.tree.all(
            jax.tree.map(lambda leaf, s: leaf.sharding == s, state, shardings)
        )
        results.append(jax.device_get(state.replace(key=None)))
    chex.assert_trees_all_close(*results, rtol=1e-5, atol=1e-7)


def test_make_train_step_accumulation_equals_one_large_batch(
    split, optimizer, make_state
):
    def loss(params, model_state, batch, *, key):
        x = batch["images"].astype(jnp.float32).mean(axis=(1, 2)) / 255
        losses = jnp.square(x @ params["kernel"]).sum(axis=1)
        statistics = linear_loss(params, model_state, batch, key=key)[1][1]
        return losses.mean(), (model_state, statistics.replace(loss_sum=losses.sum()))

    states = []
    for accumulate in (1, 4):
        step = make_train_step(loss, optimizer, accumulate=accumulate)
        state = make_state(loss_fn=loss)
        for batch in batches(split, 3):
            state, _ = step(state, batch)
        states.append(jax.device_get(state.replace(key=None)))
    chex.assert_trees_all_close(*states, rtol=1e-5, atol=1e-7)


def test_make_train_step_refuses_a_batch_that_accumulate_does_not_divide(
    split, optimizer, make_state
):
    step = make_train_step(linear_loss, optimizer, accumulate=3)
    with pytest.raises(ValueError, match="accumulate=3 does not divide 8 rows"):
        step(make_state(), next(batches(split, 1)))


def test_make_train_step_ema_follows_its_definition(split, optimizer, make_state):
    step = make_train_step(linear_loss, optimizer, ema_decay=0.75)
    state = make_state(ema=True)
    expected = np.asarray(state.params["kernel"], np.float64)
    for batch in batches(split, 3):
        state, _ = step(state, batch)
        expected = 0.75 * expected + 0.25 * np.asarray(state.params["kernel"])
    np.testing.assert_allclose(state.ema_params["kernel"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), got 1.0"),
    ],
)
def test_make_train_step_names_a_bad_argument(optimizer, options, words):
    with pytest.raises(ValueError, match=words):
        make_train_step(linear_loss, optimizer, **options)


def test_make_train_step_refuses_a_state_without_the_average(
    split, optimizer, make_state
):
    step = make_train_step(linear_loss, optimizer, ema_decay=0.9)
    with pytest.raises(ValueError, match="ema_decay=0.9 does not fit"):
        step(make_state(), next(batches(split, 1)))


def poisoned_loss(where):
    """The loss at a step whose batch holds label 2 first; NaN in one place only."""

    def loss(params, model_state, batch, *, key):
        value, (new_state, statistics) = linear_loss(
            params, model_state, batch, key=key
        )
        is_bad = batch["labels"][0] == 2
        if where == "loss":
            value = jnp.where(is_bad, jnp.nan, value)
        if where == "gradient":
            kernel = params["kernel"][0, 0]
            # The value is 0, its derivative infinite.
            root = jnp.sqrt(jnp.abs(kernel - jax.lax.stop_gradient(kernel)))
            value = value + jnp.where(is_bad, root, 0.0)
        return value, (new_state, statistics)

    return loss


def test_make_train_step_bad_loss_changes_nothing(split, optimizer, make_state):
    loss = poisoned_loss("loss")
    step = make_train_step(loss, optimizer)
    good = np.flatnonzero(split.labels != 2)[:8]
    bad = np.flatnonzero(split.labels == 2)[:8]
    state, _ = step(make_state(loss_fn=loss), split.read(good))
    before = jax.device_get(state.replace(key=None, finite=None))
    assert bool(state.finite) and int(state.step) == 1
    for indices in (bad, good, good):
        state, _ = step(state, split.read(indices))
    assert not bool(state.finite)
    chex.assert_trees_all_equal(
        before, jax.device_get(state.replace(key=None, finite=None))
    )


def test_make_train_step_bad_gradient_changes_nothing(split, optimizer, make_state):
    # The loss is finite, its derivative is not: sqrt'(0), which `where` keeps as NaN.
    loss = poisoned_loss("gradient")
    step, state = make_train_step(loss, optimizer), make_state(loss_fn=loss)
    before = jax.device_get(state.replace(key=None, finite=None))
    batch = split.read(np.flatnonzero(split.labels != 2)[:8])
    value, _ = loss(
        make_state().params, make_state().model_state, batch, key=jax.random.key(0)
    )
    assert np.isfinite(value)
    state, _ = step(state, batch)
    assert not bool(state.finite)
    chex.assert_trees_all_equal(
        before, jax.device_get(state.replace(key=None, finite=None))
    )


def test_find_nonfinite_names_the_batch_the_params_and_the_loss(split, make_state):
    state, batch = make_state(), split.read(np.arange(8))
    assert find_nonfinite(linear_loss, state, batch) is None
    bad = {**batch, "images": np.full((8, 2, 2, 3), np.inf, np.float32)}
    assert find_nonfinite(linear_loss, state, bad) == "batch/images"
    params = {**state.params, "bias": jnp.array([0.0, jnp.nan, 0.0])}
    assert (
        find_nonfinite(linear_loss, state.replace(params=params), batch)
        == "params/bias"
    )
    labels = np.flatnonzero(split.labels == 2)[:8]
    found = find_nonfinite(poisoned_loss("loss"), state, split.read(labels))
    assert found == "loss"
