"""What the modules of a network put out, and the gradient that reaches them."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.trees import named_leaves
from jaxdl.typing import Array, Float, Shaped


@dataclass(frozen=True)
class ActivationStatistics:
    """What the elements of an array look like.

    Attributes:
      mean: of the elements that are finite, NaN where there are none.
      std: their standard deviation, in two passes.
      zero_share: share of all elements that are exactly 0.
      nonfinite_share: share of all elements that are NaN or infinite.
      shape: of the array.
    """

    mean: float
    std: float
    zero_share: float
    nonfinite_share: float
    shape: tuple[int, ...]


def measure_activations(x: Shaped[Array, "..."]) -> ActivationStatistics:
    """Measures one array, in float32.

    Args:
      x: real or boolean numbers.

    Returns:
      Its statistics.

    Example:
      >>> found = measure_activations(jnp.array([0.0, 2.0, jnp.nan, 4.0]))
      >>> found.mean, found.zero_share, found.nonfinite_share
      (2.0, 0.25, 0.25)
    """
    numbers = map(float, jax.device_get(_measure(x)))
    return ActivationStatistics(*numbers, shape=tuple(x.shape))


@jax.jit
def _measure(x):
    x = x.astype(jnp.float32)
    finite = jnp.isfinite(x)
    mean = jnp.mean(x, where=finite)
    deviation = jnp.where(finite, x - mean, 0.0)
    std = jnp.sqrt(jnp.mean(jnp.square(deviation), where=finite))
    return mean, std, jnp.mean(x == 0), jnp.mean(~finite)


def capture_outputs(
    model: nn.Module, variables: Mapping[str, Any], *inputs: Any, **options: Any
) -> dict[str, Array]:
    """What every module of a network puts out, in the order it is computed.

    Runs the network operation by operation, so that nothing large is compiled; under
    `jax.jit` the order becomes that of the alphabet.

    Args:
      model: any Linen module.
      variables: its variables.
      *inputs: what it is called with.
      **options: keywords of the call such as `train=False`, and those of
        `Module.apply` such as `rngs` and `method`. Collections other than `"params"`
        may change; the changes are dropped.

    Returns:
      Arrays by the path of their module, such as `stage1/block0/conv1`; `output` is
      the network's own. Later calls of a module called several times have the number
      of the call after the path (`cell:2`), and parts of an output that is not one
      array their own path (`encoder/mean`).

    Example:
      >>> model = nn.Sequential([nn.Dense(2), nn.relu])
      >>> variables = model.init(jax.random.key(0), jnp.ones((1, 3)))
      >>> list(capture_outputs(model, variables, jnp.ones((1, 3))))
      ['layers_0', 'output']
    """
    collections = [name for name in variables if name != "params"]
    _, captured = model.apply(
        variables,
        *inputs,
        mutable=[*collections, "intermediates"],
        capture_intermediates=True,
        **options,
    )
    return dict(_walk(captured["intermediates"]))


def _walk(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Array]]:
    """Module outputs of an `intermediates` collection, in its own order."""
    for name, value in tree.items():
        if name == "__call__":
            for count, output in enumerate(value):
                yield from _name_parts(_name_call(path, count), output)
        elif isinstance(value, Mapping):
            yield from _walk(value, f"{path}/{name}" if path else name)


def _name_call(path: str, count: int) -> str:
    return (path or "output") + (f":{count + 1}" if count else "")


def _name_parts(name: str, output: Any) -> Iterator[tuple[str, Array]]:
    for part, leaf in named_leaves(output).items():
        yield (f"{name}/{part}" if part else name), jnp.asarray(leaf)


def activation_statistics(
    model: nn.Module, variables: Mapping[str, Any], *inputs: Any, **options: Any
) -> dict[str, ActivationStatistics]:
    """Mean, standard deviation, zeros and non-finite numbers of each module's output.

    Args:
      model: any Linen module.
      variables: its variables.
      *inputs: what it is called with.
      **options: see `capture_outputs`.

    Returns:
      Statistics by the path of the module, in the order of computation; see
      `capture_outputs`.

    Example:
      >>> model = nn.Sequential([nn.Dense(2), nn.relu])
      >>> variables = model.init(jax.random.key(0), jnp.ones((1, 3)))
      >>> found = activation_statistics(model, variables, jnp.zeros((1, 3)))
      >>> found["output"].zero_share, found["output"].std
      (1.0, 0.0)
    """
    outputs = capture_outputs(model, variables, *inputs, **options)
    return {name: measure_activations(output) for name, output in outputs.items()}


def output_gradients(
    model: nn.Module,
    variables: Mapping[str, Any],
    loss_fn: Callable[[Any], Float[Array, ""]],
    *inputs: Any,
    **options: Any,
) -> dict[str, Array]:
    """The gradient of a loss with respect to what every module puts out.

    Args:
      model: any Linen module.
      variables: its variables.
      loss_fn: takes the network's output, gives a scalar.
      *inputs: what the network is called with.
      **options: keywords of the call and of `Module.apply`, see `capture_outputs`.

    Returns:
      Arrays by the path of their module, named as in `capture_outputs`; outputs that
      are not one array of floats are left out.

    Example:
      >>> model = nn.Sequential([nn.Dense(2), nn.tanh])
      >>> variables = model.init(jax.random.key(0), jnp.ones((1, 3)))
      >>> found = output_gradients(model, variables, jnp.sum, jnp.zeros((1, 3)))
      >>> found["layers_0"].tolist()
      [[1.0, 1.0]]
    """
    collections = [name for name in variables if name != "params"]

    def run(probes: Mapping[str, Array], shapes: dict[str, Any]):
        with nn.intercept_methods(_make_interceptor(probes, shapes)):
            output, _ = model.apply(variables, *inputs, mutable=collections, **options)
        return loss_fn(output)

    shapes: dict[str, Any] = {}
    jax.eval_shape(lambda: run({}, shapes))
    zeros = {name: jnp.zeros(s.shape, s.dtype) for name, s in shapes.items()}
    gradients = jax.grad(lambda probes: run(probes, {}))(zeros)
    # The tree's own order is that of the alphabet.
    return {name: gradients[name] for name in shapes}


def _make_interceptor(probes: Mapping[str, Array], shapes: dict[str, Any]):
    """Adds its probe to each module's output; the gradient to the probe is its own."""
    counts: dict[str, int] = {}

    def intercept(call, inputs, options, context):
        output = call(*inputs, **options)
        if context.method_name != "__call__":
            return output
        path = "/".join(context.module.path)
        count = counts[path] = counts.get(path, -1) + 1
        is_array = isinstance(output, jax.Array)
        if not (is_array and jnp.issubdtype(output.dtype, jnp.floating)):
            return output
        name = _name_call(path, count)
        shapes[name] = jax.ShapeDtypeStruct(output.shape, output.dtype)
        return output + probes[name] if name in probes else output

    return intercept


def root_mean_square(x: Shaped[Array, "..."]) -> float:
    """The square root of the mean square of an array, in float32.

    Args:
      x: real numbers.

    Returns:
      A number that overflows or underflows no sooner than float32 does: the array is
      scaled to its largest element first.

    Example:
      >>> f"{root_mean_square(jnp.array([3e-30, 4e-30])):.4g}"
      '3.536e-30'
    """
    x = x.astype(jnp.float32)
    largest = float(jnp.max(jnp.abs(x)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float(jnp.sqrt(jnp.mean(jnp.square(x / largest))))
