"""Convolutions with PyTorch's padding, images channels last."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.typing import DTypeLike

from jaxdl.layers.initializers import kaiming_normal
from jaxdl.typing import Array, Float


def convolve(
    x: Float[Array, "batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width group_channels features"],
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> Float[Array, "batch out_height out_width features"]:
    """Slides a kernel over images (a correlation, as is usual in the field).

    Args:
      x: images, channels last.
      kernel: window, then input channels per group, then output features; of the
        dtype of `x`.
      stride: pixels from one window to the next, at least 1.
      padding: zeros on all four sides, at least 0. XLA's own "SAME" pads unequally
        at stride 2 and shifts the features of converted PyTorch weights.
      groups: parts that channels and features are split into, each convolved apart.

    Returns:
      Images of side `(side + 2 * padding - kernel) // stride + 1`.

    Raises:
      ValueError: channels, features and groups do not fit, the kernel is larger than
        the padded image, or a number is out of range.

    Example:
      >>> convolve(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), padding=1)[0, 0, 0]
      Array([4.], dtype=float32)
    """
    if stride < 1 or padding < 0 or groups < 1:
        raise ValueError(
            "convolve: stride and groups must be at least 1 and padding at least 0, "
            f"got stride={stride}, padding={padding}, groups={groups}"
        )
    if kernel.shape[2] * groups != x.shape[3] or kernel.shape[3] % groups:
        raise ValueError(
            f"convolve: kernel {kernel.shape} with groups={groups} does not fit "
            f"{x.shape[3]} channels"
        )
    window = kernel.shape[:2]
    if any(
        side + 2 * padding < k for side, k in zip(x.shape[1:3], window, strict=True)
    ):
        raise ValueError(
            f"convolve: kernel {window} is larger than images {x.shape[1:3]} "
            f"padded by {padding}"
        )
    return _convolve(x, kernel, stride, padding, groups)


class Conv(nn.Module):
    """A square convolution; parameter `kernel`, and `bias` if asked for.

    Attributes:
      features: output channels.
      kernel_size: side of the window.
      stride: pixels from one window to the next.
      padding: zeros on each side; None for half the window, which keeps the size of
        the image at stride 1 for an odd window.
      groups: parts that are convolved apart.
      use_bias: add a learnt number per feature.
      dtype: the dtype in which the convolution is computed.
      param_dtype: of the parameters.
      kernel_init: initialiser of the kernel.

    Example:
      >>> conv = Conv(8, 3, stride=2)
      >>> y, _ = conv.init_with_output(jax.random.key(0), jnp.ones((1, 6, 6, 3)))
      >>> y.shape
      (1, 3, 3, 8)
    """

    features: int
    kernel_size: int
    stride: int = 1
    padding: int | None = None
    groups: int = 1
    use_bias: bool = False
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    kernel_init: jax.nn.initializers.Initializer = kaiming_normal()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width features"]:
        """Convolves a batch of images.

        Args:
          x: images, channels last.

        Returns:
          Images of `features` channels, in `dtype`.

        Raises:
          ValueError: the images are not floating point, or the channels do not
            divide into the groups.
        """
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(f"Conv: x must be floating point, got {x.dtype}")
        if x.shape[-1] % self.groups:
            raise ValueError(
                f"Conv: {x.shape[-1]} channels do not divide into groups={self.groups}"
            )
        k = self.kernel_size
        shape = (k, k, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        y = convolve(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            padding=k // 2 if self.padding is None else self.padding,
            groups=self.groups,
        )
        if self.use_bias:
            shape = (self.features,)
            bias = self.param("bias", nn.initializers.zeros, shape, self.param_dtype)
            y = y + bias.astype(self.dtype).reshape(1, 1, 1, -1)
        return y


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _convolve(x, kernel, stride, padding, groups):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _differentiate(stride, padding, groups, primals, tangents):
    """The product rule, with the kernel's part written so that it transposes well.

    On CPU, XLA's weight gradient of a whole batch streams it through the cache for
    every tap of the kernel; a few images at a time it is 2 to 3 times faster. The
    transpose of a concatenation over images is a sum over them: the same gradient,
    in that form.
    """
    (x, kernel), (x_tangent, kernel_tangent) = primals, tangents
    convolve_with = lambda x, kernel: _convolve(x, kernel, stride, padding, groups)
    y = convolve_with(x, kernel)
    terms = []
    if not isinstance(x_tangent, SymbolicZero):
        terms.append(convolve_with(x_tangent, kernel))
    if not isinstance(kernel_tangent, SymbolicZero):
        rows = images_per_part(x.shape, y.shape, kernel.shape)
        parts = [x[start : start + rows] for start in range(0, len(x), rows)]
        outputs = [convolve_with(part, kernel_tangent) for part in parts]
        terms.append(jnp.concatenate(outputs) if len(outputs) > 1 else outputs[0])
    return y, sum(terms[1:], start=terms[0])


_convolve.defjvp(_differentiate, symbolic_zeros=True)


def images_per_part(
    x_shape: tuple[int, ...], y_shape: tuple[int, ...], kernel_shape: tuple[int, ...]
) -> int:
    """How many images a weight gradient should take at a time.

    Args:
      x_shape: of the convolved images.
      y_shape: of the result.
      kernel_shape: of the kernel.

    Returns:
      The whole batch, unless this is a process with a single CPU device: split over
      several devices, every part would bring a reduction of its own.
    """
    batch_size = max(1, x_shape[0])
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return batch_size
    image_size = max(math.prod(x_shape[1:]), math.prod(y_shape[1:]))
    if math.prod(kernel_shape) > _MAX_KERNEL_SIZE:
        return batch_size
    rows = max(_PART_SIZE // image_size, -(-batch_size // _MAX_PARTS))
    return min(max(1, rows), batch_size)


# Numbers of elements; measured on two cores with 1 MB of L2 cache each.
_PART_SIZE = 2**17
_MAX_KERNEL_SIZE = 2**18
# Each part is compiled on its own.
_MAX_PARTS = 16
