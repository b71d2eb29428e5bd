"""A few convolutions for small images, for demonstrations."""

import flax.linen as nn

from jaxdl.layers import (
    convolve_and_normalize,
    global_average_pool,
    kaiming_normal,
    max_pool,
)
from jaxdl.models.inputs import InputSpec
from jaxdl.models.network import Family, Network
from jaxdl.models.splits import Splits, split_pair
from jaxdl.typing import Array, Float


class SmallCNN(Network, kw_only=True):
    """3x3 convolutions, each with a max-pool behind it, and the mean over the image.

    Maps: "stage1", "stage2", ... (1/2, 1/4, ...), before their pool.

    Attributes:
      widths: channels of each convolution.

    Source:
      The demonstration on MNIST by the authors of Amirian and Schwenker 2020,
      arXiv:2208.11401. Differs from it: kernels start with the variance that ReLU
      keeps.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> model, x = SmallCNN(num_classes=10), jnp.ones((1, 28, 28, 1))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["conv4"]["kernel"].shape
      (3, 3, 128, 256)
    """

    widths: tuple[int, ...] = (16, 32, 128, 256)

    @nn.nowrap
    def describe_family(self) -> Family:
        """No norm; kernels keep the variance on the way forward."""
        return Family(
            norm="none",
            kernel_init=kaiming_normal(mode="fan_in"),
            smallest_side=2 ** len(self.widths),
            in_torchvision=False,
            images=InputSpec(image_size=28, resize_size=28, channels=1),
        )

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Convolutions two by two."""
        splits = ()
        for index in range(1, len(self.widths), 2):
            splits += split_pair(
                f"conv{index}", f"conv{index + 1}", between=f"norm{index}"
            )
        return splits

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The maps up to the features."""
        maps, x = {}, images
        for index, width in enumerate(self.widths, start=1):
            x = convolve_and_normalize(
                x,
                width,
                3,
                use_bias=True,
                style=self.style,
                train=train,
                conv_name=f"conv{index}",
                norm_name=f"norm{index}",
            )
            maps[f"stage{index}"] = x
            x = max_pool(x, window=2, stride=2)
        return {**maps, "features": global_average_pool(x)}
