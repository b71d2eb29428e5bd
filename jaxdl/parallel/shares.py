"""A function of rows, on each device's share of them."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec


def map_shares(function: Callable[[Any, Any], Any], mesh: Mesh) -> Callable[..., Any]:
    """Applies a function to each share of a batch on the devices that hold it.

    Args:
      function: `function(common, rows)`, of a share of the rows; without collectives
        over `"data"`. A gradient taken in it is that of the share alone.
      mesh: the rows are split over its `"data"` axis, evenly.

    Returns:
      `mapped(common, rows)`: the results stacked along a new first axis, each on its
      device. To be called under `jit`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.parallel import make_mesh
      >>> weigh = lambda common, rows: common * rows.sum()
      >>> mapped = map_shares(weigh, make_mesh(data=1))
      >>> jax.jit(mapped)(2.0, jnp.arange(4.0))
      Array([12.], dtype=float32)
    """

    def one(common, rows):
        return jax.tree.map(lambda leaf: leaf[None], function(common, rows))

    return jax.shard_map(
        one,
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec("data")),
        out_specs=PartitionSpec("data"),
        # With the check, a gradient of what all share would be summed over devices.
        check_vma=False,
    )
