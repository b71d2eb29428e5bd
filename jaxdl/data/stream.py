"""Batches read ahead by threads, for data that doesn't fit on the device."""

from collections.abc import Iterator

import numpy as np

from jaxdl.data.order import batch_indices
from jaxdl.data.paths import show_reason
from jaxdl.data.split import Split
from jaxdl.errors import DataError


def stream_batches(
    split: Split,
    *,
    seed: int,
    batch_size: int,
    first_step: int,
    num_steps: int,
    num_workers: int,
    prefetch: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[dict[str, np.ndarray]]:
    """Reads the batches of steps first_step .. first_step + num_steps - 1.

    They are those of `split.read(batch_indices(step, ...))`, in order, whatever the
    number of threads.

    Args:
      split: What to read from; its `read` must be safe to call from threads.
      seed: Fixes the order; in [0, 2**64).
      batch_size: Rows of the global batch.
      first_step: The first batch's number, from 0.
      num_steps: How many batches.
      num_workers: Threads that read; 0 reads in the caller's thread.
      prefetch: Batches read ahead, and held in memory; at least num_workers are.
      process_index: This process, in [0, process_count).
      process_count: Processes that share each batch.

    Returns:
      An iterator over dicts of arrays, batch_size / process_count rows each.

    Raises:
      ValueError: A number outside its range.
      DataError: When iterated: a batch can't be read; the step is named.

    Example:
      >>> from jaxdl.data import load_dataset
      >>> batches = stream_batches(
      ...     load_dataset("digits").splits["train"],
      ...     seed=0,
      ...     batch_size=4,
      ...     first_step=0,
      ...     num_steps=2,
      ...     num_workers=1,
      ...     prefetch=1,
      ... )
      >>> [batch["images"].shape for batch in batches]
      [(4, 8, 8, 1), (4, 8, 8, 1)]
    """
    counts = {"first_step": first_step, "num_steps": num_steps}
    counts |= {"num_workers": num_workers, "prefetch": prefetch}
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")

    def indices_at(step: int) -> np.ndarray:
        return batch_indices(
            step,
            seed=seed,
            num_examples=len(split),
            batch_size=batch_size,
            process_index=process_index,
            process_count=process_count,
        )

    indices_at(first_step)  # a wrong number raises here, not in a worker

    def read(step: int) -> dict[str, np.ndarray]:
        try:
            return split.read(indices_at(step))
        except DataError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {show_reason(error)}"
            raise DataError(f"can't read the batch of step {step}: {reason}") from error

    return _iterate(read, first_step, num_steps, num_workers, prefetch)


def _iterate(read, first_step: int, num_steps: int, num_workers: int, prefetch: int):
    if num_steps == 0:
        return
    import grain  # here, because it imports jax

    # Whole batches are the elements: one hand-over per batch, not per image.
    steps = grain.MapDataset.range(first_step, first_step + num_steps)
    buffer = max(prefetch, num_workers) if num_workers else 0
    options = grain.ReadOptions(num_threads=num_workers, prefetch_buffer_size=buffer)
    yield from steps.map(read).to_iter_dataset(options)
