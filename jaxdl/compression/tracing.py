"""The layers that a network runs, what goes into them and what they cost."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.diagnose import count_macs
from jaxdl.layers import Conv, Dense, standardize_weights
from jaxdl.layers.pairs import as_pair
from jaxdl.typing import Array, Float, Params

_CHUNK = 32
"""Images whose windows are held at once."""


class TracedLayer(NamedTuple):
    """A layer as it was run.

    Attributes:
      path: in the parameters.
      layer: the module, bound to nothing.
      input_shapes: of a batch of one, by call: a layer may be shared.
      kernel: as it multiplies.
    """

    path: str
    layer: Conv | Dense
    input_shapes: tuple[tuple[int, ...], ...]
    kernel: Array

    @property
    def groups(self) -> int:
        """Of the convolution, else 1."""
        return self.layer.groups if isinstance(self.layer, Conv) else 1


def trace_layers(
    model: nn.Module, variables: Any, image_shape: tuple[int, ...]
) -> list[TracedLayer]:
    """Lists the convolutions and dense layers of a network in evaluation.

    Args:
      model: called as `model.apply(variables, images, train=False)`.
      variables: its variables.
      image_shape: height, width, channels.

    Returns:
      The layers in the order in which they are run.
    """
    found: dict[str, tuple[Any, list[tuple[int, ...]]]] = {}

    def look(module, x):
        path = "/".join(module.path)
        layer = module.clone(parent=None, name=None)
        found.setdefault(path, (layer, []))[1].append(x.shape)

    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    jax.eval_shape(lambda v, x: _watch(model, v, x, look), variables, images)
    return [
        TracedLayer(path, layer, tuple(shapes), _find_kernel(variables, path, layer))
        for path, (layer, shapes) in found.items()
    ]


def measure_grams(
    model: nn.Module,
    variables: Any,
    images: Float[Array, "batch height width channels"],
    layers: list[TracedLayer],
) -> dict[str, Array]:
    """The Gram matrices of what goes into layers, for the factoring that knows it.

    Args:
      model: as for `trace_layers`.
      variables: its variables.
      images: a batch of any size; it is gone through in small parts.
      layers: those wanted.

    Returns:
      By path, `x.T @ x` over all windows of all images, as
      `jaxdl.linalg.factor_conv` and `factor_dense` take it.
    """
    by_path = {traced.path: traced for traced in layers}

    @jax.jit
    def measure(variables, images):
        grams: dict[str, Array] = {}

        def look(module, x):
            path = "/".join(module.path)
            if path in by_path:
                gram = _gram(by_path[path], x.astype(jnp.float32))
                grams[path] = grams[path] + gram if path in grams else gram

        with jax.default_matmul_precision("highest"):
            _watch(model, variables, images, look)
        return grams

    total: Any = None
    for start in range(0, len(images), _CHUNK):
        part = measure(variables, images[start : start + _CHUNK])
        total = part if total is None else jax.tree.map(jnp.add, total, part)
    return total


def count_layer_macs(
    layer: nn.Module, params: Params, input_shapes: tuple[tuple[int, ...], ...]
) -> int:
    """Multiply-accumulates of a layer for one image, over all its calls.

    Args:
      layer: called as `layer.apply(variables, x)`.
      params: its parameters.
      input_shapes: of its input in each call.

    Returns:
      See `jaxdl.diagnose.count_macs`.
    """
    run = lambda variables, x: layer.apply(variables, x)
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in input_shapes]
    return sum(count_macs(run, {"params": params}, x) for x in inputs)


def layer_params(params: Params, path: str) -> Any:
    """The parameters at a path of a tree of dictionaries.

    Args:
      params: of the network.
      path: parts joined by `/`.

    Returns:
      The subtree.
    """
    for part in path.split("/"):
        params = params[part]
    return params


def _watch(model, variables, images, look):
    """Applies a network and shows each layer and its input to a function."""

    def intercept(next_call, args, kwargs, context):
        module = context.module
        if type(module) in (Conv, Dense) and context.method_name == "__call__":
            look(module, args[0])
        return next_call(*args, **kwargs)

    with nn.intercept_methods(intercept):
        return model.apply(variables, images, train=False)


def _find_kernel(variables, path, layer):
    kernel = layer_params(variables["params"], path)["kernel"]
    is_standardized = isinstance(layer, Conv) and layer.standardize
    return standardize_weights(kernel) if is_standardized else kernel


def _gram(traced, x):
    """`x.T @ x` of the windows that a kernel is laid over, for each group."""
    layer = traced.layer
    if isinstance(layer, Dense):
        rows = x.reshape(-1, x.shape[-1])
        return rows.T @ rows
    groups, channels = layer.groups, traced.kernel.shape[2]
    taps = _list_taps(layer, x, traced.kernel.shape[:2])
    if groups == 1:
        # Five times as fast on CPU as the same with an axis of one group.
        rows = jnp.concatenate([t.reshape(-1, channels) for t in taps], axis=-1)
        return rows.T @ rows
    windows = jnp.stack([t.reshape(-1, groups, channels) for t in taps], axis=2)
    rows = windows.reshape(len(windows), groups, -1)
    return jnp.einsum("ngi,ngj->gij", rows, rows)


def _list_taps(conv, x, window):
    """For each place in the window the pixels that are under it, by place of output."""
    stride, dilation = as_pair(conv.stride), as_pair(conv.dilation)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    padding = [span // 2 for span in spans]
    if conv.padding is not None:
        padding = as_pair(conv.padding)
    x = jnp.pad(x, ((0, 0), *((p, p) for p in padding), (0, 0)))
    rows, columns = (
        [slice(d * i, d * i + side - span + 1, s) for i in range(k)]
        for side, span, d, s, k in zip(
            x.shape[1:3], spans, dilation, stride, window, strict=True
        )
    )
    return [x[:, row, column] for row in rows for column in columns]
