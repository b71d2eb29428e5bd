import json
import os
import shutil

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


def make_items(value):
    return {
        "weights": {"params": {"kernel": jnp.full((4, 3), value, jnp.float32)}},
        "training": {"count": jnp.asarray(value, jnp.int32)},
    }


@pytest.fixture
def open_store(tmp_path):
    """Opens stores on one folder; `store.warnings` holds what they said."""
    stores = []

    def open_one(**options):
        warnings = []
        options.setdefault("keep_last", 3)
        folder = options.pop("folder", tmp_path / "checkpoints")
        store = CheckpointStore(folder, on_warning=warnings.append, **options)
        store.warnings = warnings
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        try:
            store.close()
        except CheckpointError:
            pass  # a test that provokes one asserts it itself


@pytest.fixture(scope="module")
def three_saved(tmp_path_factory):
    """Checkpoints of the steps 10, 20 and 30, each holding its step."""
    folder = tmp_path_factory.mktemp("three") / "checkpoints"
    with CheckpointStore(folder, keep_last=3) as store:
        for step in (10, 20, 30):
            store.save(step, make_items(step), metadata={"data": "abc"})
    return folder


@pytest.fixture
def three(three_saved, tmp_path):
    return shutil.copytree(three_saved, tmp_path / "checkpoints")


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def assert_holds(restored, step):
    assert restored.step == step
    chex.assert_trees_all_equal(restored.items, make_items(step))


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


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


