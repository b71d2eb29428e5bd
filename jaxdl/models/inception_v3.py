"""Inception-v3, parameter for parameter that of torchvision, names too."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from jaxdl.layers import (
    Branch,
    ConvBlock,
    ConvStep,
    Inception,
    PoolStep,
    Style,
    average_pool,
    global_average_pool,
    max_pool,
    truncated_normal,
)
from jaxdl.models.inputs import InputSpec
from jaxdl.models.network import Family, Network
from jaxdl.typing import Array, Float

_WIDE, _TALL = (1, 7), (7, 1)
_POOL, _SHRINK = PoolStep("average"), PoolStep("max", stride=2, padding=0)


def _shrink(name: str, features: int) -> ConvStep:
    return ConvStep(name, features, 3, stride=2, padding=0)


def _fork(name: str) -> tuple[ConvStep, ...]:
    sizes = {f"{name}a": (1, 3), f"{name}b": (3, 1)}
    return tuple(ConvStep(part, 384, size) for part, size in sizes.items())


def _list_branches_a(pooled: int) -> tuple[Branch, ...]:
    """5x5 convolutions, and pairs of 3x3 ones."""
    return (
        (ConvStep("branch1x1", 64),),
        (ConvStep("branch5x5_1", 48), ConvStep("branch5x5_2", 64, 5)),
        (
            ConvStep("branch3x3dbl_1", 64),
            ConvStep("branch3x3dbl_2", 96, 3),
            ConvStep("branch3x3dbl_3", 96, 3),
        ),
        (_POOL, ConvStep("branch_pool", pooled)),
    )


def _list_branches_c(narrow: int) -> tuple[Branch, ...]:
    """7x7 convolutions, each split into one over rows and one over columns."""
    return (
        (ConvStep("branch1x1", 192),),
        (
            ConvStep("branch7x7_1", narrow),
            ConvStep("branch7x7_2", narrow, _WIDE),
            ConvStep("branch7x7_3", 192, _TALL),
        ),
        (
            ConvStep("branch7x7dbl_1", narrow),
            ConvStep("branch7x7dbl_2", narrow, _TALL),
            ConvStep("branch7x7dbl_3", narrow, _WIDE),
            ConvStep("branch7x7dbl_4", narrow, _TALL),
            ConvStep("branch7x7dbl_5", 192, _WIDE),
        ),
        (_POOL, ConvStep("branch_pool", 192)),
    )


_BRANCHES_B: tuple[Branch, ...] = (
    (_shrink("branch3x3", 384),),
    (
        ConvStep("branch3x3dbl_1", 64),
        ConvStep("branch3x3dbl_2", 96, 3),
        _shrink("branch3x3dbl_3", 96),
    ),
    (_SHRINK,),
)
_BRANCHES_D: tuple[Branch, ...] = (
    (ConvStep("branch3x3_1", 192), _shrink("branch3x3_2", 320)),
    (
        ConvStep("branch7x7x3_1", 192),
        ConvStep("branch7x7x3_2", 192, _WIDE),
        ConvStep("branch7x7x3_3", 192, _TALL),
        _shrink("branch7x7x3_4", 192),
    ),
    (_SHRINK,),
)
_BRANCHES_E: tuple[Branch, ...] = (
    (ConvStep("branch1x1", 320),),
    (ConvStep("branch3x3_1", 384), _fork("branch3x3_2")),
    (
        ConvStep("branch3x3dbl_1", 448),
        ConvStep("branch3x3dbl_2", 384, 3),
        _fork("branch3x3dbl_3"),
    ),
    (_POOL, ConvStep("branch_pool", 192)),
)

_STAGES: dict[str, dict[str, tuple[Branch, ...]]] = {
    "stage2": {
        "Mixed_5b": _list_branches_a(32),
        "Mixed_5c": _list_branches_a(64),
        "Mixed_5d": _list_branches_a(64),
    },
    "stage3": {
        "Mixed_6a": _BRANCHES_B,
        "Mixed_6b": _list_branches_c(128),
        "Mixed_6c": _list_branches_c(160),
        "Mixed_6d": _list_branches_c(160),
        "Mixed_6e": _list_branches_c(192),
    },
    "stage4": {
        "Mixed_7a": _BRANCHES_D,
        "Mixed_7b": _BRANCHES_E,
        "Mixed_7c": _BRANCHES_E,
    },
}


class InceptionV3(Network, kw_only=True):
    """Five convolutions and eleven inception blocks, with or without auxiliary head.

    Made for images of side 299; it takes 75 at least, and 299 in training with the
    auxiliary head. Maps: "stem" (1/2, 64 channels), "stage1" (1/4, 192), "stage2"
    (1/8, 288), "stage3" (1/16, 768), "stage4" (1/32, 2048). The first convolutions and
    all that stride are not padded, so that the maps of side 299 are of side 147, 71,
    35, 17 and 8.

    Attributes:
      auxiliary: one more head, `aux`, where there are classes; see `sow_auxiliary`.

    Source:
      Szegedy et al. 2016, table 1, arXiv:1512.00567, as in torchvision: the auxiliary
      head's 5x5 convolution starts from the same deviation 0.1 as the others.

    Example:
      >>> import functools, jax
      >>> model, x = InceptionV3(num_classes=10), jnp.ones((1, 75, 75, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["Mixed_6b"]["branch7x7_2"]["conv"]["kernel"].shape
      (1, 7, 128, 128)
    """

    auxiliary: bool = True

    @nn.nowrap
    def describe_family(self) -> Family:
        """BatchNorm of a larger epsilon; all kernels start from one deviation."""
        return Family(
            norm_epsilon=1e-3,
            dropout_rate=0.5,
            kernel_init=truncated_normal(0.1),
            dense_kernel_init=truncated_normal(0.1),
            smallest_side=75,
            images=InputSpec(299, 342, mean=(0.5,) * 3, std=(0.5,) * 3),
        )

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The maps up to the features."""
        style = self.style

        def convolve(x, name, features, kernel_size, *, stride=1, padding=0):
            block = ConvBlock(
                features, kernel_size, stride, padding, style=style, name=name
            )
            return block(x, train=train)

        x = convolve(images, "Conv2d_1a_3x3", 32, 3, stride=2)
        x = convolve(x, "Conv2d_2a_3x3", 32, 3)
        x = convolve(x, "Conv2d_2b_3x3", 64, 3, padding=1)
        maps = {"stem": x}
        x = convolve(max_pool(x, window=3, stride=2), "Conv2d_3b_1x1", 80, 1)
        maps["stage1"] = convolve(x, "Conv2d_4a_3x3", 192, 3)
        x = max_pool(maps["stage1"], window=3, stride=2)
        for stage, blocks in _STAGES.items():
            for name, branches in blocks.items():
                x = Inception(branches, style, name=name)(x, train=train)
            maps[stage] = x
        if self.auxiliary and self.num_classes:
            if train and not self.is_initializing():
                when = " in training with an auxiliary head (auxiliary=False has none)"
                self.check_side(images, 299, when=when)
            dense = self.make_dense(kernel_init=truncated_normal(0.001))
            head = _AuxiliaryHead(self.num_classes, style, dense, name="aux")
            self.sow_auxiliary("aux", head, maps["stage3"], train=train)
        maps["features"] = global_average_pool(x)
        return maps


class _AuxiliaryHead(nn.Module):
    """Scores a map in the middle of the network, for the loss in training alone."""

    num_classes: int
    style: Style
    make_dense: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x, *, train):
        if self.is_initializing():  # parameters depend on the channels alone
            x = jnp.zeros((1, 17, 17, x.shape[-1]), x.dtype)
        x = average_pool(x, window=5, stride=3)
        x = ConvBlock(128, 1, style=self.style, name="conv0")(x, train=train)
        x = ConvBlock(768, 5, padding=0, style=self.style, name="conv1")(x, train=train)
        x = global_average_pool(x)
        return self.make_dense(self.num_classes, dtype=jnp.float32, name="head")(x)
