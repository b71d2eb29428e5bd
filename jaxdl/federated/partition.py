"""Dealing the examples of a dataset out to clients: alike, or each with its classes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Integer

from jaxdl.federated.shuffling import DEALING, make_bit_generator, shuffle


def split_evenly(
    num_examples: int, *, num_clients: int, seed: int
) -> list[Int[np.ndarray, "_"]]:
    """Deals examples out at random, equally many to each client.

    Args:
      num_examples: how many there are.
      num_clients: the first ones get one more where they don't divide it.
      seed: chooses the examples, in [0, 2**64).

    Returns:
      The positions of each client's examples, rising; every example is in one.

    Raises:
      ValueError: fewer examples than clients, or no client.

    Example:
      >>> [len(part) for part in split_evenly(7, num_clients=3, seed=0)]
      [3, 2, 2]
    """
    _check_counts("split_evenly", num_examples, num_clients, 1)
    order = shuffle(num_examples, purpose=DEALING, seed=seed)
    return [np.sort(part) for part in np.array_split(order, num_clients)]


def split_dirichlet(
    labels: Integer[np.ndarray, " examples"],
    *,
    num_clients: int,
    alpha: float,
    min_examples: int = 10,
    self_balancing: bool = False,
    max_tries: int = 10,
    seed: int,
) -> list[Int[np.ndarray, "_"]]:
    """Deals the examples of each class out in shares drawn from Dir(alpha, ..., alpha).

    Args:
      labels: class of each example, at least 0.
      num_clients: at least 1.
      alpha: concentration, above 0: at 0.1 most clients have few classes, at 100 all
        have nearly the same mixture.
      min_examples: draws anew until every client has this many.
      self_balancing: a client that already has its average number of examples gets
        none of the classes that follow; sizes differ less then.
      max_tries: draws before giving up, at least 1.
      seed: decides all draws, in [0, 2**64). The shares also depend on NumPy's way
        of drawing them, which a later version may change.

    Returns:
      The positions of each client's examples, rising; every example is in one.

    Raises:
      ValueError: `alpha` or a count out of range, fewer examples than asked for, or
        no draw gave every client enough.

    Source:
      Yurochkin et al. 2019, arXiv:1905.12022, section 4; Hsu et al. 2019,
      arXiv:1909.06335. The rule, its retries and the balancing are those of Flower's
      DirichletPartitioner; the draws are not.

    Example:
      >>> parts = split_dirichlet(
      ...     np.arange(200) % 2, num_clients=3, alpha=0.5, min_examples=1, seed=0
      ... )
      >>> sorted(np.concatenate(parts).tolist()) == list(range(200))
      True
    """
    if not alpha > 0:
        raise ValueError(f"split_dirichlet: alpha must be above 0, got {alpha}")
    if max_tries < 1:
        raise ValueError(f"split_dirichlet: max_tries must be >= 1, got {max_tries}")
    _check_counts("split_dirichlet", len(labels), num_clients, min_examples)
    generator = np.random.Generator(make_bit_generator(purpose=DEALING, seed=seed))
    smallest = 0
    for _ in range(max_tries):
        parts = _draw_parts(labels, num_clients, alpha, self_balancing, generator)
        found = min(map(len, parts))
        if found >= min_examples:
            return parts
        smallest = max(smallest, found)
    raise ValueError(
        f"split_dirichlet: in {max_tries} tries with alpha={alpha} and num_clients="
        f"{num_clients} some client got {smallest} examples at most; wanted "
        f"min_examples={min_examples}"
    )


def count_classes(
    labels: Integer[np.ndarray, " examples"],
    parts: Sequence[Integer[np.ndarray, "_"]],
    *,
    num_classes: int,
) -> Int[np.ndarray, "clients classes"]:
    """How many examples of each class each client has.

    Args:
      labels: class of each example, in [0, num_classes).
      parts: positions of each client's examples.
      num_classes: how many classes there are.

    Returns:
      Counts, int64.

    Example:
      >>> parts = [np.array([0, 1]), np.array([2])]
      >>> count_classes(np.array([0, 1, 1]), parts, num_classes=2).tolist()
      [[1, 1], [0, 1]]
    """
    return np.stack([np.bincount(labels[p], minlength=num_classes) for p in parts])


def _draw_parts(
    labels: np.ndarray,
    num_clients: int,
    alpha: float,
    self_balancing: bool,
    generator: np.random.Generator,
) -> list[np.ndarray]:
    dealt: list[list[np.ndarray]] = [[] for _ in range(num_clients)]
    sizes = np.zeros(num_clients, np.int64)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        shares = generator.dirichlet(np.full(num_clients, alpha))
        if self_balancing:
            shares = _balance(shares, sizes < len(labels) / num_clients)
        cuts = (np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
        for client, part in enumerate(np.split(members, cuts)):
            dealt[client].append(part)
            sizes[client] += len(part)
    return [np.sort(np.concatenate(parts)) for parts in dealt]


def _balance(shares: np.ndarray, has_room: np.ndarray) -> np.ndarray:
    kept = np.where(has_room, shares, 0.0)
    # At a small alpha all that is left may have been drawn as 0.
    if kept.sum() == 0:
        kept = has_room.astype(np.float64)
    return kept / kept.sum()


def _check_counts(
    routine: str, num_examples: int, num_clients: int, min_examples: int
) -> None:
    if num_clients < 1 or min_examples < 1:
        raise ValueError(
            f"{routine}: num_clients and min_examples must be at least 1, got "
            f"{num_clients} and {min_examples}"
        )
    if num_examples < num_clients * min_examples:
        raise ValueError(
            f"{routine}: {num_examples} examples are too few for {num_clients} "
            f"clients of at least {min_examples}"
        )
