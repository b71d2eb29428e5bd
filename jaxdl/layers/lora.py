"""Low-rank adapters (LoRA): training a small change of kernels that stay as they are.

Adapters are a tree of their own: for each adapted kernel, at its path, two arrays `a`
and `b` and nothing else, so it goes through `jit`, `grad`, optax and checkpoints as
parameters do. Which form they have, their rank and their groups are read off the
shapes. The network does not know of them: it is given `apply_lora(params, lora, ...)`
for its parameters.

For a dense kernel (inputs, features) the change is `a @ b`, of shapes (inputs, rank)
and (rank, features). For a convolution there are two conventions:

- `reshaped`: `b @ a`, of shapes (features * height, rank * height) and
  (rank * height, inputs * width), reshaped to the kernel in the order (features,
  inputs, height, width). The change has `rank * height` terms.
- `factored`: `a` is a convolution of the kernel's window to `rank` channels and `b` a
  1x1 convolution from there, each of the same groups as the kernel.
"""

import math
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict
from jax.typing import DTypeLike

from jaxdl.layers.initializers import torch_uniform_bias
from jaxdl.trees import mask_by_path, named_leaves, path_string
from jaxdl.typing import Params, PRNGKey, PyTree

Convention = Literal["reshaped", "factored"]
Scaling = Literal["standard", "rank_stabilized"]


def init_lora(
    params: PyTree,
    *,
    rank: int,
    pattern: str = "",
    convention: Convention = "reshaped",
    groups: int | Mapping[str, int] = 1,
    dtype: DTypeLike = jnp.float32,
    key: PRNGKey,
) -> Params:
    """Draws adapters that change nothing yet: `b` is 0.

    Kernels are the leaves named `kernel` of two axes (dense layers) or four
    (convolutions).

    Args:
      params: the parameters to adapt, or their shapes from `jax.eval_shape`.
      rank: at least 1. A grouped convolution has it in each group in the convention
        `reshaped`, and in all groups together in `factored`.
      pattern: regular expression, searched in the paths of the kernels; all of them
        by default.
      convention: of convolutions, see above.
      groups: of the convolutions adapted, which their kernels do not tell: one number
        or a number by pattern, the first that matches, else 1. With too small a
        number, one change is shared between groups.
      dtype: of the adapters.
      key: random key.

    Returns:
      For each kernel matched, `a` and `b` at its path. A dense kernel brings
      `rank * (inputs + features)` parameters.

    Raises:
      ValueError: the pattern or one of `groups` matches no kernel, or rank, groups
        and a kernel do not fit.

    Source:
      Hu et al. 2022, section 4.1, arXiv:2106.09685; `a` as there starts Kaiming
      uniform of slope sqrt(5), within +-1 / sqrt(fan_in). `reshaped` is that of
      Microsoft's loralib, which has it for one group only, and `factored` that of
      Hugging Face's PEFT. Differs from PEFT: `a` has groups too, without which the
      branch is no change of the kernel and can't be merged.

    Example:
      >>> params = {"head": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}}
      >>> lora = init_lora(params, rank=2, key=jax.random.key(0))
      >>> {path: leaf.shape for path, leaf in named_leaves(lora).items()}
      {'head/kernel/a': (4, 2), 'head/kernel/b': (2, 3)}
    """
    if rank < 1:
        raise ValueError(f"init_lora: rank must be at least 1, got {rank}")
    if convention not in ("reshaped", "factored"):
        raise ValueError(
            "init_lora: convention must be 'reshaped' or 'factored', got "
            f"{convention!r}"
        )
    kernels = _select_kernels(params, pattern)
    adapters = {}
    keys = jax.random.split(key, len(kernels))
    for (path, kernel), groups_here, key_here in zip(
        kernels.items(), _groups_of(kernels, groups), keys, strict=True
    ):
        _check_fit(path, kernel.shape, rank, groups_here, convention)
        a_shape, b_shape, fan_in = _shapes(kernel.shape, rank, groups_here, convention)
        draw = torch_uniform_bias(fan_in)
        adapters[path] = {
            "a": draw(key_here, a_shape, dtype),
            "b": jnp.zeros(b_shape, dtype),
        }
    return unflatten_dict(adapters, sep="/")


