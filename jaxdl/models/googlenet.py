"""GoogLeNet, parameter for parameter that of torchvision."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from jaxdl.layers import (
    Branch,
    ConvBlock,
    ConvStep,
    Dropout,
    Inception,
    PoolStep,
    Style,
    adaptive_average_pool,
    global_average_pool,
    max_pool,
    truncated_normal,
)
from jaxdl.models.inputs import InputSpec
from jaxdl.models.network import Family, Network
from jaxdl.typing import Array, Float

# Channels of the branches: 1x1 | 1x1, 3x3 | 1x1, 3x3 | those after the max-pool.
_STAGES = {
    "stage2": {
        "inception3a": (64, 96, 128, 16, 32, 32),
        "inception3b": (128, 128, 192, 32, 96, 64),
    },
    "stage3": {
        "inception4a": (192, 96, 208, 16, 48, 64),
        "inception4b": (160, 112, 224, 24, 64, 64),
        "inception4c": (128, 128, 256, 24, 64, 64),
        "inception4d": (112, 144, 288, 32, 64, 64),
        "inception4e": (256, 160, 320, 32, 128, 128),
    },
    "stage4": {
        "inception5a": (256, 160, 320, 32, 128, 128),
        "inception5b": (384, 192, 384, 48, 128, 128),
    },
}
_AUXILIARY = {"inception4a": "aux1", "inception4d": "aux2"}
"""The auxiliary head after a block."""


class GoogLeNet(Network, kw_only=True):
    """Three convolutions and nine inception blocks, with or without auxiliary heads.

    Made for images of side 224, and of side 15 at least. Maps: "stem" (1/2, 64
    channels), "stage1" (1/4, 192), "stage2" (1/8, 480), "stage3" (1/16, 832), "stage4"
    (1/32, 1024).

    Attributes:
      auxiliary: two more heads, `aux1` and `aux2`, where there are classes; see
        `sow_auxiliary` (their losses have weight 0.3 in the paper).
      auxiliary_dropout_rate: of those heads, in [0, 1).

    Source:
      Szegedy et al. 2015, table 1, arXiv:1409.4842. Differs from it as torchvision
      does: BatchNorm, no local response normalisation, 3x3 where the paper has 5x5
      convolutions, and initial distributions of fixed deviation.

    Example:
      >>> import jax
      >>> model, x = GoogLeNet(num_classes=10), jnp.ones((1, 32, 32, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["inception3a"]["branch2_1"]["conv"]["kernel"].shape
      (3, 3, 96, 128)
    """

    auxiliary: bool = False
    auxiliary_dropout_rate: float = 0.7

    @nn.nowrap
    def describe_family(self) -> Family:
        """BatchNorm of a larger epsilon; all kernels start from one deviation."""
        return Family(
            norm_epsilon=1e-3,
            dropout_rate=0.2,
            kernel_init=truncated_normal(0.01),
            dense_kernel_init=truncated_normal(0.01),
            smallest_side=15,
            images=InputSpec(224, 256, mean=(0.5,) * 3, std=(0.5,) * 3),
        )

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The maps up to the features."""
        style = self.style
        pool = functools.partial(max_pool, stride=2, ceil_mode=True)

        def convolve(x, *sizes, **options):
            return ConvBlock(*sizes, style=style, **options)(x, train=train)

        maps = {"stem": convolve(images, 64, 7, stride=2, name="conv1")}
        x = convolve(pool(maps["stem"], window=3), 64, 1, name="conv2")
        x = maps["stage1"] = convolve(x, 192, 3, name="conv3")
        for stage, blocks in _STAGES.items():
            x = pool(x, window=2 if stage == "stage4" else 3)
            for name, channels in blocks.items():
                block = Inception(_list_branches(*channels), style, name=name)
                x = block(x, train=train)
                if self.auxiliary and self.num_classes and name in _AUXILIARY:
                    self._apply_auxiliary(_AUXILIARY[name], x, train=train)
            maps[stage] = x
        maps["features"] = global_average_pool(x)
        return maps

    def _apply_auxiliary(self, name, x, *, train):
        head = _AuxiliaryHead(
            self.num_classes,
            self.auxiliary_dropout_rate,
            self.style,
            self.make_dense(),
            name=name,
        )
        self.sow_auxiliary(name, head, x, train=train)


def _list_branches(
    direct: int, reduced3: int, wide3: int, reduced5: int, wide5: int, pooled: int
) -> tuple[Branch, ...]:
    return (
        (ConvStep("branch1", direct),),
        (ConvStep("branch2_0", reduced3), ConvStep("branch2_1", wide3, 3)),
        (ConvStep("branch3_0", reduced5), ConvStep("branch3_1", wide5, 3)),
        (PoolStep("max"), ConvStep("branch4_1", pooled)),
    )


class _AuxiliaryHead(nn.Module):
    """Scores a map in the middle of the network, for the loss in training alone."""

    num_classes: int
    dropout_rate: float
    style: Style
    make_dense: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x, *, train):
        style = self.style
        x = adaptive_average_pool(x, size=4)
        x = ConvBlock(128, 1, style=style, name="conv")(x, train=train)
        x = x.reshape(x.shape[0], -1)
        x = self.make_dense(1024, dtype=style.dtype, name="fc1")(x)
        x = Dropout(self.dropout_rate, name="dropout")(style.activate(x), train=train)
        return self.make_dense(self.num_classes, dtype=jnp.float32, name="head")(x)
