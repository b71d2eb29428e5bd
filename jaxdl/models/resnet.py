"""ResNet-18 to ResNet-152 of three versions; v1.5 is that of torchvision."""

import functools
from collections.abc import Callable, Sequence
from typing import Literal

import flax.linen as nn

from jaxdl.layers import (
    BasicBlock,
    Bottleneck,
    Stage,
    convolve_and_normalize,
    global_average_pool,
    make_conv,
    max_pool,
)
from jaxdl.models.network import Family, Network, check_choice
from jaxdl.models.splits import Splits, split_pair
from jaxdl.typing import Array, Float

Version = Literal["v1", "v1.5", "v2"]
"""Of a ResNet: where a bottleneck strides, on its first 1x1 ("v1") or on its 3x3
convolution ("v1.5"); in "v2" norm and activation come before each convolution."""

_STAGES = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(Network, kw_only=True):
    """A 7x7 convolution, a max-pool, four stages, an average and a linear head.

    Made for images of side 224; the image shrinks 32-fold before the average. Maps:
    "stem" (1/2, 64 channels), "stage1" (1/4), "stage2" (1/8), "stage3" (1/16),
    "stage4" (1/32). In v2 the stem and the stages are not normalised yet, and "final"
    is stage 4 after the last norm and activation. The features are 512 numbers, with
    bottlenecks 2048.

    Attributes:
      depth: 18, 34 (basic blocks), 50, 101 or 152 (bottlenecks).
      version: see `Version`.
      zero_init_residual: start each block's branch as zero (Goyal et al. 2017, section
        5.1, arXiv:1706.02677).
      width: channels of the first stage; 64 in the paper.
      small_images: begin with a 3x3 convolution of stride 1 and no max-pool, as is
        usual for images of side 32; all maps are then 4 times as large.

    Raises:
      ValueError: the depth is none of the five or the version none of the three.

    Source:
      He et al. 2016, table 1, arXiv:1512.03385, but for the place of the stride in
      v1.5. v2: He et al. 2016, arXiv:1603.05027, with the details of the authors' code
      and timm: nothing between stem and max-pool, the stride of a bottleneck on its
      3x3 convolution, projections without norm from the activated input.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> model, x = ResNet(depth=18, num_classes=10), jnp.ones((1, 32, 32, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["stem_conv"]["kernel"].shape
      (7, 7, 3, 64)
    """

    depth: int
    version: Version = "v1.5"
    zero_init_residual: bool = False
    width: int = 64
    small_images: bool = False

    def __post_init__(self):
        """Checks depth and version before anything is built on them."""
        check_choice("ResNet: depth", self.depth, _STAGES)
        check_choice("ResNet: version", self.version, ("v1", "v1.5", "v2"))
        super().__post_init__()

    @nn.nowrap
    def describe_family(self) -> Family:
        """BatchNorm and ReLU; torchvision has version 1.5 alone."""
        return Family(in_torchvision=self.version == "v1.5")

    @nn.nowrap
    def list_splits(self) -> Splits:
        """The last two convolutions of each block."""
        block_type, _ = _STAGES[self.depth]
        last = 3 if block_type is Bottleneck else 2
        # Of v2, norms come before their convolution.
        norm = last if self.version == "v2" else last - 1
        return split_pair(
            rf"/block\d+/conv{last - 1}",
            rf"/block\d+/conv{last}",
            between=rf"/block\d+/norm{norm}",
        )

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The maps up to the features."""
        style, is_v2 = self.style, self.version == "v2"
        block_type, stages = _STAGES[self.depth]
        block = functools.partial(
            block_type,
            preactivation=is_v2,
            zero_init_residual=self.zero_init_residual,
            style=style,
        )
        if self.version == "v1" and block_type is Bottleneck:
            block = functools.partial(block, stride_first=True)
        size, stride = (3, 1) if self.small_images else (7, 2)
        if is_v2:
            make = make_conv(style, self.width, size, stride=stride, name="stem_conv")
            stem = make(images)
        else:
            stem = apply_stem(
                self, images, self.width, size, stride=stride, train=train
            )
        maps = {"stem": stem}
        x = stem
        if not self.small_images:
            x = max_pool(stem, window=3, stride=2, padding=1)
        maps |= apply_stages(block, x, stages, width=self.width, train=train)
        x = maps["stage4"]
        if is_v2:
            x = style.make_norm("final_norm")(x, train=train)
            x = maps["final"] = style.activate(x)
        return {**maps, "features": global_average_pool(x)}


def apply_stem(
    network: Network,
    images: Float[Array, "batch height width channels"],
    features: int,
    kernel_size: int,
    *,
    stride: int = 1,
    train: bool,
) -> Float[Array, "batch out_height out_width features"]:
    """The first convolution, as layers `stem_conv` and `stem_norm` of the network.

    Called inside the network's compact method.

    Args:
      network: gives the style.
      images: as for the network.
      features: output channels.
      kernel_size: side of the window.
      stride: pixels from one window to the next.
      train: handed on to the norm.

    Returns:
      Images of `features` channels, activated.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> class Stem(Network):
      ...     def describe_family(self):
      ...         return Family()
      ...
      ...     def encode(self, images, *, train):
      ...         x = apply_stem(self, images, 8, 3, stride=2, train=train)
      ...         return {"stem": x, "features": global_average_pool(x)}
      >>> x, init = jnp.ones((1, 8, 8, 3)), Stem(num_classes=2).init
      >>> init = functools.partial(init, train=False)
      >>> sorted(jax.eval_shape(init, jax.random.key(0), x)["params"])
      ['head', 'stem_conv', 'stem_norm']
    """
    return convolve_and_normalize(
        images,
        features,
        kernel_size,
        stride=stride,
        style=network.style,
        train=train,
        conv_name="stem_conv",
        norm_name="stem_norm",
    )


def apply_stages(
    block: Callable[..., nn.Module],
    x: Float[Array, "batch height width channels"],
    stages: Sequence[int],
    *,
    width: int,
    train: bool,
) -> dict[str, Array]:
    """Stages, each but the first twice as wide as the last and half as large.

    Called inside a compact method.

    Args:
      block: as for `Stage`.
      x: images, channels last.
      stages: how many blocks each has.
      width: given to the blocks of the first.
      train: handed on to the blocks.

    Returns:
      The map of each by its name, `stage1` and so on.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> class Stages(nn.Module):
      ...     @nn.compact
      ...     def __call__(self, x):
      ...         return apply_stages(BasicBlock, x, (1, 1), width=4, train=False)
      >>> init, x = Stages().init_with_output, jnp.ones((1, 8, 8, 4))
      >>> maps, _ = jax.eval_shape(init, jax.random.key(0), x)
      >>> {name: image.shape for name, image in maps.items()}
      {'stage1': (1, 8, 8, 4), 'stage2': (1, 4, 4, 8)}
    """
    maps = {}
    for index, num_blocks in enumerate(stages):
        name, stride = f"stage{index + 1}", 1 if index == 0 else 2
        stage = Stage(block, width * 2**index, num_blocks, stride=stride, name=name)
        x = maps[name] = stage(x, train=train)
    return maps
