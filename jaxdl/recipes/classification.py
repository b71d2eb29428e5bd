"""Supervised image classification: what is trained, what is measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxdl.augment import normalize, to_float
from jaxdl.losses import softmax_cross_entropy
from jaxdl.metrics import init_classification, update_classification
from jaxdl.train import LossFunction
from jaxdl.typing import Array, Batch, Float, Params, Shaped


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


def make_classification_loss(
    classifier: Classifier,
    *,
    augment: Callable[..., Array] | None = None,
    label_smoothing: float = 0.0,
) -> LossFunction:
    """Mean cross entropy of augmented images, with loss and accuracy as statistics.

    Args:
      classifier: the network and its preparation.
      augment: `augment(images, *, key)` on float images in [0, 1]; None for none.
      label_smoothing: see `softmax_cross_entropy`.

    Returns:
      A loss function for `make_train_step`; its batches hold `"images"` as stored
      and `"labels"`. The loss is in nats.
    """

    def loss_fn(params: Params, model_state: Any, batch: Batch, *, key: Array):
        logits, model_state = _apply_in_training(
            classifier, augment, params, model_state, batch, key=key
        )
        losses = softmax_cross_entropy(
            logits, batch["labels"], label_smoothing=label_smoothing
        )
        statistics = update_classification(
            init_classification(classifier.num_classes, confusion=False),
            logits,
            batch["labels"],
            losses,
        )
        return jnp.mean(losses), (model_state, statistics)

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
            key=key,
            capture_intermediates=True,
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
    capture_intermediates: bool = False,
    key: Array,
) -> tuple[Array, Any]:
    """Logits of an augmented batch and the collections that training changes."""
    key_augment, key_dropout = jax.random.split(key)
    images = to_float(batch["images"])
    if augment is not None:
        images = augment(images, key=key_augment)
    return classifier.model.apply(  # pyright: ignore[reportReturnType]
        {"params": params, **model_state},
        normalize(images, mean=classifier.mean, std=classifier.std),
        train=True,
        mutable=[*model_state, *["intermediates"] * capture_intermediates],
        capture_intermediates=capture_intermediates,
        rngs={"dropout": key_dropout},
    )


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
) -> float | None:
    """Floating-point operations of one image's forward pass, as XLA counts them.

    Args:
      classifier: the network and its preparation.
      variables: its variables, or their shapes.
      image_shape: height, width, channels.

    Returns:
      Multiplications and additions counted apart; None where XLA doesn't say.
    """
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)

    def forward(variables, images):
        return classifier.model.apply(variables, images, train=False)

    cost = jax.jit(forward).lower(variables, images).cost_analysis()
    return (cost or {}).get("flops")
