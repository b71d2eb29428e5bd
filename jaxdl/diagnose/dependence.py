"""On which pixels each element of an array can depend, read off a traced function.

Each index along one axis of an array has an interval of pixels, along one axis of the
image, outside of which no pixel can change it. The padding counts as pixels beyond the
border, so that the intervals are those of an image without end.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Dependence:
    """The pixels that the elements of an array depend on.

    Attributes:
      axis: the axis of the array along which they differ; None where every element
        depends on the same ones.
      low: first pixel by index along that axis; of length 1 without an axis. Infinity
        where there is none.
      high: the last pixel, as `low`.
      jump: by how many pixels the interval moves from one index to the next.
    """

    axis: int | None
    low: np.ndarray
    high: np.ndarray
    jump: float

    def merge(self) -> "Dependence":
        """Every element depends on what any of them did."""
        low, high = self.low.min(keepdims=True), self.high.max(keepdims=True)
        return Dependence(None, low, high, self.jump)

    def take(self, index: np.ndarray) -> "Dependence":
        """The intervals at some indices; those outside the array follow the jump."""
        inside = np.clip(index, 0, len(self.low) - 1)
        shift = (index - inside) * self.jump
        return replace(
            self, low=self.low[inside] + shift, high=self.high[inside] + shift
        )


Found = Dependence | None
"""None for what does not depend on the image at all."""


def trace_dependences(jaxpr: Any, *, axis: int, length: int) -> list[Found]:
    """The dependences of a traced function's results on its first argument.

    Args:
      jaxpr: the open jaxpr of the function.
      axis: axis of the first argument, the one to look along.
      length: its length.

    Returns:
      One dependence per result.
    """
    pixels = np.arange(length, dtype=np.float64)
    image = Dependence(axis, pixels, pixels, 1.0)
    return _walk(jaxpr, [image, *[None] * (len(jaxpr.invars) - 1)])


def _walk(jaxpr: Any, inputs: Sequence[Found]) -> list[Found]:
    known = dict(zip(jaxpr.invars, inputs, strict=True))

    def find(variable: Any) -> Found:
        is_literal = hasattr(variable, "val")
        return None if is_literal else known.get(variable)

    for equation in jaxpr.eqns:
        found = [find(variable) for variable in equation.invars]
        outputs: Sequence[Found] = [None] * len(equation.outvars)
        if any(dependence is not None for dependence in found):
            outputs = _apply(equation, found)
        known.update(zip(equation.outvars, outputs, strict=True))
    return [find(variable) for variable in jaxpr.outvars]


def _apply(equation: Any, found: Sequence[Found]) -> Sequence[Found]:
    name, count = equation.primitive.name, len(equation.outvars)
    if name in _CALLS:
        inner = equation.params[_CALLS[name]]
        return _walk(getattr(inner, "jaxpr", inner), found)
    if name == "optimization_barrier":
        return found
    if name == "split" and found[0] is not None and found[0].axis is not None:
        return _split(equation, found[0])
    if name in _ELEMENTWISE:
        return [_unite(found)] * count
    rule = _RULES.get(name, _merge_all)
    return [rule(equation, found)] * count


def _unite(found: Sequence[Found]) -> Found:
    """An element depends on what the elements in its place depend on."""
    parts = [dependence for dependence in found if dependence is not None]
    if len({part.axis for part in parts} - {None}) > 1:
        parts = [part.merge() for part in parts]
    low = functools.reduce(np.minimum, [part.low for part in parts])
    high = functools.reduce(np.maximum, [part.high for part in parts])
    # Without an axis, a part adds its interval to all others.
    placed = [part for part in parts if part.axis is not None] or parts
    return Dependence(placed[0].axis, low, high, placed[0].jump)


def _merge_all(equation: Any, found: Sequence[Found]) -> Found:
    """An upper bound for any operation: all depends on all."""
    del equation
    return _unite([part.merge() for part in found if part is not None])


def _keep_axis(
    rule: Callable[[Any, Dependence, int], Dependence],
) -> Callable[..., Found]:
    """A rule for operations on one array that do something along its axis."""

    def apply(equation: Any, found: Sequence[Found]) -> Found:
        first, *others = found
        if first is None or any(other is not None for other in others):
            return _merge_all(equation, found)
        return first if first.axis is None else rule(equation, first, first.axis)

    return apply


def _slide(
    found: Dependence, count: int, *, kernel, stride, padding, dilation=1, base=1
) -> Dependence:
    """The windows of a convolution or pooling; `base` spreads the input with zeros."""
    places = np.arange(count) * stride - padding
    lows, highs = [], []
    for tap in range(kernel):
        index = places + tap * dilation
        part = found.take(index // base)
        is_zero = index % base > 0
        lows.append(np.where(is_zero, np.inf, part.low))
        highs.append(np.where(is_zero, -np.inf, part.high))
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    return Dependence(found.axis, low, high, found.jump * stride / base)


def _convolve(equation: Any, found: Dependence, axis: int) -> Dependence:
    params = equation.params
    dimensions = params["dimension_numbers"]
    batch_axis, channel_axis, *image_axes = dimensions.lhs_spec
    if axis == channel_axis:
        return found.merge()
    if axis == batch_axis:
        return replace(found, axis=dimensions.out_spec[0])
    place = image_axes.index(axis)
    out_axis = dimensions.out_spec[2 + place]
    kernel = equation.invars[1].aval.shape[dimensions.rhs_spec[2 + place]]
    slid = _slide(
        found,
        equation.outvars[0].aval.shape[out_axis],
        kernel=kernel,
        stride=params["window_strides"][place],
        padding=params["padding"][place][0],
        dilation=params["rhs_dilation"][place],
        base=params["lhs_dilation"][place],
    )
    return replace(slid, axis=out_axis)


def _convolve_images(equation: Any, found: Dependence, axis: int) -> Dependence:
    """That of `jaxdl.layers.convolve`: images channels last, then a kernel."""
    if axis == 3:
        return found.merge()
    if axis == 0:
        return found
    geometry = equation.params["geometry"]
    numbers = {
        name: getattr(geometry, name)[axis - 1]
        for name in ("stride", "padding", "dilation")
    }
    kernel = equation.invars[1].aval.shape[axis - 1]
    count = equation.outvars[0].aval.shape[axis]
    return _slide(found, count, kernel=kernel, **numbers)


def _reduce_window(equation: Any, found: Dependence, axis: int) -> Dependence:
    params = equation.params
    return _slide(
        found,
        equation.outvars[0].aval.shape[axis],
        kernel=params["window_dimensions"][axis],
        stride=params["window_strides"][axis],
        padding=params["padding"][axis][0],
        dilation=params["window_dilation"][axis],
        base=params["base_dilation"][axis],
    )


def _drop_axes(equation: Any, found: Dependence, axis: int) -> Dependence:
    """A reduction, or axes of length 1 left out."""
    axes = equation.params.get("axes", equation.params.get("dimensions"))
    if axis in axes:
        return found.merge()
    return replace(found, axis=axis - sum(other < axis for other in axes))


def _broadcast(equation: Any, found: Dependence, axis: int) -> Dependence:
    axis = equation.params["broadcast_dimensions"][axis]
    if equation.outvars[0].aval.shape[axis] != len(found.low):
        return found.merge()  # one index, repeated
    return replace(found, axis=axis)


def _reshape(equation: Any, found: Dependence, axis: int) -> Dependence:
    """Follows an axis that keeps its length and what lies before it."""
    old, new = (v.aval.shape for v in (equation.invars[0], equation.outvars[0]))
    before = np.prod(old[:axis], dtype=int)
    for new_axis, length in enumerate(new):
        same_place = np.prod(new[:new_axis], dtype=int) == before
        if same_place and length == old[axis]:
            return replace(found, axis=new_axis)
    return found.merge()


def _transpose(equation: Any, found: Dependence, axis: int) -> Dependence:
    return replace(found, axis=equation.params["permutation"].index(axis))


def _reverse(equation: Any, found: Dependence, axis: int) -> Dependence:
    if axis not in equation.params["dimensions"]:
        return found
    turned = found.take(np.arange(len(found.low))[::-1])
    return replace(turned, jump=-found.jump)


def _slice(equation: Any, found: Dependence, axis: int) -> Dependence:
    params = equation.params
    step = params["strides"][axis] if params["strides"] else 1
    index = np.arange(
        params["start_indices"][axis], params["limit_indices"][axis], step
    )
    return replace(found.take(index), jump=found.jump * step)


def _pad(equation: Any, found: Dependence, axis: int) -> Dependence:
    before, _, between = equation.params["padding_config"][axis]
    count = equation.outvars[0].aval.shape[axis]
    return _slide(found, count, kernel=1, stride=1, padding=before, base=between + 1)


def _split(equation: Any, found: Dependence) -> Sequence[Found]:
    sizes = equation.params["sizes"]
    if found.axis != equation.params["axis"]:
        return [found] * len(sizes)
    ends = np.cumsum(sizes)
    parts = zip(ends - sizes, ends, strict=True)
    return [found.take(np.arange(start, end)) for start, end in parts]


def _concatenate(equation: Any, found: Sequence[Found]) -> Found:
    axis = equation.params["dimension"]
    if all(part is None or part.axis != axis for part in found):
        return _unite(found)
    lows, highs = [], []
    for variable, part in zip(equation.invars, found, strict=True):
        length = variable.aval.shape[axis]
        if part is not None and part.axis not in (axis, None):
            return _merge_all(equation, found)
        low, high = (np.inf, -np.inf) if part is None else (part.low, part.high)
        lows.append(np.broadcast_to(low, length))
        highs.append(np.broadcast_to(high, length))
    jump = next(part.jump for part in found if part is not None and part.axis == axis)
    return Dependence(axis, np.concatenate(lows), np.concatenate(highs), jump)


def _multiply_matrices(equation: Any, found: Sequence[Found]) -> Found:
    contracted, batch = equation.params["dimension_numbers"]
    shapes = [variable.aval.ndim for variable in equation.invars]
    parts = []
    for side, part in enumerate(found):
        if part is None or part.axis is None or part.axis in contracted[side]:
            parts.append(part.merge() if part is not None else None)
            continue
        if part.axis in batch[side]:
            axis = tuple(batch[side]).index(part.axis)
        else:
            taken = [*contracted[side], *batch[side]]
            axis = len(batch[side]) + side * (
                shapes[0] - len(contracted[0]) - len(batch[0])
            )
            axis += sum(other not in taken for other in range(part.axis))
        parts.append(replace(part, axis=axis))
    return _unite(parts)


_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
"""Operations that call a function, and which of their parameters it is."""

_ELEMENTWISE = frozenset(
    "abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp "
    "convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp "
    "exp2 expm1 floor ge gt imag integer_pow is_finite le lgamma log log1p logistic "
    "lt max min mul ne neg nextafter not or pow real "
    "reduce_precision rem round rsqrt select_n sharding_constraint sign sin sinh sqrt "
    "square stop_gradient sub tan tanh xor".split()
)

_RULES: dict[str, Callable[..., Found]] = {
    "conv_general_dilated": _keep_axis(_convolve),
    "convolve": _keep_axis(_convolve_images),
    "reduce_window_sum": _keep_axis(_reduce_window),
    "reduce_window_max": _keep_axis(_reduce_window),
    "reduce_window_min": _keep_axis(_reduce_window),
    "reduce_window": _keep_axis(_reduce_window),
    **{
        name: _keep_axis(_drop_axes)
        for name in (
            "argmax argmin reduce_and reduce_max reduce_min reduce_or reduce_prod "
            "reduce_sum"
        ).split()
    },
    "broadcast_in_dim": _keep_axis(_broadcast),
    "reshape": _keep_axis(_reshape),
    "squeeze": _keep_axis(_drop_axes),
    "transpose": _keep_axis(_transpose),
    "rev": _keep_axis(_reverse),
    "slice": _keep_axis(_slice),
    "pad": _keep_axis(_pad),
    "concatenate": _concatenate,
    "dot_general": _multiply_matrices,
}
