"""A local form of a convolution as an operation over several devices.

XLA splits its own convolutions over devices, but of a form written as parts, phases and
products it would split each piece, and exchange each part of a weight gradient apart.
Here the operation is split as a whole: every device runs the local form on its share,
and a sum over shares is exchanged once.
"""

import math
from collections.abc import Callable

import jax
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from jaxdl.typing import Array


def split_over_devices(
    local: Callable[[Array, Array], Array], rule: str
) -> Callable[[Array, Array], Array]:
    """Makes an operation that is linear in both operands one that XLA can split.

    Args:
      local: the operation; right on any share of the dimensions that may be split.
      rule: the dimensions of both operands and of the result, those that may be split
        in capitals: `"NhwC,abCF->NijF"`. The result is a sum over capitals it lacks.

    Returns:
      A function equal to `local` on whole arrays.
    """
    operands, result = rule.split("->")
    names = (*operands.split(","), result)
    letters = "".join(dict.fromkeys("".join(names)))  # the rule below wants this order
    lacking = [name for name in letters if name.isupper() and name not in result]

    def partition(mesh, operand_shapes, result_shape):
        axes = _choose_axes(mesh, names, (*operand_shapes, result_shape))
        *sources, target = (
            NamedSharding(mesh, PartitionSpec(*map(axes.get, dimensions)))
            for dimensions in names
        )
        summed = tuple(axis for name in lacking for axis in axes.get(name, ()))

        def run(a, b):
            value = local(a, b)
            return jax.lax.psum(value, summed) if summed else value

        return mesh, run, target, tuple(sources)

    operation = custom_partitioning(local)
    spaced = [" ".join(dimensions) for dimensions in names]
    operation.def_partition(
        partition,
        sharding_rule=f"{spaced[0]}, {spaced[1]} -> {spaced[2]}",
        reduction_factors=tuple(lacking),
        need_replication_factors=tuple(filter(str.islower, letters)),
    )
    return operation


def _choose_axes(mesh, names, shapes) -> dict[str, tuple[str, ...]]:
    """The mesh axes of each dimension: those of the first array that is split there."""
    axes: dict[str, tuple[str, ...]] = {}
    for dimensions, shape in zip(names, shapes, strict=True):
        spec = shape.sharding.spec
        for name, size, entry in zip(dimensions, shape.shape, spec, strict=False):
            entry = (entry,) if isinstance(entry, str) else tuple(entry or ())
            taken = {axis for chosen in axes.values() for axis in chosen}
            # Shares of different sizes would be filled up with numbers of no meaning.
            even = size % math.prod(mesh.shape[axis] for axis in entry) == 0
            if entry and name.isupper() and name not in axes and even:
                if not taken & set(entry):
                    axes[name] = entry
    return axes
