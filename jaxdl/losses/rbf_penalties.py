"""What keeps a radial basis function head from learning its training set by heart."""

import jax
import jax.numpy as jnp

from jaxdl.typing import Array, Float


def center_repulsion(
    centers: Float[Array, "centers size"], widths: Float[Array, " centers"]
) -> Float[Array, ""]:
    """How much centres overlap: the mean of exp(-r^2 / 2) over pairs of them.

    Args:
      centers: at least 2, one per row.
      widths: above 0; r is the distance over the root of the product of both widths.

    Returns:
      In [0, 1]; 1 if all lie on each other.

    Raises:
      ValueError: a single centre.

    Example:
      >>> center_repulsion(jnp.array([[0.0], [0.0]]), jnp.ones(2))
      Array(1., dtype=float32)
    """
    count = len(centers)
    if count < 2:
        raise ValueError(f"center_repulsion: wanted at least 2 centres, got {count}")
    differences = centers[:, None] - centers[None]
    scaled = jnp.sum(jnp.square(differences), -1) / (widths[:, None] * widths[None])
    overlaps = jnp.exp(-0.5 * scaled)
    return (jnp.sum(overlaps) - jnp.trace(overlaps)) / (count * (count - 1))


def width_prior(widths: Float[Array, " centers"]) -> Float[Array, ""]:
    """How unequal widths are: the variance of their logarithms.

    Args:
      widths: above 0.

    Returns:
      At least 0; 0 if all are equal, however wide.

    Example:
      >>> width_prior(jnp.array([2.0, 2.0]))
      Array(0., dtype=float32)
    """
    return jnp.var(jnp.log(widths))


def assignment_imbalance(
    squared_distances: Float[Array, "batch centers"],
    *,
    widths: Float[Array, " centers"],
) -> Float[Array, ""]:
    """How unevenly a batch is shared out over the centres.

    An example belongs to centres by the softmax of -r^2 / 2.

    Args:
      squared_distances: of each example to each centre.
      widths: above 0; they divide the distances.

    Returns:
      Nats that the entropy of the mean share is below its maximum, log(centers).

    Example:
      >>> distances = jnp.array([[0.0, 100.0], [100.0, 0.0]])
      >>> print(f"{assignment_imbalance(distances, widths=jnp.ones(2)):.3f}")
      0.000
    """
    scaled = squared_distances / jnp.square(widths)[None]
    shares = jnp.mean(jax.nn.softmax(-0.5 * scaled, axis=-1), axis=0)
    # The smallest normal number: the logarithm of a share that underflows is finite.
    logs = jnp.log(jnp.maximum(shares, jnp.finfo(jnp.float32).tiny))
    return jnp.log(jnp.float32(len(widths))) + jnp.sum(shares * logs)


def metric_decay(weights: Float[Array, "*weights size"]) -> Float[Array, ""]:
    """How far a diagonal metric is from the Euclidean one of its own scale.

    Args:
      weights: of the directions, above 0.

    Returns:
      The variance of their logarithms over the directions, mean over the centres.

    Example:
      >>> metric_decay(jnp.array([3.0, 3.0]))
      Array(0., dtype=float32)
    """
    return jnp.mean(jnp.var(jnp.log(weights), axis=-1))
