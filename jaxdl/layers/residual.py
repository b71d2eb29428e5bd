"""Residual blocks and stages of them, as in ResNet.

A block is a branch of convolutions, each with a norm, added to a shortcut from its
input.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp

from jaxdl.layers.conv_steps import convolve_and_normalize, make_conv
from jaxdl.layers.style import Style
from jaxdl.typing import Array, Float

Shortcut = Literal["projection", "pad", "none"]
"""How a block passes its input on: by a 1x1 convolution (and a norm, in blocks that
normalise last) where the shape changes (option B), without parameters (option A), or
not at all."""


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


class _ResidualBlock(nn.Module):
    """A branch of the convolutions that a subclass lists, and a shortcut."""

    features: int
    stride: int = 1
    shortcut: Shortcut = "projection"
    preactivation: bool = False
    zero_init_residual: bool = False
    style: Style = Style()

    def list_convolutions(self) -> tuple[tuple[int, int, int], ...]:
        """The features, kernel size and stride of each convolution of the branch."""
        raise NotImplementedError

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Runs the block.

        Args:
          x: images, channels last.
          train: normalise by the statistics of the batch and update the running ones.

        Returns:
          Images, in the style's dtype; activated unless `preactivation`.

        Raises:
          ValueError: an unknown shortcut.
        """
        if self.shortcut not in ("projection", "pad", "none"):
            raise ValueError(
                "shortcut must be 'projection', 'pad' or 'none', "
                f"got {self.shortcut!r} in {type(self).__name__}"
            )
        x = x.astype(self.style.dtype)
        if self.preactivation:
            return self._run_preactivation(x, train=train)
        return self._run(x, train=train)

    def _run(self, x, *, train):
        """Convolution, norm, activation; the last activation after the sum."""
        y, convolutions = x, self.list_convolutions()
        for index, (features, window, stride) in enumerate(convolutions, start=1):
            is_last = index == len(convolutions)
            starts_at_zero = is_last and self.zero_init_residual
            init = nn.initializers.zeros if starts_at_zero else nn.initializers.ones
            y = convolve_and_normalize(
                y,
                features,
                window,
                stride=stride,
                style=self.style,
                train=train,
                conv_name=f"conv{index}",
                norm_name=f"norm{index}",
                scale_init=init,
                activate=not is_last,
            )
        project = functools.partial(
            convolve_and_normalize,
            style=self.style,
            train=train,
            conv_name="shortcut_conv",
            norm_name="shortcut_norm",
            activate=False,
        )
        return self.style.activate(self._add_shortcut(x, y, project, projected=x))

    def _run_preactivation(self, x, *, train):
        """Norm, activation, convolution; a projection shares the first activation."""
        y, convolutions = x, self.list_convolutions()
        activated = None
        for index, (features, window, stride) in enumerate(convolutions, start=1):
            y = self.style.make_norm(f"norm{index}")(y, train=train)
            y = self.style.activate(y)
            activated = y if activated is None else activated
            starts_at_zero = index == len(convolutions) and self.zero_init_residual
            conv = make_conv(
                self.style,
                features,
                window,
                stride=stride,
                kernel_init=nn.initializers.zeros if starts_at_zero else None,
                name=f"conv{index}",
            )
            y = conv(y)

        def project(x, features, window, *, stride):
            name = "shortcut_conv"
            conv = make_conv(self.style, features, window, stride=stride, name=name)
            return conv(x)

        return self._add_shortcut(x, y, project, projected=activated)

    def _add_shortcut(self, x, y, project, *, projected):
        """Adds the input to the branch; where shapes differ, brought to its shape."""
        if self.shortcut == "none":
            return y
        if x.shape == y.shape:
            return x + y
        if self.shortcut == "pad":
            return y + subsample_and_pad(x, features=y.shape[-1], stride=self.stride)
        return project(projected, y.shape[-1], 1, stride=self.stride) + y


