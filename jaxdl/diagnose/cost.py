"""What a function costs: multiplications counted before anything is compiled."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def count_macs(function: Callable[..., Any], *args: Any) -> int:
    """Counts the multiply-accumulates of convolutions and matrix products.

    The function is traced with shapes alone: nothing is compiled or computed. As in
    the usual tables, products with the zeros of a padding count, and additions,
    normalisation, activations and pooling do not. A transposed convolution counts its
    input once per tap, not the zeros put between pixels.

    Args:
      function: any JAX function; a gradient counts too.
      *args: its arguments, arrays or `jax.ShapeDtypeStruct`s.

    Returns:
      Multiply-accumulates of one call; for one image, call with a batch of one. A
      scan counts each of its steps, a condition its dearest branch, a `shard_map` all
      of its devices.

    Raises:
      ValueError: the function multiplies inside a `while` loop, whose number of steps
        nobody knows before it runs.

    Example:
      >>> import jax.numpy as jnp
      >>> count_macs(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 5)))
      30
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr) -> int:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation) -> int:
    name, params = equation.primitive.name, equation.params
    if name in _COUNTERS:
        shapes = [variable.aval.shape for variable in equation.invars]
        return _COUNTERS[name](params, shapes, equation.outvars[0].aval.shape)
    inner = [_count(jaxpr) for jaxpr in _inner_jaxprs(params)]
    if name == "cond":
        return max(inner)
    if name == "while" and any(inner):
        raise ValueError(
            "count_macs: the function multiplies inside a while loop, whose number of "
            "steps is not known; use lax.scan, or fori_loop between fixed bounds"
        )
    times = {"scan": "length", "shard_map": "mesh"}.get(name)
    repeats = params[times] if times else 1
    return sum(inner) * getattr(repeats, "size", repeats)


def _inner_jaxprs(params: dict[str, Any]) -> Iterator[Any]:
    """The jaxprs among the parameters of an equation, open ones."""
    for value in params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            item = getattr(item, "jaxpr", item)  # a closed jaxpr holds an open one
            if hasattr(item, "eqns"):
                yield item


def _count_product(params, shapes, out_shape) -> int:
    (contracted, _), _ = params["dimension_numbers"]
    return math.prod(out_shape) * math.prod(shapes[0][axis] for axis in contracted)


def _count_convolution(params, shapes, out_shape) -> int:
    images, kernel = shapes[0], shapes[1]
    out_axis, in_axis, *window = params["dimension_numbers"].rhs_spec
    taps = math.prod(kernel[axis] for axis in window)
    if math.prod(params["lhs_dilation"]) > 1:
        features = kernel[out_axis] // params["feature_group_count"]
        return math.prod(images) * taps * features
    return math.prod(out_shape) * taps * kernel[in_axis]


# The operations of `jaxdl.layers.convolve` have kernels of height, width, channels and
# features; a gradient multiplies as often as the convolution did.
_COUNTERS = {
    "dot_general": _count_product,
    "conv_general_dilated": _count_convolution,
    "convolve": lambda _, shapes, out: math.prod(out) * math.prod(shapes[1][:3]),
    "convolve_input_gradient": lambda _, shapes, out: (
        math.prod(shapes[0]) * math.prod(shapes[1][:3])
    ),
    "convolve_kernel_gradient": lambda _, shapes, out: (
        math.prod(shapes[1]) * math.prod(out[:3])
    ),
}
