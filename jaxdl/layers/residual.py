"""Residual blocks and stages of them, as in ResNet.

A block is a branch of convolutions, each followed by BatchNorm, added to a shortcut
from its input.
"""

import functools
from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.layers.convolution import Conv
from jaxdl.layers.initializers import kaiming_normal
from jaxdl.layers.normalization import BatchNorm
from jaxdl.typing import Array, Float

Shortcut = Literal["projection", "pad", "none"]
"""How a block passes its input on: by a 1x1 convolution and BatchNorm where the
shape changes (option B), without parameters (option A), or not at all."""


def subsample_and_pad(
    x: Float[Array, "batch height width channels"], *, features: int, stride: int
) -> Float[Array, "batch out_height out_width features"]:
    """Takes every `stride`-th pixel and adds zero channels, without parameters.

    Args:
      x: images, channels last.
      features: channels of the result; the extra ones are half before and half
        after those of `x`, the odd one after.
      stride: step between the pixels kept, from the first on.

    Returns:
      Images of side `ceil(side / stride)`.

    Raises:
      ValueError: `features` is below the number of channels.

    Source:
      He et al. 2016, section 4.2, option A, arXiv:1512.03385. Which side gets the
      zeros is not said there; both, as in Y. Idelbayev's trained networks.

    Example:
      >>> subsample_and_pad(jnp.ones((1, 4, 4, 1)), features=3, stride=2)[0, 0, 0]
      Array([0., 1., 0.], dtype=float32)
    """
    extra = features - x.shape[-1]
    if extra < 0:
        raise ValueError(
            f"subsample_and_pad: features must be at least {x.shape[-1]}, the channels "
            f"of the input, got {features}"
        )
    x = x[:, ::stride, ::stride]
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (extra // 2, extra - extra // 2)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    Attributes:
      features: output channels.
      stride: of the first convolution.
      shortcut: see `Shortcut`.
      kernel_init: initialiser of the convolutions.
      zero_init_residual: start the branch as zero, by the scale of its last BatchNorm.
      dtype: the dtype in which convolutions are computed.

    Source:
      He et al. 2016, figure 5 left, arXiv:1512.03385.

    Example:
      >>> block, x = BasicBlock(8, stride=2), jnp.ones((1, 4, 4, 3))
      >>> y, _ = block.init_with_output(jax.random.key(0), x, train=False)
      >>> y.shape
      (1, 2, 2, 8)
    """

    features: int
    stride: int = 1
    shortcut: Shortcut = "projection"
    kernel_init: jax.nn.initializers.Initializer = kaiming_normal()
    zero_init_residual: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width features"]:
        """Runs the block.

        Args:
          x: images, channels last.
          train: normalise by the statistics of the batch and update the running ones.

        Returns:
          Images of `features` channels, at least 0.
        """
        conv = _conv(self)
        y = conv(self.features, 3, stride=self.stride, name="conv1")(x)
        y = nn.relu(BatchNorm(dtype=self.dtype, name="norm1")(y, train=train))
        y = conv(self.features, 3, name="conv2")(y)
        y = _last_norm(self, "norm2")(y, train=train)
        return nn.relu(_add_shortcut(self, x, y, train=train))


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution and a shortcut.

    Attributes:
      features: channels in the middle; the output has four times as many.
      stride: of the 3x3 convolution.
      shortcut: see `Shortcut`.
      kernel_init: initialiser of the convolutions.
      zero_init_residual: start the branch as zero, by the scale of its last BatchNorm.
      dtype: the dtype in which convolutions are computed.

    Source:
      He et al. 2016, figure 5 right, arXiv:1512.03385. Differs from it: the stride is
      on the 3x3 convolution, not on the first 1x1 ("v1.5", as in torchvision).

    Example:
      >>> block, x = Bottleneck(2, stride=2), jnp.ones((1, 4, 4, 3))
      >>> y, _ = block.init_with_output(jax.random.key(0), x, train=False)
      >>> y.shape
      (1, 2, 2, 8)
    """

    features: int
    stride: int = 1
    shortcut: Shortcut = "projection"
    kernel_init: jax.nn.initializers.Initializer = kaiming_normal()
    zero_init_residual: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Runs the block.

        Args:
          x: images, channels last.
          train: normalise by the statistics of the batch and update the running ones.

        Returns:
          Images of `4 * features` channels, at least 0.
        """
        conv = _conv(self)
        y = conv(self.features, 1, name="conv1")(x)
        y = nn.relu(BatchNorm(dtype=self.dtype, name="norm1")(y, train=train))
        y = conv(self.features, 3, stride=self.stride, name="conv2")(y)
        y = nn.relu(BatchNorm(dtype=self.dtype, name="norm2")(y, train=train))
        y = conv(4 * self.features, 1, name="conv3")(y)
        y = _last_norm(self, "norm3")(y, train=train)
        return nn.relu(_add_shortcut(self, x, y, train=train))


class Stage(nn.Module):
    """Blocks of one width in a row; the first may stride.

    Attributes:
      block: makes a block, `block(features, stride=..., name=...)`.
      features: given to each block.
      num_blocks: at least 1.
      stride: of the first block.

    Example:
      >>> stage = Stage(BasicBlock, 4, num_blocks=2, stride=2)
      >>> x = jnp.ones((1, 4, 4, 3))
      >>> y, variables = stage.init_with_output(jax.random.key(0), x, train=False)
      >>> y.shape, sorted(variables["params"])
      ((1, 2, 2, 4), ['block0', 'block1'])
    """

    block: Callable[..., nn.Module]
    features: int
    num_blocks: int
    stride: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Runs the blocks in turn.

        Args:
          x: images, channels last.
          train: normalise by the statistics of the batch and update the running ones.

        Returns:
          The images that the last block gives.
        """
        for index in range(self.num_blocks):
            stride = self.stride if index == 0 else 1
            x = self.block(self.features, stride=stride, name=f"block{index}")(
                x, train=train
            )
        return x


def _conv(block):
    """Makes convolutions of the block's initialiser and dtype."""
    return functools.partial(Conv, kernel_init=block.kernel_init, dtype=block.dtype)


def _last_norm(block, name):
    ones_or_zeros = (
        nn.initializers.zeros if block.zero_init_residual else nn.initializers.ones
    )
    return BatchNorm(dtype=block.dtype, scale_init=ones_or_zeros, name=name)


def _add_shortcut(block, x, y, *, train):
    """Adds the input to the branch, brought to its shape first."""
    if block.shortcut == "none":
        return y
    x = x.astype(block.dtype)
    if x.shape == y.shape:
        return x + y
    if block.shortcut == "pad":
        return y + subsample_and_pad(x, features=y.shape[-1], stride=block.stride)
    if block.shortcut != "projection":
        raise ValueError(
            "shortcut must be 'projection', 'pad' or 'none', "
            f"got {block.shortcut!r} in {type(block).__name__}"
        )
    x = _conv(block)(y.shape[-1], 1, stride=block.stride, name="shortcut_conv")(x)
    x = BatchNorm(dtype=block.dtype, name="shortcut_norm")(x, train=train)
    return x + y
