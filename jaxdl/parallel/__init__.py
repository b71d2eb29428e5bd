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
from jaxdl.parallel.memory import MemoryReport, memory_report
from jaxdl.parallel.mesh import make_mesh
from jaxdl.parallel.placement import (
    Rules,
    batch_sharding,
    bytes_per_device,
    data_share,
    padded_batch_size,
    place_tree,
    replicated_sharding,
    shard_batch,
    tree_shardings,
)
from jaxdl.parallel.processes import (
    STARTERS,
    Place,
    current_peers,
    decide_first,
    detect_place,
    exchange_texts,
    find_differences,
    is_first_process,
    join_processes,
    leave_processes,
    rest_processes,
)
from jaxdl.parallel.shares import map_shares
from jaxdl.parallel.step_exchanges import list_step_exchanges

__all__ = [
    "Collective",
    "CollectiveReport",
    "MemoryReport",
    "Place",
    "Rules",
    "STARTERS",
    "Split",
    "batch_sharding",
    "bytes_per_device",
    "choose_partition",
    "collective_report",
    "current_peers",
    "data_share",
    "decide_first",
    "detect_place",
    "exchange_texts",
    "find_differences",
    "is_first_process",
    "join_processes",
    "leave_processes",
    "list_step_exchanges",
    "make_mesh",
    "map_shares",
    "memory_report",
    "padded_batch_size",
    "place_tree",
    "replicated_sharding",
    "rest_processes",
    "ring_bytes",
    "shard_batch",
    "tree_shardings",
]
