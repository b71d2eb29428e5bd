"""Class scores of examples from the labels of the examples nearest to them."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.typing import Array, Float, Int

_CHUNK = 256
"""Queries whose similarities to the whole bank are held at a time."""


def neighbor_scores(
    features: Float[Array, "queries features"],
    bank: Float[Array, "examples features"],
    bank_labels: Int[Array, " examples"],
    *,
    num_classes: int,
    num_neighbors: int = 200,
    temperature: float = 0.1,
) -> Float[Array, "queries classes"]:
    """Votes of the nearest neighbours by cosine, the nearer the heavier.

    Args:
      features: of the examples to classify.
      bank: features of labelled examples.
      bank_labels: their class ids in [0, num_classes).
      num_classes: at least 1, static.
      num_neighbors: that vote, at least 1, static; all of a smaller bank.
      temperature: above 0; a neighbour of similarity s weighs exp(s / temperature).

    Returns:
      Float32 shares of the votes, the sum of each row being 1. Memory is that of 256
      queries' similarities to the whole bank.

    Raises:
      ValueError: a number is out of range, or shapes don't fit.

    Source:
      Wu et al. 2018, section 3.4, arXiv:1805.01978 (200 neighbours, temperature 0.07
      there; 0.1 is common for self-supervised features).

    Example:
      >>> bank, labels = jnp.eye(2), jnp.array([0, 1])
      >>> scores = neighbor_scores(
      ...     jnp.array([[3.0, 0.1]]), bank, labels, num_classes=2, num_neighbors=1
      ... )
      >>> print(scores)
      [[1. 0.]]
    """
    if num_neighbors < 1 or not temperature > 0:
        raise ValueError(
            "neighbor_scores: num_neighbors must be at least 1 and temperature above "
            f"0, got {num_neighbors} and {temperature}"
        )
    if features.shape[1] != bank.shape[1] or len(bank) != len(bank_labels):
        raise ValueError(
            f"neighbor_scores: features {features.shape}, bank {bank.shape} and "
            f"{len(bank_labels)} labels do not fit together"
        )
    if len(bank) == 0:
        raise ValueError("neighbor_scores: the bank holds no examples")
    features, bank = _normalize(features), _normalize(bank)
    count = min(num_neighbors, len(bank))

    def score(query):
        similarity = jnp.matmul(bank, query, precision=lax.Precision.HIGHEST)
        values, places = lax.top_k(similarity, count)
        # The largest taken away first: exp(1 / 0.01) is beyond float32.
        votes = jnp.exp((values - values[0]) / temperature)
        is_class = jax.nn.one_hot(bank_labels[places], num_classes, dtype=votes.dtype)
        return votes @ is_class / votes.sum()

    return lax.map(score, features, batch_size=_CHUNK)


def _normalize(rows):
    """Rows of length 1 in float32; zeros stay."""
    rows = rows.astype(jnp.float32)
    lengths = jnp.linalg.norm(rows, axis=1, keepdims=True)
    return rows / jnp.where(lengths > 0, lengths, 1.0)
