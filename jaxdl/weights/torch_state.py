"""PyTorch's `state_dict`s turned into Flax variables, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.models import INPUTS, MODELS
from jaxdl.trees import named_leaves
from jaxdl.typing import Params, PRNGKey, PyTree
from jaxdl.weights.layouts import LEAF_NAMES, Layout, Names, find_layouts

_WRAPPERS = ("state_dict", "model")
"""Under what training scripts keep the `state_dict` in a file with other things."""

_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""


@dataclass(frozen=True)
class LoadReport:
    """What a partial loading left out, by the names of the file.

    Attributes:
      missing: tensors of the network that the file lacks.
      unexpected: tensors of the file that the network has no place for.
      misshaped: `name: shape, wanted shape` of tensors that do not fit.
      kept: paths of the variables that stay as they were.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[str, ...]
    kept: tuple[str, ...]


class MisfitError(ValueError):
    """Tensors that are not those of the network."""


@overload
def from_torch_state(
    state_dict: Mapping[str, Any],
    model_name: str,
    *,
    strict: Literal[True] = True,
    num_classes: int | None = None,
    initial: PyTree | None = None,
    key: PRNGKey | None = None,
) -> Params: ...


@overload
def from_torch_state(
    state_dict: Mapping[str, Any],
    model_name: str,
    *,
    strict: Literal[False],
    num_classes: int | None = None,
    initial: PyTree | None = None,
    key: PRNGKey | None = None,
) -> tuple[Params, LoadReport]: ...


def from_torch_state(
    state_dict: Mapping[str, Any],
    model_name: str,
    *,
    strict: bool = True,
    num_classes: int | None = None,
    initial: PyTree | None = None,
    key: PRNGKey | None = None,
) -> Params | tuple[Params, LoadReport]:
    """The variables of a network from tensors in PyTorch's layout.

    Knows the layouts of torchvision, of timm (ResNet, pre-activation ResNet, VGG,
    Inception-v3, EfficientNet-B0) and of Y. Idelbayev's CIFAR ResNets, and tells them
    apart by the names. Kernels are transposed, the first dense layer after a flattened
    image is reordered, `num_batches_tracked` is dropped, and so are the auxiliary
    heads of a GoogLeNet that has none and the head of a network without classes. The
    arguments are not changed.

    Args:
      state_dict: tensors by name: NumPy, JAX or PyTorch, of any float dtype. The
        wrapping of a training script's file (`{"state_dict": ...}`) and the prefix
        `module.` are taken off.
      model_name: a key of `MODELS`.
      strict: refuse a file that does not fit to the last tensor. If false, what does
        not fit stays as in `initial` or as drawn with `key`.
      num_classes: of the network; as many as the file's by default, 0 for no head.
      initial: variables, or for a strict loading their shapes (`jax.eval_shape`), of
        the network to fill. By default those of `MODELS[model_name]`; needed for a
        network with options that change its variables.
      key: draws the variables that stay, where `initial` is not given.

    Returns:
      `{"params": ..., "batch_stats": ...}` in the dtypes of `initial`, float32 by
      default; with `strict=False` a pair of them and what was left out.

    Raises:
      ValueError: the names or shapes do not fit, each listed; nothing fits at all;
        something is no dictionary or no floating-point tensor; the model name is
        unknown; or `strict=False` lacks both `initial` and `key`.

    Source:
      Y. Idelbayev, "Proper ResNet Implementation for CIFAR10/CIFAR100 in PyTorch";
      the models of torchvision 0.29 and timm 1.0.

    Example:
      >>> model = MODELS["resnet8_cifar"](num_classes=10)
      >>> images = jnp.zeros((1, 32, 32, 3))
      >>> variables = jax.eval_shape(
      ...     lambda key: model.init(key, images, train=False), jax.random.key(0)
      ... )
      >>> zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), variables)
      >>> state = to_torch_state(zeros, "resnet8_cifar")
      >>> state["conv1.weight"].shape
      (16, 3, 3, 3)
      >>> loaded = from_torch_state(state, "resnet8_cifar")
      >>> loaded["params"]["stem_conv"]["kernel"].shape
      (3, 3, 3, 16)
    """
    layouts = find_layouts(model_name)
    if not isinstance(state_dict, Mapping):
        raise ValueError(
            "from_torch_state: state_dict must be a dictionary of tensors by name, got "
            f"{type(state_dict).__name__}"
        )
    if not strict and initial is None and key is None:
        raise ValueError(
            "from_torch_state: strict=False needs initial=variables or key=..., for "
            "what the tensors do not fill"
        )
    tensors = _unwrap(state_dict)
    if initial is None:
        if num_classes is None:
            num_classes = _count_classes(tensors, layouts)
        shapes = _model_shapes(model_name, num_classes)
    else:
        shapes = jax.tree.map(_shape, initial)
    layout, names = _match_layout(tensors, layouts, shapes)
    filled, report = _fill(tensors, layout, names, shapes)
    if strict:
        _check_fit(report, model_name, layout)
    elif not filled:
        raise MisfitError(
            f"{model_name}: none of the {len(tensors)} tensors fits; wrong model_name?"
        )
    kept = _keep(report.kept, initial, model_name, num_classes, key)
    leaves = {path: filled.get(path, kept.get(path)) for path in named_leaves(shapes)}
    variables = jax.tree.unflatten(jax.tree.structure(shapes), leaves.values())
    return variables if strict else (variables, report)


