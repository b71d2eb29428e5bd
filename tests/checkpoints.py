"""Checkpoints of a run folder, read without the library."""

import jax
import numpy as np
import orbax.checkpoint as ocp


def read_arrays(run, step):
    """Every array of a checkpoint by its path."""
    arrays = {}
    for item in ("weights", "training"):
        path = run / "checkpoints" / f"{step:08d}" / item
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            tree = reader.metadata(path).item_metadata.tree
            as_numpy = jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree
            )
            found = reader.restore(path, restore_args=as_numpy)
        for place, leaf in jax.tree_util.tree_leaves_with_path(found):
            arrays[item + jax.tree_util.keystr(place)] = leaf
    return arrays
