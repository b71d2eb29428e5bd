"""Loss, accuracy, top-5 accuracy and the confusion matrix in one pass."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.metrics.merging import check_batch
from jaxdl.typing import Array, Bool, Float, Int


@flax.struct.dataclass
class Classification:
    """Sums over the examples seen.

    Attributes:
      count: examples, an int32 scalar; so are all counts.
      loss_sum: sum of the losses, a float32 scalar.
      correct: examples whose true class has the highest score.
      correct_top5: examples whose true class is among the five highest scores.
      class_count: examples of each true class, (classes,).
      confusion: examples by true class (row) and predicted class (column), (classes,
        classes), or None if it is not kept. An example with a NaN score has no
        predicted class: it is in `class_count` but not here, so it counts as wrong.
    """

    # Any, as the same tree also holds host arrays, shapes or shardings.
    count: Any
    loss_sum: Any
    correct: Any
    correct_top5: Any
    class_count: Any
    confusion: Any


def init_classification(num_classes: int, *, confusion: bool = True) -> Classification:
    """Empty statistics of a classifier.

    Args:
      num_classes: at least 1.
      confusion: keep the confusion matrix (4 * num_classes**2 bytes).

    Returns:
      Statistics of no example.

    Raises:
      ValueError: `num_classes` is below 1.

    Example:
      >>> init_classification(3).confusion.shape
      (3, 3)
    """
    if num_classes < 1:
        raise ValueError(
            f"init_classification: num_classes must be at least 1, got {num_classes}"
        )
    # Each field is an array of its own: a donated state can't hold one twice.
    return Classification(
        count=jnp.zeros((), jnp.int32),
        loss_sum=jnp.zeros((), jnp.float32),
        correct=jnp.zeros((), jnp.int32),
        correct_top5=jnp.zeros((), jnp.int32),
        class_count=jnp.zeros(num_classes, jnp.int32),
        confusion=jnp.zeros((num_classes, num_classes), jnp.int32)
        if confusion
        else None,
    )


def update_classification(
    stats: Classification,
    logits: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    losses: Float[Array, " batch"],
    *,
    mask: Bool[Array, " batch"] | None = None,
) -> Classification:
    """Adds a batch to the statistics.

    Args:
      stats: what was seen so far.
      logits: class scores of any float dtype; a row that holds NaN counts as wrong.
        Of equal scores the lower class id ranks first, as in `argmax`.
      labels: class ids in [0, classes); an id outside counts as wrong.
      losses: per example, in nats.
      mask: False leaves an example out, whatever its values; None keeps all.

    Returns:
      The statistics with the batch added.

    Raises:
      ValueError: the shapes do not fit together.

    Example:
      >>> stats, labels = init_classification(2), jnp.array([0, 0])
      >>> stats = update_classification(stats, jnp.eye(2), labels, jnp.ones(2))
      >>> int(stats.correct), int(stats.count)
      (1, 2)
    """
    batch_size, num_classes = logits.shape
    if stats.class_count.shape != (num_classes,):
        raise ValueError(
            f"update_classification: logits of {num_classes} classes for statistics "
            f"of {stats.class_count.shape[0]}"
        )
    check_batch(
        "update_classification", batch_size, labels=labels, losses=losses, mask=mask
    )
    keep = jnp.ones(batch_size, jnp.bool_) if mask is None else mask
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, 1)
    targets = labels.astype(jnp.int32)[:, None]
    is_label = (classes == targets) & keep[:, None]
    is_scored = is_label.any(axis=1) & ~jnp.isnan(logits).any(axis=1)
    # Counting what ranks before the true class is far cheaper than sorting.
    score = jnp.max(jnp.where(is_label, logits, -jnp.inf), axis=1, keepdims=True)
    is_above = (logits > score) | ((logits == score) & (classes < targets))
    rank = _count(is_above, axis=1)
    confusion = stats.confusion
    if confusion is not None:
        confusion = confusion + _count_pairs(is_label & is_scored[:, None], logits)
    kept_losses = jnp.where(keep, losses.astype(jnp.float32), 0.0)
    return Classification(
        count=stats.count + _count(keep),
        loss_sum=stats.loss_sum + jnp.sum(kept_losses),
        correct=stats.correct + _count(is_scored & (rank == 0)),
        correct_top5=stats.correct_top5 + _count(is_scored & (rank < 5)),
        class_count=stats.class_count + _count(is_label, axis=0),
        confusion=confusion,
    )


def compute_classification(
    stats: Classification,
) -> dict[str, float | list[float | None]]:
    """The numbers that statistics stand for, on the host in float64.

    Args:
      stats: statistics of one example at least.

    Returns:
      `loss` in nats, `accuracy` and `top5` in [0, 1] (of fewer than five classes,
      `top5` is 1 unless a score is NaN); and if the confusion matrix was kept,
      `per_class_accuracy` (None for a class without examples) and its mean over
      the classes present, `balanced_accuracy`.

    Raises:
      ValueError: no examples.

    Source:
      Brodersen et al. 2010, "The balanced accuracy and its posterior distribution",
      here for any number of classes, as in scikit-learn.

    Example:
      >>> stats, labels = init_classification(2), jnp.array([0, 0])
      >>> stats = update_classification(stats, jnp.eye(2), labels, jnp.ones(2))
      >>> compute_classification(stats)["per_class_accuracy"]
      [0.5, None]
    """
    host = jax.device_get(stats)
    count = int(host.count)
    if count == 0:
        raise ValueError("compute_classification: no examples")
    numbers: dict[str, float | list[float | None]] = {
        "loss": float(host.loss_sum) / count,
        "accuracy": int(host.correct) / count,
        "top5": int(host.correct_top5) / count,
    }
    if host.confusion is not None:
        per_class = [
            int(hits) / int(total) if total else None
            for hits, total in zip(
                np.diagonal(host.confusion), host.class_count, strict=True
            )
        ]
        present = [accuracy for accuracy in per_class if accuracy is not None]
        numbers["per_class_accuracy"] = per_class
        # No class is present when every label was out of range.
        numbers["balanced_accuracy"] = float(np.mean(present)) if present else 0.0
    return numbers


def _count(condition, axis=None):
    return jnp.sum(condition, axis=axis, dtype=jnp.int32)


def _count_pairs(is_label, logits):
    """The confusion matrix of a batch, as a matrix product: it partitions over it.

    Zeros and ones are exact in any precision, and so are the sums: they stay below
    2**24 within a batch.
    """
    num_classes = logits.shape[1]
    predictions = jnp.argmax(logits, axis=1)
    is_prediction = jax.nn.one_hot(predictions, num_classes, dtype=jnp.float32)
    return (is_label.astype(jnp.float32).T @ is_prediction).astype(jnp.int32)
