"""Losses of class scores against class ids."""

import jax
import jax.numpy as jnp

from jaxdl.typing import Array, Float, Int


def softmax_cross_entropy(
    logits: Float[Array, "*batch classes"],
    labels: Int[Array, "*batch"],
    *,
    label_smoothing: float = 0.0,
) -> Float[Array, "*batch"]:
    """Cross entropy of the softmax per example, in nats; not reduced.

    Args:
      logits: unnormalised log-probabilities of any float dtype; computed in
        float32.
      labels: class ids in [0, classes). An id outside gives NaN, so that a check
        for finite losses sees it (a one-hot target would give 0).
      label_smoothing: probability mass moved from the true class to the uniform
        distribution over all classes, in [0, 1).

    Returns:
      Float32 losses, at least 0.

    Raises:
      ValueError: `label_smoothing` is outside [0, 1).

    Source:
      Szegedy et al. 2016, section 7, arXiv:1512.00567. Differs from it: nothing.

    Example:
      >>> softmax_cross_entropy(jnp.zeros((2, 10)), jnp.array([0, 3])).round(2)
      Array([2.3, 2.3], dtype=float32)
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(
            "softmax_cross_entropy: label_smoothing must be in [0, 1), "
            f"got {label_smoothing}"
        )
    num_classes = logits.shape[-1]
    labels = labels.astype(jnp.int32)  # int8 can't hold the classes it is compared to
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    # A comparison instead of a gather: it partitions over batch and classes alike,
    # and XLA fuses it into the sum. `where`, as 0 * -inf is NaN.
    is_label = jax.nn.one_hot(labels, num_classes, dtype=jnp.bool_)
    losses = -jnp.sum(jnp.where(is_label, log_probabilities, 0.0), axis=-1)
    if label_smoothing:
        uniform = -jnp.mean(log_probabilities, axis=-1)
        losses = (1.0 - label_smoothing) * losses + label_smoothing * uniform
    return jnp.where((labels >= 0) & (labels < num_classes), losses, jnp.nan)