def to_torch_state(variables: PyTree, model_name: str) -> dict[str, np.ndarray]:
    """The variables of a network as tensors in PyTorch's layout.

    Args:
      variables: `{"params": ..., "batch_stats": ...}` of `MODELS[model_name]`.
      model_name: a key of `MODELS`.

    Returns:
      New arrays by the names of torchvision, or of timm and of the CIFAR ResNets for
      networks that torchvision lacks, in the dtypes of the variables. PyTorch's
      `load_state_dict` takes all of them, as tensors; its `num_batches_tracked` are 0.

    Raises:
      ValueError: the model name is unknown, or an array is none that PyTorch has.

    Example:
      >>> head = {"kernel": jnp.zeros((64, 10)), "bias": jnp.zeros(10)}
      >>> state = to_torch_state({"params": {"head": head}}, "resnet20_cifar")
      >>> {name: array.shape for name, array in state.items()}
      {'linear.bias': (10,), 'linear.weight': (10, 64)}
    """
    layout = find_layouts(model_name)[0]
    leaves = named_leaves(variables)
    names = layout.name_modules({_module(path) for path in leaves})
    state = {}
    for path, leaf in leaves.items():
        name = _tensor_name(path, names)
        if name is None or name in state:
            raise ValueError(
                f"to_torch_state: {path} has no place in the layout of {model_name}"
            )
        array = np.asarray(leaf)
        state[name] = np.array(layout.to_file(_module(path), array), order="C")
        if path.endswith("/var"):
            counter = name.replace("running_var", "num_batches_tracked")
            state[counter] = np.zeros((), np.int64)
    return state


