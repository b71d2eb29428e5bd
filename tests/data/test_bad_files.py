"""Broken files of datasets: one line each, that names the place."""

import gzip
import pickle
import struct

import numpy as np
import pytest

from jaxdl.data import load_dataset
from jaxdl.errors import DataError
from tests.data.damage import check_refusal, cut, repack

IDX_CASES = {
    "bad magic": (
        lambda root: repack(root, "train-images-idx3-ubyte", lambda x: b"\1" + x[1:]),
        "{root}/train-images-idx3-ubyte: not an IDX file of unsigned bytes",
    ),
    "float values": (
        lambda root: repack(
            root, "train-images-idx3-ubyte", lambda x: b"\0\0\r" + x[3:]
        ),
        "{root}/train-images-idx3-ubyte: not an IDX file of unsigned bytes",
    ),
    "short": (
        lambda root: repack(root, "t10k-images-idx3-ubyte", lambda x: x[:-1]),
        "{root}/t10k-images-idx3-ubyte: header promises 100 values, shape (4, 5, 5); "
        "found 99",
    ),
    "long": (
        lambda root: repack(root, "train-labels-idx1-ubyte", lambda x: x + b"\0"),
        "train-labels-idx1-ubyte: header promises 6 values, shape (6,); found more",
    ),
    "ends in the header": (
        lambda root: repack(root, "train-labels-idx1-ubyte", lambda x: x[:6]),
        "{root}/train-labels-idx1-ubyte: ends inside its header",
    ),
    "empty": (
        lambda root: repack(root, "train-labels-idx1-ubyte", lambda x: b""),
        "{root}/train-labels-idx1-ubyte: ends inside its header",
    ),
    "absurd header": (
        lambda root: repack(
            root,
            "train-images-idx3-ubyte",
            lambda x: struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3),
        ),
        "header claims 79228162458924105385300197375 values",
    ),
    "labels as images": (
        lambda root: repack(
            root,
            "train-images-idx3-ubyte",
            lambda x: (root / "train-labels-idx1-ubyte").read_bytes(),
        ),
        "train-images-idx3-ubyte: shape (6,) is not (count, rows, columns)",
    ),
    "fewer labels": (
        lambda root: (root / "train-labels-idx1-ubyte").write_bytes(
            (root / "t10k-labels-idx1-ubyte").read_bytes()
        ),
        "train-labels-idx1-ubyte: (4,) labels for 6 in train-images-idx3-ubyte",
    ),
    "label out of range": (
        lambda root: repack(
            root, "train-labels-idx1-ubyte", lambda x: x[:-1] + b"\x0a"
        ),
        "label 10 outside [0, 9] in train[5] ({root}/train-labels-idx1-ubyte)",
    ),
    "missing file": (
        lambda root: (root / "train-labels-idx1-ubyte").unlink(),
        "no train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz in {root}",
    ),
    "half a test": (
        lambda root: (root / "t10k-images-idx3-ubyte").unlink(),
        "no t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz in {root}",
    ),
}
GZIP_CASES = {
    "not gzip": (lambda x: b"plain", "Not a gzipped file"),
    "truncated gzip": (lambda x: x[:-12], "Compressed file ended before"),
    "gzip checksum": (lambda x: x[:-8] + b"\0\0\0\0" + x[-4:], "CRC check failed"),
    "gzip body": (lambda x: x[:20] + b"\xff" * 9 + x[29:], ": ."),
}


@pytest.mark.parametrize("name", IDX_CASES)
def test_idx_refuses(make, tmp_path, name):
    damage, expected = IDX_CASES[name]
    root = make.write_idx(tmp_path / "mnist")
    damage(root)
    check_refusal("idx", root, expected)


@pytest.mark.parametrize("name", GZIP_CASES)
def test_idx_refuses_damaged_gzip(make, tmp_path, name):
    change, reason = GZIP_CASES[name]
    root = make.write_idx(tmp_path / "mnist", suffix=".gz", train=50)
    repack(root, "train-images-idx3-ubyte.gz", change)
    check_refusal(
        "idx", root, "can't read IDX file {root}/train-images-idx3-ubyte.gz: "
    )
    with pytest.raises(DataError, match=reason):
        load_dataset("idx", path=root)


def test_idx_refuses_a_gzip_bomb(make, tmp_path):
    root = make.write_idx(tmp_path / "mnist", suffix=".gz")
    bomb = gzip.compress(make.idx_bytes(np.zeros((1, 5, 5))) + bytes(10**7))
    (root / "train-images-idx3-ubyte.gz").write_bytes(bomb)
    check_refusal("idx", root, "header promises 25 values, shape (1, 5, 5); found more")


def save_batch(root, **content):
    entries = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]} | content
    batch = {key.encode(): value for key, value in entries.items()}
    (root / "data_batch_3").write_bytes(pickle.dumps(batch))


def save_labels(root, **content):
    zeros = {"train_labels": np.zeros(20, np.uint8), "test_labels": np.zeros(4, int)}
    np.savez(root / "labels.npz", **zeros | content)