def apply_lora(
    params: Params, lora: Params, *, alpha: float, scaling: Scaling = "standard"
) -> Params:
    """The parameters with the change that the adapters make.

    Differentiable: with the gradient of a loss taken by `lora` alone, the parameters
    stay as they are. The product is computed in float32.

    Args:
      params: the parameters adapted, kernels of any float dtype.
      lora: adapters as `init_lora` gives them.
      alpha: strength of the change, any number.
      scaling: divide it by the rank (`standard`), or by the root of the rank, which
        keeps large ranks learning (`rank_stabilized`).

    Returns:
      A tree like `params`; adapted kernels are new, of their dtype, and all else is
      passed on.

    Raises:
      ValueError: an adapter is for a path that the parameters do not have, or does
        not fit the kernel there.

    Source:
      Hu et al. 2022, equation 3, arXiv:2106.09685; Kalajdzievski 2023, equation 4,
      arXiv:2312.03732.

    Example:
      >>> params = {"kernel": jnp.eye(2)}
      >>> lora = {"kernel": {"a": jnp.ones((2, 1)), "b": jnp.ones((1, 2))}}
      >>> apply_lora(params, lora, alpha=3.0)["kernel"].tolist()
      [[4.0, 3.0], [3.0, 4.0]]
    """
    if scaling not in ("standard", "rank_stabilized"):
        raise ValueError(
            "apply_lora: scaling must be 'standard' or 'rank_stabilized', got "
            f"{scaling!r}"
        )
    factors = named_leaves(lora)
    _check_paths(params, factors)

    def adapt(path, leaf):
        path = path_string(path)
        if f"{path}/a" not in factors:
            return leaf
        a, b = factors[f"{path}/a"], factors[f"{path}/b"]
        rank, groups = _read_shapes(path, leaf.shape, a.shape, b.shape)
        divisor = rank if scaling == "standard" else math.sqrt(rank)
        change = _multiply(a, b, leaf.shape, groups) * (alpha / divisor)
        return (leaf.astype(jnp.float32) + change).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(adapt, params)


def merge_lora(
    params: Params, lora: Params, *, alpha: float, scaling: Scaling = "standard"
) -> Params:
    """Puts the adapters into the parameters for good: the network then costs no more.

    Args:
      params: the parameters adapted.
      lora: adapters as `init_lora` gives them.
      alpha: as in training. Its negative takes the adapters out again, to rounding.
      scaling: as in training.

    Returns:
      A tree like `params` to evaluate or save, the values that `apply_lora` gives.

    Raises:
      ValueError: as `apply_lora`.

    Example:
      >>> params = {"kernel": jnp.eye(2)}
      >>> lora = {"kernel": {"a": jnp.ones((2, 1)), "b": jnp.ones((1, 2))}}
      >>> merged = merge_lora(params, lora, alpha=3.0)
      >>> merge_lora(merged, lora, alpha=-3.0)["kernel"].tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """
    return apply_lora(params, lora, alpha=alpha, scaling=scaling)


def _select_kernels(params, pattern):
    """The kernels to adapt, by path."""
    kernels = {
        path: leaf
        for path, leaf in named_leaves(params).items()
        if path.rpartition("/")[2] == "kernel" and leaf.ndim in (2, 4)
    }
    chosen = mask_by_path(kernels, pattern)
    if not any(chosen.values()):
        raise ValueError(
            f"init_lora: pattern {pattern!r} matches no kernel; the kernels are "
            f"{', '.join(kernels) or 'none'}"
        )
    return {path: kernel for path, kernel in kernels.items() if chosen[path]}


