"""Convolutions and what follows them, with names side by side in the caller.

`ConvBlock` keeps its parts in a child of its own (`stem/conv`, `stem/norm`); these
functions, called inside a compact method, put them next to each other (`conv1`,
`norm1`), as networks of stages and blocks name them.
"""

from typing import Any

import flax.linen as nn
from jax.nn.initializers import Initializer

from jaxdl.layers.conv import Conv
from jaxdl.layers.pairs import Pair
from jaxdl.layers.style import Style
from jaxdl.typing import Array, Float


def make_conv(
    style: Style,
    features: int,
    kernel_size: Pair,
    *,
    name: str,
    stride: Pair = 1,
    padding: Pair | None = None,
    use_bias: bool | None = None,
    kernel_init: Initializer | None = None,
) -> Conv:
    """Makes a convolution with the initialisers and dtype of a style.

    Args:
      style: of the network.
      features: output channels.
      kernel_size: sides of the window.
      name: of the layer among its parent's.
      stride: pixels from one window to the next.
      padding: as in `Conv`.
      use_bias: None for only where the style has no norm, which would take a constant
        away again.
      kernel_init: instead of the style's.

    Returns:
      A layer.

    Example:
      >>> make_conv(Style(norm=None), 8, 3, name="conv1").use_bias
      True
    """
    return Conv(
        features,
        kernel_size,
        stride=stride,
        padding=padding,
        use_bias=style.norm is None if use_bias is None else use_bias,
        dtype=style.dtype,
        kernel_init=style.kernel_init if kernel_init is None else kernel_init,
        bias_init=style.bias_init,
        name=name,
    )


def convolve_and_normalize(
    x: Float[Array, "batch height width channels"],
    features: int,
    kernel_size: Pair,
    *,
    style: Style,
    train: bool,
    conv_name: str,
    norm_name: str,
    scale_init: Initializer = nn.initializers.ones,
    activate: bool = True,
    **conv_options: Any,
) -> Float[Array, "batch out_height out_width features"]:
    """Convolution, norm and activation, as layers of the module that calls.

    Args:
      x: images, channels last.
      features: given to `make_conv`, as the next two.
      kernel_size: one number or (vertical, horizontal).
      style: also gives the norm and the activation.
      train: handed on to the norm.
      conv_name: of the convolution among the caller's layers.
      norm_name: of the norm.
      scale_init: of the scale of the norm.
      activate: False leaves the activation out.
      **conv_options: further arguments of `make_conv`.

    Returns:
      Images of `features` channels, in the style's dtype.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> names = {"conv_name": "conv1", "norm_name": "norm1"}
      >>> class Stem(nn.Module):
      ...     @nn.compact
      ...     def __call__(self, x):
      ...         style = Style()
      ...         return convolve_and_normalize(
      ...             x, 8, 3, style=style, train=False, **names
      ...         )
      >>> x, init = jnp.ones((1, 4, 4, 3)), Stem().init
      >>> sorted(jax.eval_shape(init, jax.random.key(0), x)["params"])
      ['conv1', 'norm1']
    """
    conv = make_conv(style, features, kernel_size, name=conv_name, **conv_options)
    x = style.make_norm(norm_name, scale_init=scale_init)(conv(x), train=train)
    return style.activate(x) if activate else x
