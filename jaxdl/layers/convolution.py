"""Convolutions with PyTorch's padding, images channels last.

One trilinear form, the sum over all windows of image * kernel * output, has three
faces: the output of image and kernel, the gradient of the image and the gradient of the
kernel. Each is a primitive whose derivatives are the other two, so every kind of
derivative works, and each backend gets the formulation that is fastest there.
"""

import functools

import jax
from jax._src import dispatch
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxdl.layers.convolution_cpu import (
    convolve_on_cpu,
    input_gradient_on_cpu,
    kernel_gradient_on_cpu,
)
from jaxdl.layers.convolution_geometry import (
    Geometry,
    convolve_plainly,
    output_sides,
)
from jaxdl.layers.convolution_sharded import split_over_devices
from jaxdl.typing import Array, Float


def convolve(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width group_channels features"],
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Float[Array, "batch out_height out_width features"]:
    """Slides a kernel over images (a correlation, as is usual in the field).

    Args:
      x: images, channels last.
      kernel: window, then input channels per group, then output features; of the
        dtype of `x`.
      stride: pixels from one window to the next, at least 1; one number or
        (vertical, horizontal), as the next two.
      padding: zeros on each side, at least 0. XLA's own "SAME" pads unequally at
        stride 2 and shifts the features of converted PyTorch weights.
      dilation: pixels from one tap of the kernel to the next, at least 1.
      groups: parts that channels and features are split into, each convolved apart.

    Returns:
      Images of side `(side + 2 * padding - span) // stride + 1`, where
      `span = dilation * (kernel - 1) + 1`.

    Raises:
      ValueError: channels, features and groups do not fit, the kernel is larger than
        the padded image, or a number is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> convolve(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), padding=1)[0, 0, 0]
      Array([4.], dtype=float32)
    """
    pair = lambda value: value if isinstance(value, tuple) else (value, value)
    geometry = Geometry(pair(stride), pair(padding), pair(dilation), groups)
    if (
        min(*geometry.stride, *geometry.dilation, groups) < 1
        or min(geometry.padding) < 0
    ):
        raise ValueError(
            "convolve: stride, dilation and groups must be at least 1 and padding at "
            f"least 0, got stride={stride}, padding={padding}, dilation={dilation}, "
            f"groups={groups}"
        )
    if kernel.shape[2] * groups != x.shape[3] or kernel.shape[3] % groups:
        raise ValueError(
            f"convolve: kernel {kernel.shape} with groups={groups} does not fit "
            f"{x.shape[3]} channels"
        )
    if min(output_sides(x.shape[1:3], kernel.shape[:2], geometry)) < 1:
        spread = "" if dilation == 1 else f" dilated by {dilation}"
        raise ValueError(
            f"convolve: kernel {kernel.shape[:2]}{spread} is larger than images "
            f"{x.shape[1:3]} padded by {padding}"
        )
    varying = _varying_axes(x) | _varying_axes(kernel)
    x, kernel = (
        jax.lax.pcast(a, tuple(varying - _varying_axes(a)), to="varying")
        for a in (x, kernel)
    )
    return _output_p.bind(x, kernel, geometry=geometry)


def _varying_axes(array):
    """Mesh axes along which a `shard_map` has other values on other devices."""
    kind = jax.typeof(array)
    manual = getattr(kind, "manual_axis_type", None)
    return frozenset(
        getattr(manual, "varying", None) or getattr(kind, "vma", None) or ()
    )


def _output_shape(x, kernel, *, geometry):
    sides = output_sides(x.shape[1:3], kernel.shape[:2], geometry)
    return x.update(shape=(x.shape[0], *sides, kernel.shape[3]))


def _input_gradient_shape(y_gradient, kernel, *, geometry, sides):
    channels = kernel.shape[2] * geometry.groups
    return y_gradient.update(shape=(y_gradient.shape[0], *sides, channels))


def _kernel_gradient_shape(x, y_gradient, *, geometry, window):
    channels = x.shape[3] // geometry.groups
    return x.update(shape=(*window, channels, y_gradient.shape[3]))


def _output_plainly(x, kernel, *, geometry):
    return convolve_plainly(x, kernel, geometry)


def _input_gradient_plainly(y_gradient, kernel, *, geometry, sides):
    channels = kernel.shape[2] * geometry.groups
    x = jax.ShapeDtypeStruct((len(y_gradient), *sides, channels), kernel.dtype)
    plainly = lambda x: convolve_plainly(x, kernel, geometry)
    return jax.linear_transpose(plainly, x)(y_gradient)[0]


def _kernel_gradient_plainly(x, y_gradient, *, geometry, window):
    shape = (*window, x.shape[3] // geometry.groups, y_gradient.shape[3])
    kernel = jax.ShapeDtypeStruct(shape, x.dtype)
    plainly = lambda kernel: convolve_plainly(x, kernel, geometry)
    return jax.linear_transpose(plainly, kernel)(y_gradient)[0]


def _output_on_cpu(x, kernel, *, geometry):
    return convolve_on_cpu(x, kernel, geometry)


def _input_gradient_on_cpu(y_gradient, kernel, *, geometry, sides):
    return input_gradient_on_cpu(y_gradient, kernel, geometry, sides)


def _kernel_gradient_on_cpu(x, y_gradient, *, geometry, window):
    return kernel_gradient_on_cpu(x, y_gradient, geometry, window)


# Capitals: dimensions that may be split over devices, see `split_over_devices`.
_RULES = {
    "convolve": ("NhwC,abCF->NijF", "Nhwc,abgk->Nijf"),
    "convolve_input_gradient": ("NijF,abCF->NhwC", "Nijf,abgk->Nhwc"),
    "convolve_kernel_gradient": ("NhwC,NijF->abCF", "Nhwc,Nijf->abgk"),
}


@functools.cache
def _split(name, on_cpu, parameters):
    parameters = dict(parameters)
    rule = _RULES[name][parameters["geometry"].groups > 1]
    return split_over_devices(lambda a, b: on_cpu(a, b, **parameters), rule)


def _make_primitive(name, shape_rule, plainly, on_cpu):
    primitive = Primitive(name)
    # JAX tells these which devices there are. Private: without it, several devices run
    # XLA's own forms.
    getattr(dispatch, "prim_requires_devices_during_lowering", set()).add(primitive)
    primitive.def_abstract_eval(shape_rule)

    @functools.partial(jax.jit, static_argnames=("geometry", "sides", "window"))
    def run(a, b, **parameters):
        return primitive.bind(a, b, **parameters)

    primitive.def_impl(run)
    lower_plainly = mlir.lower_fun(plainly, multiple_results=False)
    lower_for_one = mlir.lower_fun(on_cpu, multiple_results=False)

    def lower_on_cpu(context, *operands, **parameters):
        x, other = context.avals_in
        if x.dtype != "float32" or x.size == 0 or other.size == 0:
            return lower_plainly(context, *operands, **parameters)
        where = context.module_context.axis_context
        if _is_local(where):
            return lower_for_one(context, *operands, **parameters)
        if not _can_split(where):
            return lower_plainly(context, *operands, **parameters)
        split = _split(name, on_cpu, tuple(sorted(parameters.items())))
        return mlir.lower_fun(split, multiple_results=False)(context, *operands)

    mlir.register_lowering(primitive, lower_plainly)
    mlir.register_lowering(primitive, lower_on_cpu, platform="cpu")
    batching.primitive_batchers[primitive] = functools.partial(
        _batch, primitive, plainly
    )
    return primitive


def _is_local(where):
    """Whether arrays are those of one device: the only one, or inside `shard_map`."""
    mesh = getattr(where, "mesh", None)
    if mesh is None:
        return getattr(where, "num_devices", 1) == 1
    return mesh.size == 1 or set(where.manual_axes) == set(mesh.axis_names)


def _can_split(where):
    """Not where a `shard_map` has taken some axes of a mesh, or no mesh is known."""
    mesh = getattr(where, "abstract_mesh", None)
    known = getattr(where, "device_assignment", None) is not None
    return known and mesh is not None and not mesh.empty


def _batch(primitive, plainly, operands, axes, **parameters):
    """vmap: a batch of batches is a larger batch; a batch of kernels is left to XLA."""
    if axes[1] is None and primitive is not _kernel_gradient_p:
        first = jax.numpy.moveaxis(operands[0], axes[0], 0)
        merged = first.reshape(-1, *first.shape[2:])
        result = primitive.bind(merged, operands[1], **parameters)
        return result.reshape(*first.shape[:2], *result.shape[1:]), 0
    batched = jax.vmap(functools.partial(plainly, **parameters), in_axes=axes)
    return batched(*operands), 0


_output_p = _make_primitive("convolve", _output_shape, _output_plainly, _output_on_cpu)
_input_gradient_p = _make_primitive(
    "convolve_input_gradient",
    _input_gradient_shape,
    _input_gradient_plainly,
    _input_gradient_on_cpu,
)
_kernel_gradient_p = _make_primitive(
    "convolve_kernel_gradient",
    _kernel_gradient_shape,
    _kernel_gradient_plainly,
    _kernel_gradient_on_cpu,
)


# An operand being differentiated may be no array; its `aval` has the shape too.
def _sides(images):
    return tuple(getattr(images, "aval", images).shape[1:3])


def _window(kernel):
    return tuple(getattr(kernel, "aval", kernel).shape[:2])


ad.defbilinear(
    _output_p,
    lambda ct, x, kernel, *, geometry: _input_gradient_p.bind(
        ct, kernel, geometry=geometry, sides=_sides(x)
    ),
    lambda ct, x, kernel, *, geometry: _kernel_gradient_p.bind(
        x, ct, geometry=geometry, window=_window(kernel)
    ),
)
ad.defbilinear(
    _input_gradient_p,
    lambda ct, y_gradient, kernel, *, geometry, sides: _output_p.bind(
        ct, kernel, geometry=geometry
    ),
    lambda ct, y_gradient, kernel, *, geometry, sides: _kernel_gradient_p.bind(
        ct, y_gradient, geometry=geometry, window=_window(kernel)
    ),
)
ad.defbilinear(
    _kernel_gradient_p,
    lambda ct, x, y_gradient, *, geometry, window: _input_gradient_p.bind(
        y_gradient, ct, geometry=geometry, sides=_sides(x)
    ),
    lambda ct, x, y_gradient, *, geometry, window: _output_p.bind(
        x, ct, geometry=geometry
    ),
)
