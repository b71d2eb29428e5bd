import hashlib
import json
import os

import pytest

from jaxdl.train.manifest import (
    MANIFEST_NAME,
    hash_folder,
    read_manifest,
    update_manifest,
    verify_folder,
    write_json,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "weights").write_bytes(bytes(range(32)))
    (tmp_path / "empty").write_bytes(b"")
    write_manifest(tmp_path, {"step": 7})
    return tmp_path


def test_write_json_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": [2, None]})
    assert json.loads(path.read_text()) == {"a": [2, None]}
    assert os.listdir(tmp_path) == ["summary.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_write_json_refused_value_keeps_the_old_file(value, tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})
    with pytest.raises((ValueError, TypeError)):
        write_json(path, {"a": 2, "b": value})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["summary.json"]


def test_write_json_interrupted_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1})

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def test_hash_folder_is_sha256_by_relative_path(folder):
    assert hash_folder(folder) == {
        "deep/er/weights": hashlib.sha256(bytes(range(32))).hexdigest(),
        "empty": hashlib.sha256(b"").hexdigest(),
    }


def test_verify_folder_returns_what_was_sealed(folder):
    manifest = verify_folder(folder)
    assert manifest["step"] == 7
    assert manifest["files"] == hash_folder(folder)


def test_verify_folder_finds_every_flipped_bit(folder):
    path = folder / "deep" / "er" / "weights"
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="deep/er/weights: its sha256 differs"):
            verify_folder(folder)
    path.write_bytes(content)
    verify_folder(folder)


@pytest.mark.parametrize("content", [b"", b"\0" * 32, bytes(range(31))])
def test_verify_folder_finds_other_content(content, folder):
    (folder / "deep" / "er" / "weights").write_bytes(content)
    with pytest.raises(ValueError, match="weights: its sha256 differs"):
        verify_folder(folder)


def test_verify_folder_finds_a_missing_and_an_unreadable_file(folder):
    (folder / "empty").unlink()
    with pytest.raises(ValueError, match="/empty: missing"):
        verify_folder(folder)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="/empty: unreadable"):
        verify_folder(folder)


def test_verify_folder_passes_over_files_that_came_later(folder):
    (folder / ".DS_Store").write_text("left by a file browser")
    verify_folder(folder)


def test_read_manifest_finds_flipped_bits(folder):
    path = folder / MANIFEST_NAME
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 7):  # every byte, each bit in turn
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            manifest = read_manifest(folder)
        except ValueError as error:
            assert str(path) in str(error)
        else:  # white space turned into white space
            path.write_bytes(content)
            assert manifest == read_manifest(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[1]", "7", "null", '"text"', "{}", '{"sha256": 3}', "\x00" * 99],
)
def test_read_manifest_refuses_what_is_no_manifest(text, folder):
    path = folder / MANIFEST_NAME
    path.write_text(text)
    with pytest.raises(ValueError, match=MANIFEST_NAME):
        read_manifest(folder)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=MANIFEST_NAME):
        read_manifest(folder)
    path.unlink()
    with pytest.raises(ValueError, match="manifest.json: unreadable"):
        read_manifest(folder)


def test_update_manifest_never_blesses_a_changed_file(folder):
    path = folder / "deep" / "er" / "weights"
    path.write_bytes(b"damaged after sealing")
    update_manifest(folder, metrics={"accuracy": 1.0})
    assert read_manifest(folder)["metrics"] == {"accuracy": 1.0}
    with pytest.raises(ValueError, match="weights: its sha256 differs"):
        verify_folder(folder)
