"""Classifiers from their configs, with either head."""

from jaxdl.layers import RBFHead
from jaxdl.models import RBFNetwork
from jaxdl.recipes.build import build_model, check_image_size
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.rbf_config import RBFConfig


def build_classifier(
    config: ClassifierConfig | RBFConfig, card: DatasetCard
) -> Classifier:
    """The network of a config with the preparation of its dataset.

    Args:
      config: the resolved config.
      card: of the dataset.

    Returns:
      A classifier; of an `RBFConfig` its model is an `RBFNetwork`.

    Raises:
      ConfigError: the images are too small for the backbone of an `RBFConfig`.
    """
    num_classes = len(card.class_names)
    if isinstance(config, RBFConfig):
        model = _build_rbf_network(config, card)
    else:
        model = build_model(config.model, num_classes=num_classes)
    return Classifier(
        model=model, num_classes=num_classes, mean=card.mean, std=card.std
    )


def _build_rbf_network(config: RBFConfig, card: DatasetCard) -> RBFNetwork:
    backbone = build_model(config.model, num_classes=0)
    check_image_size(backbone, card.image_shape)
    head = RBFHead(
        num_centers=config.head.num_centers,
        num_classes=len(card.class_names),
        embedding_size=config.head.embedding_size,
        metric=config.head.metric,
        per_center_metric=config.head.per_center_metric,
        kernel=config.head.kernel,
        nonnegative=config.head.nonnegative,
        dropout_rate=config.loss.activation_dropout,
    )
    return RBFNetwork(backbone, head, is_frozen=config.head.freeze_backbone)
