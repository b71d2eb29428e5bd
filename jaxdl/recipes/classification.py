"""Supervised image classification: what is trained, what is measured."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.augment import normalize, to_float
from jaxdl.diagnose import count_macs
from jaxdl.losses import distillation, softmax_cross_entropy
from jaxdl.metrics import init_classification, update_classification
from jaxdl.train import LossFunction
from jaxdl.typing import Array, Batch, Float, Params, Shaped

_AUXILIARY = "auxiliary_logits"
"""The collection into which networks put the logits of their auxiliary heads."""


@dataclass(frozen=True)
class Classifier:
    """A network together with the preparation its images need.

    Attributes:
      model: called as `model.apply(variables, images, train=...)`, gives logits.
      num_classes: length of the logits.
      mean: subtracted from each channel of images in [0, 1].
      std: then divides it.
    """

    model: nn.Module
    num_classes: int
    mean: Sequence[float]
    std: Sequence[float]

    def prepare(
        self, images: Shaped[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Stored images (uint8, or float32 in [0, 1]) as the network takes them."""
        return normalize(to_float(images), mean=self.mean, std=self.std)

    def logits(
        self,
        params: Params,
        model_state: Any,
        images: Shaped[Array, "batch height width channels"],
    ) -> Float[Array, "batch classes"]:
        """Class scores of stored images, in evaluation mode."""
        variables = {"params": params, **model_state}
        return self.model.apply(variables, self.prepare(images), train=False)  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class Teacher:
    """A trained network that another one learns from.

    Attributes:
      model: called as `model.apply(variables, images, train=False)`, gives logits.
      variables: its variables.
      weight: of its scores in the loss, in [0, 1]; the labels have the rest.
      temperature: see `distillation`.
    """

    model: nn.Module
    variables: Any
    weight: float
    temperature: float = 4.0


def make_classification_loss(
    classifier: Classifier,
    *,
    augment: Callable[..., Array] | None = None,
    label_smoothing: float = 0.0,
    auxiliary_weight: float = 0.3,
    teacher: Teacher | None = None,
) -> LossFunction:
    """Mean cross entropy of augmented images, with loss and accuracy as statistics.

    Args:
      classifier: the network and its preparation.
      augment: `augment(images, *, key)` on float images in [0, 1]; None for none.
      label_smoothing: see `softmax_cross_entropy`.
      auxiliary_weight: multiplies the mean cross entropy of each auxiliary head
        before it is added to the loss, at least 0; has no effect on networks
        without such heads.
      teacher: a network whose scores count besides the labels.

    Returns:
      A loss function for `make_train_step`; its batches hold `"images"` as stored
      and `"labels"`. The loss is in nats; its statistics are those of the main head.

    Raises:
      ValueError: `auxiliary_weight` is negative.

    Source:
      Auxiliary heads and their weight: Szegedy et al. 2015, section 5,
      arXiv:1409.4842.
    """
    if auxiliary_weight < 0:
        raise ValueError(
            "make_classification_loss: auxiliary_weight must be at least 0, "
            f"got {auxiliary_weight}"
        )

    def loss_fn(params: Params, model_state: Any, batch: Batch, *, key: Array):
        logits, variables = _apply_in_training(
            classifier,
            augment,
            params,
            model_state,
            batch,
            collections=[_AUXILIARY] if auxiliary_weight else [],
            key=key,
        )
        cross_entropy = functools.partial(
            softmax_cross_entropy,
            labels=batch["labels"],
            label_smoothing=label_smoothing,
        )
        losses = cross_entropy(logits)
        loss = jnp.mean(losses)
        # Popped: they belong to this batch, not to the state.
        for auxiliary in jax.tree.leaves(variables.pop(_AUXILIARY, ())):
            loss += auxiliary_weight * jnp.mean(cross_entropy(auxiliary))
        if teacher is not None:
            images = _augment(classifier, augment, batch, key=key)
            wanted: Any = teacher.model.apply(teacher.variables, images, train=False)
            learned = distillation(logits, wanted, temperature=teacher.temperature)
            loss = (1 - teacher.weight) * loss + teacher.weight * jnp.mean(learned)
        statistics = update_classification(
            init_classification(classifier.num_classes, confusion=False),
            logits,
            batch["labels"],
            losses,
        )
        return loss, (variables, statistics)

    return loss_fn


