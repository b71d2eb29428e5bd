"""Which way to the sums of Barlow Twins is cheaper, by the shapes alone."""

from typing import Literal, NamedTuple

_FLOPS_PER_BYTE = 128
"""Of float32 in the time in which a device sends a byte to another: 60 TFLOP/s beside
450 GB/s. Slower links make it larger; few shapes hang on it."""

_SMALLEST_HALF = 256
"""Rows of a block of a Gram matrix below which its product is slower than it is less
work."""


class BarlowTwinsCost(NamedTuple):
    """What one loss with its gradients costs each device."""

    route: Literal["correlation", "gram"]
    """The cheaper one."""
    collective: Literal["none", "all-reduce", "all-gather"]
    """Moves the matrix of correlations, or the embeddings of both views."""
    bytes: int
    """That each device sends, if they form a ring."""
    flops: int
    """Of the matrix products of each device; a multiply-add counts 2."""


def describe_barlow_twins_cost(
    num_examples: int, num_features: int, *, num_devices: int
) -> BarlowTwinsCost:
    """Route, communication and flops of the loss with its gradients.

    The correlation route takes 6 N D^2 flops and all-reduces its D x D matrix. The Gram
    route takes 8 N^2 D and all-gathers the N x D embeddings of both views, once; on one
    device it takes less from 512 examples on (6.5 N^2 D from 1024 on), as blocks above
    the diagonal are copied from those below. Sums of D numbers are left out.

    Args:
      num_examples: N, of the global batch; at least 2.
      num_features: D, of the embeddings; at least 1.
      num_devices: that the batch is split over; at least 1.

    Returns:
      The cheaper route and its cost, where a byte sent counts as 128 flops.

    Raises:
      ValueError: a number is too small.

    Example:
      >>> describe_barlow_twins_cost(1024, 8192, num_devices=8)[:3]
      ('gram', 'all-gather', 58720256)
    """
    for name, number, least in (
        ("num_examples", num_examples, 2),
        ("num_features", num_features, 1),
        ("num_devices", num_devices, 1),
    ):
        if number < least:
            raise ValueError(
                f"describe_barlow_twins_cost: {name} must be at least {least}, "
                f"got {number}"
            )
    n, d = num_examples, num_features
    # Of an all-gather; an all-reduce scatters first, which moves as much again.
    sent = lambda numbers: 4 * numbers * (num_devices - 1) // num_devices
    several = num_devices > 1
    # 1/2 of the products, and 1/2 of what the blocks on the diagonal hold.
    share = 1.0 if several else 0.5 + 0.5 ** (count_halvings(n) + 1)
    correlation = BarlowTwinsCost(
        "correlation",
        "all-reduce" if several else "none",
        bytes=2 * sent(d * d),
        flops=6 * n * d * d // num_devices,
    )
    gram = BarlowTwinsCost(
        "gram",
        "all-gather" if several else "none",
        bytes=2 * sent(n * d),
        flops=int(4 * (1 + share) * n * n * d) // num_devices,
    )
    return min(gram, correlation, key=lambda c: c.flops + _FLOPS_PER_BYTE * c.bytes)


def choose_barlow_twins_route(
    num_examples: int, num_features: int, *, num_devices: int = 1
) -> Literal["correlation", "gram"]:
    """The cheaper route to the loss and its gradients.

    Args:
      num_examples: N, of the global batch; at least 2.
      num_features: D, of the embeddings; at least 1.
      num_devices: that the batch is split over; at least 1.

    Returns:
      `"gram"` or `"correlation"`, see `describe_barlow_twins_cost`.

    Raises:
      ValueError: a number is too small.

    Example:
      >>> choose_barlow_twins_route(256, 8192), choose_barlow_twins_route(2048, 1024)
      ('gram', 'correlation')
    """
    return describe_barlow_twins_cost(
        num_examples, num_features, num_devices=num_devices
    ).route


def count_halvings(rows: int) -> int:
    """How often a Gram matrix is halved, so that half of its blocks can be copied.

    Args:
      rows: of the matrix.

    Returns:
      0, 1 or 2; further ones would save little.

    Example:
      >>> [count_halvings(rows) for rows in (256, 512, 4096)]
      [0, 1, 2]
    """
    return min(2, max(0, (rows // _SMALLEST_HALF).bit_length() - 1))
