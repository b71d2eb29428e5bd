"""ResNets for small images, of 6n + 2 layers, and the same without shortcuts."""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.layers import (
    BasicBlock,
    BatchNorm,
    Conv,
    Stage,
    global_average_pool,
    kaiming_normal,
    torch_uniform,
)
from jaxdl.typing import Array, Float


class CifarResNet(nn.Module):
    """A 3x3 convolution, three stages of n basic blocks, an average and a linear head.

    The stages are `width`, `2 * width` and `4 * width` wide; the second and third
    halve the image. Shortcuts have no parameters (option A).

    Attributes:
      depth: 6n + 2 for n >= 1: layers with weights on the longest path.
      num_classes: logits per image.
      residual: False leaves the shortcuts out ("plain-20" and so on); the parameters
        are the same.
      width: channels of the first stage.
      dtype: the dtype of convolutions and activations; parameters, BatchNorm
        statistics and the head are float32.

    Raises:
      ValueError: the depth is not 6n + 2.

    Source:
      He et al. 2016, section 4.2, arXiv:1512.03385. Differs from it: the kernel of the
      head starts uniform, as in PyTorch.

    Example:
      >>> import jax
      >>> model, x = CifarResNet(depth=8, num_classes=10), jnp.ones((2, 8, 8, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["stage1"]["block0"]["conv1"]["kernel"].shape
      (3, 3, 16, 16)
    """

    depth: int
    num_classes: int
    residual: bool = True
    width: int = 16
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        """Checks the depth before anything is built on it."""
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(
                "CifarResNet: depth must be 6n + 2 for n >= 1 (8, 14, 20, ...), "
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
        kernel_init = kaiming_normal(mode="fan_in")
        block = functools.partial(
            BasicBlock,
            shortcut="pad" if self.residual else "none",
            kernel_init=kernel_init,
            dtype=self.dtype,
        )
        x = Conv(
            self.width, 3, kernel_init=kernel_init, dtype=self.dtype, name="stem_conv"
        )(images)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="stem_norm")(x, train=train))
        num_blocks = (self.depth - 2) // 6
        for index in range(3):
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
