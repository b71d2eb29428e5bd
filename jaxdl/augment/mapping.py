"""A function of one image, run on every image of a batch that may be split."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from jaxdl.typing import Array


def map_images(function: Callable[..., Array], *batched: Array) -> Array:
    """Stacks the results of a function of one image and its parameters.

    On CPU the images take turns, so that what lies between two steps stays in the
    cache and an image that skips a step does not pay for it; elsewhere they go
    together. Every device takes its own share of the batch: XLA would split a loop
    over images by sending all of them to every device.

    Args:
      function: of one image and its parameters, each without the batch axis; gives
        one array.
      *batched: the images and their parameters, the batch the first axis of each.

    Returns:
      The results, the batch first. They have no derivative.
    """

    def run(*operands):
        if jax.default_backend() == "cpu":
            return jax.lax.map(lambda one: function(*one), operands)
        return jax.vmap(function)(*operands)

    def partition(mesh, operands, result):
        axes = _find_batch_axes(mesh, operands)
        split = NamedSharding(mesh, PartitionSpec(axes))
        return mesh, run, split, (split,) * len(operands)

    operation = custom_partitioning(run)
    ranks = [array.ndim for array in (*batched, jax.eval_shape(run, *batched))]
    names = [[f"a{i}_{j}" for j in range(1, rank)] for i, rank in enumerate(ranks)]
    *sources, target = (" ".join(("n", *row)) for row in names)
    operation.def_partition(
        partition,
        sharding_rule=f"{', '.join(sources)} -> {target}",
        need_replication_factors=tuple(name for row in names for name in row),
    )
    mapped = custom_vmap(operation)

    @mapped.def_vmap
    def _(axis_size, is_batched, *operands):
        full = [
            operand if each else jnp.broadcast_to(operand, (axis_size, *operand.shape))
            for operand, each in zip(operands, is_batched, strict=True)
        ]
        one_batch = [operand.reshape(-1, *operand.shape[2:]) for operand in full]
        results = map_images(function, *one_batch)
        return results.reshape(axis_size, -1, *results.shape[1:]), True

    return mapped(*batched)


def _find_batch_axes(mesh, operands) -> tuple[str, ...] | None:
    """The mesh axes that the first of the operands with any has for its batch."""
    for operand in operands:
        entry = operand.sharding.spec[0] if operand.sharding.spec else None
        axes = (entry,) if isinstance(entry, str) else tuple(entry or ())
        # Shares of different sizes would be filled up with images of no meaning.
        num_parts = math.prod(mesh.shape[axis] for axis in axes)
        if axes and operand.shape[0] % num_parts == 0:
            return axes
    return None


def keep_apart(compute: Callable[[Array], Array], x: Array, needed: Array) -> Array:
    """Computes a step by itself, where XLA would compute it anew for every use.

    On CPU XLA fuses across optimization barriers; into a branch it does not.

    Args:
      compute: the step.
      x: what it is given, which is computed by itself too.
      needed: a bool that is true but not known to the compiler.

    Returns:
      The result of `compute`.
    """
    result = jax.eval_shape(compute, x)
    return jax.lax.cond(
        needed, compute, lambda _: jnp.zeros(result.shape, result.dtype), x
    )
