"""Squared distances of examples to centres, under metrics that can be learnt."""

import jax.numpy as jnp
from jax import lax

from jaxdl.typing import Array, Float


def squared_distances(
    x: Float[Array, "*batch size"],
    centers: Float[Array, "centers size"],
    *,
    weights: Float[Array, "*weights size"] | None = None,
    transforms: Float[Array, "*transforms rows size"] | None = None,
) -> Float[Array, "*batch centers"]:
    """Squared distance of each example to each centre: (x - c)^T R (x - c).

    Differences are taken before anything else, so that an offset which examples and
    centres have in common costs no digits. Values and gradients at a centre are 0.

    Args:
      x: examples, computed in float32.
      centers: one per row.
      weights: R's diagonal, at least 0: (size,) for all centres, or one per centre.
        None is 1, the Euclidean metric.
      transforms: L of R = L^T L: (rows, size) for all centres, or one per centre.

    Returns:
      Float32, at least 0.

    Raises:
      ValueError: both weights and transforms, or shapes that do not fit the centres.

    Source:
      Amirian and Schwenker 2020, section III, arXiv:2208.11401, which has one diagonal
      R for all centres.

    Example:
      >>> x, centers = jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2))
      >>> squared_distances(x, centers)
      Array([[25.]], dtype=float32)
      >>> squared_distances(x, centers, weights=jnp.array([1.0, 0.0]))
      Array([[9.]], dtype=float32)
    """
    _check(centers.shape, weights, transforms)
    x, centers = x.astype(jnp.float32), centers.astype(jnp.float32)
    differences = x[..., None, :] - centers.reshape((1,) * (x.ndim - 1) + centers.shape)
    if transforms is not None:
        sides = "...cd,ed->...ce" if transforms.ndim == 2 else "...cd,ced->...ce"
        differences = jnp.einsum(
            sides,
            differences,
            transforms.astype(jnp.float32),
            precision=lax.Precision.HIGHEST,
        )
    squares = jnp.square(differences)
    if weights is not None:
        squares *= weights.astype(jnp.float32).reshape(
            (1,) * (squares.ndim - weights.ndim) + weights.shape
        )
    return jnp.sum(squares, axis=-1)


def _check(shape, weights, transforms) -> None:
    if weights is not None and transforms is not None:
        raise ValueError(
            "squared_distances: wanted weights or transforms or neither, got both"
        )
    num_centers, size = shape
    if weights is not None and weights.shape not in ((size,), (num_centers, size)):
        raise ValueError(
            f"squared_distances: weights must be of shape ({size},) or "
            f"({num_centers}, {size}), got {weights.shape}"
        )
    if transforms is None:
        return
    ends_well = transforms.ndim in (2, 3) and transforms.shape[-1] == size
    if not ends_well or transforms.shape[:-2] not in ((), (num_centers,)):
        raise ValueError(
            f"squared_distances: transforms must be of shape (rows, {size}) or "
            f"({num_centers}, rows, {size}), got {transforms.shape}"
        )
