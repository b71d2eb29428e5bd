"""EfficientNet-B0, parameter for parameter that of torchvision."""

import functools
from typing import NamedTuple

import flax.linen as nn

from jaxdl.layers import (
    ConvBlock,
    InvertedResidual,
    Stage,
    global_average_pool,
    torch_uniform,
    zeros_bias,
)
from jaxdl.models.inputs import InputSpec
from jaxdl.models.network import Family, Network
from jaxdl.typing import Array, Float


class _StageSpec(NamedTuple):
    expansion: int
    kernel_size: int
    stride: int
    features: int
    num_blocks: int


_STAGES = (
    _StageSpec(1, 3, 1, 16, 1),
    _StageSpec(6, 3, 2, 24, 2),
    _StageSpec(6, 5, 2, 40, 2),
    _StageSpec(6, 3, 2, 80, 3),
    _StageSpec(6, 5, 1, 112, 3),
    _StageSpec(6, 5, 2, 192, 4),
    _StageSpec(6, 3, 1, 320, 1),
)


class EfficientNet(Network, kw_only=True):
    """EfficientNet-B0: a convolution, seven stages of inverted residuals, a 1x1 top.

    Made for images of side 224. Maps: "stem" (1/2, 32 channels), "stage1" (1/2, 16),
    "stage2" (1/4, 24), "stage3" (1/8, 40), "stage4" (1/16, 80), "stage5" (1/16, 112),
    "stage6" (1/32, 192), "stage7" (1/32, 320), "top" (1/32, 1280).

    Attributes:
      stochastic_depth_rate: how often training drops the branch of an example, growing
        with the block from 0 to just below this, in [0, 1).

    Source:
      Tan and Le 2019, table 1, arXiv:1905.11946. Differs from it as torchvision does:
      padding alike on all sides, BatchNorm of epsilon 1e-5 and momentum 0.9, and
      initial distributions.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> model, x = EfficientNet(num_classes=10), jnp.ones((1, 32, 32, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["stage3"]["block1"]["depthwise"]["conv"]["kernel"].shape
      (5, 5, 1, 240)
    """

    stochastic_depth_rate: float = 0.2

    @nn.nowrap
    def describe_family(self) -> Family:
        """BatchNorm and SiLU; the head starts uniform, by its number of classes."""
        return Family(
            activation="silu",
            dropout_rate=0.2,
            dense_kernel_init=torch_uniform(mode="fan_out"),
            dense_bias_init=zeros_bias,
            images=InputSpec(224, 256, interpolation="bicubic"),
        )

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The maps up to the features."""
        style = self.style
        stem = ConvBlock(32, 3, stride=2, style=style, name="stem")
        x = stem(images, train=train)
        maps = {"stem": x}
        num_blocks = sum(spec.num_blocks for spec in _STAGES)
        rates = [self.stochastic_depth_rate * i / num_blocks for i in range(num_blocks)]
        for index, spec in enumerate(_STAGES, start=1):
            block = functools.partial(
                InvertedResidual,
                kernel_size=spec.kernel_size,
                expansion=spec.expansion,
                style=style,
            )
            here, rates = rates[: spec.num_blocks], rates[spec.num_blocks :]
            stage = Stage(
                block,
                spec.features,
                spec.num_blocks,
                stride=spec.stride,
                options=tuple({"stochastic_depth_rate": rate} for rate in here),
                name=f"stage{index}",
            )
            x = maps[f"stage{index}"] = stage(x, train=train)
        maps["top"] = ConvBlock(1280, 1, style=style, name="top")(x, train=train)
        maps["features"] = global_average_pool(maps["top"])
        return maps
