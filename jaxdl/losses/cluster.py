"""The k-means loss of centres that are trained along with an embedding."""

import jax.numpy as jnp

from jaxdl.typing import Array, Float


def cluster_loss(
    squared_distances: Float[Array, "*batch centers"],
    *,
    widths: Float[Array, " centers"] | None = None,
) -> Float[Array, "*batch"]:
    """Squared distance to the nearest centre, per example; not reduced.

    Add it to a supervised loss, times a weight: large weights make clusters that
    ignore the labels, small ones clusters that follow them. Of equally near centres
    each has its share of the gradient.

    Args:
      squared_distances: of each example to each centre, at least 0.
      widths: of the centres, above 0; distances are divided by them first.

    Returns:
      Float32, at least 0.

    Raises:
      ValueError: widths of another number of centres.

    Source:
      Amirian and Schwenker 2020, section III, arXiv:2208.11401. Without widths it is
      the k-means objective; with them 1 - h of the most active centre of the quadratic
      kernel, as in the authors' code.

    Example:
      >>> cluster_loss(jnp.array([[4.0, 1.0], [0.0, 9.0]]))
      Array([1., 0.], dtype=float32)
    """
    distances = squared_distances.astype(jnp.float32)
    if widths is not None:
        if widths.shape != distances.shape[-1:]:
            raise ValueError(
                f"cluster_loss: widths must be of shape {distances.shape[-1:]}, got "
                f"{widths.shape}"
            )
        shape = (1,) * (distances.ndim - 1) + widths.shape
        distances = distances / jnp.square(widths.astype(jnp.float32)).reshape(shape)
    return jnp.min(distances, axis=-1)
