"""Barlow Twins: what is trained, what is measured on the side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import lax

from jaxdl.augment import normalize, to_float
from jaxdl.losses import barlow_twins_terms, softmax_cross_entropy
from jaxdl.metrics import (
    Classification,
    compute_classification,
    init_classification,
    update_classification,
)
from jaxdl.train import LossFunction
from jaxdl.typing import Array, Batch, Float, Params, PRNGKey, Shaped

TwoViews = Callable[..., tuple[Array, Array]]
"""`two_views(images, *, key) -> (first, second)`: of stored images, in [0, 1]."""

PROBE = "probe"
"""Where the parameters of the linear probe lie beside those of the network."""

_LENGTH = 6.0
"""Of features as the probe that learns along sees them: a rate of 0.1 is stable."""


@dataclass(frozen=True)
class TwinEncoder:
    """A network that learns from two views, with the preparation its images need.

    Attributes:
      model: called as `model.apply(variables, images, train=...)`, gives features and
        embeddings; see `jaxdl.models.TwinNetwork`.
      num_classes: of the labels that its features are probed with.
      size: height and width of images that are looked at in evaluation mode, in pixels.
      view_size: of the views that it learns from. Smaller ones cost less, and objects
        in a crop that was resized look as large as they do in whole images: Touvron et
        al. 2019, "Fixing the train-test resolution discrepancy", arXiv:1906.06423.
      mean: subtracted from each channel of images in [0, 1].
      std: then divides it.
    """

    model: nn.Module
    num_classes: int
    size: int
    view_size: int
    mean: Sequence[float]
    std: Sequence[float]

    def prepare(
        self, images: Shaped[Array, "batch height width channels"]
    ) -> Float[Array, "batch size size channels"]:
        """The middle of stored images (uint8), normalised."""
        return self.normalize(crop_middle(to_float(images), self.size))

    def normalize(
        self, views: Float[Array, "batch size size channels"]
    ) -> Float[Array, "batch size size channels"]:
        """Views in [0, 1] as the network takes them."""
        return normalize(views, mean=self.mean, std=self.std)

    def features(
        self,
        params: Params,
        model_state: Any,
        images: Shaped[Array, "batch height width channels"],
    ) -> Float[Array, "batch features"]:
        """What the backbone sees in stored images, in evaluation mode."""
        return self.apply(params, model_state, self.prepare(images))[0]

    def apply(
        self, params: Params, model_state: Any, images: Array
    ) -> tuple[Array, Array]:
        """Features and embeddings of prepared images, in evaluation mode."""
        network = {name: tree for name, tree in params.items() if name != PROBE}
        variables = {"params": network, **model_state}
        return self.model.apply(variables, images, train=False)  # pyright: ignore[reportReturnType]


def crop_middle(
    images: Shaped[Array, "batch height width channels"], size: int
) -> Shaped[Array, "batch size size channels"]:
    """The square in the middle of images.

    Args:
      images: at least `size` pixels high and wide.
      size: in pixels.

    Returns:
      Images of `size` by `size`.

    Raises:
      ValueError: the images are smaller.

    Example:
      >>> crop_middle(jnp.ones((1, 6, 8, 3)), 4).shape
      (1, 4, 4, 3)
    """
    height, width = images.shape[1:3]
    if size > min(height, width):
        raise ValueError(
            f"crop_middle: size must be at most {min(height, width)}, got {size}"
        )
    top, left = (height - size) // 2, (width - size) // 2
    return images[:, top : top + size, left : left + size]


def init_probe(num_features: int, num_classes: int) -> dict[str, Array]:
    """A linear probe before its first step: zeros, as it is convex to train.

    Args:
      num_features: of the backbone.
      num_classes: of the labels.

    Returns:
      `"kernel"` and `"bias"`.
    """
    return {
        "kernel": jnp.zeros((num_features, num_classes), jnp.float32),
        "bias": jnp.zeros(num_classes, jnp.float32),
    }


def make_twins_loss(
    encoder: TwinEncoder,
    two_views: TwoViews,
    *,
    off_diagonal_weight: float,
    scale: float = 1.0,
    route: str = "auto",
) -> LossFunction:
    """The Barlow Twins loss of augmented images, plus that of a probe of the features.

    The views go through the network one after the other, so that batch norm sees each
    alone. The probe, whose parameters lie under `"probe"`, learns from the labels; no
    gradient of it reaches the network.

    Args:
      encoder: the network and its preparation.
      two_views: the augmentation.
      off_diagonal_weight: see `barlow_twins_loss`.
      scale: multiplies the Barlow Twins loss, not what is logged of it.
      route: see `barlow_twins_loss`.

    Returns:
      A loss function for `make_train_step`; its batches hold `"images"` and `"labels"`.

    Source:
      Zbontar et al. 2021, algorithm 1, arXiv:2103.03230.
    """

    def loss_fn(params: Params, model_state: Any, batch: Batch, *, key: PRNGKey):
        views = two_views(batch["images"], key=key)
        network = {name: tree for name, tree in params.items() if name != PROBE}
        features, embeddings = [], []
        for view in views:
            outputs, model_state = encoder.model.apply(
                {"params": network, **model_state},
                encoder.normalize(view),
                train=True,
                mutable=list(model_state),
            )
            features.append(lax.stop_gradient(outputs[0]))
            embeddings.append(outputs[1])
        on_diagonal, off_diagonal = barlow_twins_terms(*embeddings, route=route)
        off_diagonal *= off_diagonal_weight
        loss = on_diagonal + off_diagonal
        scores = [probe_scores(params[PROBE], _scale(rows)) for rows in features]
        losses = [softmax_cross_entropy(rows, batch["labels"]) for rows in scores]
        probe_loss = (losses[0] + losses[1]) / 2
        probe = update_classification(
            init_classification(encoder.num_classes, confusion=False),
            scores[0],
            batch["labels"],
            probe_loss,
        )
        count = jnp.float32(len(batch["labels"]))
        statistics = {
            "on_diagonal": on_diagonal * count,
            "off_diagonal": off_diagonal * count,
            "probe": probe,
        }
        return scale * loss + jnp.mean(probe_loss), (dict(model_state), statistics)

    return loss_fn


def make_twins_evaluation(encoder: TwinEncoder) -> Callable[..., Any]:
    """How well the probe does on stored images, and their features.

    Args:
      encoder: the network and its preparation.

    Returns:
      An evaluation function for `make_evaluation_step`; its outputs are the `"label"`
      and the `"features"`.
    """

    def evaluate_batch(params: Params, model_state: Any, batch: Batch):
        features = encoder.features(params, model_state, batch["images"])
        scores = probe_scores(params[PROBE], _scale(features))
        statistics = update_classification(
            init_classification(encoder.num_classes),
            scores,
            batch["labels"],
            softmax_cross_entropy(scores, batch["labels"]),
            mask=batch["mask"],
        )
        return statistics, {"label": batch["labels"], "features": features}

    return evaluate_batch


def probe_scores(
    probe: Params, features: Float[Array, "batch features"]
) -> Float[Array, "batch classes"]:
    """Class scores of features by a linear probe.

    Args:
      probe: as `init_probe` makes it.
      features: of the backbone.

    Returns:
      Logits.
    """
    return features @ probe["kernel"] + probe["bias"][None, :]


def _scale(features: Array) -> Array:
    """Rows of one length: a rate that suits small features diverges on large ones."""
    lengths = jnp.linalg.norm(features, axis=1, keepdims=True)
    return features * (_LENGTH / jnp.where(lengths > 0, lengths, 1.0))


def compute_twins(statistics: Any) -> dict[str, Any]:
    """Numbers by name from the statistics of training or of evaluation.

    Args:
      statistics: on the host.

    Returns:
      The loss and its two terms, weighted, where it was trained; the probe's loss and
      accuracy.
    """
    if isinstance(statistics, Classification):
        numbers, loss = compute_classification(statistics), {}
    else:
        numbers = compute_classification(statistics["probe"])
        count = max(int(statistics["probe"].count), 1)
        terms = ("on_diagonal", "off_diagonal")
        means = {name: float(statistics[name]) / count for name in terms}
        loss = {"loss": sum(means.values()), **means}
    return {
        **loss,
        "probe_loss": numbers["loss"],
        "probe_accuracy": numbers["accuracy"],
    }


def split_optimizer(
    network: optax.GradientTransformation, probe: optax.GradientTransformation
) -> optax.GradientTransformation:
    """One optimiser for the network and another for its probe.

    Args:
      network: updates all parameters but those of the probe.
      probe: updates these.

    Returns:
      An optax transformation of all.
    """

    def label(params: Params) -> dict[str, str]:
        return {name: PROBE if name == PROBE else "network" for name in params}

    return optax.partition({"network": network, PROBE: probe}, label)
