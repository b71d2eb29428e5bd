"""Inception blocks: branches of convolutions over one input, side by side."""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jaxdl.layers.conv_block import ConvBlock
from jaxdl.layers.pairs import Pair
from jaxdl.layers.pooling import average_pool, max_pool
from jaxdl.layers.style import Style
from jaxdl.typing import Array, Float


class ConvStep(NamedTuple):
    """One convolution of a branch, with norm and activation; see `ConvBlock`."""

    name: str
    features: int
    kernel_size: Pair = 1
    stride: Pair = 1
    padding: Pair | None = None


class PoolStep(NamedTuple):
    """A 3x3 pooling in a branch."""

    kind: Literal["max", "average"]
    stride: int = 1
    padding: int = 1


Branch = tuple[ConvStep | PoolStep | tuple[ConvStep, ...], ...]
"""What a branch does, first to last; a tuple of convolutions forks it: each sees the
same input, and their channels go on side by side."""


class Inception(nn.Module):
    """Runs branches over one input and joins their channels.

    Attributes:
      branches: what each does, in the order of the channels of the output. The
        convolutions are children by the names given there, all of them different.
      style: which norm, activation, initialisers and dtype.

    Source:
      Szegedy et al. 2015, figure 2 (b), arXiv:1409.4842; with forks Szegedy et al.
      2016, figure 7, arXiv:1512.00567.

    Example:
      >>> import functools, jax
      >>> branches = ((ConvStep("wide", 2, 3),), (PoolStep("max"), ConvStep("pool", 1)))
      >>> block, x = Inception(branches), jnp.ones((1, 4, 4, 3))
      >>> init = functools.partial(block.init_with_output, train=False)
      >>> y, variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> y.shape, sorted(variables["params"])
      ((1, 4, 4, 3), ['pool', 'wide'])
    """

    branches: tuple[Branch, ...]
    style: Style = Style()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Gives every branch the same images.

        Args:
          x: what all see, channels last.
          train: normalise by the statistics of the batch and update the running ones.

        Returns:
          The channels of all branches, side by side, in the style's dtype.
        """
        x, outputs = x.astype(self.style.dtype), []
        for branch in self.branches:
            y = x
            for step in branch:
                y = self._run(step, y, train=train)
            outputs.append(y)
        return jnp.concatenate(outputs, axis=-1)

    def _run(self, step, x, *, train):
        if isinstance(step, ConvStep):
            block = ConvBlock(
                step.features,
                step.kernel_size,
                stride=step.stride,
                padding=step.padding,
                style=self.style,
                name=step.name,
            )
            return block(x, train=train)
        if isinstance(step, PoolStep):
            pool = {"max": max_pool, "average": average_pool}[step.kind]
            return pool(x, window=3, stride=step.stride, padding=step.padding)
        forks = [self._run(fork, x, train=train) for fork in step]
        return jnp.concatenate(forks, axis=-1)
