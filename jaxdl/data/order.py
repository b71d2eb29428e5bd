"""Which examples are in batch i: a pure function of seed, step and process.

The training stream is one permutation of the examples per epoch, laid end to end;
batch i holds positions [i * batch_size, (i + 1) * batch_size) of it. Nothing has to
be saved to resume, and any number of processes sees the same global batches.
"""

import functools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int

TRAIN_ORDER, HELD_OUT_CUT, DIGITS_TEST, TRAIN_LIMIT = 0, 1, 2, 3
"""Purposes: two permutations with one seed and different purposes are unrelated."""


def permute_examples(
    num_examples: int, *, purpose: int, epoch: int = 0, seed: int
) -> Int[np.ndarray, "num_examples"]:
    """Shuffles the positions 0 .. num_examples - 1.

    The order is the rank of raw Philox words, whose stream NumPy guarantees;
    `Generator.permutation` may change with NumPy's version, and with it every run.

    Args:
      num_examples: How many positions.
      purpose: One of this module's purposes, below 256.
      epoch: Counts from 0; each has its own order.
      seed: In [0, 2**64).

    Returns:
      A permutation, int64.

    Raises:
      ValueError: The seed is outside its range.

    Source:
      Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011 (Philox).

    Example:
      >>> sorted(permute_examples(5, purpose=TRAIN_ORDER, seed=0).tolist())
      [0, 1, 2, 3, 4]
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), got {seed}")
    # A key of two whole words can't collide, as hashed seed sequences may.
    key = np.array([seed, epoch << 8 | purpose], np.uint64)
    words = np.random.Philox(key=key).random_raw(num_examples)
    return np.argsort(words, kind="stable")


def batch_indices(
    step: int,
    *,
    seed: int,
    num_examples: int,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Int[np.ndarray, "process_batch"]:
    """Picks the examples of one training batch, or one process's rows of it.

    Every example comes once per epoch; a batch may straddle two epochs, or span
    several when it is larger than the dataset.

    Args:
      step: The batch's number, from 0.
      seed: Fixes the order of all epochs; in [0, 2**64).
      num_examples: Length of the split.
      batch_size: Rows of the global batch.
      process_index: This process, in [0, process_count).
      process_count: Processes that share the batch; process p gets the p-th
        contiguous slice of rows.

    Returns:
      Positions in the split, int64, batch_size / process_count of them.

    Raises:
      ValueError: A negative step, an empty split or batch, a batch that doesn't
        divide by the processes, or a process index out of range.

    Example:
      >>> first, second = (
      ...     batch_indices(step, seed=0, num_examples=6, batch_size=3)
      ...     for step in (0, 1)
      ... )
      >>> sorted([*first.tolist(), *second.tolist()])
      [0, 1, 2, 3, 4, 5]
    """
    if step < 0:
        raise ValueError(f"step must be at least 0, got {step}")
    _check_sizes(num_examples, batch_size)
    if not 0 <= process_index < process_count:
        raise ValueError(
            f"process_index must be in [0, {process_count}), got {process_index}"
        )
    if batch_size % process_count:
        raise ValueError(
            f"batch_size {batch_size} does not divide by process_count {process_count}"
        )
    rows = batch_size // process_count
    position = int(step) * batch_size + process_index * rows
    parts, missing = [], rows
    while missing:
        epoch, offset = divmod(position, num_examples)
        part = _epoch_order(num_examples, epoch, seed)[offset : offset + missing]
        parts.append(part)
        position += len(part)
        missing -= len(part)
    return np.concatenate(parts)


def evaluation_batches(
    num_examples: int, *, batch_size: int
) -> Iterator[tuple[Int[np.ndarray, "batch"], Bool[np.ndarray, "batch"]]]:
    """Goes through all examples in order, in batches of one shape.

    Args:
      num_examples: Length of the split.
      batch_size: Rows of each batch; the last is filled up with example 0.

    Returns:
      An iterator of (positions int64, mask): the mask is False on the filling.

    Raises:
      ValueError: An empty split or batch.

    Example:
      >>> for indices, mask in evaluation_batches(3, batch_size=2):
      ...     print(indices.tolist(), mask.tolist())
      [0, 1] [True, True]
      [2, 0] [True, False]
    """
    _check_sizes(num_examples, batch_size)
    return _iterate_padded(num_examples, batch_size)


def _iterate_padded(num_examples: int, batch_size: int):
    for start in range(0, num_examples, batch_size):
        positions = np.arange(start, start + batch_size, dtype=np.int64)
        mask = positions < num_examples
        yield np.where(mask, positions, 0), mask


# Two epochs are enough for one reader; a few threads may be a little apart.
@functools.lru_cache(maxsize=4)
def _epoch_order(num_examples: int, epoch: int, seed: int) -> np.ndarray:
    order = permute_examples(num_examples, purpose=TRAIN_ORDER, epoch=epoch, seed=seed)
    order.flags.writeable = False
    return order


def _check_sizes(num_examples: int, batch_size: int) -> None:
    if num_examples < 1:
        raise ValueError(f"num_examples must be at least 1, got {num_examples}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
