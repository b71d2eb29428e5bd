"""Dense layers on the pixels: a network that trains in seconds and overfits soon."""

import flax.linen as nn

from jaxdl.layers import kaiming_normal, zeros_bias
from jaxdl.models.hidden_layers import apply_hidden_layers
from jaxdl.models.inputs import InputSpec
from jaxdl.models.network import Family, Network
from jaxdl.models.splits import Splits, split_pair
from jaxdl.typing import Array, Float


class ImageMLP(Network, kw_only=True):
    """Two hidden dense layers on the pixels of square images, and a linear head.

    Dropout, where asked for, comes before the second hidden layer and the head. There
    is no map but the features, and no norm.

    Attributes:
      hidden_size: of both hidden layers.

    Raises:
      ValueError: a norm is asked for.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> model, x = ImageMLP(num_classes=10, hidden_size=4), jnp.ones((1, 8, 8, 1))
      >>> init = functools.partial(model.init, train=False)
      >>> variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> variables["params"]["fc1"]["kernel"].shape
      (64, 4)
    """

    hidden_size: int = 512

    def __post_init__(self):
        """Checks that nothing is asked of it that it does not have."""
        super().__post_init__()
        for option in ("norm", "norm_epsilon", "norm_groups"):
            value = getattr(self, option)
            if value not in (None, "none"):
                raise ValueError(f"ImageMLP: it has no norm, got {option}={value!r}")

    @nn.nowrap
    def describe_family(self) -> Family:
        """No norm; kernels keep the variance on the way forward."""
        return Family(
            norm="none",
            dropped=("fc2", "head"),
            dense_kernel_init=kaiming_normal(mode="fan_in"),
            dense_bias_init=zeros_bias,
            in_torchvision=False,
            images=InputSpec(image_size=28, resize_size=28, channels=1),
        )

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Both hidden layers."""
        return split_pair("fc1", "fc2")

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The features alone."""
        side = images.shape[1]
        features = apply_hidden_layers(
            self, images, side=side, hidden_size=self.hidden_size, train=train
        )
        return {"features": features}
