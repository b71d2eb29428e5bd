"""Convolutions and dense layers as Linen modules."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.layers.convolution import convolve
from jaxdl.layers.initializers import BiasInitializer, kaiming_normal, zeros_bias
from jaxdl.layers.moments import standardize_weights
from jaxdl.layers.pairs import Pair, as_pair
from jaxdl.typing import Array, Float


class Conv(nn.Module):
    """A convolution; parameter `kernel`, and `bias` if asked for.

    Sizes are one number or (vertical, horizontal).

    Attributes:
      features: output channels.
      kernel_size: sides of the window.
      stride: pixels from one window to the next.
      padding: zeros on each side; None for half the window, which keeps the size of
        the image at stride 1 for an odd window.
      dilation: pixels from one tap of the window to the next.
      groups: parts that are convolved apart; depthwise if as many as channels.
      use_bias: add a learnt number per feature.
      dtype: the dtype in which the convolution is computed.
      param_dtype: of the parameters.
      kernel_init: initialiser of the kernel.
      bias_init: makes the initialiser of the bias from the kernel's fan_in.
      standardize: weight standardisation: the kernel of each feature is used with
        mean 0 and variance 1.

    Example:
      >>> conv = Conv(8, (1, 3), stride=2)
      >>> y, _ = conv.init_with_output(jax.random.key(0), jnp.ones((1, 6, 6, 3)))
      >>> y.shape
      (1, 3, 3, 8)
    """

    features: int
    kernel_size: Pair
    stride: Pair = 1
    padding: Pair | None = None
    dilation: Pair = 1
    groups: int = 1
    use_bias: bool = False
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    kernel_init: jax.nn.initializers.Initializer = kaiming_normal()
    bias_init: BiasInitializer = zeros_bias
    standardize: bool = False

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
        _check_floating("Conv", x)
        if self.groups < 1 or x.shape[-1] % self.groups:
            raise ValueError(
                f"Conv: {x.shape[-1]} channels do not divide into groups={self.groups}"
            )
        group_channels = x.shape[-1] // self.groups
        shape = (*as_pair(self.kernel_size), group_channels, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        if self.standardize:
            kernel = standardize_weights(kernel)
        y = convolve(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            padding=_padding(self),
            dilation=self.dilation,
            groups=self.groups,
        )
        return _add_bias(self, y, kernel) if self.use_bias else y


class Dense(nn.Module):
    """A matrix product over the last axis; parameters `kernel` and `bias`.

    Attributes:
      features: outputs.
      use_bias: add a learnt number per feature.
      dtype: the dtype in which the product is computed.
      param_dtype: of the parameters.
      kernel_init: initialiser of the kernel, of shape (inputs, features).
      bias_init: makes the initialiser of the bias from the kernel's fan_in.

    Example:
      >>> dense = Dense(8)
      >>> y, _ = dense.init_with_output(jax.random.key(0), jnp.ones((2, 3)))
      >>> y.shape
      (2, 8)
    """

    features: int
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    kernel_init: jax.nn.initializers.Initializer = kaiming_normal()
    bias_init: BiasInitializer = zeros_bias

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch inputs"]
    ) -> Float[Array, "*batch features"]:
        """Multiplies by the kernel and adds the bias.

        Args:
          x: vectors.

        Returns:
          Vectors of `features` numbers, in `dtype`.

        Raises:
          ValueError: the vectors are not floating point.
        """
        _check_floating("Dense", x)
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        y = x.astype(self.dtype) @ kernel.astype(self.dtype)
        return _add_bias(self, y, kernel) if self.use_bias else y


def _check_floating(name, x):
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"{name}: x must be floating point, got {x.dtype}")


def _padding(conv):
    if conv.padding is not None:
        return conv.padding
    (height, width), (down, across) = map(as_pair, (conv.kernel_size, conv.dilation))
    return (down * (height - 1) + 1) // 2, (across * (width - 1) + 1) // 2


def _add_bias(module, y, kernel):
    """Adds a bias whose initialiser depends on the fan_in of the kernel."""
    init = module.bias_init(math.prod(kernel.shape[:-1]))
    bias = module.param("bias", init, kernel.shape[-1:], module.param_dtype)
    return y + bias.astype(module.dtype).reshape((1,) * (y.ndim - 1) + (-1,))
