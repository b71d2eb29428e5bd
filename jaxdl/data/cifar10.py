"""CIFAR-10 in its three forms: Python batches, binary batches, packed sheets."""

import os
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image

from jaxdl.data.dataset import Dataset
from jaxdl.data.image import resize_images
from jaxdl.data.paths import require_path, show_path, show_reason
from jaxdl.data.restricted_pickle import load_arrays
from jaxdl.data.split import ArraySplit, check_labels
from jaxdl.errors import DataError

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_SIDE = 32
_PIXELS = _SIDE * _SIDE * 3


def load_cifar10(
    *, path: str | os.PathLike[str] | None = None, image_size: int | None = None
) -> Dataset:
    """Loads CIFAR-10: 50,000 images for training, 10,000 for testing.

    Args:
      path: Folder with the Python batches (`data_batch_1` .. `5`, `test_batch`), the
        binary batches (the same with `.bin`), or lossless WebP sheets (`train_1.webp`
        .. `5`, `test.webp`, `labels.npz`); or the folder above the original
        `cifar-10-batches-py` or `cifar-10-batches-bin`. None means `cifar10`, under
        the working directory or `$JAXDL_DATA_DIR`.
      image_size: Resizes the images to this height and width, in pixels.

    Returns:
      Splits train and test; 10 classes; 32 x 32 RGB.

    Raises:
      DataError: None of the three forms is there, or a file is missing or damaged.
      ValueError: image_size is below 1.

    Source:
      A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.

    Example:
      >>> load_cifar10(path="/")
      Traceback (most recent call last):
      jaxdl.errors.DataError: no CIFAR-10 in /: none of data_batch_1, \
data_batch_1.bin, train_1.webp
    """
    wanted = "a folder with CIFAR-10"
    folder = require_path(path or "cifar10", source="cifar10", wanted=wanted)
    folder, read_parts = _recognise(folder)
    splits = {}
    for name, (images, labels, file) in read_parts(folder).items():
        splits[name] = ArraySplit(
            resize_images(images, image_size),
            labels,
            name=name,
            num_classes=10,
            file=show_path(file),
        )
    return Dataset("cifar10", splits, CLASSES)


_Part = tuple[np.ndarray, np.ndarray, Path]


def _recognise(folder: Path) -> tuple[Path, Callable[[Path], dict[str, _Part]]]:
    readers = {
        "data_batch_1": _read_python_batches,
        "data_batch_1.bin": _read_binary_batches,
        "train_1.webp": _read_sheets,
    }
    for inner in ("", "cifar-10-batches-py", "cifar-10-batches-bin"):
        for first_file, reader in readers.items():
            if (folder / inner / first_file).is_file():
                return folder / inner, reader
    raise DataError(f"no CIFAR-10 in {show_path(folder)}: none of {', '.join(readers)}")


def _read_python_batches(folder: Path) -> dict[str, _Part]:
    return _join_batches(folder, "", _read_python_batch)


def _read_binary_batches(folder: Path) -> dict[str, _Part]:
    return _join_batches(folder, ".bin", _read_binary_batch)


def _join_batches(folder: Path, suffix: str, read_batch) -> dict[str, _Part]:
    names = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
    parts = {}
    for split, stems in names.items():
        files = [folder / f"{stem}{suffix}" for stem in stems]
        batches = [read_batch(file) for file in files]
        for file, (_, labels) in zip(files, batches, strict=True):
            check_labels(labels, 10, name=file.name, file=show_path(file))
        labels = np.concatenate([batch[1] for batch in batches])
        planes = np.concatenate([batch[0] for batch in batches])
        images = planes.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
        parts[split] = (np.ascontiguousarray(images), labels, folder)
    return parts


def _read_python_batch(file: Path) -> tuple[np.ndarray, np.ndarray]:
    content = load_arrays(file)
    if not isinstance(content, dict):
        _refuse(file, "its pickle holds no dict")
    # Python 2 wrote the keys as bytes, a copy saved by Python 3 has text.
    batch = {k.decode() if isinstance(k, bytes) else k: v for k, v in content.items()}
    data, labels = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
        _refuse(file, "no uint8 array 'data'")
    if data.ndim != 2 or data.shape[1] != _PIXELS:
        _refuse(file, f"'data' must have shape (count, {_PIXELS}), got {data.shape}")
    if not isinstance(labels, list) or not all(type(x) is int for x in labels):
        _refuse(file, "no list of integers 'labels'")
    if len(labels) != len(data):
        _refuse(file, f"{len(labels)} labels for {len(data)} images")
    return data, _bounded(labels)


def _bounded(labels: list[int]) -> np.ndarray:
    # Clipping keeps a huge integer an error of the label check, not an overflow.
    return np.array([max(-1, min(label, 256)) for label in labels], np.int64)


def _read_binary_batch(file: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        content = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        _refuse(file, show_reason(error))
    if content.size == 0 or content.size % (1 + _PIXELS):
        _refuse(
            file, f"{content.size} bytes are no multiple of {1 + _PIXELS} per image"
        )
    rows = content.reshape(-1, 1 + _PIXELS)
    return rows[:, 1:], rows[:, 0].astype(np.int64)


def _read_sheets(folder: Path) -> dict[str, _Part]:
    names = {"train": [f"train_{i}.webp" for i in range(1, 6)], "test": ["test.webp"]}
    labels_file = folder / "labels.npz"
    labels = _read_sheet_labels(labels_file)
    parts = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as executor:
        for split, files in names.items():
            sheets = executor.map(_read_sheet, [folder / name for name in files])
            images = np.concatenate(list(sheets))
            if labels[split].shape != (len(images),):
                shown = f"{split}_labels of shape {labels[split].shape}"
                _refuse(labels_file, f"{shown} for {len(images)} images")
            parts[split] = (images, labels[split].astype(np.int64), labels_file)
    return parts


def _read_sheet_labels(file: Path) -> dict[str, np.ndarray]:
    try:
        # Opened here: np.load leaves a damaged file open.
        with (
            open(file, "rb") as handle,
            np.load(handle, allow_pickle=False) as content,
        ):
            labels = {name: content[f"{name}_labels"] for name in ("train", "test")}
    except KeyError as error:
        _refuse(file, f"no array {error}")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        _refuse(file, show_reason(error))
    for name, values in labels.items():
        if not np.issubdtype(values.dtype, np.integer):
            _refuse(file, f"{name}_labels must be integers, got {values.dtype}")
    return labels


def _read_sheet(file: Path) -> np.ndarray:
    """Cuts a sheet into its 32 x 32 tiles, row by row."""
    try:
        with Image.open(file, formats=("WEBP",)) as image:
            sheet = np.asarray(image.convert("RGB"))
    except Exception as error:  # a decoder raises whatever it happens to meet
        _refuse(file, show_reason(error))
    rows, columns = sheet.shape[0] // _SIDE, sheet.shape[1] // _SIDE
    if sheet.shape != (rows * _SIDE, columns * _SIDE, 3):
        _refuse(file, f"shape {sheet.shape} is no grid of {_SIDE} x {_SIDE} tiles")
    tiles = sheet.reshape(rows, _SIDE, columns, _SIDE, 3).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(-1, _SIDE, _SIDE, 3)


def _refuse(file: Path, reason: str) -> NoReturn:
    raise DataError(f"can't read CIFAR-10 file {show_path(file)}: {reason}") from None