def _groups_of(kernels, groups):
    """Groups of each kernel, in their order; dense ones have none to split into."""
    patterns = {"": groups} if isinstance(groups, int) else groups
    masks = {pattern: mask_by_path(kernels, pattern) for pattern in patterns}
    for pattern, mask in masks.items():
        if not any(mask.values()):
            raise ValueError(
                f"init_lora: pattern {pattern!r} of groups matches none of the "
                f"adapted kernels {', '.join(kernels)}"
            )
    for path, kernel in kernels.items():
        matching = (patterns[pattern] for pattern in patterns if masks[pattern][path])
        yield next(matching, 1) if kernel.ndim == 4 else 1


def _check_fit(path, shape, rank, groups, convention):
    if groups < 1 or shape[-1] % groups:
        raise ValueError(
            f"init_lora: groups must divide the {shape[-1]} features of {path}, got "
            f"{groups}"
        )
    if convention == "factored" and rank % groups:
        raise ValueError(
            f"init_lora: rank must be divisible by the {groups} groups of {path} in "
            f"the convention 'factored', got {rank}"
        )


def _shapes(shape, rank, groups, convention):
    """Shapes of `a` and `b` for a kernel, and the fan_in of `a`."""
    if len(shape) == 2:
        inputs, features = shape
        return (inputs, rank), (rank, features), inputs
    height, width, inputs, features = shape
    if convention == "factored":
        b_shape = (1, 1, rank // groups, features)
        return (height, width, inputs, rank), b_shape, height * width * inputs
    a_shape = (rank * height, groups * inputs * width)
    return a_shape, (features * height, rank * height), inputs * width


def _check_paths(params, factors):
    """Every adapter is whole and has a kernel."""
    kernels = named_leaves(params)
    wanted = {f"{path.rpartition('/')[0]}/{name}" for path in factors for name in "ab"}
    odd = sorted(set(factors) ^ wanted)
    if odd:
        raise ValueError(
            "apply_lora: an adapter is 'a' and 'b' at the path of its kernel, got "
            f"something else or nothing at {', '.join(odd)}"
        )
    homeless = sorted({path.rpartition("/")[0] for path in factors} - set(kernels))
    if homeless:
        raise ValueError(
            f"apply_lora: the parameters have no {', '.join(homeless)}; they have "
            f"{', '.join(kernels)}"
        )


def _read_shapes(path, shape, a_shape, b_shape):
    """Rank and groups of an adapter: those from which its shapes follow."""
    if len(shape) in (2, 4) and 2 <= len(a_shape) == len(b_shape):
        convention, rank, groups = "factored", a_shape[-1], 1
        if len(shape) == len(a_shape) == 4:
            groups = rank // max(1, b_shape[-2])
        elif len(shape) == 4:
            convention, rank = "reshaped", a_shape[0] // shape[0]
            groups = a_shape[1] // (shape[1] * shape[2])
        is_whole = groups > 0 and shape[-1] % groups == 0
        if is_whole and (convention == "reshaped" or rank % groups == 0):
            wanted = _shapes(shape, rank, groups, convention)[:2]
            if wanted == (a_shape, b_shape):
                return rank, groups
    raise ValueError(
        f"apply_lora: adapters of shapes {a_shape} and {b_shape} do not fit {path} of "
        f"shape {shape}"
    )


def _multiply(a, b, shape, groups):
    """The change of a kernel, in float32 at full precision."""
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    if len(shape) == 2:
        return jnp.matmul(a, b, precision="highest")
    height, width, inputs, features = shape
    if a.ndim == 4:
        a = a.reshape(height, width, inputs, groups, -1)
        b = b.reshape(-1, groups, features // groups)
        change = jnp.einsum("hwigr,rgf->hwigf", a, b, precision="highest")
        return change.reshape(shape)
    a = a.reshape(len(a), groups, -1)
    b = b.reshape(groups, -1, b.shape[-1])
    change = jnp.einsum("gfr,rgi->gfi", b, a, precision="highest")
    return change.reshape(features, inputs, height, width).transpose(2, 3, 1, 0)
