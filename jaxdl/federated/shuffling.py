"""Orders that depend on a seed and on what they are for, and on nothing else."""

import numpy as np
from jaxtyping import Int

DEALING, SAMPLING, TRAINING = 0, 1, 2
"""Purposes: two orders with one seed and different purposes are unrelated."""


def shuffle(
    size: int,
    *,
    purpose: int,
    round_index: int = 0,
    client: int = 0,
    epoch: int = 0,
    seed: int,
) -> Int[np.ndarray, " size"]:
    """Shuffles the positions 0 .. size - 1.

    The order is the rank of raw Philox words, whose stream NumPy guarantees.

    Args:
      size: how many positions.
      purpose: one of this module's purposes.
      round_index: each round, client and epoch has an order of its own.
      client: see there.
      epoch: see there.
      seed: in [0, 2**64).

    Returns:
      A permutation, int64.

    Raises:
      ValueError: the seed is outside its range.

    Example:
      >>> sorted(shuffle(4, purpose=DEALING, seed=0).tolist())
      [0, 1, 2, 3]
    """
    generator = make_bit_generator(
        purpose=purpose, round_index=round_index, client=client, epoch=epoch, seed=seed
    )
    return np.argsort(generator.random_raw(size), kind="stable")


def make_bit_generator(
    *, purpose: int, round_index: int = 0, client: int = 0, epoch: int = 0, seed: int
) -> np.random.Philox:
    """The stream of random words that `shuffle` reads, with the same arguments.

    Args:
      purpose: see `shuffle`, as for all others.
      round_index: see there.
      client: see there.
      epoch: see there.
      seed: see there.

    Returns:
      A bit generator of NumPy at its beginning.

    Raises:
      ValueError: the seed is outside its range.

    Example:
      >>> make_bit_generator(purpose=DEALING, seed=-1)
      Traceback (most recent call last):
      ValueError: seed must be in [0, 2**64), got -1
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), got {seed}")
    # The lowest word of the counter is left to the generator: 2**64 blocks for each.
    return np.random.Philox(
        key=np.array([seed, purpose], np.uint64),
        counter=np.array([0, epoch, client, round_index], np.uint64),
    )
