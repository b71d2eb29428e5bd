"""Where arrays live: the mesh, and which axis of an array it splits.

The only room that names mesh axes (`"data"` and `"model"`) and counts devices.
"""

from jaxdl.parallel.collectives import (
    Collective,
    CollectiveReport,
    collective_report,
    ring_bytes,
)
from jaxdl.parallel.layouts import Split, choose_partition
from jaxdl.parallel.mesh import make_mesh
from jaxdl.parallel.placement import (
    Rules,
    batch_sharding,
    bytes_per_device,
    padded_batch_size,
    replicated_sharding,
    shard_batch,
    tree_shardings,
)

__all__ = [
    "Collective",
    "CollectiveReport",
    "Rules",
    "Split",
    "batch_sharding",
    "bytes_per_device",
    "choose_partition",
    "collective_report",
    "make_mesh",
    "padded_batch_size",
    "replicated_sharding",
    "ring_bytes",
    "shard_batch",
    "tree_shardings",
]
