"""Named splits with their classes, and how to cut the parts a source lacks."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.data.order import HELD_OUT_CUT, TRAIN_LIMIT, permute_examples
from jaxdl.data.split import ArraySplit, Split, Subset
from jaxdl.errors import DataError

SPLIT_NAMES = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An image classification dataset.

    Attributes:
      name: For messages and figures.
      splits: `"train"`, and `"validation"` and `"test"` where there are any.
      class_names: One per class, in the order of the labels.
    """

    name: str
    splits: Mapping[str, Split]
    class_names: tuple[str, ...]

    def __post_init__(self):
        unknown = sorted(set(self.splits) - set(SPLIT_NAMES))
        if unknown or "train" not in self.splits:
            raise ValueError(
                f"splits of {self.name} must be train and any of validation, test; "
                f"got {sorted(self.splits)}"
            )
        if len(self.class_names) < 2:
            raise DataError(
                f"{self.name} has a single class, {self.class_names[0]!r}: "
                "nothing to tell apart"
                if self.class_names
                else f"{self.name} has no classes"
            )
        shapes = {name: split.image_shape for name, split in self.splits.items()}
        if len(set(shapes.values())) > 1:
            raise DataError(f"image shapes of {self.name} differ by split: {shapes}")

    @property
    def num_classes(self) -> int:
        """How many classes; labels lie in [0, num_classes)."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of every image of every split, in pixels."""
        return self.splits["train"].image_shape

    def fingerprint(self) -> str:
        """A SHA-256 (hex) of the class names and of every split's content."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for name in SPLIT_NAMES:
            if name in self.splits:
                digest.update(f"{name} {self.splits[name].fingerprint()}".encode())
        return digest.hexdigest()


def with_held_out(
    dataset: Dataset, *, validation_fraction: float, test_fraction: float, seed: int
) -> Dataset:
    """Cuts the validation and test splits that are missing from train.

    A split that exists is kept as it is and its fraction is not used. The test
    part is cut first, so it doesn't depend on `validation_fraction`.

    Args:
      dataset: With train, and maybe validation and test.
      validation_fraction: Share of the given train split, in (0, 1).
      test_fraction: Share of the given train split, in (0, 1).
      seed: Chooses the examples; in [0, 2**64).

    Returns:
      The dataset with all three splits; no example is in two of the cut ones.

    Raises:
      ValueError: A fraction that is needed is outside (0, 1).
      DataError: A part, or what is left of train, would be empty.

    Example:
      >>> images, labels = np.zeros((10, 8, 8), np.uint8), np.arange(10) % 2
      >>> dataset = with_held_out(
      ...     from_arrays((images, labels)),
      ...     validation_fraction=0.2,
      ...     test_fraction=0.3,
      ...     seed=0,
      ... )
      >>> [len(dataset.splits[name]) for name in ("train", "validation", "test")]
      [5, 2, 3]
    """
    fractions = {"test": test_fraction, "validation": validation_fraction}
    missing = {k: v for k, v in fractions.items() if k not in dataset.splits}
    if not missing:
        return dataset
    train = dataset.splits["train"]
    order = permute_examples(len(train), purpose=HELD_OUT_CUT, seed=seed)
    splits, start = dict(dataset.splits), 0
    for name, fraction in missing.items():
        if not 0 < fraction < 1:
            raise ValueError(f"{name}_fraction must be in (0, 1), got {fraction}")
        stop = start + round(fraction * len(train))
        if stop == start:
            raise DataError(
                f"{name} would be empty: {fraction:g} of the {len(train)} train "
                f"examples of {dataset.name}"
            )
        splits[name] = Subset(train, np.sort(order[start:stop]))
        start = stop
    if start >= len(train):
        raise DataError(
            f"nothing is left of the {len(train)} train examples of {dataset.name} "
            f"after {' and '.join(f'{k} {v:g}' for k, v in missing.items())}"
        )
    splits["train"] = Subset(train, np.sort(order[start:]))
    return dataclasses.replace(dataset, splits=splits)


def with_limited_train(dataset: Dataset, *, num_examples: int, seed: int) -> Dataset:
    """Keeps some examples of train, equally many of each class.

    Args:
      dataset: Its other splits are kept as they are.
      num_examples: How many to keep, at least one per class; where the classes don't
        divide it, the first ones get one more.
      seed: Chooses the examples; in [0, 2**64). A larger number with the same seed
        keeps those of a smaller one and adds to them.

    Returns:
      The dataset with the smaller train split, in the order of the larger one.

    Raises:
      DataError: A class has too few examples, or num_examples is below the number of
        classes.

    Example:
      >>> images, labels = np.zeros((10, 8, 8), np.uint8), np.arange(10) % 2
      >>> dataset = from_arrays((images, labels))
      >>> train = with_limited_train(dataset, num_examples=4, seed=0).splits["train"]
      >>> sorted(train.read(np.arange(4))["labels"].tolist())
      [0, 0, 1, 1]
    """
    train, num_classes = dataset.splits["train"], dataset.num_classes
    if num_examples < num_classes:
        raise DataError(
            f"{num_examples} train examples of {dataset.name} are too few for its "
            f"{num_classes} classes"
        )
    wanted = np.full(num_classes, num_examples // num_classes)
    wanted[: num_examples % num_classes] += 1
    missing, chosen = wanted.copy(), []
    order = permute_examples(len(train), purpose=TRAIN_LIMIT, seed=seed)
    # In parts: only as many examples are read as it takes to find enough of each.
    for start in range(0, len(order), num_examples):
        positions = order[start : start + num_examples]
        for position, label in zip(
            positions, train.read(positions)["labels"], strict=True
        ):
            if missing[label] > 0:
                missing[label] -= 1
                chosen.append(position)
        if len(chosen) == num_examples:
            break
    if missing.any():
        label = int(np.argmax(missing > 0))
        raise DataError(
            f"{wanted[label]} train examples of {dataset.class_names[label]!r} wanted "
            f"for a balanced {num_examples}, {dataset.name} has "
            f"{wanted[label] - missing[label]}"
        )
    limited = Subset(train, np.sort(np.array(chosen)))
    return dataclasses.replace(dataset, splits={**dataset.splits, "train": limited})


def from_arrays(
    train: tuple[Any, Any],
    *,
    validation: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    class_names: Sequence[str] | None = None,
) -> Dataset:
    """Makes a dataset of arrays that lie in memory.

    Args:
      train: (images, labels): images uint8 in [0, 255] or float32 in [0, 1], shape
        (n, height, width, channels) or (n, height, width); labels integers.
      validation: Likewise, when there is one.
      test: Likewise, when there is one.
      class_names: One per class; "0", "1", ... up to the largest train label when
        not given.

    Returns:
      The dataset; the arrays are not copied.

    Raises:
      ValueError: A wrong rank, dtype or length.
      DataError: A label outside the classes, or fewer than two classes.

    Example:
      >>> images = np.zeros((4, 28, 28), np.uint8)
      >>> dataset = from_arrays((images, np.array([0, 1, 2, 0])))
      >>> dataset.image_shape, dataset.class_names
      ((28, 28, 1), ('0', '1', '2'))
    """
    pairs = {"train": train, "validation": validation, "test": test}
    if class_names is None:
        labels = np.asarray(train[1])
        largest = max(0, int(labels.max())) if labels.size else 0
        class_names = [str(label) for label in range(largest + 1)]
    splits = {}
    for name, pair in pairs.items():
        if pair is not None:
            images, labels = np.asarray(pair[0]), np.asarray(pair[1])
            images = images[..., None] if images.ndim == 3 else images
            splits[name] = ArraySplit(
                images, labels, name=name, num_classes=len(class_names)
            )
    return Dataset("arrays", splits, tuple(class_names))
