"""Convolutions and their gradients, written so that XLA's CPU backend runs them fast.

Exact up to rounding: each function here equals `convolve_plainly` or its transpose.
What XLA does badly on CPU, and what is done instead:

- It streams a whole batch through the cache for every tap of a weight gradient, and
  falls back to a naive loop where a gradient stands inside `scan`. Here a few images at
  a time, as a convolution in the layout it has a fast kernel for.
- It finds no matrix product in 1x1 convolutions, depthwise ones and those on images of
  a few pixels. Here they are written as products, or as sums of shifted images.
- Its input gradient of a strided convolution multiplies by the zeros between pixels.
  Here each phase of the stride is a convolution of its own.
- 3x3 kernels of many channels are bound by arithmetic; `convolution_winograd.py` needs
  2.25 times fewer multiplications.
"""

import itertools
from collections.abc import Iterator
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl.layers.convolution_geometry import (
    Geometry,
    convolve_plainly,
    output_sides,
)
from jaxdl.layers.convolution_parts import sum_over_parts
from jaxdl.layers.convolution_pixels import (
    convolve_pixels,
    correlate_pixels,
    pixel_pairs,
    spread_pixels,
)
from jaxdl.layers.convolution_winograd import convolve_winograd, suits_winograd
from jaxdl.typing import Array


