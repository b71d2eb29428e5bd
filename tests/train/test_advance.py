import chex
import jax
import numpy as np
import pytest

from jaxdl.data import batch_indices
from jaxdl.errors import DataError
from jaxdl.parallel import make_mesh, shard_batch, tree_shardings
from jaxdl.train import make_resident_advance, make_streamed_advance, make_train_step
from jaxdl.train.state import clear_totals
from tests.train.linear_task import linear_loss

NUM_STEPS, BATCH_SIZE, SEED = 9, 8, 3  # 9 x 8 examples of 48: two epoch borders


@pytest.fixture(scope="module", params=[1, 8], ids=["1 device", "8 devices"])
def mesh(request):
    return make_mesh(data=request.param)


@pytest.fixture(scope="module")
def start(mesh, optimizer, make_state):
    """A fresh state on the mesh, and the step that moves it."""

    def make():
        state = make_state()
        shardings = tree_shardings(state, mesh)
        step = make_train_step(linear_loss, optimizer, state_shardings=shardings)
        return jax.device_put(state, shardings), step, shardings

    return make


def on_host(state):
    return jax.device_get(state.replace(key=jax.random.key_data(state.key)))


@pytest.fixture(scope="module")
def expected(start, split, mesh):
    state, step, _ = start()
    for index in range(NUM_STEPS):
        indices = batch_indices(
            index, seed=SEED, num_examples=len(split), batch_size=BATCH_SIZE
        )
        state, _ = step(state, shard_batch(split.read(indices), mesh))
    return on_host(state)


def make_resident(start, split, mesh, *, max_steps=1):
    state, step, shardings = start()
    advance = make_resident_advance(
        step,
        split,
        mesh=mesh,
        batch_size=BATCH_SIZE,
        max_steps=max_steps,
        state_shardings=shardings,
        seed=SEED,
    )
    return state, advance


def make_streamed(start, split, mesh, *, num_workers=2):
    state, step, _ = start()
    advance = make_streamed_advance(
        step,
        split,
        mesh=mesh,
        batch_size=BATCH_SIZE,
        last_step=NUM_STEPS,
        num_workers=num_workers,
        seed=SEED,
    )
    return state, advance


def run(state, advance, parts):
    step = 0
    for count in parts:
        state = advance(state, step, count)
        step += count
    assert step == NUM_STEPS
    return on_host(state)


def test_make_resident_advance_equals_bare_steps(start, split, mesh, expected):
    found = run(*make_resident(start, split, mesh), [1] * NUM_STEPS)
    chex.assert_trees_all_equal(found, expected)


@pytest.mark.parametrize("parts", [[4, 4, 1], [1, 2, 3, 3]])
def test_make_resident_advance_loop_equals_bare_steps(
    parts, start, split, mesh, expected
):
    found = run(*make_resident(start, split, mesh, max_steps=4), parts)
    chex.assert_trees_all_equal(found, expected)


@pytest.mark.parametrize("num_workers", [0, 3])
def test_make_streamed_advance_equals_bare_steps(
    num_workers, start, split, mesh, expected
):
    found = run(
        *make_streamed(start, split, mesh, num_workers=num_workers), [1] * NUM_STEPS
    )
    chex.assert_trees_all_equal(found, expected)


def test_make_streamed_advance_begins_anywhere(start, split, mesh, expected):
    state, resident = make_resident(start, split, mesh)
    for step in range(5):
        state = resident(state, step, 1)
    _, advance = make_streamed(start, split, mesh)
    state = advance(state, 5, 2)
    for step in (7, 8):
        state = advance(state, step, 1)
    chex.assert_trees_all_equal(on_host(state), expected)


def test_make_streamed_advance_follows_the_step_it_is_given(
    start, split, mesh, expected
):
    state, advance = make_streamed(start, split, mesh)
    state = advance(state, 4, 1)  # then back to the start, with a fresh state
    found = run(start()[0], advance, [1] * NUM_STEPS)
    chex.assert_trees_all_equal(found, expected)


@pytest.mark.parametrize("max_steps", [1, 4])
def test_make_resident_advance_compiles_once(
    max_steps, start, split, mesh, count_compiles
):
    state, advance = make_resident(start, split, mesh, max_steps=max_steps)
    with count_compiles("advance_train_state") as compiles:
        step = 0
        for count in (1, max_steps, 1, max_steps):
            state = advance(state, step, count)
            state = state.replace(totals=clear_totals(state.totals))
            step += count
    assert compiles() == 1


def test_make_streamed_advance_compiles_once(start, split, mesh, count_compiles):
    state, advance = make_streamed(start, split, mesh)
    with count_compiles("step") as compiles:
        for step in range(4):
            state = advance(state, step, 1)
            state = state.replace(totals=clear_totals(state.totals))
    assert compiles() == 1


def test_make_resident_advance_keeps_the_placement(start, split, mesh):
    state, advance = make_resident(start, split, mesh)
    shardings = tree_shardings(state, mesh)
    state = advance(state, 0, 1)
    assert jax.tree.all(
        jax.tree.map(lambda leaf, wanted: leaf.sharding == wanted, state, shardings)
    )


def test_make_streamed_advance_names_what_can_not_be_read(start, split, mesh):
    class Broken:
        image_shape, num_bytes = split.image_shape, split.num_bytes
        __len__ = lambda self: len(split)
        describe, fingerprint = split.describe, split.fingerprint

        def read(self, indices):
            if 17 in np.asarray(indices):
                raise DataError("photos/cat.jpg: truncated")
            return split.read(indices)

    state, advance = make_streamed(start, Broken(), mesh)
    with pytest.raises(DataError, match=r"photos/cat\.jpg: truncated"):
        run(state, advance, [1] * NUM_STEPS)
