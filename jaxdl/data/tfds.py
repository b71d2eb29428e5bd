"""TFDS datasets, read at random positions and without TensorFlow.

Only datasets prepared with `file_format="array_record"` can be read this way.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Integer

from jaxdl.data.dataset import Dataset
from jaxdl.data.folder import DEFAULT_IMAGE_SIZE
from jaxdl.data.image import check_image_size, decode_image, resize_images
from jaxdl.data.paths import resolve_path, show_path, show_reason
from jaxdl.data.split import check_indices
from jaxdl.errors import DataError

_SPLITS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


class TfdsSplit:
    """A split of a prepared TFDS dataset; `load_tfds` makes it.

    Example:
      >>> records = [{"image": np.zeros((8, 8, 1), np.uint8), "label": 1}]
      >>> split = TfdsSplit(
      ...     records, name="train", num_classes=2, image_shape=(8, 8, 1), origin="made"
      ... )
      >>> split.read(np.array([0]))["labels"].tolist()
      [1]
    """

    def __init__(
        self,
        records: Sequence[Any],
        *,
        name: str,
        num_classes: int,
        image_shape: tuple[int, int, int],
        origin: str,
        files: Sequence[os.PathLike[str]] = (),
    ):
        """Keeps the source; nothing is read yet.

        Args:
          records: Dicts with `"image"` (a file's bytes, or uint8 pixels) and
            `"label"`, at random positions.
          name: The split's name, for messages.
          num_classes: Labels must lie in [0, num_classes).
          image_shape: Height, width, channels to give out, in pixels.
          origin: The dataset's name and version, for messages.
          files: The shards that hold the records, for the fingerprint.
        """
        self.name = name
        self.image_shape = image_shape
        self.num_bytes = len(records) * int(np.prod(image_shape))
        self._records = records
        self._num_classes = num_classes
        self._origin = origin
        self._files = tuple(files)

    def __len__(self) -> int:
        return len(self._records)

    def read(self, indices: Integer[np.ndarray, "batch"]) -> dict[str, np.ndarray]:
        """Decodes records one after another; see `Split.read`."""
        indices = check_indices(indices, len(self), name=self.name)
        images = np.empty((len(indices), *self.image_shape), np.uint8)
        labels = np.empty(len(indices), np.int32)
        for row, index in enumerate(indices.tolist()):
            images[row], labels[row] = self._read_record(index)
        return {"images": images, "labels": labels}

    def describe(self, index: int) -> str:
        """The position, such as `train[17]`."""
        return f"{self.name}[{index}]"

    def fingerprint(self) -> str:
        """The SHA-256 of name, split, and each shard's name, size, first 256 KiB."""
        # Sizes alone say little: shards are padded to whole blocks.
        digest = hashlib.sha256(f"{self._origin} {self.name} {len(self)}".encode())
        for path in self._files:
            try:
                with open(path, "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    digest.update(f"{os.path.basename(path)} {size}".encode())
                    digest.update(file.read(2**18))
            except OSError as error:
                shown, reason = show_path(path), show_reason(error)
                raise DataError(f"can't read TFDS shard {shown}: {reason}") from None
        return digest.hexdigest()

    def _read_record(self, index: int) -> tuple[np.ndarray, int]:
        where = f"{self.describe(index)} ({self._origin})"
        try:
            record = self._records[index]
            image, label = record["image"], np.asarray(record["label"])
        except Exception as error:  # the reader's own, of many types
            reason = show_reason(error)
            raise DataError(f"can't read record: {where}: {reason}") from error
        # A truncated shard can give records without content, and no error.
        if image is None or label.shape != () or label.dtype.kind not in "iu":
            raise DataError(f"can't read record: {where}: it has no image and label")
        if not 0 <= label < self._num_classes:
            last = self._num_classes - 1
            raise DataError(f"label {label} outside [0, {last}] in {where}")
        return self._decode(image, where), int(label)

    def _decode(self, image: Any, where: str) -> np.ndarray:
        height, width, channels = self.image_shape
        size = height if height == width else None
        if isinstance(image, bytes):
            pixels = decode_image(
                image, image_size=size, channels=channels, where=where
            )
        else:
            pixels = resize_images(np.asarray(image)[None], size)[0]
        if pixels.shape != self.image_shape:
            raise DataError(
                f"image of shape {pixels.shape}, not {self.image_shape}: {where}"
            )
        return pixels


def load_tfds(
    name: str,
    *,
    path: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
) -> Dataset:
    """Opens a TFDS image classification dataset that lies prepared on disk.

    Args:
      name: As TFDS writes it: `mnist`, `cifar10:3.0.2`, `cmaterdb/devanagari`.
      path: TFDS's data folder; None means its own default.
      image_size: Height and width of the images, in pixels; None keeps the dataset's
        when all its images have one shape, and else means 64.

    Returns:
      The splits train, validation (or valid, val) and test that it has.

    Raises:
      DataError: It isn't prepared for random access, or has no train split, no
        uint8 `image` or no `label` with classes; or, at read, a damaged record or a
        label out of range.
      ValueError: image_size is below 1.

    Example:
      >>> load_tfds("not a name")
      Traceback (most recent call last):
      jaxdl.errors.DataError: 'not a name' is no TFDS name: want name, name/config or \
name:1.2.3
    """
    check_image_size(image_size)
    data_dir = None if path is None else resolve_path(path)
    builder = _open_builder(name, data_dir)
    origin = builder.info.full_name
    image_feature, class_names = _check_features(builder.info.features, origin)
    shape, decoders = _plan_images(image_feature, image_size, origin)
    splits = {}
    for stored, split in _SPLITS.items():
        if stored in builder.info.splits and split not in splits:
            records, files = _open_split(builder, stored, decoders)
            splits[split] = TfdsSplit(
                records,
                name=stored,
                num_classes=len(class_names),
                image_shape=shape,
                origin=origin,
                files=files,
            )
    if "train" not in splits:
        stored = ", ".join(builder.info.splits)
        raise DataError(f"TFDS dataset {origin} has no train split, only {stored}")
    return Dataset(origin, splits, class_names)


def _open_builder(name: str, data_dir: os.PathLike[str] | None) -> Any:
    import tensorflow_datasets as tfds

    where = "its default folder" if data_dir is None else show_path(data_dir)
    folder = "" if data_dir is None else f"data_dir={str(data_dir)!r}, "
    missing = (
        f"no prepared TFDS dataset {name!r} in {where}: prepare it once with "
        f"tfds.builder({name!r}, {folder}file_format='array_record')"
        ".download_and_prepare()"
    )
    # Other prefixes would reach for the network ("huggingface:...").
    if not re.fullmatch(r"\w+(/[\w.,=+-]+)?(:\d+\.\d+\.\d+)?", name):
        raise DataError(
            f"{name!r} is no TFDS name: want name, name/config or name:1.2.3"
        )
    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
        if not builder.info.splits:
            raise DataError(missing)
    except DataError:
        raise
    except tfds.core.DatasetNotFoundError:
        raise DataError(missing) from None
    except Exception as error:  # damaged metadata fails in any of its parsers
        raise DataError(f"{missing}; TFDS says: {show_reason(error)}") from error
    return builder


def _check_features(features: Any, origin: str) -> tuple[Any, tuple[str, ...]]:
    names = sorted(features) if hasattr(features, "keys") else []
    if "image" not in names or "label" not in names:
        raise DataError(
            f"TFDS dataset {origin} needs features image and label, "
            f"it has {', '.join(names) or type(features).__name__}"
        )
    class_names = getattr(features["label"], "names", None)
    if class_names is None:
        kind = type(features["label"]).__name__
        raise DataError(f"label of TFDS dataset {origin} has no classes: it is {kind}")
    return features["image"], tuple(class_names)


def _plan_images(
    feature: Any, image_size: int | None, origin: str
) -> tuple[tuple[int, int, int], dict[str, Any]]:
    """The shape to give out, and the decoders that leave files to this library."""
    import tensorflow_datasets as tfds

    shape = feature.shape
    if len(shape) != 3 or np.dtype(feature.np_dtype) != np.uint8:
        raise DataError(
            f"image of TFDS dataset {origin} must be uint8 of shape (height, width, "
            f"channels), it is {np.dtype(feature.np_dtype)} of shape {shape}"
        )
    height, width, stored_channels = shape
    channels = 1 if stored_channels == 1 else 3
    if image_size is None and None in (height, width):
        image_size = DEFAULT_IMAGE_SIZE
    if image_size is not None:
        height = width = image_size
    is_file = isinstance(feature, tfds.features.Image)
    decoders = {"image": tfds.decode.SkipDecoding()} if is_file else {}
    return (height, width, channels), decoders


def _open_split(
    builder: Any, stored: str, decoders: dict[str, Any]
) -> tuple[Any, list[os.PathLike[str]]]:
    """The records of a split, and the files that hold them."""
    where = f"split {stored} of TFDS dataset {builder.info.full_name}"
    try:
        records = builder.as_data_source(stored, decoders=decoders)
    except (NotImplementedError, ValueError, OSError):
        records = None
    # TFDS also reads parquet at random positions, but writes it incompletely.
    found = builder.info.file_format
    if found is None or found.value != "array_record":
        raise DataError(
            f"{where} is stored as {found and found.value}: prepare it with "
            "file_format='array_record', to be read at random positions"
        )
    files = list(builder.info.splits[stored].filepaths)
    missing = [file for file in files if not os.path.exists(file)]
    if missing or records is None:
        shown = f": no file {show_path(missing[0])}" if missing else ""
        raise DataError(f"can't open {where}{shown}; prepare it again")
    return records, files
