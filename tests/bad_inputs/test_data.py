"""Data on disk that are broken: one clear line each, exit status 3."""

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bad_inputs.checks import check, run_quick, write_classes


def truncate_jpeg(root):
    file = root / "bee" / "x.jpg"
    Image.effect_noise((64, 64), 50).convert("RGB").save(file)
    file.write_bytes(file.read_bytes()[:400])


def keep_one_class(root):
    shutil.rmtree(root / "bee")
    shutil.rmtree(root / "cow")


def empty_class(root):
    shutil.rmtree(root / "bee")
    (root / "bee").mkdir()


def differ_between_splits(root):
    for split in ("train", "val"):
        write_classes(root / split)
    shutil.rmtree(root / "val" / "cow")
    for name in ("ape", "bee", "cow"):
        shutil.rmtree(root / name)


def leave_too_few(root):
    for file in root.glob("*/*.png"):
        if file.stem != "0":
            file.unlink()


FOLDER_CASES = {
    "corrupt jpeg": (
        lambda root: (root / "bee" / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 20),
        ["images/bee/x.jpg (class 'bee')"],
    ),
    "truncated jpeg": (truncate_jpeg, ["images/bee/x.jpg (class 'bee')"]),
    "empty file": (
        lambda root: (root / "ape" / "x.png").write_bytes(b""),
        ["empty image file", "images/ape/x.png (class 'ape')"],
    ),
    "text named png": (
        lambda root: (root / "cow" / "x.png").write_text("<html>"),
        ["not a JPEG, PNG or WebP image", "images/cow/x.png"],
    ),
    "dangling link": (
        lambda root: (root / "cow" / "x.png").symlink_to("nowhere.png"),
        ["can't read image", "images/cow/x.png", "No such file"],
    ),
    "empty class folder": (empty_class, ["empty class folder", "images/bee"]),
    "single class": (keep_one_class, ["a single class folder, 'ape'", "images"]),
    "no class folders": (
        lambda root: [shutil.rmtree(root / name) for name in ("ape", "bee", "cow")],
        ["no class folders in", "images"],
    ),
    "missing folder": (shutil.rmtree, ["no such file or folder", "images"]),
    "splits differ": (differ_between_splits, ["val", "lacks cow", "images"]),
    "too few images": (
        leave_too_few,
        ["test would be empty", "3 train examples of images"],
    ),
}


@pytest.mark.parametrize("residency", ["device", "stream"])
@pytest.mark.parametrize("case", FOLDER_CASES)
def test_bad_folder_gives_one_line_and_status_3(tmp_path, case, residency):
    breaking, words = FOLDER_CASES[case]
    root = tmp_path / "images"
    write_classes(root)
    breaking(root)
    status, message = run_quick(
        tmp_path,
        "data.source=folder",
        f"data.path={root}",
        "data.image_size=8",
        "data.batch_size=8",
        f"data.residency={residency}",
        "schedule.duration=2 epochs",
    )
    check(status, message, 3, words)


def test_unreadable_file_gives_one_line_and_status_3(tmp_path, monkeypatch):
    root = tmp_path / "images"
    write_classes(root)
    read_bytes = Path.read_bytes

    def refuse(path):  # a mode of 000 would not stop the superuser
        if path.name == "3.png" and path.parent.name == "bee":
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    words = ("data.source=folder", f"data.path={root}", "data.batch_size=8")
    status, message = run_quick(tmp_path, *words)
    check(status, message, 3, ["images/bee/3.png (class 'bee')", "Permission denied"])


def write_idx(root, *, labels=None):
    root.mkdir()
    for prefix, count in {"train": 40, "t10k": 10}.items():
        images = np.zeros((count, 8, 8), np.uint8)
        values = np.arange(count, dtype=np.uint8) % 10
        if labels is not None:
            values[17 % count] = labels
        for name, array in (("images-idx3", images), ("labels-idx1", values)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            file = root / f"{prefix}-{name}-ubyte.gz"
            file.write_bytes(gzip.compress(header + array.tobytes()))


def rewrite(file, change):
    file.write_bytes(gzip.compress(change(gzip.decompress(file.read_bytes()))))


IDX_CASES = {
    "label out of range": (None, ["label 10", "[0, 9]", "train-labels-idx1-ubyte.gz"]),
    "short file": (lambda data: data[:-5], ["train-labels-idx1-ubyte.gz"]),
    "bad magic": (lambda data: b"\1" + data[1:], ["train-labels-idx1-ubyte.gz"]),
    "not gzip": ("raw", ["train-labels-idx1-ubyte.gz"]),
    "missing file": ("missing", ["train-labels-idx1-ubyte"]),
}


@pytest.mark.parametrize("case", IDX_CASES)
def test_bad_idx_gives_one_line_and_status_3(tmp_path, case):
    change, words = IDX_CASES[case]
    root = tmp_path / "made"
    write_idx(root, labels=10 if change is None else None)
    file = root / "train-labels-idx1-ubyte.gz"
    if change == "raw":
        file.write_bytes(b"not gzip")
    elif change == "missing":
        file.unlink()
    elif change is not None:
        rewrite(file, change)
    overrides = ("data.source=idx", f"data.path={root}", "data.batch_size=8")
    check(*run_quick(tmp_path, *overrides), 3, words)


SOURCE_CASES = {
    "idx in an empty folder": (["data.source=idx", "data.path={tmp}"], ["{tmp}"]),
    "cifar10 in an empty folder": (
        ["data.source=cifar10", "data.path={tmp}"],
        ["{tmp}"],
    ),
    "cifar10 missing": (
        ["data.source=cifar10", "data.path={tmp}/no"],
        ["no such file or folder", "{tmp}/no"],
    ),
    "tfds not prepared": (
        ["data.source=tfds:mnist", "data.path={tmp}"],
        ["mnist", "array_record"],
    ),
}


@pytest.mark.parametrize("case", SOURCE_CASES)
def test_bad_source_gives_one_line_and_status_3(tmp_path, case):
    overrides, words = SOURCE_CASES[case]
    overrides = [text.format(tmp=tmp_path) for text in overrides]
    words = [text.format(tmp=tmp_path) for text in words]
    check(*run_quick(tmp_path, *overrides), 3, words)
