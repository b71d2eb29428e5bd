"""Layers of low rank: a dense layer or a convolution as two or three smaller ones."""

from typing import Any, Literal

import flax.linen as nn

from jaxdl.layers.conv import Conv, Dense
from jaxdl.layers.pairs import Pair, as_pair
from jaxdl.typing import Array, Float

Method = Literal["channel", "spatial", "tucker2"]
"""Those of `jaxdl.linalg.factor_conv`; networks need not load that room."""


class FactoredDense(Dense):
    """Two dense layers in a row, `first` to `rank` numbers and `second` on from there.

    Attributes:
      features: outputs, as all other attributes of `Dense`; the bias is the second's.
      rank: at least 1.

    Example:
      >>> import jax
      >>> dense, x = FactoredDense(20, rank=3), jax.numpy.ones((2, 30))
      >>> y, variables = dense.init_with_output(jax.random.key(0), x)
      >>> y.shape, variables["params"]["first"]["kernel"].shape
      ((2, 20), (30, 3))
    """

    rank: int = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch inputs"]
    ) -> Float[Array, "*batch features"]:
        """Runs both layers.

        Args:
          x: vectors.

        Returns:
          Vectors of `features` numbers, in `dtype`.

        Raises:
          ValueError: the vectors are not floating point.
        """
        return apply_factored(self, x, rank=self.rank)


class FactoredConv(Conv):
    """Two or three convolutions in a row that stand for one.

    Children `first` and `second`, and `core` between them for Tucker-2:

    - `channel`: `first` has the window, stride, padding and dilation and gives `rank`
      channels for each group; `second` is 1x1.
    - `spatial`: `first` has their vertical part, `second` the horizontal one.
    - `tucker2`: `core` has them; `first` and `second` are 1x1.

    Attributes:
      features: output channels, as all other attributes of `Conv`; the bias is the
        last part's. `standardize` can't be had.
      rank: channels for each group between the parts; (before, behind the core) for
        Tucker-2.
      method: which parts, see above.

    Example:
      >>> import jax
      >>> conv = FactoredConv(8, 3, stride=2, rank=2, method="spatial")
      >>> x = jax.numpy.ones((1, 6, 6, 4))
      >>> y, variables = conv.init_with_output(jax.random.key(0), x)
      >>> y.shape, variables["params"]["second"]["kernel"].shape
      ((1, 3, 3, 8), (1, 3, 2, 8))
    """

    rank: Pair = 1
    method: Method = "channel"

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width features"]:
        """Runs the parts.

        Args:
          x: images, channels last.

        Returns:
          Images of `features` channels, in `dtype`.

        Raises:
          ValueError: as `Conv`, an unknown method, or `standardize`.
        """
        if self.standardize:
            raise ValueError("FactoredConv: standardize must be False, got True")
        return apply_factored(self, x, rank=self.rank, method=self.method)


def apply_factored(
    layer: Conv | Dense,
    x: Float[Array, "*pixels channels"],
    *,
    rank: Pair,
    method: Method = "channel",
) -> Float[Array, "*out_pixels features"]:
    """Runs the parts of a factored layer as children of the layer given.

    Called inside the compact call of that layer, or of its interceptor.

    Args:
      layer: tells everything but the rank; its own `kernel` is not used.
      x: its input.
      rank: see `FactoredConv`.
      method: see `FactoredConv`; a dense layer has no choice.

    Returns:
      The output of the last part, in the layer's dtype.

    Raises:
      ValueError: an unknown method, or two ranks where there is one.

    Example:
      >>> import jax
      >>> class Half(Dense):
      ...     @nn.compact
      ...     def __call__(self, x):
      ...         return apply_factored(self, x, rank=self.features // 2)
      >>> y, variables = Half(8).init_with_output(jax.random.key(0), jax.numpy.ones(4))
      >>> variables["params"]["second"]["kernel"].shape
      (4, 8)
    """
    if method not in ("channel", "spatial", "tucker2"):
        raise ValueError(
            "apply_factored: method must be 'channel', 'spatial' or 'tucker2', got "
            f"{method!r}"
        )
    if isinstance(rank, tuple) and method != "tucker2":
        raise ValueError(f"apply_factored: {method!r} has one rank, got {rank}")
    for part in _list_parts(layer, rank, method):
        x = part(x)
    return x


def _list_parts(layer, rank, method):
    options: dict[str, Any] = {
        "dtype": layer.dtype,
        "param_dtype": layer.param_dtype,
        "kernel_init": layer.kernel_init,
    }
    last = {"bias_init": layer.bias_init, "use_bias": layer.use_bias, "name": "second"}
    if isinstance(layer, Dense):
        first = Dense(rank, use_bias=False, name="first", **options)
        return first, Dense(layer.features, **options, **last)
    options["groups"] = groups = layer.groups
    inner, outer = as_pair(rank)
    whole, down, across = _list_windows(layer)
    if method == "tucker2":
        return (
            Conv(groups * inner, 1, name="first", **options),
            Conv(groups * outer, name="core", **whole, **options),
            Conv(layer.features, 1, **options, **last),
        )
    if method == "spatial":
        first = Conv(groups * inner, name="first", **down, **options)
        return first, Conv(layer.features, **across, **options, **last)
    first = Conv(groups * inner, name="first", **whole, **options)
    return first, Conv(layer.features, 1, **options, **last)


def _list_windows(conv):
    """Window, stride, padding and dilation: both axes, the vertical, the horizontal."""
    names = ("kernel_size", "stride", "padding", "dilation")
    pairs = {}
    for name in names:
        value = getattr(conv, name)
        # None for the padding stays: half of the part's own window, 0 for 1 pixel.
        pairs[name] = (None, None) if value is None else as_pair(value)
    nothing = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}
    whole = {name: getattr(conv, name) for name in names}
    down, across = {}, {}
    for name, (vertical, horizontal) in pairs.items():
        is_open = vertical is None
        down[name] = None if is_open else (vertical, nothing[name])
        across[name] = None if is_open else (nothing[name], horizontal)
    return whole, down, across
