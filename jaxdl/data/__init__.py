"""Sources of labelled images, and the order in which their batches come.

A source becomes a `Dataset` of named splits; a split reads any positions as NumPy
arrays. Nothing here touches a device.
"""

import difflib
import functools
import os
from collections.abc import Callable

from jaxdl.data.cifar10 import load_cifar10
from jaxdl.data.dataset import (
    SPLIT_NAMES,
    Dataset,
    from_arrays,
    with_held_out,
    with_limited_train,
)
from jaxdl.data.digits import load_digits
from jaxdl.data.folder import FolderSplit, load_folder
from jaxdl.data.idx import load_idx
from jaxdl.data.image import decode_image, resize_images
from jaxdl.data.memory import load_into_memory, measure_channels
from jaxdl.data.order import batch_indices, evaluation_batches
from jaxdl.data.paths import resolve_path
from jaxdl.data.split import ArraySplit, Split, Subset
from jaxdl.data.stream import stream_batches
from jaxdl.data.tfds import TfdsSplit, load_tfds

SOURCES: dict[str, Callable[..., Dataset]] = {
    "digits": load_digits,
    "idx": load_idx,
    "cifar10": load_cifar10,
    "folder": load_folder,
    "tfds": load_tfds,
}
"""Loaders by the name that a config writes in `data.source`."""


def load_dataset(
    source: str,
    *,
    path: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
) -> Dataset:
    """Loads a dataset by the name of its source.

    Args:
      source: A key of `SOURCES`; TFDS takes a dataset's name too: `tfds:mnist`.
      path: Where its files are, as `resolve_path` finds them.
      image_size: Height and width of the images, in pixels; None leaves it to the
        source.

    Returns:
      The dataset, with the splits that the source has.

    Raises:
      ValueError: An unknown source, or image_size is below 1.
      DataError: The files are missing, damaged or inconsistent.

    Example:
      >>> load_dataset("digits", image_size=16).image_shape
      (16, 16, 1)
    """
    kind, colon, name = source.partition(":")
    if kind == "tfds" and name:
        load = functools.partial(load_tfds, name)
    elif kind in SOURCES and kind != "tfds" and not colon:
        load = SOURCES[kind]
    else:
        close = difflib.get_close_matches(kind, SOURCES, n=1)
        hint = f"; did you mean {_spell(close[0])}?" if close else ""
        choices = ", ".join(_spell(key) for key in SOURCES)
        raise ValueError(f"unknown source {source!r}: choose from {choices}{hint}")
    return load(path=path, image_size=image_size)


def _spell(kind: str) -> str:
    return "tfds:<name>" if kind == "tfds" else kind


__all__ = [
    "SOURCES",
    "SPLIT_NAMES",
    "ArraySplit",
    "Dataset",
    "FolderSplit",
    "Split",
    "Subset",
    "TfdsSplit",
    "batch_indices",
    "decode_image",
    "evaluation_batches",
    "from_arrays",
    "load_cifar10",
    "load_dataset",
    "load_digits",
    "load_folder",
    "load_idx",
    "load_into_memory",
    "load_tfds",
    "measure_channels",
    "resize_images",
    "resolve_path",
    "stream_batches",
    "with_held_out",
    "with_limited_train",
]