DAMAGES = {
    "flipped bit": flip,
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "zero-filled": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "emptied": lambda path: os.truncate(path, 0),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_restore_falls_back_whatever_file_is_damaged(damage, three_saved, tmp_path):
    targets = abstract_tree(make_items(0))
    newest = files_below(three_saved / "00000030")
    assert {"manifest.json", "_METADATA", "manifest.ocdbt"} < {p.name for p in newest}
    warnings = []
    with CheckpointStore(tmp_path, on_warning=warnings.append) as store:
        for original in newest:
            if not original.stat().st_size:
                continue
            shutil.rmtree(tmp_path)
            shutil.copytree(three_saved, tmp_path)
            path = tmp_path / original.relative_to(three_saved)
            DAMAGES[damage](path)
            before = hash_tree(tmp_path)
            assert_holds(store.restore(targets), 20)
            (warning,) = warnings
            warnings.clear()
            assert "checkpoint 00000030" in warning and "trying 00000020" in warning
            assert str(path) in warning
            assert hash_tree(tmp_path) == before


def hash_tree(folder):
    return {path: path.read_bytes() for path in files_below(folder)}


def test_restore_falls_back_over_several(three, open_store):
    flip(three / "00000030" / "manifest.json")
    (three / "00000020" / "weights" / "_METADATA").unlink()
    store = open_store()
    assert_holds(store.restore(abstract_tree(make_items(0))), 10)
    assert len(store.warnings) == 2
    assert "00000030/manifest.json" in store.warnings[0]
    assert "00000020/weights/_METADATA: missing" in store.warnings[1]
    assert store.steps() == [10]


def test_restore_refuses_swapped_folders(three, open_store):
    (three / "00000030").rename(three / "x")
    (three / "00000010").rename(three / "00000030")
    (three / "x").rename(three / "00000010")
    store = open_store()
    assert_holds(store.restore(abstract_tree(make_items(0))), 20)
    assert "00000030: holds step 10" in store.warnings[0]


def test_restore_all_damaged_raises_and_deletes_nothing(three, open_store):
    for step in (10, 20, 30):
        flip(three / f"{step:08d}" / "weights" / "_METADATA")
    before = hash_tree(three)
    with pytest.raises(CheckpointError) as caught:
        open_store().restore(abstract_tree(make_items(0)))
    message = str(caught.value)
    assert "found 3 checkpoints, none can be restored" in message
    assert "00000010/weights/_METADATA: its sha256 differs" in message
    assert str(three) in message
    assert hash_tree(three) == before


def test_save_replaces_a_damaged_step_instead_of_blessing_it(three, open_store):
    flip(three / "00000030" / "weights" / "_METADATA")
    store = open_store()
    assert_holds(store.restore(abstract_tree(make_items(0))), 20)
    store.save(30, make_items(30), metrics={"accuracy": 1.0})
    store.wait()
    assert store.steps() == [10, 20, 30]
    again = open_store()
    assert_holds(again.restore(abstract_tree(make_items(0))), 30)
    assert again.warnings == []


def test_save_never_counts_a_damaged_step_as_one_to_keep(three, open_store):
    flip(three / "00000030" / "weights" / "_METADATA")
    store = open_store(keep_last=1)
    store.restore(abstract_tree(make_items(0)))
    store.save(25, make_items(25))
    store.wait()
    assert_holds(open_store().restore(abstract_tree(make_items(0))), 25)


def test_restore_ignores_leftovers(three, open_store, tmp_path):
    (three / "00000500").mkdir()
    (three / ".saving-00000040").mkdir()
    (three / ".saving-00000040" / "half").write_text("half")
    (three / ".saving-00000050.orbax-checkpoint-tmp").mkdir()
    (three / ".deleting-00000005").mkdir()
    (three / "notes.txt").write_text("mine")
    (three / "500").mkdir()
    (three / "00000600").write_text("a file")
    (three / "latest").symlink_to(tmp_path / "nowhere")
    store = open_store()
    assert_holds(store.restore(abstract_tree(make_items(0))), 30)
    assert store.warnings == [] and store.steps() == [10, 20, 30]
    store.save(500, make_items(500))
    store.wait()
    left = {path.name for path in three.iterdir()}
    assert left == {"00000020", "00000030", "00000500", "00000600"} | {
        "notes.txt",
        "500",
        "latest",
    }


def test_restore_of_leftovers_only_is_none(tmp_path, open_store):
    folder = tmp_path / "checkpoints"
    (folder / "00000500").mkdir(parents=True)
    (folder / ".saving-00000010").mkdir()
    assert open_store().restore(abstract_tree(make_items(0))) is None


@pytest.mark.parametrize("moment", ["orbax", "manifest", "rename", "prune"])
def test_save_killed_at_any_moment_is_whole_or_absent(
    moment, three, open_store, monkeypatch
):
    """What a kill leaves behind: everything after the moment never happens."""
    store = open_store(keep_last=1)
    killed = RuntimeError("killed")

    def die(*args, **kwargs):
        raise killed

    if moment == "orbax":
        monkeypatch.setattr(store._checkpointer, "wait_until_finished", die)
    elif moment == "manifest":
        monkeypatch.setattr("jaxdl.train.checkpoint.write_manifest", die)
    elif moment == "rename":
        monkeypatch.setattr("pathlib.Path.rename", die)
    else:
        monkeypatch.setattr("shutil.rmtree", die)
    with pytest.raises((CheckpointError, RuntimeError)):
        store.save(40, make_items(40))
        store.wait()
    monkeypatch.undo()
    after = open_store()
    step = 40 if moment == "prune" else 30
    assert_holds(after.restore(abstract_tree(make_items(0))), step)
    assert after.warnings == []
    after.save(50, make_items(50))
    after.wait()
    assert not [p for p in three.iterdir() if p.name.startswith(".")]
    assert_holds(after.restore(abstract_tree(make_items(0))), 50)


@pytest.mark.parametrize("surfaces", ["save", "wait", "close", "with"])
def test_save_failure_in_the_background_surfaces(surfaces, open_store, monkeypatch):
    store = open_store()
    store.save(10, make_items(10))
    store.wait()

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxdl.train.checkpoint.write_manifest", fail)
    with pytest.raises(CheckpointError) as caught:
        if surfaces == "with":
            with store:
                store.save(20, make_items(20))
        else:
            store.save(20, make_items(20))
            if surfaces == "save":
                store.save(30, make_items(30))
            getattr(store, surfaces)()
    message = str(caught.value)
    assert str(store.folder / "00000020") in message
    assert "No space left on device" in message
    assert store.steps() == [10]
    monkeypatch.undo()
    assert_holds(open_store().restore(abstract_tree(make_items(0))), 10)


def test_save_recovers_after_a_failure(open_store, monkeypatch):
    store = open_store()
    monkeypatch.setattr("jaxdl.train.checkpoint.write_manifest", lambda *args: 1 / 0)
    store.save(10, make_items(10))
    with pytest.raises(CheckpointError, match="00000010: could not be saved"):
        store.wait()
    monkeypatch.undo()
    store.save(20, make_items(20))
    store.wait()
    assert store.steps() == [20] and os.listdir(store.folder) == ["00000020"]


def test_save_where_no_folder_can_be_made_names_the_path(tmp_path, open_store):
    (tmp_path / "file").write_text("in the way")
    store = open_store(folder=tmp_path / "file" / "checkpoints")
    with pytest.raises(CheckpointError, match="file/checkpoints/00000010"):
        store.save(10, make_items(10))


def test_save_to_a_read_only_folder_names_the_path(open_store, monkeypatch):
    def refuse(path, *args, **kwargs):  # a mode of 0500 would not stop root
        raise PermissionError(13, "Permission denied", str(path))

    store = open_store()
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(CheckpointError, match="checkpoints/00000010.*Permission"):
        store.save(10, make_items(10))


def test_restore_of_an_unreadable_file_falls_back(three, open_store, monkeypatch):
    import jaxdl.train.manifest as module

    original = module.hash_file

    def refuse(path):
        if "00000030/weights" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(module, "hash_file", refuse)
    store = open_store()
    assert_holds(store.restore(abstract_tree(make_items(0))), 20)
    assert "00000030/weights" in store.warnings[0]
    assert "Permission denied" in store.warnings[0]


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
