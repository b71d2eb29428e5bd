"""Classification by distances to centres: what is trained, what is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.augment import normalize, to_float
from jaxdl.layers import (
    RADIAL_KERNELS,
    RBFOutputs,
    RBFParts,
    squared_distances,
    weigh_activations,
)
from jaxdl.losses import (
    assignment_imbalance,
    center_repulsion,
    cluster_loss,
    metric_decay,
    softmax_cross_entropy,
    width_prior,
)
from jaxdl.metrics import (
    compute_classification,
    init_classification,
    update_classification,
)
from jaxdl.models import RBFNetwork
from jaxdl.recipes.classification import Classifier
from jaxdl.train import LossFunction
from jaxdl.typing import Array, Batch, Float, Int, Params, PRNGKey


@dataclass(frozen=True)
class RBFPenalties:
    """What holds the head back; weights of terms of the loss, at least 0.

    Attributes:
      center_repulsion: see `jaxdl.losses.center_repulsion`.
      width_prior: see `jaxdl.losses.width_prior`.
      assignment_imbalance: see `jaxdl.losses.assignment_imbalance`.
      metric_decay: see `jaxdl.losses.metric_decay`; of a diagonal metric.
    """

    center_repulsion: float = 0.0
    width_prior: float = 0.0
    assignment_imbalance: float = 0.0
    metric_decay: float = 0.0

    def add_up(self, parts: RBFParts, distances: Array) -> Array:
        """The weighted sum of those whose weight is not 0.

        Args:
          parts: of the head.
          distances: squared, of the examples of a batch to the centres.

        Returns:
          A scalar.
        """
        total = jnp.float32(0.0)
        if self.center_repulsion:
            overlap = center_repulsion(parts.centers, parts.widths)
            total += self.center_repulsion * overlap
        if self.width_prior:
            total += self.width_prior * width_prior(parts.widths)
        if self.assignment_imbalance:
            imbalance = assignment_imbalance(distances, widths=parts.widths)
            total += self.assignment_imbalance * imbalance
        if self.metric_decay and parts.weights is not None:
            total += self.metric_decay * metric_decay(parts.weights)
        return total


def make_rbf_loss(
    classifier: Classifier,
    *,
    augment: Callable[..., Array] | None = None,
    label_smoothing: float = 0.0,
    cluster_weight: float = 0.0,
    embedding_mixup: float = 0.0,
    penalties: RBFPenalties = RBFPenalties(),  # noqa: B008
) -> LossFunction:
    """Mean cross entropy of augmented images, plus the k-means loss of their centres.

    Args:
      classifier: its model is an `RBFNetwork`.
      augment: `augment(images, *, key)` on float images in [0, 1]; None for none.
      label_smoothing: see `softmax_cross_entropy`.
      cluster_weight: of `cluster_loss`, with widths, at least 0.
      embedding_mixup: both parameters of the Beta distribution from which each image's
        share in its mixture with another one is drawn; 0 mixes nothing.
      penalties: on the head's parameters and the use of its centres.

    Returns:
      A loss function for `make_train_step`; its batches hold `"images"` as stored and
      `"labels"`.

    Source:
      Amirian and Schwenker 2020, section III, arXiv:2208.11401; mixtures: Zhang et al.
      2018, arXiv:1710.09412, of embeddings rather than images.
    """
    network = classifier.model
    assert isinstance(network, RBFNetwork)

    def loss_fn(params: Params, model_state: Any, batch: Batch, *, key: PRNGKey):
        keys = jax.random.split(key, 3)
        images = to_float(batch["images"])
        if augment is not None:
            images = augment(images, key=keys[0])
        mixing = None
        if embedding_mixup:
            mixing = _draw_mixing(len(images), embedding_mixup, keys[2])
        outputs, variables = network.apply(
            {"params": params, **model_state},
            normalize(images, mean=classifier.mean, std=classifier.std),
            train=True,
            mixing=mixing,
            mutable=list(model_state),
            rngs={"dropout": keys[1]},
            method="describe",
        )
        losses = _cross_entropy(outputs, batch["labels"], label_smoothing, mixing)
        parts = network.head.read_parts(params["head"])
        near = cluster_loss(outputs.squared_distances, widths=parts.widths)
        loss = jnp.mean(losses) + cluster_weight * jnp.mean(near)
        loss += penalties.add_up(parts, outputs.squared_distances)
        totals = update_classification(
            init_classification(classifier.num_classes, confusion=False),
            outputs.logits,
            batch["labels"],
            losses,
        )
        statistics = {"classes": totals, "clusters": jnp.sum(near)}
        return loss, (dict(variables), statistics)

    return loss_fn


def make_rbf_evaluation(classifier: Classifier) -> Callable[..., Any]:
    """Every metric of a batch from one forward pass, and what led to it.

    Args:
      classifier: its model is an `RBFNetwork`.

    Returns:
      An evaluation function for `make_evaluation_step`; its outputs are the `"label"`,
      the `"prediction"`, its `"confidence"`, `"embeddings"`, `"squared_distances"` and
      `"activations"`.
    """

    def evaluate_batch(params: Params, model_state: Any, batch: Batch):
        outputs: RBFOutputs = classifier.model.apply(  # pyright: ignore
            {"params": params, **model_state},
            classifier.prepare(batch["images"]),
            train=False,
            method="describe",
        )
        losses = softmax_cross_entropy(outputs.logits, batch["labels"])
        parts = classifier.model.head.read_parts(params["head"])
        near = cluster_loss(outputs.squared_distances, widths=parts.widths)
        totals = update_classification(
            init_classification(classifier.num_classes),
            outputs.logits,
            batch["labels"],
            losses,
            mask=batch["mask"],
        )
        clusters = jnp.sum(jnp.where(batch["mask"], near, 0.0))
        rows = {
            "label": batch["labels"],
            "prediction": jnp.argmax(outputs.logits, axis=-1),
            "confidence": jnp.max(jax.nn.softmax(outputs.logits), axis=-1),
            "embeddings": outputs.embeddings,
            "squared_distances": outputs.squared_distances,
            "activations": outputs.activations,
        }
        return {"classes": totals, "clusters": clusters}, rows

    return evaluate_batch


class NearestCenters(NamedTuple):
    """The centre that is nearest to each image, by the distance over its width."""

    index: Int[Array, " batch"]
    """Of the centre."""
    label: Int[Array, " batch"]
    """The class that the network gives to an embedding at the centre."""
    distance: Float[Array, " batch"]
    """In widths of the centre; more is less known."""


def make_nearest_prediction(
    classifier: Classifier,
) -> Callable[..., tuple[Array, NearestCenters]]:
    """Class scores of images, and the centres they are nearest to.

    Args:
      classifier: its model is an `RBFNetwork`.

    Returns:
      `predict(params, model_state, images) -> (logits, nearest)`, of stored images, in
      evaluation mode.
    """

    def predict(params: Params, model_state: Any, images: Array):
        outputs: RBFOutputs = classifier.model.apply(  # pyright: ignore
            {"params": params, **model_state},
            classifier.prepare(images),
            train=False,
            method="describe",
        )
        head = classifier.model.head
        parts = head.read_parts(params["head"])
        between = squared_distances(
            parts.centers,
            parts.centers,
            weights=parts.weights,
            transforms=parts.transforms,
        )
        heights = RADIAL_KERNELS[head.kernel](between, parts.widths)
        labels = jnp.argmax(weigh_activations(heights, parts), axis=1)
        scaled = outputs.squared_distances / jnp.square(parts.widths)[None]
        index = jnp.argmin(scaled, axis=1)
        distance = jnp.sqrt(jnp.min(scaled, axis=1))
        return outputs.logits, NearestCenters(index, labels[index], distance)

    return predict


def init_rbf_totals(num_classes: int) -> dict[str, Any]:
    """Evaluation statistics of no examples.

    Args:
      num_classes: of the labels.

    Returns:
      `"classes"` and `"clusters"`.
    """
    return {"classes": init_classification(num_classes), "clusters": jnp.float32(0.0)}


def compute_rbf(statistics: Any) -> dict[str, Any]:
    """Numbers by name from the statistics of training or of evaluation.

    Args:
      statistics: on the host.

    Returns:
      Those of `compute_classification`, and the mean `cluster_loss`.
    """
    numbers = compute_classification(statistics["classes"])
    count = max(int(statistics["classes"].count), 1)
    return {**numbers, "cluster_loss": float(statistics["clusters"]) / count}


def _draw_mixing(count: int, parameter: float, key: PRNGKey) -> tuple[Array, Array]:
    keys = jax.random.split(key)
    shares = jax.random.beta(keys[0], parameter, parameter, (count,))
    return shares, jax.random.permutation(keys[1], count)


def _cross_entropy(
    outputs: RBFOutputs,
    labels: Array,
    label_smoothing: float,
    mixing: tuple[Array, Array] | None,
) -> Array:
    own = softmax_cross_entropy(outputs.logits, labels, label_smoothing=label_smoothing)
    if mixing is None:
        return own
    share, rows = mixing
    other = softmax_cross_entropy(
        outputs.logits, labels[rows], label_smoothing=label_smoothing
    )
    return share * own + (1 - share) * other
