"""ResNet-18 to ResNet-152, parameter for parameter those of torchvision."""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.layers import (
    BasicBlock,
    BatchNorm,
    Bottleneck,
    Conv,
    Stage,
    global_average_pool,
    max_pool,
    torch_uniform,
)
from jaxdl.typing import Array, Float

_STAGES = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """A 7x7 convolution, a max-pool, four stages, an average and a linear head.

    Made for images of side 224; the image shrinks 32-fold before the average.

    Attributes:
      depth: 18, 34 (basic blocks), 50, 101 or 152 (bottlenecks).
      num_classes: logits per image.
      zero_init_residual: start each block's branch as zero (Goyal et al. 2017, section
        5.1, arXiv:1706.02677).
      width: channels of the first stage; 64 in the paper.
      dtype: the dtype of convolutions and activations; parameters, BatchNorm
        statistics and the head are float32.

    Raises:
      ValueError: the depth is none of the five.

    Source:
      He et al. 2016, table 1, arXiv:1512.03385. Differs from it: the stride of a
      bottleneck is on its 3x3 convolution ("v1.5", as in torchvision).

    Example:
      >>> import jax
      >>> model, x = ResNet(depth=18, num_classes=10), jnp.ones((1, 32, 32, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["stem_conv"]["kernel"].shape
      (7, 7, 3, 64)
    """

    depth: int
    num_classes: int
    zero_init_residual: bool = False
    width: int = 64
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        """Checks the depth before anything is built on it."""
        if self.depth not in _STAGES:
            raise ValueError(
                f"ResNet: depth must be one of {', '.join(map(str, _STAGES))}, "
                f"got {self.depth}"
            )
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch classes"]:
        """Scores images.

        Args:
          images: normalised images, channels last, of any size and number of channels.
          train: normalise by the statistics of the batch and update the running ones.

        Returns:
          Float32 logits.
        """
        block_type, stages = _STAGES[self.depth]
        block = functools.partial(
            block_type, zero_init_residual=self.zero_init_residual, dtype=self.dtype
        )
        x = Conv(self.width, 7, stride=2, dtype=self.dtype, name="stem_conv")(images)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="stem_norm")(x, train=train))
        x = max_pool(x, window=3, stride=2, padding=1)
        for index, num_blocks in enumerate(stages):
            stage = Stage(
                block,
                self.width * 2**index,
                num_blocks,
                stride=1 if index == 0 else 2,
                name=f"stage{index + 1}",
            )
            x = stage(x, train=train)
        x = global_average_pool(x)
        return nn.Dense(self.num_classes, kernel_init=torch_uniform(), name="head")(x)
