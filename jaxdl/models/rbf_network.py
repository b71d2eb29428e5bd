"""A network whose head measures distances to centres."""

import flax.linen as nn
from jax import lax

from jaxdl.layers import RBFHead, RBFOutputs
from jaxdl.models.network import Network
from jaxdl.models.splits import Splits, list_splits
from jaxdl.typing import Array, Float


class RBFNetwork(nn.Module):
    """A backbone, and a radial basis function head on its features.

    Called, it gives class scores as any network of `MODELS` does; `method="describe"`
    gives all that leads to them. Parameters `{"backbone": ..., "head": ...}`, the
    former those of the backbone itself.

    Attributes:
      backbone: called as `backbone(images, train=...)`, gives features; of `MODELS`,
        with `num_classes=0`.
      head: embeds them and measures distances.
      is_frozen: the backbone is always in evaluation mode and no gradient reaches it.

    Raises:
      ValueError: the backbone has classes, so that it would give logits.

    Source:
      Amirian and Schwenker 2020, section III, arXiv:2208.11401.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> from jaxdl.models import MODELS
      >>> backbone = MODELS["resnet8_cifar"](num_classes=0)
      >>> model = RBFNetwork(backbone, RBFHead(5, 3, embedding_size=8))
      >>> init = functools.partial(model.init_with_output, train=False)
      >>> x = jnp.ones((2, 8, 8, 3))
      >>> logits, variables = jax.eval_shape(init, jax.random.key(0), x)
      >>> logits.shape, sorted(variables["params"])
      ((2, 3), ['backbone', 'head'])
    """

    backbone: nn.Module
    head: RBFHead
    is_frozen: bool = False

    def __post_init__(self):
        """Checks that the backbone has no head."""
        if isinstance(self.backbone, Network) and self.backbone.num_classes:
            raise ValueError(
                "RBFNetwork: backbone must be without classes, num_classes=0, got "
                f"num_classes={self.backbone.num_classes}"
            )
        super().__post_init__()

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Those of the backbone; the head is small."""
        return list_splits(self.backbone)

    def __call__(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch classes"]:
        """Class scores of images.

        Args:
          images: normalised images, channels last.
          train: normalise by the statistics of the batch, update the running ones and
            drop values.

        Returns:
          Logits.
        """
        return self.describe(images, train=train).logits

    def describe(
        self,
        images: Float[Array, "batch height width channels"],
        *,
        train: bool,
        mixing: tuple[Array, Array] | None = None,
    ) -> RBFOutputs:
        """Class scores, activations, distances and embeddings of images.

        Args:
          images: as for a call.
          train: as for a call.
          mixing: share and row, of each image: its features become share times its
            own, plus the rest of the features of that row. The embedding is linear, so
            its points are mixed alike.

        Returns:
          See `RBFOutputs`.
        """
        features = self.backbone(images, train=train and not self.is_frozen)
        if self.is_frozen:
            features = lax.stop_gradient(features)
        if mixing is not None:
            share = mixing[0][:, None]
            features = share * features + (1 - share) * features[mixing[1]]
        return self.head(features, train=train)
