"""What the layers of a network take and give, by the paths of their parameters."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax

from jaxdl.typing import Array, Float


@dataclass(frozen=True)
class LayerShapes:
    """One layer with a kernel: a convolution or a dense one.

    Attributes:
      path: of its module, such as "stage1/block0/conv1".
      input: what it is given, shape and dtype.
      output: what it gives.
      kernel_shape: its outputs along the last axis.
      is_first: whether no layer comes before it, so that its input has no gradient.
    """

    path: str
    input: jax.ShapeDtypeStruct
    output: jax.ShapeDtypeStruct
    kernel_shape: tuple[int, ...]
    is_first: bool

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the batch."""
        return math.prod(self.output.shape) * math.prod(self.kernel_shape[:-1])


def list_layer_shapes(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: Float[Array, "batch height width channels"] | jax.ShapeDtypeStruct,
) -> list[LayerShapes]:
    """The layers of a network in the order in which they are called.

    Args:
      model: called as `model.apply(variables, images, train=False)`.
      variables: its variables, or their shapes.
      images: a batch, or its shape.

    Returns:
      One entry per call of a module with a kernel; nothing is computed.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.models import SmallCNN
      >>> model, x = SmallCNN(num_classes=10, widths=(8, 16)), jnp.ones((2, 8, 8, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> [layer.path for layer in list_layer_shapes(model, variables, x)]
      ['conv1', 'conv2', 'head']
    """
    found: list[LayerShapes] = []

    def note(call, args, kwargs, context):
        output = call(*args, **kwargs)
        module = context.module
        own = module.variables.get("params", {})
        if context.method_name == "__call__" and "kernel" in own:
            path = "/".join(module.path)
            shapes = _describe(args[0]), _describe(output), own["kernel"].shape
            found.append(LayerShapes(path, *shapes, is_first=not found))
        return output

    def forward(variables, images):
        with nn.intercept_methods(note):
            return model.apply(variables, images, train=False)

    jax.eval_shape(forward, variables, images)
    return found


def list_split_sums(
    layers: Sequence[LayerShapes], rules: Sequence[tuple[str, Any]]
) -> list[jax.ShapeDtypeStruct]:
    """The activations that a training step sums over devices that split its layers.

    Args:
      layers: of a batch that the devices don't split.
      rules: (pattern of a parameter's path, "outputs" or "inputs"), others pass; see
        `jaxdl.models.list_splits`.

    Returns:
      What each layer split by inputs gives, and for the way back what each one split
      by outputs is given, but for the first layer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.models import ImageMLP, list_splits
      >>> model, x = ImageMLP(num_classes=10, hidden_size=32), jnp.ones((2, 8, 8, 1))
      >>> variables = model.init(jax.random.key(0), x, train=False)
      >>> layers = list_layer_shapes(model, variables, x)
      >>> [one.shape for one in list_split_sums(layers, list_splits(model))]
      [(2, 32)]
    """
    return list(_walk_sums(layers, rules))


def split_share(
    layers: Sequence[LayerShapes], rules: Sequence[tuple[str, Any]]
) -> float:
    """Part of the multiplications that is in layers that are split, in [0, 1].

    Args:
      layers: of the network.
      rules: see `list_split_sums`.

    Returns:
      The rest is done by every device.

    Example:
      >>> split_share([], ())
      0.0
    """
    whole = sum(layer.macs for layer in layers)
    split = [layer.macs for layer in layers if _find_split(layer, rules)]
    return sum(split) / whole if whole else 0.0


def _walk_sums(
    layers: Sequence[LayerShapes], rules: Sequence[tuple[str, Any]]
) -> Iterator[jax.ShapeDtypeStruct]:
    for layer in layers:
        split = _find_split(layer, rules)
        if split == "inputs":
            yield layer.output
        elif split == "outputs" and not layer.is_first:
            yield layer.input


def _find_split(layer: LayerShapes, rules: Sequence[tuple[str, Any]]) -> str | None:
    for pattern, split in rules:
        if re.search(pattern, f"params/{layer.path}/kernel"):
            return split if split in ("outputs", "inputs") else None
    return None


def _describe(array: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)
