"""How a leaf is split over a mesh, as rules say in words."""

from typing import Literal

from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from jaxdl.parallel.mesh import list_divisors

Split = Literal["outputs", "inputs", "largest", "whole"]
"""What a rule may say instead of a partition, see `choose_partition`."""

_SMALL = 1024
"""Leaves below this many numbers are not worth an exchange."""


def choose_partition(
    shape: tuple[int, ...],
    split: str,
    mesh: Mesh | AbstractMesh,
    *,
    name: str = "array",
) -> PartitionSpec:
    """The partition of an array that a word stands for.

    A layer split by `"outputs"` and the next one split by `"inputs"` are a pair:
    between them every device works on its own channels, and one sum over `"model"`
    each way joins what they found.

    Args:
      shape: of the array; the inputs of kernels are their second axis from behind,
        the outputs the last one.
      split: `"outputs"` or `"inputs"` over `"model"`; of vectors, the latter leaves
        all on every device. `"largest"`: the largest axis that the devices along
        `"data"` divide, over these; arrays of fewer than 1024 numbers, or without
        such an axis, stay whole. `"whole"`: not split.
      mesh: with the axes `"data"` and `"model"`.
      name: of the array, for messages.

    Returns:
      A partition that the shape allows.

    Raises:
      ValueError: another word, or a size that the devices don't divide.

    Source:
      Pairs: Shoeybi et al. 2019, section 3, arXiv:1909.08053. The largest axis:
      Rajbhandari et al. 2020, arXiv:1910.02054.

    Example:
      >>> from jaxdl.parallel import make_mesh
      >>> choose_partition((3, 3, 64, 128), "outputs", make_mesh(data=1))
      P(None, None, None, 'model')
    """
    rank = len(shape)
    if split == "largest":
        return _split_largest(shape, mesh.shape["data"])
    if split not in ("outputs", "inputs", "whole"):
        raise ValueError(
            f"{name}: a rule says {split!r}; wanted outputs, inputs, largest or whole"
        )
    axis = {"outputs": rank - 1, "inputs": rank - 2, "whole": -1}[split]
    if axis < 0:
        return PartitionSpec()
    parts = mesh.shape["model"]
    if shape[axis] % parts:
        raise ValueError(
            f"{name} has {shape[axis]} {split}, which model={parts} does not divide; "
            f"possible sizes: {list_divisors(shape[axis])}"
        )
    return PartitionSpec(*[None] * axis, "model")


def _split_largest(shape: tuple[int, ...], parts: int) -> PartitionSpec:
    count = 1
    for size in shape:
        count *= size
    even = [axis for axis, size in enumerate(shape) if size % parts == 0]
    if count < _SMALL or not even:
        return PartitionSpec()
    # Of equally large ones the last: there neighbours in memory stay together.
    axis = max(even, key=lambda axis: (shape[axis], axis))
    return PartitionSpec(*[None] * axis, "data")
