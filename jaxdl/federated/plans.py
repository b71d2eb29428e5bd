"""Who takes part in a round, and which examples each of them trains on when."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from jaxdl.federated.shuffling import SAMPLING, TRAINING, shuffle


class RoundPlan(NamedTuple):
    """The batches of a round, filled up to one shape for all clients and rounds.

    Attributes:
      indices: positions of the examples in the data, 0 where filled up.
      mask: False where filled up.
      num_steps: steps of each client that hold an example; the others come last.
      sizes: examples that each client has; its weight in the average.
    """

    indices: Int[np.ndarray, "clients steps batch"]
    mask: Bool[np.ndarray, "clients steps batch"]
    num_steps: Int[np.ndarray, " clients"]
    sizes: Int[np.ndarray, " clients"]

    @property
    def num_examples(self) -> int:
        """Examples that are trained on, as often as they are."""
        return int(self.mask.sum())


def sample_clients(
    num_clients: int, *, count: int, round_index: int, seed: int
) -> Int[np.ndarray, " count"]:
    """Draws the clients of a round, each at most once.

    Args:
      num_clients: how many there are.
      count: how many to draw, in [1, num_clients].
      round_index: each round has its own draw.
      seed: in [0, 2**64).

    Returns:
      Their numbers, rising.

    Raises:
      ValueError: `count` out of range.

    Example:
      >>> sample_clients(3, count=3, round_index=0, seed=0).tolist()
      [0, 1, 2]
    """
    if not 1 <= count <= num_clients:
        raise ValueError(
            f"sample_clients: count must be in [1, {num_clients}], got {count}"
        )
    order = shuffle(num_clients, purpose=SAMPLING, round_index=round_index, seed=seed)
    return np.sort(order[:count])


def plan_round(
    parts: Sequence[Int[np.ndarray, "_"]],
    clients: Int[np.ndarray, " clients"],
    *,
    round_index: int,
    epochs: int = 1,
    batch_size: int | None = None,
    max_steps: int | None = None,
    seed: int,
) -> RoundPlan:
    """Lays out the training of a round's clients.

    A client goes through its examples `epochs` times, each time in another order; the
    last batch of an epoch is smaller where they don't fill it.

    Args:
      parts: positions of the examples of every client there is.
      clients: those that take part.
      round_index: each round has its own orders.
      epochs: passes over a client's examples, at least 1.
      batch_size: examples per step; None: all that the client has.
      max_steps: a client stops after so many; None: when its epochs are done.
      seed: in [0, 2**64).

    Returns:
      The plan; its shape depends on all parts and not on the clients chosen, so what
      is compiled for one round fits the next.

    Raises:
      ValueError: `epochs`, `batch_size` or `max_steps` below 1, or a client without
        examples.

    Example:
      >>> parts = [np.array([4, 5, 6]), np.array([7])]
      >>> plan = plan_round(parts, np.array([1]), round_index=0, batch_size=2, seed=0)
      >>> plan.indices.tolist(), plan.mask.tolist(), plan.num_steps.tolist()
      ([[[7, 0], [0, 0]]], [[[True, False], [False, False]]], [1])
    """
    for name, value in (("epochs", epochs), ("max_steps", max_steps)):
        if value is not None and value < 1:
            raise ValueError(f"plan_round: {name} must be at least 1, got {value}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"plan_round: batch_size must be at least 1, got {batch_size}")
    lengths = np.array([len(part) for part in parts])
    if not lengths.all():
        empty = int(np.argmin(lengths))
        raise ValueError(f"plan_round: client {empty} has no examples")
    rows = int(lengths.max()) if batch_size is None else batch_size
    steps = epochs * -(-lengths // rows)
    if max_steps is not None:
        steps = np.minimum(steps, max_steps)
    shape = (len(clients), int(steps.max()), rows)
    indices, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
    for row, client in enumerate(clients):
        place = {"round_index": round_index, "client": int(client), "seed": seed}
        batches = _list_batches(parts[client], epochs, rows, place)
        for step in range(steps[client]):
            batch = batches[step]
            indices[row, step, : len(batch)] = batch
            mask[row, step, : len(batch)] = True
    return RoundPlan(indices, mask, steps[clients], lengths[clients])


def pad_plan(plan: RoundPlan, multiple: int) -> RoundPlan:
    """Adds clients of no weight that train on nothing.

    Args:
      plan: of at least one client.
      multiple: their number becomes a multiple of it, that of the devices.

    Returns:
      The longer plan, or the same one.

    Example:
      >>> parts = [np.array([4, 5])]
      >>> plan = plan_round(parts, np.array([0]), round_index=0, seed=0)
      >>> pad_plan(plan, 2).sizes.tolist()
      [2, 0]
    """
    missing = -len(plan.sizes) % multiple
    if not missing:
        return plan
    return RoundPlan(
        *(np.pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1)) for rows in plan)
    )


def _list_batches(
    part: np.ndarray, epochs: int, rows: int, place: dict[str, int]
) -> list[np.ndarray]:
    batches = []
    for epoch in range(epochs):
        order = part[shuffle(len(part), purpose=TRAINING, epoch=epoch, **place)]
        batches += [order[i : i + rows] for i in range(0, len(order), rows)]
    return batches
