"""Convolutions with PyTorch's padding, images channels last."""

import flax.linen as nn
import jax
import jax.numpy as jnp
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
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


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
