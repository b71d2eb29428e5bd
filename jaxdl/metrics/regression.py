"""Mean absolute and mean squared error in one pass."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from jaxdl.metrics.merging import check_batch
from jaxdl.typing import Array, Bool, Float


@flax.struct.dataclass
class Regression:
    """Sums over the examples seen.

    Attributes:
      count: examples, an int32 scalar.
      absolute_sum: sum of the absolute errors, a float32 scalar.
      squared_sum: sum of the squared errors, a float32 scalar.
    """

    # Any, as the same tree also holds host arrays, shapes or shardings.
    count: Any
    absolute_sum: Any
    squared_sum: Any


def init_regression() -> Regression:
    """Empty statistics of a regressor.

    Returns:
      Statistics of no example.

    Example:
      >>> int(init_regression().count)
      0
    """
    return Regression(
        count=jnp.zeros((), jnp.int32),
        absolute_sum=jnp.zeros((), jnp.float32),
        squared_sum=jnp.zeros((), jnp.float32),
    )


def update_regression(
    stats: Regression,
    predictions: Float[Array, " batch"],
    targets: Float[Array, " batch"],
    *,
    mask: Bool[Array, " batch"] | None = None,
) -> Regression:
    """Adds a batch to the statistics.

    Args:
      stats: what was seen so far.
      predictions: one number per example, any float dtype.
      targets: one number per example, in the same unit.
      mask: False leaves an example out, whatever its values; None keeps all.

    Returns:
      The statistics with the batch added.

    Raises:
      ValueError: the shapes do not fit together.

    Example:
      >>> stats = update_regression(init_regression(), jnp.ones(3), jnp.zeros(3))
      >>> float(stats.absolute_sum)
      3.0
    """
    if predictions.ndim != 1:
        raise ValueError(
            "update_regression: predictions must have shape (batch,), "
            f"got {predictions.shape}"
        )
    batch_size = predictions.shape[0]
    check_batch("update_regression", batch_size, targets=targets, mask=mask)
    keep = jnp.ones(batch_size, jnp.bool_) if mask is None else mask
    errors = predictions.astype(jnp.float32) - targets.astype(jnp.float32)
    errors = jnp.where(keep, errors, 0.0)
    return Regression(
        count=stats.count + jnp.sum(keep, dtype=jnp.int32),
        absolute_sum=stats.absolute_sum + jnp.sum(jnp.abs(errors)),
        squared_sum=stats.squared_sum + jnp.sum(jnp.square(errors)),
    )


def compute_regression(stats: Regression) -> dict[str, float]:
    """The numbers that statistics stand for, on the host in float64.

    Args:
      stats: statistics of one example at least.

    Returns:
      `mae` in the target's unit and `mse` in its square.

    Raises:
      ValueError: no examples.

    Example:
      >>> stats = update_regression(init_regression(), jnp.ones(3), jnp.zeros(3))
      >>> compute_regression(stats)
      {'mae': 1.0, 'mse': 1.0}
    """
    host = jax.device_get(stats)
    count = int(host.count)
    if count == 0:
        raise ValueError("compute_regression: no examples")
    return {
        "mae": float(host.absolute_sum) / count,
        "mse": float(host.squared_sum) / count,
    }