class BasicBlock(_ResidualBlock):
    """Two 3x3 convolutions and a shortcut.

    Attributes:
      features: output channels.
      stride: of the first convolution.
      shortcut: see `Shortcut`.
      preactivation: norm and activation before each convolution instead of after it,
        so that the input passes untouched (ResNet v2).
      zero_init_residual: start the branch as zero, by the scale of its last norm;
        with `preactivation` by the kernel of its last convolution.
      style: which norm, activation, initialisers and dtype.

    Source:
      He et al. 2016, figure 5 left, arXiv:1512.03385. With `preactivation`: He et al.
      2016, figure 4 (e), arXiv:1603.05027; where the shape changes, the projection is
      of the activated input and has no norm, as in the authors' code and in timm.

    Example:
      >>> import jax
      >>> block, x = BasicBlock(8, stride=2), jnp.ones((1, 4, 4, 3))
      >>> init = functools.partial(block.init_with_output, train=False)
      >>> y, _ = jax.eval_shape(init, jax.random.key(0), x)
      >>> y.shape
      (1, 2, 2, 8)
    """

    def list_convolutions(self) -> tuple[tuple[int, int, int], ...]:
        """The features, kernel size and stride of each convolution of the branch."""
        return (self.features, 3, self.stride), (self.features, 3, 1)


class Bottleneck(_ResidualBlock):
    """A 1x1, a 3x3 and a 1x1 convolution and a shortcut.

    Attributes:
      features: channels in the middle; the output has four times as many.
      stride: of the block.
      shortcut: see `Shortcut`.
      preactivation: as in `BasicBlock`.
      zero_init_residual: as in `BasicBlock`.
      style: which norm, activation, initialisers and dtype.
      stride_first: put the stride on the first 1x1 convolution, as in the paper
        ("v1"), not on the 3x3 one ("v1.5", as in torchvision).

    Source:
      He et al. 2016, figure 5 right, arXiv:1512.03385, but for the place of the
      stride. With `preactivation`: as in `BasicBlock`.

    Example:
      >>> import jax
      >>> block, x = Bottleneck(2, stride=2), jnp.ones((1, 4, 4, 3))
      >>> init = functools.partial(block.init_with_output, train=False)
      >>> y, _ = jax.eval_shape(init, jax.random.key(0), x)
      >>> y.shape
      (1, 2, 2, 8)
    """

    stride_first: bool = False

    def list_convolutions(self) -> tuple[tuple[int, int, int], ...]:
        """The features, kernel size and stride of each convolution of the branch."""
        first, middle = (self.stride, 1) if self.stride_first else (1, self.stride)
        return (
            (self.features, 1, first),
            (self.features, 3, middle),
            (4 * self.features, 1, 1),
        )


class Stage(nn.Module):
    """Blocks of one width in a row; the first may stride.

    Attributes:
      block: makes a block, `block(features, stride=..., name=...)`.
      features: given to each block.
      num_blocks: at least 1.
      stride: of the first block.
      options: further arguments of each block, one mapping per block; none if empty.

    Raises:
      ValueError: the options are not one per block.

    Example:
      >>> import jax
      >>> stage = Stage(BasicBlock, 4, num_blocks=2, stride=2)
      >>> init = functools.partial(stage.init_with_output, train=False)
      >>> x = jnp.ones((1, 4, 4, 3))
      >>> y, variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> y.shape, sorted(variables["params"])
      ((1, 2, 2, 4), ['block0', 'block1'])
    """

    block: Callable[..., nn.Module]
    features: int
    num_blocks: int
    stride: int = 1
    options: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self):
        """Checks that the options fit the blocks."""
        if self.options and len(self.options) != self.num_blocks:
            raise ValueError(
                f"Stage: options must be one per block, got {len(self.options)} for "
                f"num_blocks={self.num_blocks}"
            )
        super().__post_init__()

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
            block = self.block(
                self.features,
                stride=self.stride if index == 0 else 1,
                name=f"block{index}",
                **(self.options[index] if self.options else {}),
            )
            x = block(x, train=train)
        return x
