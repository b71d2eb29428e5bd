"""AlexNet, parameter for parameter that of torchvision."""

import functools

import flax.linen as nn

from jaxdl.layers import (
    convolve_and_normalize,
    max_pool,
    torch_uniform,
    torch_uniform_bias,
)
from jaxdl.models.hidden_layers import apply_hidden_layers
from jaxdl.models.network import Family, Network
from jaxdl.models.splits import Splits, split_pair
from jaxdl.typing import Array, Float


class AlexNet(Network, kw_only=True):
    """Five convolutions, three max-pools, two hidden dense layers and a head.

    Made for images of side 224, and of side 63 at least. Maps: "stage1" (1/4, 64
    channels), "stage2" (1/8, 192), "stage3" (1/16, 256), "pooled" (1/32, 256); the
    features are 4096 numbers.

    Attributes:
      width: channels of the first convolution; the others follow.
      hidden_size: of both hidden dense layers.

    Source:
      Krizhevsky 2014, "One weird trick for parallelizing convolutional neural
      networks", arXiv:1404.5997, as in torchvision: no groups and no local response
      normalisation, unlike the paper of 2012.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> model, x = AlexNet(num_classes=10), jnp.ones((1, 64, 64, 3))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["conv1"]["kernel"].shape
      (11, 11, 3, 64)
    """

    width: int = 64
    hidden_size: int = 4096

    @nn.nowrap
    def describe_family(self) -> Family:
        """Everything starts from PyTorch's own distributions; no norm."""
        return Family(
            norm="none",
            dropout_rate=0.5,
            dropped=("fc1", "fc2"),
            kernel_init=torch_uniform(),
            bias_init=torch_uniform_bias,
            smallest_side=63,
        )

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Convolutions two by two, and both hidden dense layers."""
        return (
            *split_pair("conv1", "conv2", between="norm1"),
            *split_pair("conv3", "conv4", between="norm3"),
            *split_pair("fc1", "fc2"),
        )

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The maps up to the features."""
        style, width = self.style, self.width

        def convolve(x, index, features, kernel_size, **options):
            return convolve_and_normalize(
                x,
                features,
                kernel_size,
                use_bias=True,
                style=style,
                train=train,
                conv_name=f"conv{index}",
                norm_name=f"norm{index}",
                **options,
            )

        pool = functools.partial(max_pool, window=3, stride=2)
        maps = {"stage1": convolve(images, 1, width, 11, stride=4, padding=2)}
        maps["stage2"] = convolve(pool(maps["stage1"]), 2, 3 * width, 5)
        x = convolve(pool(maps["stage2"]), 3, 6 * width, 3)
        x = convolve(x, 4, 4 * width, 3)
        maps["stage3"] = convolve(x, 5, 4 * width, 3)
        maps["pooled"] = pool(maps["stage3"])
        maps["features"] = apply_hidden_layers(
            self, maps["pooled"], side=6, hidden_size=self.hidden_size, train=train
        )
        return maps
