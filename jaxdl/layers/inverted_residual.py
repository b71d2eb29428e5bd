"""Inverted residual blocks (MBConv), as in EfficientNet."""

import flax.linen as nn

from jaxdl.layers.conv_block import ConvBlock
from jaxdl.layers.dropout import StochasticDepth
from jaxdl.layers.squeeze_excitation import SqueezeExcitation
from jaxdl.layers.style import Style
from jaxdl.typing import Array, Float


class InvertedResidual(nn.Module):
    """Widens, convolves each channel apart, weights channels, narrows again.

    Children `expand` (none if the factor is 1), `depthwise`, `squeeze_excitation` and
    `project`; the last has no activation. The input is added where shapes agree.

    Attributes:
      features: output channels.
      stride: of the depthwise convolution.
      kernel_size: side of its window.
      expansion: the factor by which channels are widened, at least 1.
      squeeze_ratio: hidden channels of squeeze-and-excitation per channel of the
        *input* of the block, in (0, 1].
      stochastic_depth_rate: how often training drops the branch of an example, in
        [0, 1).
      style: which norm, activation, initialisers and dtype.

    Source:
      Tan and Le 2019, table 1, arXiv:1905.11946, after Sandler et al. 2018, figure 3,
      arXiv:1801.04381.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> block, x = InvertedResidual(4, stride=2, expansion=6), jnp.ones((1, 4, 4, 2))
      >>> init = functools.partial(block.init_with_output, train=False)
      >>> y, variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> y.shape, variables["params"]["depthwise"]["conv"]["kernel"].shape
      ((1, 2, 2, 4), (3, 3, 1, 12))
    """

    features: int
    stride: int = 1
    kernel_size: int = 3
    expansion: int = 1
    squeeze_ratio: float = 0.25
    stochastic_depth_rate: float = 0.0
    style: Style = Style()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width features"]:
        """Convolves a batch and, where shapes agree, adds it to the result.

        Args:
          x: channels last.
          train: normalise by the statistics of the batch, and drop branches with a key
            of the stream "dropout".

        Returns:
          Images of `features` channels, in the style's dtype, not activated.
        """
        style, x = self.style, x.astype(self.style.dtype)
        channels, y = x.shape[-1] * self.expansion, x
        if self.expansion > 1:
            y = ConvBlock(channels, 1, style=style, name="expand")(y, train=train)
        y = ConvBlock(
            channels,
            self.kernel_size,
            stride=self.stride,
            groups=channels,
            style=style,
            name="depthwise",
        )(y, train=train)
        hidden_size = max(1, int(x.shape[-1] * self.squeeze_ratio))
        y = SqueezeExcitation(hidden_size, style=style, name="squeeze_excitation")(y)
        y = ConvBlock(
            self.features, 1, order=("conv", "norm"), style=style, name="project"
        )(y, train=train)
        if y.shape != x.shape:
            return y
        return x + StochasticDepth(self.stochastic_depth_rate)(y, train=train)
