"""Moving the state forward: data held on the device, or streamed to it.

Both roads give `advance(state, first_step, num_steps) -> state` and train on the same
batches: batch i is a pure function of (seed, i).
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxdl.data import ArraySplit, Split, batch_indices, stream_batches
from jaxdl.parallel import (
    batch_sharding,
    data_share,
    place_tree,
    replicated_sharding,
    shard_batch,
)
from jaxdl.train.state import TrainState
from jaxdl.train.step import TrainStep

Advance = Callable[[TrainState, int, int], TrainState]


def make_resident_advance(
    step: TrainStep,
    split: ArraySplit,
    *,
    mesh: Mesh,
    batch_size: int,
    max_steps: int = 1,
    state_shardings: Any = None,
    seed: int,
) -> Advance:
    """Trains on arrays that live on every device; only indices travel.

    Args:
      step: from `make_train_step`.
      split: the examples, copied to each device of the mesh.
      mesh: the batch is split over its `"data"` axis.
      batch_size: examples per step over all devices.
      max_steps: steps per dispatch. Above 1 they run in one compiled loop of variable
        length, which hides the dispatch on accelerators; on CPU keep 1, where a
        convolution's gradient inside a loop is over 30 times slower.
      state_shardings: where the new state lives.
      seed: of the order of the examples.

    Returns:
      `advance(state, first_step, num_steps) -> state` with num_steps <= max_steps.
    """
    arrays = place_tree(
        {"images": split.images, "labels": split.labels}, replicated_sharding(mesh)
    )
    sharding = batch_sharding(mesh, axis=1)

    def take(arrays, indices):
        return jax.tree.map(lambda rows: rows[indices], arrays)

    def advance_train_state(state, arrays, indices, num_steps):
        if max_steps == 1:
            return step(state, take(arrays, indices[0]))[0]
        body = lambda i, state: step(state, take(arrays, indices[i]))[0]
        return jax.lax.fori_loop(0, num_steps, body, state)

    compiled = jax.jit(
        advance_train_state, donate_argnums=0, out_shardings=state_shardings
    )

    def advance(state: TrainState, first_step: int, num_steps: int) -> TrainState:
        indices = np.zeros((max_steps, batch_size), np.int32)
        for row in range(num_steps):
            indices[row] = batch_indices(
                first_step + row,
                seed=seed,
                num_examples=len(split),
                batch_size=batch_size,
            )
        placed = jax.make_array_from_callback(
            indices.shape, sharding, lambda index: indices[index]
        )
        return compiled(state, arrays, placed, np.int32(num_steps))

    return advance


def make_streamed_advance(
    step: TrainStep,
    split: Split,
    *,
    mesh: Mesh,
    batch_size: int,
    last_step: int,
    num_workers: int = 2,
    prefetch: int = 2,
    seed: int,
) -> Advance:
    """Trains on batches that workers read ahead of the device.

    Args:
      step: from `make_train_step`.
      split: the examples; read by index.
      mesh: the batch is split over its `"data"` axis.
      batch_size: examples per step over all devices and processes.
      last_step: the stream ends before this step.
      num_workers: reading threads per process.
      prefetch: batches read ahead.
      seed: of the order of the examples.

    Returns:
      `advance(state, first_step, 1) -> state`; the stream follows `first_step`.
    """
    stream: Iterator[dict[str, np.ndarray]] | None = None
    position = -1
    process_index, process_count = data_share(mesh)

    def advance(state: TrainState, first_step: int, num_steps: int) -> TrainState:
        nonlocal stream, position
        for index in range(first_step, first_step + num_steps):
            if stream is None or index != position:
                stream = iter(
                    stream_batches(
                        split,
                        seed=seed,
                        batch_size=batch_size,
                        first_step=index,
                        num_steps=last_step - index,
                        num_workers=num_workers,
                        prefetch=prefetch,
                        process_index=process_index,
                        process_count=process_count,
                    )
                )
            state, _ = step(state, shard_batch(next(stream), mesh))
            position = index + 1
        return state

    return advance
