"""A network's class scores against those of another."""

import jax
import jax.numpy as jnp

from jaxdl.typing import Array, Float


def distillation(
    logits: Float[Array, "*batch classes"],
    teacher_logits: Float[Array, "*batch classes"],
    *,
    temperature: float = 4.0,
) -> Float[Array, "*batch"]:
    """Divergence of the softmax from the teacher's, per example; not reduced.

    Args:
      logits: of the network that learns, of any float dtype; computed in float32.
      teacher_logits: of the network that it learns from; no gradient reaches them.
      temperature: both are divided by it, above 0; the higher, the more the small
        probabilities count.

    Returns:
      Float32, at least 0: the Kullback-Leibler divergence in nats, times the squared
      temperature, which keeps the size of gradients the same.

    Raises:
      ValueError: `temperature` is not above 0.

    Source:
      Hinton et al. 2015, section 2, arXiv:1503.02531. Differs from it: the teacher's
      entropy, which no gradient depends on, is taken off.

    Example:
      >>> distillation(jnp.zeros((1, 2)), jnp.zeros((1, 2)))
      Array([0.], dtype=float32)
    """
    if not temperature > 0:
        raise ValueError(
            f"distillation: temperature must be above 0, got {temperature}"
        )
    learned, wanted = (
        jax.nn.log_softmax(scores.astype(jnp.float32) / temperature)
        for scores in (logits, jax.lax.stop_gradient(teacher_logits))
    )
    return temperature**2 * jnp.sum(jnp.exp(wanted) * (wanted - learned), axis=-1)
