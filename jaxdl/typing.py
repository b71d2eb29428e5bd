"""Names for the arrays and trees that cross the library's functions."""

from typing import Any

from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Shaped, UInt8

Params = PyTree[Shaped[Array, "..."]]
"""A tree of arrays: parameters, gradients, running statistics."""

Batch = dict[str, Any]
"""Arrays by name (`"images"`, `"labels"`, ...), the first axis of each the batch."""

PRNGKey = Key[Array, ""]
"""A typed key as `jax.random.key` makes it."""

__all__ = [
    "Array",
    "Batch",
    "Bool",
    "Float",
    "Int",
    "Key",
    "PRNGKey",
    "Params",
    "PyTree",
    "Shaped",
    "UInt8",
]
