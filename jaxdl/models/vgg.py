"""VGG-11 to VGG-19, parameter for parameter those of torchvision."""

import flax.linen as nn

from jaxdl.layers import (
    Style,
    convolve_and_normalize,
    fixed_normal,
    max_pool,
    zeros_bias,
)
from jaxdl.models.hidden_layers import apply_hidden_layers
from jaxdl.models.network import Family, Network, check_choice
from jaxdl.models.splits import Splits, split_pair
from jaxdl.typing import Array, Float

_CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""How many convolutions each stage has, by the depth of the network."""

_WIDTHS = (1, 2, 4, 8, 8)
"""Channels of each stage, in widths of the first."""


class _Stage(nn.Module):
    """3x3 convolutions of one width in a row; `conv1`, `conv2`, ..."""

    features: int
    num_convolutions: int
    style: Style

    @nn.compact
    def __call__(self, x, *, train):
        for index in range(1, self.num_convolutions + 1):
            x = convolve_and_normalize(
                x,
                self.features,
                3,
                use_bias=True,
                style=self.style,
                train=train,
                conv_name=f"conv{index}",
                norm_name=f"norm{index}",
            )
        return x


class VGG(Network, kw_only=True):
    """Five stages of 3x3 convolutions, a max-pool after each, and dense layers.

    Made for images of side 224, and of side 32 at least. Maps: "stage1" (1/1, 64
    channels), "stage2" (1/2, 128), "stage3" (1/4, 256), "stage4" (1/8, 512), "stage5"
    (1/16, 512), each before its max-pool, and "pooled" (1/32, 512); the features are
    4096 numbers. All convolutions have a bias, also where a norm follows.

    Attributes:
      depth: 11, 13, 16 or 19 layers with weights.
      batch_norm: BatchNorm is the family's own norm; otherwise none is.
      width: channels of the first stage; the others follow.
      hidden_size: of both hidden dense layers.

    Raises:
      ValueError: the depth is none of the four.

    Source:
      Simonyan and Zisserman 2015, table 1 (A, B, D, E), arXiv:1409.1556. Differs from
      it as torchvision does: its initial distributions, the average to 7x7 before the
      dense layers and, if asked for, BatchNorm.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> model, x = VGG(depth=11, num_classes=10), jnp.ones((1, 32, 32, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["stage3"]["conv2"]["kernel"].shape
      (3, 3, 256, 256)
    """

    depth: int
    batch_norm: bool = False
    width: int = 64
    hidden_size: int = 4096

    def __post_init__(self):
        """Checks the depth before anything is built on it."""
        check_choice("VGG: depth", self.depth, _CONVOLUTIONS)
        super().__post_init__()

    @nn.nowrap
    def describe_family(self) -> Family:
        """He's distribution for convolutions, a fixed one for dense layers."""
        return Family(
            norm="batch" if self.batch_norm else "none",
            dropout_rate=0.5,
            dropped=("fc2", "head"),
            dense_kernel_init=fixed_normal(0.01),
            dense_bias_init=zeros_bias,
            smallest_side=32,
        )

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Convolutions two by two, and both hidden dense layers."""
        splits = split_pair("fc1", "fc2")
        for stage, count in enumerate(_CONVOLUTIONS[self.depth], start=1):
            for index in range(1, count, 2):
                prefix = f"stage{stage}/"
                splits += split_pair(
                    f"{prefix}conv{index}",
                    f"{prefix}conv{index + 1}",
                    between=f"{prefix}norm{index}",
                )
        return splits

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The maps up to the features."""
        x, maps = images, {}
        for index, num_convolutions in enumerate(_CONVOLUTIONS[self.depth]):
            name = f"stage{index + 1}"
            features = _WIDTHS[index] * self.width
            stage = _Stage(features, num_convolutions, self.style, name=name)
            maps[name] = stage(x, train=train)
            x = max_pool(maps[name], window=2, stride=2)
        maps["pooled"] = x
        maps["features"] = apply_hidden_layers(
            self, x, side=7, hidden_size=self.hidden_size, train=train
        )
        return maps