def _unwrap(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors by their bare names, without the counters of BatchNorm."""
    for wrapper in _WRAPPERS:
        if isinstance(state_dict.get(wrapper), Mapping):
            state_dict = state_dict[wrapper]
            break
    tensors = {str(name): tensor for name, tensor in state_dict.items()}
    for prefix in _PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): t for name, t in tensors.items()}
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }


def _count_classes(tensors: Mapping[str, Any], layouts: tuple[Layout, ...]) -> int:
    for layout in layouts:
        bias = tensors.get(f"{layout.name_modules(['head'])['head']}.bias")
        if bias is not None and len(getattr(bias, "shape", ())) == 1:
            return bias.shape[0]
    return 1000  # no head: the report says so, whatever the number


def _model_shapes(model_name: str, num_classes: int) -> PyTree:
    return jax.eval_shape(lambda: _init(model_name, num_classes, jax.random.key(0)))


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _init(model_name: str, num_classes: int, key: PRNGKey) -> PyTree:
    spec = INPUTS[model_name]
    images = jnp.zeros((1, spec.image_size, spec.image_size, spec.channels))
    return MODELS[model_name](num_classes=num_classes).init(key, images, train=False)


def _module(path: str) -> str:
    """`params/stage1/block0/conv1/kernel` without its two ends."""
    return path.partition("/")[2].rpartition("/")[0]


def _tensor_name(path: str, names: Names) -> str | None:
    """What the file calls an array; None for one that PyTorch has no word for."""
    module = names.get(_module(path))
    leaf = LEAF_NAMES.get(path.rpartition("/")[2])
    return None if module is None or leaf is None else f"{module}.{leaf}"


def _match_layout(
    tensors: Mapping[str, Any], layouts: tuple[Layout, ...], shapes: PyTree
) -> tuple[Layout, Names]:
    """The layout with the most names in common, the first of several."""
    paths = list(named_leaves(shapes))
    best = None
    for layout in layouts:
        names = layout.name_modules({_module(path) for path in paths})
        count = sum(_tensor_name(path, names) in tensors for path in paths)
        if best is None or count > best[0]:
            best = count, layout, names
    assert best is not None
    return best[1], best[2]


def _fill(
    tensors: Mapping[str, Any], layout: Layout, names: Names, shapes: PyTree
) -> tuple[dict[str, jax.Array], LoadReport]:
    """The variables by path for which there is a tensor, and what is left over."""
    filled, missing, misshaped, known = {}, [], [], set()
    for path, leaf in named_leaves(shapes).items():
        name = _tensor_name(path, names)
        known.add(name)
        if name is None or name not in tensors:
            missing.append(name or path)
            continue
        array = _to_numpy(tensors[name], name)
        wanted = layout.file_shape(_module(path), leaf.shape)
        if array.shape != wanted:
            misshaped.append(f"{name}: {array.shape}, wanted {wanted}")
            continue
        turned = layout.from_file(_module(path), array, leaf.shape)
        # JAX may share the memory of a NumPy array: it must not be the caller's.
        is_callers = np.may_share_memory(turned, array)
        filled[path] = jnp.array(turned, leaf.dtype, copy=bool(is_callers))
    ignored = layout.ignored
    if "params/head/kernel" not in named_leaves(shapes):
        ignored += (f"{layout.name_modules(['head'])['head']}.",)
    report = LoadReport(
        missing=tuple(missing),
        unexpected=tuple(
            name
            for name in tensors
            if name not in known and not name.startswith(ignored)
        ),
        misshaped=tuple(misshaped),
        kept=tuple(path for path in named_leaves(shapes) if path not in filled),
    )
    return filled, report


def _to_numpy(tensor: Any, name: str) -> np.ndarray:
    if hasattr(tensor, "detach"):  # PyTorch, which need not be installed
        tensor = tensor.detach().cpu()
        try:
            tensor = tensor.numpy()
        except TypeError:  # NumPy has no bfloat16 of its own
            tensor = tensor.float().numpy()
    if not isinstance(tensor, np.ndarray | np.generic | jax.Array):
        raise ValueError(f"{name}: wanted a tensor, got {type(tensor).__name__}")
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise ValueError(f"{name}: wanted floating-point numbers, got {tensor.dtype}")
    return np.asarray(tensor)


def _check_fit(report: LoadReport, model_name: str, layout: Layout) -> None:
    """Lists in one error all that is missing, unexpected or of another shape."""
    groups = {
        "missing": report.missing,
        "unexpected": report.unexpected,
        "of another shape": report.misshaped,
    }
    if not any(groups.values()):
        return
    counts = ", ".join(f"{len(names)} {what}" for what, names in groups.items())
    only_shapes = not report.missing and not report.unexpected
    hint = "another network's? In Python strict=False loads what fits"
    head = layout.name_modules(["head"])["head"]
    if only_shapes and all(line.startswith(head) for line in report.misshaped):
        hint = "another number of classes; in Python strict=False keeps a new head"
    elif only_shapes and len(report.misshaped) == 1:
        hint = "made for images of other channels?"
    lines = [f"{what}: {', '.join(names)}" for what, names in groups.items() if names]
    summary = f"the tensors are not those of {model_name} ({layout.name} layout)"
    raise MisfitError("\n".join([f"{summary}: {counts}; {hint}", *lines]))


def _keep(
    paths: tuple[str, ...],
    initial: PyTree | None,
    model_name: str,
    num_classes: int | None,
    key: PRNGKey | None,
) -> dict[str, Any]:
    """The variables that no tensor fills, given or drawn."""
    if not paths:
        return {}
    if initial is not None:
        leaves = named_leaves(initial)
        kept = {path: leaves[path] for path in paths}
        if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in kept.values()):
            raise ValueError(
                "from_torch_state: initial must hold arrays, not shapes, for what the "
                f"tensors do not fill: {', '.join(paths)}"
            )
        return kept
    assert num_classes is not None
    # Compiled with these results alone: XLA then leaves out the rest, all the layers.
    draw = lambda key: {
        path: leaf
        for path, leaf in named_leaves(_init(model_name, num_classes, key)).items()
        if path in paths
    }
    return jax.jit(draw)(key)