def convolve_on_cpu(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """The result of a convolution, see `convolve`."""
    if _is_depthwise(x.shape, kernel.shape, geometry):
        return _convolve_depthwise(x, kernel, geometry)
    if _is_pointwise(kernel.shape, geometry):
        return _subsample(x, geometry.stride) @ kernel[0, 0]
    if geometry.groups > 1:
        return convolve_plainly(x, kernel, geometry)
    pairs = pixel_pairs(x.shape, kernel.shape, geometry)
    if pairs is not None:
        return convolve_pixels(x, kernel, geometry, pairs)
    if suits_winograd(x.shape, kernel.shape, geometry):
        return convolve_winograd(x, kernel)
    return convolve_plainly(x, kernel, geometry)


def input_gradient_on_cpu(
    y_gradient: Array, kernel: Array, geometry: Geometry, input_sides: tuple[int, int]
) -> Array:
    """The transpose of `convolve` in its images.

    Args:
      y_gradient: one number per output.
      kernel: the kernel.
      geometry: of the convolution.
      input_sides: height and width of its images.

    Returns:
      One number per input.
    """
    shape = (len(y_gradient), *input_sides, kernel.shape[2] * geometry.groups)
    if _is_pointwise(kernel.shape, geometry):
        dense = y_gradient @ kernel[0, 0].T
        return _spread(dense, geometry.stride, input_sides)
    depthwise = _is_depthwise(shape, kernel.shape, geometry)
    if geometry.dilation != (1, 1) or (geometry.groups > 1 and not depthwise):
        return _transpose_plainly(y_gradient, kernel, geometry, shape)
    if not depthwise:
        pairs = pixel_pairs(shape, kernel.shape, geometry)
        if pairs is not None:
            return spread_pixels(y_gradient, kernel, shape, pairs)
    return _convolve_phases(y_gradient, kernel, geometry, input_sides)


def kernel_gradient_on_cpu(
    x: Array, y_gradient: Array, geometry: Geometry, window: tuple[int, int]
) -> Array:
    """The transpose of `convolve` in its kernel.

    Args:
      x: the images.
      y_gradient: one number per output.
      geometry: of the convolution.
      window: height and width of the kernel.

    Returns:
      One number per element of the kernel.
    """
    channels, features = x.shape[3], y_gradient.shape[3]
    shape = (*window, channels // geometry.groups, features)
    if _is_depthwise(x.shape, shape, geometry):
        take = lambda x, g: _depthwise_kernel_gradient(x, g, geometry, window)
        return sum_over_parts(take, x, y_gradient)
    if _is_pointwise(shape, geometry):
        x = _subsample(x, geometry.stride).reshape(-1, channels)
        return (x.T @ y_gradient.reshape(-1, features))[None, None]
    if geometry.groups > 1:
        plainly = lambda kernel: convolve_plainly(x, kernel, geometry)
        kernel = jax.ShapeDtypeStruct(shape, x.dtype)
        return jax.linear_transpose(plainly, kernel)(y_gradient)[0]
    pairs = pixel_pairs(x.shape, shape, geometry)
    if pairs is not None:
        return correlate_pixels(x, y_gradient, shape, pairs)
    take = lambda x, g: _correlate(x, g, geometry, window)
    return sum_over_parts(take, x, y_gradient)


def _transpose_plainly(y_gradient, kernel, geometry, shape):
    plainly = lambda x: convolve_plainly(x, kernel, geometry)
    x = jax.ShapeDtypeStruct(shape, y_gradient.dtype)
    return jax.linear_transpose(plainly, x)(y_gradient)[0]


# --- 1x1 kernels: matrix products over channels


def _is_pointwise(kernel_shape, geometry):
    return (
        kernel_shape[:2] == (1, 1)
        and geometry.padding == (0, 0)
        and geometry.groups == 1
    )


def _subsample(x, stride):
    return x if stride == (1, 1) else x[:, :: stride[0], :: stride[1]]


def _spread(y, stride, sides):
    """Puts zeros between and after pixels: the transpose of `_subsample`."""
    if stride == (1, 1):
        return y
    config = [(0, 0, 0)]
    for n, s, side in zip(y.shape[1:3], stride, sides, strict=True):
        config.append((0, side - (s * (n - 1) + 1), s - 1))
    return lax.pad(y, np.zeros((), y.dtype), [*config, (0, 0, 0)])


# --- Depthwise kernels: sums of shifted images


def _is_depthwise(x_shape, kernel_shape, geometry):
    channels = x_shape[3]
    return geometry.groups == channels > 1 and kernel_shape[2:] == (1, channels)


def _shifted(x, geometry, window, sides) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each tap of a window with the pixels it meets, one per output of `sides`."""
    vertical, horizontal = geometry.padding
    padded = jnp.pad(
        x, ((0, 0), (vertical, vertical), (horizontal, horizontal), (0, 0))
    )
    for tap in itertools.product(*map(range, window)):
        first = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        last = [
            f + (n - 1) * s + 1
            for f, n, s in zip(first, sides, geometry.stride, strict=True)
        ]
        yield (
            tap,
            padded[
                :,
                first[0] : last[0] : geometry.stride[0],
                first[1] : last[1] : geometry.stride[1],
            ],
        )


def _convolve_depthwise(x, kernel, geometry):
    sides = output_sides(x.shape[1:3], kernel.shape[:2], geometry)
    terms = [
        pixels * kernel[tap].reshape(1, 1, 1, -1)
        for tap, pixels in _shifted(x, geometry, kernel.shape[:2], sides)
    ]
    return reduce(jnp.add, terms)


def _depthwise_kernel_gradient(x, y_gradient, geometry, window):
    """A product with a row of ones adds up pixels faster than XLA's reductions do."""
    sides, channels = y_gradient.shape[1:3], x.shape[3]
    products = [
        (pixels * y_gradient).reshape(-1, channels)
        for _, pixels in _shifted(x, geometry, window, sides)
    ]
    ones = jnp.ones((1, len(products[0])), x.dtype)
    sums = [ones @ lax.optimization_barrier(product) for product in products]
    return jnp.stack(sums).reshape(*window, 1, channels)


# --- Input gradients: a convolution for each phase of the stride


def _convolve_phases(y_gradient, kernel, geometry, input_sides):
    """Pixel i meets taps of one residue, t = (i + padding) modulo the stride."""
    if geometry.groups == 1:
        turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    else:
        turned = kernel[::-1, ::-1]
    rows = []
    for row in range(geometry.stride[0]):
        phases = [
            _convolve_phase(y_gradient, turned, geometry, input_sides, (row, column))
            for column in range(geometry.stride[1])
        ]
        rows.append(_interleave(phases, axis=2))
    return _interleave(rows, axis=1)[:, : input_sides[0], : input_sides[1]]


def _convolve_phase(y_gradient, turned, geometry, input_sides, phase):
    """Every stride-th pixel of the gradient from `phase` on, `ceil(side / s)` each."""
    counts = [-(-n // s) for n, s in zip(input_sides, geometry.stride, strict=True)]
    slices, padding = [], []
    for axis in range(2):
        s, p, k = geometry.stride[axis], geometry.padding[axis], turned.shape[axis]
        residue = (phase[axis] + p) % s
        num_taps = len(range(residue, k, s))
        if num_taps == 0:
            shape = [
                -(-n // s) for n, s in zip(input_sides, geometry.stride, strict=True)
            ]
            features = turned.shape[3]
            return jnp.zeros((len(y_gradient), *shape, features), y_gradient.dtype)
        # Tap t of the kernel is k - 1 - t of the turned one.
        last = k - 1 - residue
        slices.append(slice(last % s, last + 1, s))
        first = (phase[axis] + p) // s - (num_taps - 1)
        after = first + counts[axis] - 1 + num_taps - y_gradient.shape[axis + 1]
        padding.append((-first, after))
    shifted = lax.pad(
        y_gradient,
        np.zeros((), y_gradient.dtype),
        [(0, 0, 0), *((lo, hi, 0) for lo, hi in padding), (0, 0, 0)],
    )
    taps = turned[slices[0], slices[1]]
    same = padding == [(1, 1), (1, 1)]
    whole = Geometry((1, 1), (1, 1) if same else (0, 0), (1, 1), geometry.groups)
    return convolve_on_cpu(y_gradient if same else shifted, taps, whole)


def _interleave(parts, *, axis):
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] *= len(parts)
    return jnp.stack(parts, axis=axis + 1).reshape(shape)


# --- Weight gradients: a few images at a time


def _correlate(x, y_gradient, geometry, window):
    """The weight gradient as a convolution over channels in place of images.

    The barriers keep the transposed copies: without them XLA folds the transpositions
    into a convolution that it has no fast kernel for.
    """
    images = lax.optimization_barrier(x.transpose(3, 1, 2, 0))
    kernel = lax.optimization_barrier(y_gradient.transpose(1, 2, 0, 3))
    padding = []
    for axis in range(2):
        s, p = geometry.stride[axis], geometry.padding[axis]
        reach = (window[axis] - 1) * geometry.dilation[axis]
        reach += (y_gradient.shape[axis + 1] - 1) * s + 1
        padding.append((p, reach - x.shape[axis + 1] - p))
    result = lax.conv_general_dilated(
        images,
        kernel,
        window_strides=geometry.dilation,
        padding=padding,
        rhs_dilation=geometry.stride,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return result.transpose(1, 2, 0, 3)