def make_activations(
    classifier: Classifier, *, augment: Callable[..., Array] | None = None
) -> Callable[..., dict[str, Array]]:
    """What every module of the network puts out in a training step.

    Args:
      classifier: the network and its preparation.
      augment: as in `make_classification_loss`.

    Returns:
      `activations(params, model_state, batch, *, key)`, arrays by the path of their
      module in the order they are computed; for `find_nonfinite`.
    """

    def activations(params: Params, model_state: Any, batch: Batch, *, key: Array):
        # Not jitted: that would sort the modules by name.
        _, variables = _apply_in_training(
            classifier,
            augment,
            params,
            model_state,
            batch,
            collections=["intermediates"],
            key=key,
        )
        return dict(_walk(variables["intermediates"]))

    return activations


def _apply_in_training(
    classifier: Classifier,
    augment: Callable[..., Array] | None,
    params: Params,
    model_state: Any,
    batch: Batch,
    *,
    collections: Sequence[str] = (),
    key: Array,
) -> tuple[Array, dict[str, Any]]:
    """Logits of an augmented batch, the new model state and the collections named."""
    logits, variables = classifier.model.apply(
        {"params": params, **model_state},
        _augment(classifier, augment, batch, key=key),
        train=True,
        mutable=[*model_state, *collections],
        capture_intermediates="intermediates" in collections,
        rngs={"dropout": jax.random.split(key)[1]},
    )
    return logits, dict(variables)  # pyright: ignore[reportReturnType]


def _augment(
    classifier: Classifier,
    augment: Callable[..., Array] | None,
    batch: Batch,
    *,
    key: Array,
) -> Array:
    """A batch's images as training sees them, the same whenever the key is."""
    images = to_float(batch["images"])
    if augment is not None:
        images = augment(images, key=jax.random.split(key)[0])
    return normalize(images, mean=classifier.mean, std=classifier.std)


def _walk(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Array]]:
    """Module outputs of a Flax `intermediates` collection, in its own order."""
    for name, value in tree.items():
        if name == "__call__":
            yield path or "logits", value[0]
        else:
            yield from _walk(value, f"{path}/{name}" if path else name)


def make_classification_evaluation(classifier: Classifier) -> Callable[..., Any]:
    """Every metric of a batch from one forward pass.

    Args:
      classifier: the network and its preparation.

    Returns:
      An evaluation function for `make_evaluation_step`; its outputs are the
      `"label"`, the `"prediction"` and its `"confidence"`, the probability given it.
    """

    def evaluate_batch(params: Params, model_state: Any, batch: Batch):
        logits = classifier.logits(params, model_state, batch["images"])
        statistics = update_classification(
            init_classification(classifier.num_classes),
            logits,
            batch["labels"],
            softmax_cross_entropy(logits, batch["labels"]),
            mask=batch["mask"],
        )
        outputs = {
            "label": batch["labels"],
            "prediction": jnp.argmax(logits, axis=-1),
            "confidence": jnp.max(jax.nn.softmax(logits), axis=-1),
        }
        return statistics, outputs

    return evaluate_batch


def count_flops(
    classifier: Classifier, variables: Any, image_shape: tuple[int, int, int]
) -> int:
    """Floating-point operations of one image's forward pass.

    Args:
      classifier: the network and its preparation.
      variables: its variables, or their shapes.
      image_shape: height, width, channels.

    Returns:
      Two for each multiply-accumulate of a convolution or matrix product; see
      `jaxdl.diagnose.count_macs`.
    """
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    forward = lambda variables, images: classifier.model.apply(
        variables, images, train=False
    )
    return 2 * count_macs(forward, variables, images)