CIFAR_CASES = {
    "python: damaged": (
        lambda root: repack(root, "data_batch_3", lambda x: x[:99]),
        "can't read pickle {root}/data_batch_3: ",
    ),
    "python: no dict": (
        lambda root: (root / "data_batch_3").write_bytes(pickle.dumps([1])),
        "{root}/data_batch_3: its pickle holds no dict",
    ),
    "python: floats": (
        lambda root: save_batch(root, data=np.zeros((2, 3072))),
        "{root}/data_batch_3: no uint8 array 'data'",
    ),
    "python: shape": (
        lambda root: save_batch(root, data=np.zeros((2, 3000), np.uint8)),
        "{root}/data_batch_3: 'data' must have shape (count, 3072), got (2, 3000)",
    ),
    "python: labels": (
        lambda root: save_batch(root, labels=["cat", "dog"]),
        "{root}/data_batch_3: no list of integers 'labels'",
    ),
    "python: count": (
        lambda root: save_batch(root, labels=[1]),
        "{root}/data_batch_3: 1 labels for 2 images",
    ),
    "python: label out of range": (
        lambda root: save_batch(root, labels=[0, -(10**30)]),
        "label -1 outside [0, 9] in data_batch_3[1] ({root}/data_batch_3)",
    ),
    "python: missing": (
        lambda root: (root / "test_batch").unlink(),
        "{root}/test_batch: No such file or directory",
    ),
    "binary: short": (
        lambda root: repack(root, "data_batch_2.bin", lambda x: x[:-1]),
        "{root}/data_batch_2.bin: 12291 bytes are no multiple of 3073 per image",
    ),
    "binary: empty": (
        lambda root: repack(root, "test_batch.bin", lambda x: b""),
        "{root}/test_batch.bin: 0 bytes are no multiple of 3073",
    ),
    "binary: label out of range": (
        lambda root: repack(root, "data_batch_2.bin", lambda x: b"\xff" + x[1:]),
        "label 255 outside [0, 9] in data_batch_2.bin[0] ({root}/data_batch_2.bin)",
    ),
    "binary: missing": (
        lambda root: (root / "data_batch_5.bin").unlink(),
        "{root}/data_batch_5.bin: No such file or directory",
    ),
    "sheets: damaged": (
        lambda root: cut(root / "train_4.webp", 2000),
        "can't read CIFAR-10 file {root}/train_4.webp: ",
    ),
    "sheets: not webp": (
        lambda root: (root / "test.webp").write_bytes(b"hello"),
        "can't read CIFAR-10 file {root}/test.webp: ",
    ),
    "sheets: labels missing": (
        lambda root: (root / "labels.npz").unlink(),
        "{root}/labels.npz: No such file or directory",
    ),
    "sheets: labels damaged": (
        lambda root: cut(root / "labels.npz", 100),
        "can't read CIFAR-10 file {root}/labels.npz: ",
    ),
    "sheets: no train labels": (
        lambda root: np.savez(root / "labels.npz", test_labels=np.zeros(4, int)),
        "{root}/labels.npz: no array",
    ),
    "sheets: pickled labels": (
        lambda root: save_labels(root, train_labels=np.array([{}] * 20)),
        "can't read CIFAR-10 file {root}/labels.npz: Object arrays cannot be loaded",
    ),
    "sheets: float labels": (
        lambda root: save_labels(root, test_labels=np.zeros(4)),
        "{root}/labels.npz: test_labels must be integers, got float64",
    ),
    "sheets: count": (
        lambda root: save_labels(root, train_labels=np.zeros(19, int)),
        "{root}/labels.npz: train_labels of shape (19,) for 20 images",
    ),
    "sheets: label out of range": (
        lambda root: save_labels(root, train_labels=np.arange(20)),
        "label 10 outside [0, 9] in train[10] ({root}/labels.npz)",
    ),
    "sheets: no cifar": (
        lambda root: (root / "train_1.webp").unlink(),
        "no CIFAR-10 in {root}: none of data_batch_1, data_batch_1.bin, train_1.webp",
    ),
}


@pytest.mark.parametrize("name", CIFAR_CASES)
def test_cifar10_refuses(make, tmp_path, name):
    damage, expected = CIFAR_CASES[name]
    root = make.write_cifar(tmp_path / "cifar10", name.partition(":")[0])
    damage(root)
    check_refusal("cifar10", root, expected)


def test_cifar10_refuses_a_sheet_that_is_no_grid(make, tmp_path):
    root = make.write_cifar(tmp_path, "sheets")
    data = make.encode(make.random_pixels(64, 60, 3), "WEBP", lossless=True)
    (root / "train_2.webp").write_bytes(data)
    check_refusal("cifar10", root, "train_2.webp: shape (64, 60, 3) is no grid of 32")


def test_damaged_files_of_any_kind_give_one_line(make, tmp_path):
    """Random bytes flipped in every file of every source: DataError or a dataset."""
    rng = np.random.default_rng(0)
    sources = {
        "idx": make.write_idx(tmp_path / "idx", suffix=".gz"),
        "cifar10": make.write_cifar(tmp_path / "python", "python"),
    }
    for source, root in sources.items():
        for file in sorted(root.iterdir()):
            data = file.read_bytes()
            for _ in range(20):
                damaged = bytearray(data)
                for position in rng.integers(0, min(len(data), 300), 3):
                    damaged[position] ^= 1 << rng.integers(8)
                file.write_bytes(damaged)
                try:
                    load_dataset(source, path=root)
                except DataError as error:
                    assert "\n" not in str(error)
            file.write_bytes(data)
