"""A network that is trained on two views of each image: backbone and projector."""

import flax.linen as nn

from jaxdl.models.network import Network
from jaxdl.models.splits import Splits, list_splits
from jaxdl.typing import Array, Float


class TwinNetwork(nn.Module):
    """One of two twins: both views pass through the same network, one after the other.

    Call it once per view, with the `batch_stats` of the first call given to the
    second: batch norms are to see each view alone, as in the authors' code. Parameters
    `{"backbone": ..., "projector": ...}`, the former those of the backbone itself.

    Attributes:
      backbone: called as `backbone(images, train=...)`, gives features; of `MODELS`,
        with `num_classes=0`.
      projector: called as `projector(features, train=...)`, gives embeddings.

    Raises:
      ValueError: the backbone has classes, so that it would give logits.

    Source:
      Zbontar et al. 2021, section 2, arXiv:2103.03230.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> from jaxdl.models import MODELS, Projector
      >>> backbone = MODELS["resnet8_cifar"](num_classes=0)
      >>> model = TwinNetwork(backbone, Projector(widths=(32, 16)))
      >>> init = functools.partial(model.init_with_output, train=False)
      >>> x = jnp.ones((2, 8, 8, 3))
      >>> (features, embeddings), _ = jax.eval_shape(init, jax.random.key(0), x)
      >>> features.shape, embeddings.shape
      ((2, 64), (2, 16))
    """

    backbone: nn.Module
    projector: nn.Module

    def __post_init__(self):
        """Checks that the backbone has no head."""
        if isinstance(self.backbone, Network) and self.backbone.num_classes:
            raise ValueError(
                "TwinNetwork: backbone must be without classes, num_classes=0, got "
                f"num_classes={self.backbone.num_classes}"
            )
        super().__post_init__()

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Those of the backbone and of the projector."""
        return list_splits(self.backbone) + list_splits(self.projector)

    def __call__(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> tuple[Float[Array, "batch features"], Float[Array, "batch embeddings"]]:
        """Describes and projects one view of each image.

        Args:
          images: normalised images, channels last.
          train: normalise by the statistics of the batch, update the running ones and
            drop values.

        Returns:
          The features, which are what training is for, and the embeddings, which the
          loss compares.
        """
        features = self.encode_features(images, train=train)
        return features, self.projector(features, train=train)

    def encode_features(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch features"]:
        """Describes images by the backbone alone.

        Called as `model.apply(variables, images, train=False,
        method="encode_features")`; the projector's variables may be missing.

        Args:
          images: as for a call.
          train: as for a call; false for a frozen backbone.

        Returns:
          The features.
        """
        return self.backbone(images, train=train)
