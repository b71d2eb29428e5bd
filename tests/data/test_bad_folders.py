"""Broken folders of images: one line each, that names the place."""

import os
from pathlib import Path

import pytest

from jaxdl.data import load_dataset
from tests.data.damage import check_refusal, cut


def remove(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir()


def rename(root, **names):
    for old, new in names.items():
        (root / old).rename(root / new)


def keep_loose_image(root):
    (root / "bird" / "0.png").rename(root / "0.png")
    remove(root / "bird")
    remove(root / "cat")


def replace_by_file(root):
    remove(root)
    root.write_text("x")


def split(root, *names, without=""):
    """Makes split folders of three classes, and removes the two classes."""
    data = (root / "cat" / "0.png").read_bytes()
    for name in names:
        for class_name in ("ape", "bee", "cow"):
            folder = root / name / class_name
            folder.mkdir(parents=True)
            (folder / "0.png").write_bytes(data)
    for name in ("cat", "bird", without):
        if name:
            remove(root / name)


FOLDER_CASES = {
    "corrupt jpeg": (
        lambda root: (root / "cat" / "1.jpg").write_bytes(
            b"\xff\xd8\xff\xe0" + b"x" * 99
        ),
        "cat/1.jpg (class 'cat')",
    ),
    "truncated png": (
        lambda root: cut(root / "cat" / "1.png", 45),
        "can't decode image: {root}/cat/1.png (class 'cat'): ",
    ),
    "empty file": (
        lambda root: cut(root / "cat" / "0.png", 0),
        "empty image file: {root}/cat/0.png (class 'cat')",
    ),
    "html named jpg": (
        lambda root: (root / "bird" / "page.jpg").write_text("<html></html>"),
        "not a JPEG, PNG or WebP image: {root}/bird/page.jpg (class 'bird')",
    ),
    "gif named png": (
        lambda root: (root / "bird" / "0.png").write_bytes(b"GIF89a" + bytes(99)),
        "not a JPEG, PNG or WebP image: {root}/bird/0.png (class 'bird')",
    ),
    "folder named jpg": (
        lambda root: (root / "bird" / "a.jpg" / "b").mkdir(parents=True),
        None,  # a warning instead
    ),
    "dangling link": (
        lambda root: (root / "bird" / "a.jpg").symlink_to(root / "gone.jpg"),
        "can't read image: {root}/bird/a.jpg (class 'bird'): No such file or directory",
    ),
    "empty class": (
        lambda root: (root / "empty").mkdir(),
        "empty class folder: {root}/empty has no images",
    ),
    "class of sub-folders": (
        lambda root: (root / "deep" / "er").mkdir(parents=True),
        "empty class folder: {root}/deep has no images (folders inside a class are "
        "not searched)",
    ),
    "single class": (
        lambda root: remove(root / "cat"),
        "a single class folder, 'bird', in {root}: nothing to tell apart",
    ),
    "no classes": (
        lambda root: [remove(root / name) for name in ("cat", "bird")],
        "no class folders in {root}: it needs one sub-folder of images per class",
    ),
    "images without classes": (
        keep_loose_image,
        "no class folders in {root}",
    ),
    "splits without classes": (
        lambda root: rename(root, cat="val", bird="train"),
        "no class folders in {root}/train",
    ),
    "splits without train": (
        lambda root: rename(root, cat="val", bird="test"),
        "no train folder in {root}, only test, val",
    ),
    "two validations": (
        lambda root: split(root, "train", "val", "validation"),
        "both val and validation in {root}: keep one",
    ),
    "class missing from validation": (
        lambda root: split(root, "train", "val", without="val/ape"),
        "class folders of train and validation differ in {root}: validation lacks ape",
    ),
    "class missing from train": (
        lambda root: split(root, "train", "test", without="train/ape"),
        "class folders of train and test differ in {root}: test adds ape",
    ),
    "path is a file": (
        replace_by_file,
        "can't list folder {root}: Not a directory",
    ),
    "path is missing": (remove, "no such file or folder: tried {root}"),
}


@pytest.mark.filterwarnings("ignore:ignored in")
@pytest.mark.parametrize("name", FOLDER_CASES)
def test_folder_refuses(make, tmp_path, name):
    damage, expected = FOLDER_CASES[name]
    root = make.write_classes(tmp_path / "data")
    damage(root)
    if expected is None:
        assert len(load_dataset("folder", path=root).splits["train"]) == 4
    else:
        check_refusal("folder", root, expected)


def test_folder_refuses_unreadable_files(make, tmp_path, monkeypatch):
    root = make.write_classes(tmp_path / "data")
    locked = str(root / "cat" / "1.png")
    (root / "cat" / "1.png").chmod(0)
    read_bytes = Path.read_bytes

    def refuse(path):  # the superuser reads any file, whatever its mode
        if str(path) == locked:
            raise PermissionError(13, "Permission denied", locked)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    expected = "can't read image: {root}/cat/1.png (class 'cat'): Permission denied"
    check_refusal("folder", root, expected)


def test_folder_refuses_unreadable_folders(make, tmp_path, monkeypatch):
    root = make.write_classes(tmp_path / "data")
    listdir = os.listdir

    def refuse(path):
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    check_refusal("folder", root, "can't list folder {root}/cat: Permission denied")
