"""What a split is, and the two kinds that need no file: arrays and subsets."""

import hashlib
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Integer, Shaped

from jaxdl.errors import DataError


@runtime_checkable
class Split(Protocol):
    """Labelled images that can be read in any order: one part of a dataset.

    Attributes:
      image_shape: Height, width, channels of every image, in pixels.
      num_bytes: Bytes of all images once decoded.
    """

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of every image, in pixels."""
        ...

    @property
    def num_bytes(self) -> int:
        """Bytes of all images once decoded."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: Integer[np.ndarray, "batch"]) -> dict[str, np.ndarray]:
        """Reads the images and labels at these positions, in this order.

        Args:
          indices: Positions in [0, len).

        Returns:
          `"images"` (batch, height, width, channels), uint8 (float32 for arrays
          given as such), and `"labels"` (batch,), int32.

        Raises:
          DataError: An image can't be decoded or a label is out of range; the
            message names the file or position, and the reason.
          ValueError: A position is outside the split.
        """
        ...

    def describe(self, index: int) -> str:
        """The file of an example, or its position such as `train[17]`."""
        ...

    def fingerprint(self) -> str:
        """A SHA-256 (hex) that changes when the split's content does."""
        ...


class ArraySplit:
    """A split whose images lie in memory.

    Example:
      >>> images = np.zeros((3, 8, 8, 1), np.uint8)
      >>> split = ArraySplit(images, np.array([0, 1, 1]), name="train")
      >>> split.read(np.array([2, 0]))["labels"].tolist()
      [1, 0]
      >>> split.describe(2)
      'train[2]'
    """

    def __init__(
        self,
        images: Shaped[np.ndarray, "..."],
        labels: Shaped[np.ndarray, "..."],
        *,
        name: str,
        num_classes: int | None = None,
        file: str | None = None,
        origin: Split | None = None,
    ):
        """Checks the arrays and keeps read-only views of the images.

        Args:
          images: uint8 in [0, 255] or float32 in [0, 1], of shape (num_examples,
            height, width, channels).
          labels: Any integer dtype, of shape (num_examples,).
          name: The split's name, for messages.
          num_classes: When given, labels are checked against it.
          file: Where the labels come from, for messages.
          origin: The split these arrays were read from; it then answers
            `describe` and `fingerprint`.

        Raises:
          ValueError: A wrong rank, dtype or length.
          DataError: A label outside [0, num_classes).
        """
        images, labels = np.asarray(images), np.asarray(labels)
        _check_arrays(images, labels, name=name)
        if num_classes is not None:
            check_labels(labels, num_classes, name=name, file=file)
        self.name = name
        self.images = _read_only(images)
        self.labels = _read_only(labels.astype(np.int32))
        self.image_shape: tuple[int, int, int] = images.shape[1:]
        self.num_bytes: int = images.nbytes
        self._origin = origin
        self._fingerprint: str | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Integer[np.ndarray, "batch"]) -> dict[str, np.ndarray]:
        """Gathers images and labels; see `Split.read`."""
        indices = check_indices(indices, len(self), name=self.name)
        return {"images": self.images[indices], "labels": self.labels[indices]}

    def describe(self, index: int) -> str:
        """The position, such as `train[17]`, or the file it was loaded from."""
        if self._origin is not None:
            return self._origin.describe(index)
        return f"{self.name}[{index}]"

    def fingerprint(self) -> str:
        """The SHA-256 of shape, dtype, labels and images; computed once."""
        if self._fingerprint is None:
            if self._origin is not None:
                self._fingerprint = self._origin.fingerprint()
            else:
                header = f"{self.images.shape} {self.images.dtype.str}".encode()
                digest = hashlib.sha256(header)
                digest.update(np.ascontiguousarray(self.labels).data)
                digest.update(np.ascontiguousarray(self.images).data)
                self._fingerprint = digest.hexdigest()
        return self._fingerprint


