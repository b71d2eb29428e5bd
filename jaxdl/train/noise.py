"""Sums from which the gradient noise scale of a log interval is told."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from jaxdl.diagnose import measure_noise, noise_scale


@flax.struct.dataclass
class MeasuredStatistics:
    """Statistics of a task beside the noise of its gradients; add as others do.

    Attributes:
      task: as the loss function gives them.
      steps: how many were measured; an int32 scalar.
      gradient_norm_squared: sum over steps, see `jaxdl.diagnose.NoiseScale`.
      gradient_variance: likewise.
    """

    # Any, as the same tree also holds host arrays, shapes or shardings.
    task: Any
    steps: Any
    gradient_norm_squared: Any
    gradient_variance: Any


def init_measured(statistics: Any) -> MeasuredStatistics:
    """Empty statistics beside the noise of no step."""
    return MeasuredStatistics(
        task=statistics,
        steps=jnp.zeros((), jnp.int32),
        # Two arrays: a donated state can't hold one twice.
        gradient_norm_squared=jnp.zeros(()),
        gradient_variance=jnp.zeros(()),
    )


def add_noise(statistics: Any, gradients: Any, *, batch_size: int) -> Any:
    """Statistics of a step with the noise between the gradients of its parts.

    Args:
      statistics: of the task.
      gradients: of each part, stacked along the first axis.
      batch_size: examples in all parts together.

    Returns:
      `MeasuredStatistics` of one step.
    """
    num_parts = len(jax.tree.leaves(gradients)[0])
    found = measure_noise(gradients, small_size=batch_size // num_parts)
    return MeasuredStatistics(statistics, jnp.ones((), jnp.int32), *found)


def compute_noise(statistics: MeasuredStatistics) -> dict[str, float | None]:
    """Means over the steps measured, and the noise scale: the ratio of both.

    Args:
      statistics: on the host.

    Returns:
      `"noise_scale"` in examples, `"gradient_norm_squared"` (negative where noise
      prevails) and `"gradient_variance"`; None for what is not known.

    Example:
      >>> found = compute_noise(MeasuredStatistics(None, 2, -1.0, 8.0))
      >>> found["gradient_variance"], found["noise_scale"]
      (4.0, None)
    """
    steps = max(int(statistics.steps), 1)
    norm_squared = float(statistics.gradient_norm_squared) / steps
    variance = float(statistics.gradient_variance) / steps
    means = {"gradient_norm_squared": norm_squared, "gradient_variance": variance}
    is_known = int(statistics.steps) > 0
    known = {
        name: mean if is_known and abs(mean) < float("inf") else None
        for name, mean in means.items()
    }
    return {"noise_scale": noise_scale(norm_squared, variance), **known}
