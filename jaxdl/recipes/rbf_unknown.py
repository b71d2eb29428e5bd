"""Images that a network should not know: shuffled ones, and those of other datasets."""

import numpy as np

from jaxdl.data import ArraySplit, Split, load_dataset
from jaxdl.errors import ConfigError, DataError
from jaxdl.recipes.rbf_config import UnknownSection
from jaxdl.typing import UInt8

_LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue, as of ITU-R BT.601 and Pillow."""


def load_unknown(
    section: UnknownSection, image_shape: tuple[int, int, int]
) -> ArraySplit | None:
    """Draws images of another dataset and gives them the shape of those trained on.

    Images are resized as those of any source, grey ones repeated over three channels,
    colours turned to grey. No label is kept.

    Args:
      section: names the dataset.
      image_shape: height, width and channels wanted.

    Returns:
      A split named as the dataset, all labels 0; None where the section names none.

    Raises:
      ConfigError: the dataset lacks the part asked for, or its images can't get that
        shape.
      DataError: see `jaxdl.data.load_dataset`.
    """
    if section.source is None:
        return None
    height, width, channels = image_shape
    try:
        dataset = load_dataset(
            section.source,
            path=section.path,
            image_size=height if height == width else None,
        )
    except DataError as error:
        key = "source" if section.path is None else "path"
        raise DataError(f"unknown.{key}: {error}") from None
    part = section.split or ("test" if "test" in dataset.splits else "train")
    if part not in dataset.splits:
        raise ConfigError(
            f"unknown.split: {dataset.name} has no {part}, wanted one of "
            f"{', '.join(dataset.splits)}"
        )
    split = dataset.splits[part]
    drawn = np.random.default_rng(0).permutation(len(split))[: section.num_images]
    images = _match_channels(split.read(np.sort(drawn))["images"], channels)
    if images.shape[1:] != image_shape:
        shapes = [
            "x".join(map(str, shape)) for shape in (images.shape[1:], image_shape)
        ]
        raise ConfigError(
            f"unknown.source: images of {dataset.name} are {shapes[0]}, those trained "
            f"on {shapes[1]}; only square ones of 1 or 3 channels are made to fit"
        )
    return ArraySplit(images, np.zeros(len(images), np.int32), name=dataset.name)


def shuffle_pixels(split: Split, *, num_images: int) -> ArraySplit:
    """Images of no class: the first of a split with their pixels in another order.

    Args:
      split: where they are from.
      num_images: at most.

    Returns:
      Each pixel keeps its colour, each image its pixels; all labels are 0.

    Example:
      >>> images = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
      >>> split = ArraySplit(images, np.array([1]), name="test")
      >>> shuffled = shuffle_pixels(split, num_images=5)
      >>> sorted(shuffled.images.ravel().tolist()), shuffled.labels.tolist()
      ([0, 1, 2, 3], [0])
    """
    images = split.read(np.arange(min(len(split), num_images)))["images"]
    generator = np.random.default_rng(0)
    pixels = images.reshape(len(images), -1, images.shape[-1])
    # One order per image for all channels: a pixel of three stays one colour.
    orders = np.argsort(generator.uniform(size=pixels.shape[:2]), axis=1)
    shuffled = np.take_along_axis(pixels, orders[..., None], axis=1)
    labels = np.zeros(len(images), np.int32)
    return ArraySplit(shuffled.reshape(images.shape), labels, name="shuffled pixels")


def _match_channels(
    images: UInt8[np.ndarray, "batch height width channels"], channels: int
) -> UInt8[np.ndarray, "batch height width new_channels"]:
    """Grey repeated or colours turned to grey; anything else is left as it is."""
    if (images.shape[-1], channels) == (1, 3):
        return np.repeat(images, 3, axis=-1)
    if (images.shape[-1], channels) == (3, 1):
        return np.rint(images @ np.array(_LUMINANCE))[..., None].astype(np.uint8)
    return images
