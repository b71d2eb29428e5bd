"""How arrays are laid over a mesh: batches split, parameters by path pattern."""

import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.parallel.layouts import choose_partition
from jaxdl.trees import path_string

Rules = Sequence[tuple[str, PartitionSpec | str]]
"""(pattern searched in the leaf's path, a partition or a word of `choose_partition`);
the first wins."""


def replicated_sharding(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh, *, axis: int = 0) -> NamedSharding:
    """Splits the batch, found at `axis`, over `"data"`."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))


def tree_shardings(tree: Any, mesh: Mesh, *, rules: Rules = ()) -> Any:
    """A sharding for every leaf of a tree, from rules on its path.

    Args:
      tree: arrays or `jax.ShapeDtypeStruct`s; only paths and shapes are read.
      mesh: the mesh the rules' axes belong to.
      rules: (regular expression, partition) pairs, tried in order; a leaf that none
        matches is replicated, and so is one without axes. Optimiser state repeats the
        paths of the parameters, so one rule covers both.

    Returns:
      The same tree with a `NamedSharding` in place of every leaf.

    Raises:
      ValueError: a rule with more axes than the leaf it matches has, or see
        `choose_partition`.

    Example:
      >>> from jaxdl.parallel import make_mesh
      >>> tree = {"head": {"kernel": jax.ShapeDtypeStruct((4, 10), "float32")}}
      >>> rules = [("head/kernel", PartitionSpec(None, "model"))]
      >>> tree_shardings(tree, make_mesh(data=1), rules=rules)["head"]["kernel"].spec
      P(None, 'model')
    """

    def place(path: Any, leaf: Any) -> NamedSharding:
        name = path_string(path)
        for pattern, partition in rules:
            if re.search(pattern, name) and leaf.shape:
                if isinstance(partition, str):
                    partition = choose_partition(leaf.shape, partition, mesh, name=name)
                if len(partition) > len(leaf.shape):
                    raise ValueError(
                        f"rule {pattern!r} splits {len(partition)} axes, but {name} "
                        f"has shape {leaf.shape}"
                    )
                return NamedSharding(mesh, partition)
        return replicated_sharding(mesh)

    return jax.tree_util.tree_map_with_path(place, tree)


def bytes_per_device(tree: Any) -> int:
    """What a tree takes on the device that holds the most of it.

    Args:
      tree: arrays that are placed, or `jax.ShapeDtypeStruct`s with a sharding.

    Returns:
      Bytes; each leaf as large as its largest share.

    Example:
      >>> import jax.numpy as jnp
      >>> bytes_per_device({"kernel": jnp.ones((4, 10)), "bias": jnp.ones(10)})
      200
    """
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def padded_batch_size(batch_size: int, mesh: Mesh) -> int:
    """The next batch size that the mesh's `"data"` axis divides.

    Example:
      >>> from jaxdl.parallel import make_mesh
      >>> padded_batch_size(7, make_mesh(data=1))
      7
    """
    parts = mesh.shape["data"]
    return -(-batch_size // parts) * parts


def data_share(mesh: Mesh) -> tuple[int, int]:
    """Which of the equal parts of a batch this process reads.

    Args:
      mesh: over the devices of all processes.

    Returns:
      (index, count): the index-th of count contiguous parts; (0, 1) when it needs the
      whole batch.

    Raises:
      ValueError: this process's devices don't hold one such part.

    Example:
      >>> from jaxdl.parallel import make_mesh
      >>> data_share(make_mesh())
      (0, 1)
    """
    parts = mesh.shape["data"]
    here = [
        row
        for row, devices in enumerate(mesh.devices)
        if any(device.process_index == jax.process_index() for device in devices)
    ]
    if not here:
        raise ValueError(
            f"the mesh of {mesh.devices.size} devices has none of process "
            f"{jax.process_index()}; it must have some of each process"
        )
    width = len(here)
    if here[-1] - here[0] + 1 != width or here[0] % width or parts % width:
        raise ValueError(
            f"process {jax.process_index()} has the parts {here} of data={parts}; "
            "wanted as many in every process, and neighbours"
        )
    return here[0] // width, parts // width


def shard_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Places this process's rows of a batch, split over `"data"`.

    Args:
      batch: arrays by name, the batch along the first axis of each; of several
        processes each gives its part, see `data_share`.
      mesh: the mesh to split over.

    Returns:
      Global arrays; with one process these are the rows given.

    Raises:
      ValueError: a batch size that the `"data"` axis does not divide.
    """
    parts, count = mesh.shape["data"], data_share(mesh)[1]
    for name, rows in batch.items():
        if len(rows) * count % parts:
            raise ValueError(
                f"batch[{name!r}] has {len(rows)} rows, which data={parts} does not "
                "divide"
            )
    sharding = batch_sharding(mesh)
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    return {
        name: jax.make_array_from_process_local_data(
            sharding, rows, (len(rows) * count, *rows.shape[1:])
        )
        for name, rows in batch.items()
    }


def place_tree(tree: Any, shardings: Any) -> Any:
    """Places a tree that every process has whole, and alike.

    Args:
      tree: arrays, also keys.
      shardings: one for all leaves, or a tree of them.

    Returns:
      Global arrays.
    """
    if jax.process_count() == 1:
        return jax.device_put(tree, shardings)

    def place(leaf: Any, sharding: NamedSharding) -> jax.Array:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(
            leaf.dtype, jax.dtypes.prng_key
        ):
            words = place(jax.random.key_data(leaf), sharding)
            return jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaf))
        rows = np.asarray(leaf)
        return jax.make_array_from_callback(
            rows.shape, sharding, lambda index: rows[index]
        )

    if isinstance(shardings, NamedSharding):
        return jax.tree.map(lambda leaf: place(leaf, shardings), tree)
    return jax.tree.map(place, tree, shardings)
