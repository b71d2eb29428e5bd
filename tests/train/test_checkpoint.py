import json
import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxdl.errors import CheckpointError
from jaxdl.parallel import make_mesh, replicated_sharding, tree_shardings
from jaxdl.train import (
    CheckpointStore,
    abstract_tree,
    make_train_step,
    state_from_items,
    state_items,
)
from tests.train.linear_task import linear_loss
from tests.train.stored_items import assert_holds, files_below, make_items


def test_save_and_restore_everything(open_store):
    store = open_store()
    assert store.restore(abstract_tree(make_items(0))) is None
    assert not store.folder.exists()
    store.save(5, make_items(5), metrics={"accuracy": 0.5}, metadata={"data": "abc"})
    store.wait()
    restored = open_store().restore(abstract_tree(make_items(0)))
    assert_holds(restored, 5)
    assert restored.metrics == {"accuracy": 0.5}
    assert restored.metadata == {"data": "abc"}
    assert os.listdir(store.folder) == ["00000005"]


def test_restore_one_item_or_one_step(three, open_store):
    weights = abstract_tree({"weights": make_items(0)["weights"]})
    restored = open_store().restore(weights, step=20)
    assert restored.step == 20 and list(restored.items) == ["weights"]
    with pytest.raises(CheckpointError, match="00000025"):
        open_store().restore(weights, step=25)


def test_save_keeps_the_last_and_the_best(open_store):
    store = open_store(keep_last=2)
    scores = {1: 0.2, 2: 0.9, 3: 0.9, 4: 0.1, 5: None, 6: 0.3}
    for step, score in scores.items():
        store.save(
            step,
            make_items(step),
            metrics=None if score is None else {"accuracy": score},
        )
    store.wait()
    assert store.steps() == [2, 5, 6]
    assert store.best_step() == 2  # the earlier of equals
    assert_holds(store.restore(abstract_tree(make_items(0)), step=2), 2)


def test_save_keeps_the_least_where_less_is_better(open_store):
    store = open_store(keep_last=1, best_metric="loss", best_mode="min")
    for step, loss in ((1, 3.0), (2, 0.5), (3, 0.7)):
        store.save(step, make_items(step), metrics={"loss": loss})
    store.wait()
    assert store.steps() == [2, 3] and store.best_step() == 2


def test_best_step_is_none_where_nothing_was_scored(three, open_store):
    assert open_store().best_step() is None


def test_save_orders_by_step_not_by_clock(three, open_store):
    os.utime(three / "00000010", (4e9, 4e9))
    os.utime(three / "00000030", (0, 0))
    store = open_store()
    assert store.steps() == [10, 20, 30]
    assert_holds(store.restore(abstract_tree(make_items(0))), 30)


def test_save_of_a_whole_step_only_takes_the_metrics(three, open_store):
    before = {path: path.stat().st_mtime_ns for path in files_below(three)}
    store = open_store()
    store.save(20, make_items(99))
    store.save(20, make_items(99), metrics={"accuracy": 0.7})
    store.wait()
    changed = [p for p in files_below(three) if before.get(p) != p.stat().st_mtime_ns]
    assert changed == [three / "00000020" / "manifest.json"]
    restored = store.restore(abstract_tree(make_items(0)), step=20)
    assert_holds(restored, 20)
    assert restored.metrics == {"accuracy": 0.7}
    assert restored.metadata == {"data": "abc"}


def test_save_copies_before_it_returns(split, optimizer, make_state, open_store):
    """The next step overwrites the donated buffers while the save still writes."""
    store, step = open_store(keep_last=20), make_train_step(linear_loss, optimizer)
    state, expected = make_state(), {}
    batch = split.read(np.arange(8))
    for index in range(1, 9):
        state, _ = step(state, batch)
        expected[index] = jax.device_get(state_items(state))
        store.save(index, state_items(state))
        state, _ = step(state, batch)  # donates what was just handed over
    store.wait()
    targets = abstract_tree(state_items(state))
    for index in (1, 4, 8):
        found = store.restore(targets, step=index)
        chex.assert_trees_all_equal(jax.device_get(found.items), expected[index])


def test_restore_refuses_another_model_and_lists_the_paths(three, open_store):
    other = make_items(0)
    other["weights"]["params"] = {
        "kernel": jnp.zeros((4, 5)),
        "bias": jnp.zeros(5),
    }
    other["training"]["count"] = jnp.zeros((), jnp.float32)
    with pytest.raises(CheckpointError) as caught:
        open_store().restore(abstract_tree(other))
    message = str(caught.value)
    for line in (
        "weights/params/bias: (5,) float32 is new",
        "weights/params/kernel: (4, 3) float32 became (4, 5) float32",
        "training/count: () int32 became () float32",
    ):
        assert line in message
    assert "holds another model or optimiser" in message


def test_restore_lists_at_most_ten_differences(three, open_store):
    other = {"weights": {str(i): jnp.zeros(2) for i in range(30)}}
    with pytest.raises(CheckpointError) as caught:
        open_store().restore(abstract_tree(other))
    assert str(caught.value).count("is new") == 10
    assert str(caught.value).endswith("; and 21 more")


@pytest.mark.parametrize(("before", "after"), [(1, 8), (8, 1), (8, 4), (2, 8)])
def test_restore_on_another_device_count(
    before, after, split, optimizer, make_state, open_store
):
    mesh = make_mesh(data=before)
    state = make_state(ema=True)
    state = jax.device_put(state, tree_shardings(state, mesh))
    store = open_store()
    store.save(3, state_items(state))
    store.wait()
    other = make_mesh(data=after)
    like = jax.device_put(make_state(ema=True), tree_shardings(state, other))
    targets = abstract_tree(state_items(like))
    key = targets["training"]["key"]
    targets["training"]["key"] = jax.ShapeDtypeStruct(
        key.shape, key.dtype, sharding=replicated_sharding(other)
    )
    restored = store.restore(targets)
    new = state_from_items(restored.items, like=like, step=restored.step)
    assert int(new.step) == 3
    chex.assert_trees_all_equal(
        jax.device_get(state_items(new)), jax.device_get(state_items(state))
    )
    assert all(len(leaf.devices()) == after for leaf in jax.tree.leaves(new))


def test_restore_of_a_split_array_on_fewer_devices(open_store):
    kernel = jnp.arange(32.0).reshape(8, 4)
    mesh = make_mesh(data=1, model=4)
    sharding = NamedSharding(mesh, PartitionSpec(None, "model"))
    store = open_store()
    store.save(1, {"weights": {"kernel": jax.device_put(kernel, sharding)}})
    store.wait()
    target = jax.ShapeDtypeStruct(
        (8, 4), jnp.float32, sharding=replicated_sharding(make_mesh(data=2))
    )
    restored = store.restore({"weights": {"kernel": target}})
    np.testing.assert_array_equal(restored.items["weights"]["kernel"], kernel)
    assert restored.items["weights"]["kernel"].sharding == target.sharding


def test_manifest_tells_what_a_person_asks(three):
    manifest = json.loads((three / "00000030" / "manifest.json").read_text())
    assert manifest["step"] == 30
    assert manifest["leaves"]["weights"] == {"params/kernel": [[4, 3], "float32"]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keep_last": 0}, "keep_last must be at least 1, got 0"),
        ({"best_mode": "least"}, "best_mode must be 'max' or 'min', got 'least'"),
    ],
)
def test_checkpoint_store_names_a_bad_argument(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        CheckpointStore(tmp_path, **options)
