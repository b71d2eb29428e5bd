"""Squeeze-and-excitation: channels weighted by what is in the whole image."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.layers.conv_steps import make_conv
from jaxdl.layers.pooling import global_average_pool
from jaxdl.layers.style import Style
from jaxdl.typing import Array, Float


class SqueezeExcitation(nn.Module):
    """Multiplies each channel by a number in (0, 1) that the image's mean decides.

    Children `fc1` and `fc2`, 1x1 convolutions with bias.

    Attributes:
      hidden_size: channels between the two.
      style: gives the activation after the first, the initialisers and the dtype.

    Source:
      Hu et al. 2018, section 3, arXiv:1709.01507.

    Example:
      >>> block, x = SqueezeExcitation(2), jnp.ones((1, 4, 4, 8))
      >>> y, _ = block.init_with_output(jax.random.key(0), x)
      >>> y.shape
      (1, 4, 4, 8)
    """

    hidden_size: int
    style: Style = Style()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Multiplies the channels by their weights.

        Args:
          x: channels last.

        Returns:
          As many images, of the same size, in the style's dtype.
        """
        style, x = self.style, x.astype(self.style.dtype)
        y = jnp.expand_dims(global_average_pool(x), (1, 2))
        y = make_conv(style, self.hidden_size, 1, use_bias=True, name="fc1")(y)
        y = style.activate(y)
        y = make_conv(style, x.shape[-1], 1, use_bias=True, name="fc2")(y)
        return x * jnp.broadcast_to(jax.nn.sigmoid(y), x.shape)
