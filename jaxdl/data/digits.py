"""The 1,797 handwritten digits that come with scikit-learn: no download."""

import os

import numpy as np

from jaxdl.data.dataset import Dataset
from jaxdl.data.image import resize_images
from jaxdl.data.order import DIGITS_TEST, permute_examples
from jaxdl.data.split import ArraySplit
from jaxdl.errors import DataError


def load_digits(
    *, path: str | os.PathLike[str] | None = None, image_size: int | None = None
) -> Dataset:
    """Loads 8 x 8 grey digits: 1,438 for training, 359 for testing.

    The test part is the same on every machine: a fifth of each class.

    Args:
      path: Must be None.
      image_size: Enlarges the images to this height and width, in pixels.

    Returns:
      Splits train and test; 10 classes.

    Raises:
      DataError: A path was given.
      ValueError: image_size is below 1.

    Source:
      E. Alpaydin and C. Kaynak, Optical recognition of handwritten digits, UCI, 1998
      (its test part, as scikit-learn packs it). Values 0..16 become 0..255.

    Example:
      >>> dataset = load_digits()
      >>> {name: len(split) for name, split in dataset.splits.items()}
      {'train': 1438, 'test': 359}
    """
    if path is not None:
        raise DataError(
            f"source 'digits' comes with scikit-learn and takes no path, got {path!r}"
        )
    from sklearn.datasets import load_digits as load_from_sklearn

    pixels, labels = load_from_sklearn(return_X_y=True)
    images = np.round(pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    images = resize_images(images, image_size)
    chosen = _choose_test(labels)
    parts = {"train": np.flatnonzero(~chosen), "test": np.flatnonzero(chosen)}
    splits = {
        name: ArraySplit(images[part], labels[part], name=name, num_classes=10)
        for name, part in parts.items()
    }
    return Dataset("digits", splits, tuple("0123456789"))


def _choose_test(labels: np.ndarray) -> np.ndarray:
    """Marks a fifth of each class."""
    chosen = np.zeros(len(labels), bool)
    for label in range(10):
        members = np.flatnonzero(labels == label)
        order = permute_examples(len(members), purpose=DIGITS_TEST, seed=label)
        chosen[members[order[: round(len(members) / 5)]]] = True
    return chosen