class Subset:
    """Some examples of another split, in a given order, read through it.

    Example:
      >>> split = ArraySplit(np.zeros((3, 8, 8, 1), np.uint8), np.arange(3), name="all")
      >>> subset = Subset(split, np.array([2, 0]))
      >>> subset.read(np.array([0]))["labels"].tolist(), subset.describe(0)
      ([2], 'all[2]')
    """

    def __init__(self, split: Split, indices: Integer[np.ndarray, "num_examples"]):
        """Keeps the split and the positions.

        Args:
          split: Where the examples are read from.
          indices: Positions in [0, len(split)).

        Raises:
          ValueError: A position outside the split.
        """
        self.split = split
        self.indices = _read_only(check_indices(indices, len(split), name="subset"))
        self.image_shape = split.image_shape
        self.num_bytes = split.num_bytes * len(self.indices) // max(len(split), 1)

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: Integer[np.ndarray, "batch"]) -> dict[str, np.ndarray]:
        """Reads through the other split; see `Split.read`."""
        positions = check_indices(indices, len(self), name="subset")
        return self.split.read(self.indices[positions])

    def describe(self, index: int) -> str:
        """What the other split calls this example."""
        return self.split.describe(int(self.indices[index]))

    def fingerprint(self) -> str:
        """The SHA-256 of the other split's fingerprint and the positions."""
        digest = hashlib.sha256(self.split.fingerprint().encode())
        digest.update(np.ascontiguousarray(self.indices).data)
        return digest.hexdigest()


def check_indices(
    indices: Integer[np.ndarray, "batch"], num_examples: int, *, name: str
) -> Int[np.ndarray, "batch"]:
    """Refuses positions outside a split, where NumPy would wrap negative ones.

    Args:
      indices: Positions, any integer dtype.
      num_examples: Length of the split.
      name: The split's name, for the message.

    Returns:
      The positions as int64.

    Raises:
      ValueError: A position outside [0, num_examples).

    Example:
      >>> check_indices(np.array([0, 3]), 3, name="train")
      Traceback (most recent call last):
      ValueError: index 3 outside train of 3 examples
    """
    indices = np.asarray(indices, np.int64)
    outside = (indices < 0) | (indices >= num_examples)
    if outside.any():
        first = indices[outside][0]
        raise ValueError(f"index {first} outside {name} of {num_examples} examples")
    return indices


def check_labels(
    labels: Integer[np.ndarray, "batch"],
    num_classes: int,
    *,
    name: str,
    file: str | None = None,
) -> None:
    """Refuses labels that name no class; losses would turn them into noise.

    Args:
      labels: Any integer dtype.
      num_classes: Labels lie in [0, num_classes).
      name: What the labels belong to; the message says `name[position]`.
      file: Where the labels come from, for the message.

    Raises:
      DataError: A label outside the range; the first one is named.

    Example:
      >>> check_labels(np.array([0, 9]), 10, name="train")
    """
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        first = int(np.argmax(outside))
        where = f"{name}[{first}]" + (f" ({file})" if file else "")
        raise DataError(
            f"label {labels[first]} outside [0, {num_classes - 1}] in {where}"
        )


def _check_arrays(images: np.ndarray, labels: np.ndarray, *, name: str) -> None:
    if images.ndim != 4:
        raise ValueError(
            f"images of {name} must have shape (num_examples, height, width, "
            f"channels), got {images.shape}"
        )
    if images.dtype not in (np.uint8, np.float32):
        raise ValueError(
            f"images of {name} must be uint8 or float32, got {images.dtype}"
        )
    if labels.ndim != 1 or len(labels) != len(images):
        raise ValueError(
            f"labels of {name} must have shape ({len(images)},), one per image, "
            f"got {labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels of {name} must be integers, got {labels.dtype}")
    if 0 in images.shape:
        raise ValueError(f"images of {name} are empty: shape {images.shape}")


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
