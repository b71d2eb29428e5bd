"""The receptive field of a unit: the pixels it can see, by recursion over layers.

Along each axis of the image, a unit with index i of a map sees the pixels from
`start + i * jump` on, `size` of them. A layer of windows changes these three numbers
in a way that depends on nothing but its kernel, stride, padding and dilation. How much
of that field really counts is another question: `jaxdl.diagnose.effective_field`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from jaxdl.diagnose.dependence import Dependence, trace_dependences
from jaxdl.trees import named_leaves


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels that the units of a map see, along one axis of the image.

    Attributes:
      size: pixels from the first to the last that a unit sees, counting those of the
        padding beyond the border of the image.
      jump: pixels from the field of one unit to that of the next: the product of all
        strides, a fraction after upsampling. None for a unit that has no place of
        its own, as after a global average; its field ends at the border.
      start: the first pixel that unit 0 sees; negative in the padding.
    """

    size: int
    jump: int | float | None
    start: int | float

    @property
    def centre(self) -> float:
        """The middle of the field of unit 0, in pixels."""
        return self.start + (self.size - 1) / 2


class Window(NamedTuple):
    """A convolution or pooling along one axis.

    Attributes:
      kernel: taps of the window, at least 1.
      stride: from one window to the next, at least 1.
      padding: at the beginning, at least 0.
      dilation: from one tap to the next, at least 1.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def stack_windows(
    windows: Iterable[Window | Sequence[int]],
) -> list[ReceptiveField]:
    """The receptive field after each of several windows in a row.

    With the field (size, jump, start) before it, a window of k taps, stride s, padding
    p and dilation d gives

        size + d (k - 1) jump,    s jump,    start - p jump.

    Args:
      windows: from the image on; plain tuples are read as `Window`s.

    Returns:
      One field per window.

    Raises:
      ValueError: a number of a window is out of range.

    Source:
      Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural
      Networks", equations 2 and 3, doi:10.23915/distill.00021.

    Example:
      >>> stack_windows([(3, 1, 1), (3, 1, 1), (3, 1, 1)])[-1]
      ReceptiveField(size=7, jump=1, start=-3)
    """
    fields = []
    size, jump, start = 1, 1, 0
    for index, window in enumerate(windows):
        kernel, stride, padding, dilation = window = Window(*window)
        if min(kernel, stride, dilation) < 1 or padding < 0:
            raise ValueError(
                "stack_windows: kernel, stride and dilation must be at least 1 and "
                f"padding at least 0, got {window} at index {index}"
            )
        size += dilation * (kernel - 1) * jump
        start -= padding * jump
        jump *= stride
        fields.append(ReceptiveField(size, jump, start))
    return fields


def trace_receptive_fields(
    function: Callable[..., Any], images: Any, *others: Any
) -> dict[str, tuple[ReceptiveField, ReceptiveField]]:
    """The receptive fields of everything a function computes from images.

    The function is traced with shapes alone, and each operation asked which of its
    inputs an output depends on, whatever the values. So branches, strided slices,
    pooling, normalisation over the image and any other layer are covered; only an
    operation whose reach is not known (a sort along the image, a loop) counts as one
    that sees all of it.

    Args:
      function: takes images (batch, height, width, channels) first; gives a tree of
        arrays.
      images: an array or a `jax.ShapeDtypeStruct`. The size matters little, but a map
        of one pixel hides the steps that follow from it.
      *others: the other arguments, such as variables; arrays or shapes.

    Returns:
      By path in the tree, the vertical and the horizontal field. Of units at the
      border that differ from those inside, the ones inside count. Outputs that do not
      depend on the images are left out.

    Raises:
      ValueError: the images do not have four axes.

    Example:
      >>> import jax.numpy as jnp
      >>> shrink = lambda images: {"half": images[:, ::2, ::2] + 1.0}
      >>> trace_receptive_fields(shrink, jnp.ones((1, 8, 8, 3)))["half"][0]
      ReceptiveField(size=1, jump=2, start=0)
    """
    if len(images.shape) != 4:
        raise ValueError(
            "trace_receptive_fields: images must have the axes (batch, height, width, "
            f"channels), got shape {images.shape}"
        )
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(images, *others)
    names = list(named_leaves(shapes))
    vertical, horizontal = (
        trace_dependences(closed.jaxpr, axis=axis, length=images.shape[axis])
        for axis in (1, 2)
    )
    return {
        name: (
            _read_field(down, images.shape[1]),
            _read_field(across, images.shape[2]),
        )
        for name, down, across in zip(names, vertical, horizontal, strict=True)
        if down is not None and across is not None
    }


def _read_field(dependence: Dependence, length: int) -> ReceptiveField:
    middle = len(dependence.low) // 2
    low, high = dependence.low[middle], dependence.high[middle]
    if dependence.axis is None:
        low, high = max(low, 0), min(high, length - 1)
        return ReceptiveField(round(high - low) + 1, None, _shorten(low))
    start = low - middle * dependence.jump
    jump = _shorten(dependence.jump)
    return ReceptiveField(round(high - low) + 1, jump, _shorten(start))


def _shorten(value: int | float) -> int | float:
    """An `int` where the value is one."""
    return int(value) if value == int(value) else float(value)


def count_stack_parameters(num_layers: int, kernel: int, channels: int) -> int:
    """The weights of a stack of square convolutions that keep the channels.

    Args:
      num_layers: convolutions in a row.
      kernel: side of each.
      channels: of the input and of every layer.

    Returns:
      `num_layers * kernel^2 * channels^2`; biases are not counted.

    Example:
      >>> count_stack_parameters(3, 3, 1), count_stack_parameters(1, 7, 1)
      (27, 49)
    """
    return num_layers * kernel**2 * channels**2
