"""Checkpoints that are damaged, half written, or can't be written."""

import os
import shutil

import pytest

from jaxdl.errors import CheckpointError
from jaxdl.train import CheckpointStore, abstract_tree
from tests.train.stored_items import assert_holds, files_below, make_items


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
