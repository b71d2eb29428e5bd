"""Convolutions with what usually goes around them."""

from typing import Literal, get_args

import flax.linen as nn
import jax

from jaxdl.layers.conv import Conv
from jaxdl.layers.pairs import Pair
from jaxdl.layers.style import Style
from jaxdl.typing import Array, Float

Part = Literal["conv", "norm", "activation"]


class SeparableConv(nn.Module):
    """A convolution of each channel apart, then a 1x1 convolution over channels.

    Children `depthwise` and `pointwise`, nothing between: a window of k by k costs
    k * k + features products per pixel and channel instead of k * k * features.

    Attributes:
      features: output channels.
      kernel_size: of the first convolution, as in `Conv`, padded by half of it.
      stride: of the first convolution.
      use_bias: of the 1x1 convolution.
      style: gives the initialisers and the dtype.

    Source:
      Sifre 2014, "Rigid-motion scattering for image classification", section 6.2; in
      the form of Chollet 2017, arXiv:1610.02357.

    Example:
      >>> conv, x = SeparableConv(8, 3), jax.numpy.ones((1, 4, 4, 2))
      >>> y, variables = conv.init_with_output(jax.random.key(0), x)
      >>> {name: part["kernel"].shape for name, part in variables["params"].items()}
      {'depthwise': (3, 3, 1, 2), 'pointwise': (1, 1, 2, 8)}
    """

    features: int
    kernel_size: Pair
    stride: Pair = 1
    use_bias: bool = False
    style: Style = Style()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width features"]:
        """Runs both convolutions.

        Args:
          x: images, channels last.

        Returns:
          Images of `features` channels, in the style's dtype.
        """
        channels, style = x.shape[-1], self.style
        x = Conv(
            channels,
            self.kernel_size,
            stride=self.stride,
            groups=channels,
            dtype=style.dtype,
            kernel_init=style.kernel_init,
            name="depthwise",
        )(x)
        return Conv(
            self.features,
            1,
            use_bias=self.use_bias,
            dtype=style.dtype,
            kernel_init=style.kernel_init,
            bias_init=style.bias_init,
            name="pointwise",
        )(x)


class ConvBlock(nn.Module):
    """A convolution with its normalisation and activation, in any order.

    Children `conv` and `norm`.

    Attributes:
      features: output channels.
      kernel_size: of the convolution, as the next four; see `Conv`.
      stride: pixels from one window to the next.
      padding: None for half the window.
      groups: parts that are convolved apart.
      dilation: pixels from one tap of the window to the next.
      use_bias: of the convolution; None for only if nothing in the block normalises,
        which would take a constant away again.
      order: what is done, first to last: `conv`, and any of `norm`, `activation`.
      standardize: weight standardisation, see `Conv`.
      style: which normalisation, activation, initialisers and dtype.
      scale_init: initialiser of the scale of the normalisation; zeros start the block
        as nothing.

    Example:
      >>> block = ConvBlock(8, 3, order=("norm", "activation", "conv"))
      >>> x = jax.numpy.ones((1, 4, 4, 2))
      >>> y, variables = block.init_with_output(jax.random.key(0), x, train=False)
      >>> y.shape, sorted(variables["params"])
      ((1, 4, 4, 8), ['conv', 'norm'])
    """

    features: int
    kernel_size: Pair
    stride: Pair = 1
    padding: Pair | None = None
    groups: int = 1
    dilation: Pair = 1
    use_bias: bool | None = None
    order: tuple[Part, ...] = ("conv", "norm", "activation")
    standardize: bool = False
    style: Style = Style()
    scale_init: jax.nn.initializers.Initializer = nn.initializers.ones

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch out_height out_width features"]:
        """Runs the parts in their order.

        Args:
          x: images, channels last.
          train: handed on to the normalisation.

        Returns:
          Images of `features` channels, in the style's dtype.

        Raises:
          ValueError: the order lacks `conv`, names something else or repeats itself.
        """
        is_repeated = len(set(self.order)) < len(self.order)
        if is_repeated or not {"conv"} <= set(self.order) <= set(get_args(Part)):
            raise ValueError(
                "ConvBlock: order must hold 'conv' and any of 'norm' and 'activation', "
                f"each once, got {self.order}"
            )
        for part in self.order:
            if part == "conv":
                x = self._make_conv()(x)
            elif part == "norm":
                norm = self.style.make_norm("norm", scale_init=self.scale_init)
                x = norm(x, train=train)
            else:
                x = self.style.activate(x)
        return x

    def _make_conv(self):
        style, use_bias = self.style, self.use_bias
        if use_bias is None:
            use_bias = style.norm is None or "norm" not in self.order
        return Conv(
            self.features,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            use_bias=use_bias,
            standardize=self.standardize,
            dtype=style.dtype,
            kernel_init=style.kernel_init,
            bias_init=style.bias_init,
            name="conv",
        )
