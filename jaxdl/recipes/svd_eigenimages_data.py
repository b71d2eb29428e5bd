"""The images of the study of principal components, in memory."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxdl.data import (
    load_dataset,
    load_into_memory,
    with_held_out,
    with_limited_train,
)
from jaxdl.recipes.svd_eigenimages_config import LabelledImagesSection
from jaxdl.typing import Array


class ImageSplit(NamedTuple):
    """A split in memory.

    Attributes:
      images: uint8, (images, height, width, channels).
      pixels: the same as rows of float32 in [0, 1].
      labels: the class of each image.
    """

    images: np.ndarray
    pixels: Array
    labels: np.ndarray


class ImageSplits(NamedTuple):
    """Images to train on and to test on, and what they are called."""

    name: str
    class_names: tuple[str, ...]
    train: ImageSplit
    test: ImageSplit

    def locate(self, position: int) -> tuple[str, int]:
        """Split, and place in it, of an image counted through train and then test."""
        count = len(self.train.labels)
        if position < count:
            return "train", position
        return "test", position - count


def load_image_splits(section: LabelledImagesSection, *, seed: int) -> ImageSplits:
    """Loads the training and test images that a config names.

    Args:
      section: where they are; a test split is cut if the source has none.
      seed: of that cut, and of the choice if training images are limited.

    Returns:
      Both splits.

    Raises:
      DataError: see `jaxdl.data.load_dataset`.
    """
    dataset = load_dataset(
        section.source, path=section.path, image_size=section.image_size
    )
    if "test" not in dataset.splits:
        # The validation part that is cut too goes unused: one image in a hundred.
        dataset = with_held_out(
            dataset,
            validation_fraction=0.01,
            test_fraction=section.test_fraction,
            seed=seed,
        )
    if section.train_limit is not None:
        dataset = with_limited_train(
            dataset, num_examples=section.train_limit, seed=seed
        )
    splits = []
    for name in ("train", "test"):
        split = load_into_memory(dataset.splits[name])
        pixels = split.images.reshape(len(split), -1).astype(np.float32)
        if split.images.dtype == np.uint8:
            pixels /= np.float32(255)
        splits.append(ImageSplit(split.images, jnp.asarray(pixels), split.labels))
    return ImageSplits(dataset.name, dataset.class_names, *splits)
