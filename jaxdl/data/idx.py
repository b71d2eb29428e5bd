"""IDX files: MNIST, Fashion-MNIST and whatever else is stored like them."""

import gzip
import os
import struct
import zlib
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import UInt8

from jaxdl.data.dataset import Dataset
from jaxdl.data.image import resize_images
from jaxdl.data.paths import require_path, show_path, show_reason
from jaxdl.data.split import ArraySplit
from jaxdl.errors import DataError

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_FILES = {"train": "train", "test": "t10k"}
_MAX_BYTES = 2**34


def load_idx(
    *, path: str | os.PathLike[str] | None = None, image_size: int | None = None
) -> Dataset:
    """Loads the four IDX files of MNIST or Fashion-MNIST.

    Args:
      path: Folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, when
        there is a test part, the two `t10k-` files; each as it is or as `.gz`.
      image_size: Resizes the images to this height and width, in pixels.

    Returns:
      Splits train and test, 10 classes: Fashion-MNIST's when the last two folders
      of the path say "fashion", else the digits.

    Raises:
      DataError: No path, or a file is missing, damaged, of another length than its
        header says, or holds a label above 9.
      ValueError: image_size is below 1.

    Source:
      Y. LeCun, C. Cortes, C. Burges, The MNIST database (the format); H. Xiao et
      al., Fashion-MNIST, arXiv:1708.07747.

    Example:
      >>> load_idx()
      Traceback (most recent call last):
      jaxdl.errors.DataError: source 'idx' needs a path: a folder with IDX files
    """
    folder = require_path(path, source="idx", wanted="a folder with IDX files")
    splits = {}
    for name, prefix in _FILES.items():
        files = _find_pair(folder, prefix)
        if files is None:
            continue
        images_file, labels_file = files
        images, labels = read_idx(images_file), read_idx(labels_file)
        if images.ndim != 3 or 0 in images.shape:
            _refuse(images_file, f"shape {images.shape} is not (count, rows, columns)")
        if labels.shape != images.shape[:1]:
            shown = show_path(images_file.name)
            _refuse(labels_file, f"{labels.shape} labels for {len(images)} in {shown}")
        splits[name] = ArraySplit(
            resize_images(images[..., None], image_size),
            labels,
            name=name,
            num_classes=10,
            file=show_path(labels_file),
        )
    fashion = "fashion" in "/".join(folder.absolute().parts[-2:]).lower()
    classes = FASHION_CLASSES if fashion else tuple("0123456789")
    return Dataset(folder.absolute().name, splits, classes)


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """Reads one IDX file of bytes.

    Args:
      path: The file; gzip when its name ends in `.gz`.

    Returns:
      The values, in the shape of the header.

    Raises:
      DataError: The file can't be read, isn't IDX, or its length isn't what its
        header says.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp(), "labels")
      >>> _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
      >>> read_idx(file).tolist()
      [7, 9]
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            zeros, kind, num_axes = struct.unpack(">HBB", file.read(4))
            if zeros != 0 or kind != 8 or num_axes not in (1, 2, 3, 4):
                _refuse(path, "not an IDX file of unsigned bytes (bad magic number)")
            shape = struct.unpack(f">{num_axes}I", file.read(4 * num_axes))
            wanted = int(np.prod(shape, dtype=object))
            if wanted > _MAX_BYTES:
                _refuse(path, f"header claims {wanted} values, shape {shape}")
            data = file.read(wanted + 1)
    except struct.error:
        _refuse(path, "ends inside its header")
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        _refuse(path, show_reason(error))
    if len(data) != wanted:
        more = "more" if len(data) > wanted else f"{len(data)}"
        _refuse(path, f"header promises {wanted} values, shape {shape}; found {more}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _find_pair(folder: Path, prefix: str) -> tuple[Path, Path] | None:
    """The images and labels of a split; None when both are absent from a test."""
    wanted = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    images_file, labels_file = (_find(folder, name) for name in wanted)
    if images_file and labels_file:
        return images_file, labels_file
    if prefix == "t10k" and images_file is None and labels_file is None:
        return None
    missing = wanted[0] if images_file is None else wanted[1]
    raise DataError(f"no {missing} or {missing}.gz in {show_path(folder)}")


def _find(folder: Path, name: str) -> Path | None:
    # Some copies write train-images.idx3-ubyte.
    for spelling in (name, name.replace("-idx", ".idx")):
        for candidate in (folder / spelling, folder / f"{spelling}.gz"):
            if candidate.is_file():
                return candidate
    return None


def _refuse(path: Path, reason: str) -> NoReturn:
    raise DataError(f"can't read IDX file {show_path(path)}: {reason}") from None
