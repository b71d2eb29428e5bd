"""ResNets for small images, of 6n + 2 layers, and the same without shortcuts."""

import functools

import flax.linen as nn

from jaxdl.layers import BasicBlock, global_average_pool, kaiming_normal, zeros_bias
from jaxdl.models.inputs import InputSpec
from jaxdl.models.network import Family, Network
from jaxdl.models.resnet import apply_stages, apply_stem
from jaxdl.models.splits import Splits, split_pair
from jaxdl.typing import Array, Float


class CifarResNet(Network, kw_only=True):
    """A 3x3 convolution, three stages of n basic blocks, an average and a linear head.

    The stages are `width`, `2 * width` and `4 * width` wide; the second and third
    halve the image. Shortcuts have no parameters (option A). Maps: "stem" (1/1),
    "stage1" (1/1), "stage2" (1/2), "stage3" (1/4).

    Attributes:
      depth: 6n + 2 for n >= 1: layers with weights on the longest path.
      residual: False leaves the shortcuts out ("plain-20" and so on); the parameters
        are the same.
      width: channels of the first stage.

    Raises:
      ValueError: the depth is not 6n + 2.

    Source:
      He et al. 2016, section 4.2, arXiv:1512.03385. Differs from it: the kernel of the
      head starts uniform, as in PyTorch.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> model, x = CifarResNet(depth=8, num_classes=10), jnp.ones((2, 8, 8, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["stage1"]["block0"]["conv1"]["kernel"].shape
      (3, 3, 16, 16)
    """

    depth: int
    residual: bool = True
    width: int = 16

    def __post_init__(self):
        """Checks the depth before anything is built on it."""
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(
                "CifarResNet: depth must be 6n + 2 for n >= 1 (8, 14, 20, ...), "
                f"got {self.depth}"
            )
        super().__post_init__()

    @nn.nowrap
    def describe_family(self) -> Family:
        """BatchNorm and ReLU; kernels keep the variance on the way forward."""
        return Family(
            kernel_init=kaiming_normal(mode="fan_in"),
            dense_bias_init=zeros_bias,
            in_torchvision=False,
            images=InputSpec(image_size=32, resize_size=32),
        )

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Both convolutions of each block."""
        return split_pair(
            r"/block\d+/conv1", r"/block\d+/conv2", between=r"/block\d+/norm1"
        )

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The maps up to the features."""
        shortcut = "pad" if self.residual else "none"
        block = functools.partial(BasicBlock, shortcut=shortcut, style=self.style)
        stem = apply_stem(self, images, self.width, 3, train=train)
        stages = ((self.depth - 2) // 6,) * 3
        maps = apply_stages(block, stem, stages, width=self.width, train=train)
        features = global_average_pool(maps["stage3"])
        return {"stem": stem, **maps, "features": features}
