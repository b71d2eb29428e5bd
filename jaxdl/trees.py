"""Pytrees by path: names, masks, counts, norms and the first bad leaf.

A path is written `stage1/block0/conv1/kernel` everywhere: in masks, partition
rules, logs and error messages.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.typing import Array, Float, Params, PyTree


def path_string(path: Sequence[Any]) -> str:
    """The path of a leaf as text, parts joined by `/`.

    Args:
      path: the keys that `jax.tree_util` gives for a leaf.

    Returns:
      For example `stage1/block0/conv1/kernel`; empty for a tree that is one leaf.

    Example:
      >>> path_string((jax.tree_util.DictKey("head"), jax.tree_util.SequenceKey(0)))
      'head/0'
    """
    return jax.tree_util.keystr(tuple(path), simple=True, separator="/")


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by path, in the tree's own order.

    Args:
      tree: any pytree.

    Returns:
      One entry per leaf.

    Example:
      >>> named_leaves({"head": {"bias": 1, "kernel": 2}})
      {'head/bias': 1, 'head/kernel': 2}
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {path_string(path): leaf for path, leaf in leaves}


def mask_by_path(tree: PyTree, pattern: str) -> PyTree:
    """True at the leaves whose path matches a pattern, of the tree's structure.

    Args:
      tree: any pytree.
      pattern: regular expression, searched anywhere in the path; anchor it with
        `^` and `$` to match all of it.

    Returns:
      A tree of Python booleans.

    Raises:
      ValueError: the pattern is no regular expression.

    Example:
      >>> mask_by_path({"head": {"bias": 1, "kernel": 2}}, "/kernel$")
      {'head': {'bias': False, 'kernel': True}}
    """
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ValueError(
            f"pattern must be a regular expression, got {pattern!r}: {error}"
        ) from error
    return jax.tree_util.tree_map_with_path(
        lambda path, _: search(path_string(path)) is not None, tree
    )


def count_parameters(params: PyTree) -> int:
    """The number of scalars in a tree of arrays.

    Args:
      params: arrays, or the shapes that `jax.eval_shape` gives (nothing is
        compiled then).

    Returns:
      The sum of the sizes of the leaves.

    Example:
      >>> count_parameters({"kernel": jnp.zeros((3, 4)), "bias": jnp.zeros(4)})
      16
    """
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def global_norm(tree: Params) -> Float[Array, ""]:
    """The Euclidean norm of all leaves together, summed in float32.

    Args:
      tree: real arrays of any float dtype. Entries above 1e19 overflow to
        infinity; NaN stays NaN.

    Returns:
      A float32 scalar, 0 for a tree without leaves. Its gradient at 0 is 0, where
      that of a plain square root of a sum of squares is NaN.

    Example:
      >>> global_norm({"a": jnp.array([3.0]), "b": jnp.array([4.0])})
      Array(5., dtype=float32)
    """
    squares = [
        jnp.sum(jnp.square(x.astype(jnp.float32))) for x in jax.tree.leaves(tree)
    ]
    total = sum(squares, start=jnp.zeros((), jnp.float32))
    is_zero = total == 0
    return jnp.where(is_zero, 0.0, jnp.sqrt(jnp.where(is_zero, 1.0, total)))


def first_nonfinite(tree: PyTree) -> str | None:
    """The path of the first leaf that holds NaN or infinity.

    Works on the host, so it copies every leaf: for the error message after a
    cheaper check on the device has failed. Of an array that spans several
    processes, each process looks at its own part.

    Args:
      tree: arrays or numbers; leaves that are not floating point are passed over.

    Returns:
      The path, or None if all is finite.

    Example:
      >>> first_nonfinite({"a": jnp.ones(2), "b": jnp.array([1.0, jnp.nan])})
      'b'
    """
    for path, leaf in named_leaves(tree).items():
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.inexact):
            continue
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            parts = [shard.data for shard in leaf.addressable_shards]
        else:
            parts = [leaf]
        if not all(np.isfinite(np.asarray(part)).all() for part in parts):
            return path
    return None


def describe_differences(
    old: Mapping[str, tuple[tuple[int, ...], Any]],
    new: Mapping[str, tuple[tuple[int, ...], Any]],
) -> list[str]:
    """What changed between two trees of arrays, one line per path, sorted.

    Args:
      old: shape and dtype by path, as stored (in a checkpoint, say).
      new: shape and dtype by path, as wanted.

    Returns:
      One line for each path that is only in one of them, or whose shape or dtype
      differs; empty if the trees fit.

    Example:
      >>> describe_differences({"a": ((2,), "float32")}, {"a": ((3,), "float32")})
      ['a: (2,) float32 became (3,) float32']
    """
    lines = []
    for path in sorted(old.keys() | new.keys()):
        before, after = _describe(old.get(path)), _describe(new.get(path))
        if after is None:
            lines.append(f"{path}: {before} is no longer there")
        elif before is None:
            lines.append(f"{path}: {after} is new")
        elif before != after:
            lines.append(f"{path}: {before} became {after}")
    return lines


def _describe(entry: tuple[tuple[int, ...], Any] | None) -> str | None:
    """`(3, 4) float32`, whether the dtype came as text or as a dtype."""
    if entry is None:
        return None
    shape, dtype = entry
    return f"{tuple(shape)} {jnp.dtype(dtype).name}"
