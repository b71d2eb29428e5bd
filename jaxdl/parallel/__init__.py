"""Where arrays live: the mesh, and which axis of an array it splits.

The only room that names mesh axes (`"data"` and `"model"`) and counts devices.
"""

from jaxdl.parallel.mesh import make_mesh
from jaxdl.parallel.placement import (
    batch_sharding,
    padded_batch_size,
    replicated_sharding,
    shard_batch,
    tree_shardings,
)

__all__ = [
    "batch_sharding",
    "make_mesh",
    "padded_batch_size",
    "replicated_sharding",
    "shard_batch",
    "tree_shardings",
]
