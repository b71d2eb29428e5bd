"""Scoring a split in one pass: every example exactly once, on any mesh."""

import functools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxdl.data import Split, evaluation_batches
from jaxdl.parallel import (
    data_share,
    padded_batch_size,
    place_tree,
    replicated_sharding,
    shard_batch,
)
from jaxdl.train.state import Statistics
from jaxdl.typing import Batch, Params

EvaluationFunction = Callable[[Params, Any, Batch], tuple[Statistics, dict[str, Any]]]
"""`evaluate_batch(params, model_state, batch) -> (statistics, outputs)`.

`batch["mask"]` is False for rows that only fill the batch; the statistics are sums
over the others. `outputs` are arrays by name with one entry per row."""

EvaluationStep = Callable[..., tuple[Statistics, dict[str, Any]]]


def make_evaluation_step(evaluate_batch: EvaluationFunction) -> EvaluationStep:
    """A jitted step that adds a batch's statistics to those given.

    Args:
      evaluate_batch: see `EvaluationFunction`.

    Returns:
      `step(totals, params, model_state, batch) -> (totals, outputs)`.
    """

    def evaluation_step(totals, params, model_state, batch):
        statistics, outputs = evaluate_batch(params, model_state, batch)
        return jax.tree.map(jnp.add, totals, statistics), outputs

    return jax.jit(evaluation_step)


def evaluate(
    step: EvaluationStep,
    totals: Statistics,
    params: Params,
    model_state: Any,
    split: Split,
    *,
    mesh: Mesh,
    batch_size: int,
    num_workers: int = 2,
    should_stop: Callable[[], bool] = lambda: False,
    on_outputs: Callable[[np.ndarray, dict[str, np.ndarray]], None] | None = None,
) -> Statistics | None:
    """The statistics of a model over a whole split.

    Args:
      step: from `make_evaluation_step`.
      totals: statistics of no examples.
      params: the parameters to score.
      model_state: running statistics and the like; not changed.
      split: the examples.
      mesh: the batch is split over its `"data"` axis.
      batch_size: examples per batch; rounded up to a multiple of that axis, and the
        last batch filled with masked rows, so the step compiles once.
      num_workers: threads that read ahead.
      should_stop: asked before every batch.
      on_outputs: called with the indices of a batch's real rows and their outputs.

    Returns:
      The sums over all examples, or None when `should_stop` said so.
    """
    # Equal shardings for the first and every later call: one compile.
    whole = replicated_sharding(mesh)
    totals = place_tree(totals, whole)
    rows_per_batch = padded_batch_size(batch_size, mesh)
    share = data_share(mesh)
    for indices, mask, batch in _read_ahead(split, rows_per_batch, num_workers, share):
        if should_stop():
            return None
        totals, outputs = step(totals, params, model_state, shard_batch(batch, mesh))
        if on_outputs is not None:
            if jax.process_count() > 1:
                outputs = _gather(outputs, whole)
            rows = {name: np.asarray(value)[mask] for name, value in outputs.items()}
            on_outputs(indices[mask], rows)
    return totals


@functools.partial(jax.jit, static_argnums=1)
def _gather(outputs: dict[str, Any], whole: NamedSharding) -> dict[str, Any]:
    """Rows of all processes, in each of them."""
    return jax.lax.with_sharding_constraint(outputs, whole)


def _read_ahead(
    split: Split, batch_size: int, num_workers: int, share: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """All indices of each batch and which are real, and the rows of this process."""
    rows = batch_size // share[1]
    here = slice(share[0] * rows, (share[0] + 1) * rows)

    def read(indices: np.ndarray, mask: np.ndarray):
        return indices, mask, {**split.read(indices[here]), "mask": mask[here]}

    pending: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(num_workers, thread_name_prefix="evaluation") as threads:
        for indices, mask in evaluation_batches(len(split), batch_size=batch_size):
            pending.append(threads.submit(read, indices, mask))
            if len(pending) > num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
