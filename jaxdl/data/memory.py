"""Whole splits at once: into memory, or into channel statistics."""

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jaxdl.data.split import ArraySplit, Split

_CHUNK = 256  # examples: enough to hide the hand-over, few enough to stop early


def load_into_memory(split: Split) -> ArraySplit:
    """Reads a whole split into arrays, on as many threads as there are cores.

    Args:
      split: Needs `split.num_bytes` of memory.

    Returns:
      The same examples in the same order; `describe` and `fingerprint` still
      answer for the split they came from. A split that lies in memory already is
      returned as it is.

    Raises:
      DataError: An example can't be read.

    Example:
      >>> images = np.zeros((3, 8, 8, 1), np.uint8)
      >>> split = ArraySplit(images, np.arange(3), name="train")
      >>> load_into_memory(split) is split
      True
    """
    if isinstance(split, ArraySplit):
        return split
    images, labels = None, np.empty(len(split), np.int32)
    for indices, batch in _read_chunks(split, np.arange(len(split))):
        if images is None:
            shape = (len(split), *split.image_shape)
            images = np.empty(shape, batch["images"].dtype)
        images[indices], labels[indices] = batch["images"], batch["labels"]
    if images is None:
        raise ValueError("a split without examples can't be loaded")
    return ArraySplit(images, labels, name="memory", origin=split)


def measure_channels(
    split: Split, *, max_examples: int = 2000
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measures each channel's mean and standard deviation over pixels.

    Args:
      split: The one the network is trained on.
      max_examples: Measures this many, evenly spaced, when there are more.

    Returns:
      (mean, std), one number per channel, for images scaled to [0, 1]; sums are
      float64. std is at least 1/255, so that a constant channel can be divided by it.

    Raises:
      DataError: An example can't be read.
      ValueError: max_examples is below 1.

    Example:
      >>> images = np.full((3, 8, 8, 1), 51, np.uint8)
      >>> split = ArraySplit(images, np.arange(3), name="train")
      >>> mean, std = measure_channels(split)
      >>> print(f"{mean[0]:.3f} {std[0]:.4f}")
      0.200 0.0039
    """
    if max_examples < 1:
        raise ValueError(f"max_examples must be at least 1, got {max_examples}")
    count = min(len(split), max_examples)
    chosen = np.arange(count) * len(split) // count
    totals, squares, num_pixels = 0.0, 0.0, 0
    for _, batch in _read_chunks(split, chosen):
        scale = 255.0 if batch["images"].dtype == np.uint8 else 1.0
        values = batch["images"].astype(np.float64) / scale
        totals = totals + values.sum((0, 1, 2))
        squares = squares + (values * values).sum((0, 1, 2))
        num_pixels += values[..., 0].size
    mean = np.asarray(totals) / num_pixels
    # One pass loses about eps * mean**2 to cancellation: nothing for pixels in [0, 1].
    std = np.sqrt(np.maximum(np.asarray(squares) / num_pixels - mean**2, 0))
    std = np.maximum(std, 1 / 255)
    return tuple(mean.tolist()), tuple(std.tolist())


def _read_chunks(
    split: Split, indices: np.ndarray
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yields chunks in order; a bad example stops the threads at once."""
    chunks = (indices[i : i + _CHUNK] for i in range(0, len(indices), _CHUNK))
    num_threads = os.cpu_count() or 1
    executor = ThreadPoolExecutor(num_threads)
    # A bounded queue, so that decoding never runs far ahead of what is consumed.
    queue = deque(
        (chunk, executor.submit(split.read, chunk))
        for chunk in itertools.islice(chunks, num_threads + 1)
    )
    try:
        while queue:
            chunk, result = queue.popleft()
            batch = result.result()
            for following in itertools.islice(chunks, 1):
                queue.append((following, executor.submit(split.read, following)))
            yield chunk, batch
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
