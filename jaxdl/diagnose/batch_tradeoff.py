"""What larger batches save in steps and cost in examples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_REACH = 100.0
"""How far beyond the batch sizes given a critical one is looked for."""


class BatchTradeoff(NamedTuple):
    """The curve (steps / min_steps - 1) * (examples / min_examples - 1) = 1.

    Attributes:
      min_steps: those that the largest batches would take.
      min_examples: those that the smallest batches would take.
      is_bounded: False where the points don't tell both numbers: their steps hardly
        fall with the batch, or fall all the way in proportion to it.
      error: root mean square of the natural logarithms of measured over fitted steps.
    """

    min_steps: float
    min_examples: float
    is_bounded: bool
    error: float

    @property
    def critical_batch_size(self) -> float:
        """Examples; the batch that takes twice the fewest of both."""
        return self.min_examples / self.min_steps

    def steps(self, batch_size: float | int) -> float:
        """The steps that batches of a size take."""
        return self.min_steps * (1 + self.critical_batch_size / batch_size)


def fit_batch_tradeoff(
    batch_sizes: Sequence[float | int], steps: Sequence[float | int]
) -> BatchTradeoff:
    """Fits the trade-off between steps and examples to trainings to one target.

    With examples = steps x batch size, the curve is steps = min_steps * (1 + critical /
    batch size). Its logarithm is fitted by least squares: relative errors count alike
    for small and large batches. For each critical batch size the best `min_steps` is
    known, so a search along one axis finds the optimum.

    Args:
      batch_sizes: above 0; two different ones at least.
      steps: to the target, above 0, one for each.

    Returns:
      The curve; its critical batch size is within a factor of 100 of the sizes given.

    Raises:
      ValueError: fewer than two sizes, unequal lengths, or numbers that are not above
        0.

    Source:
      McCandlish et al. 2018, equation 2.11, arXiv:1812.06162; the fit is our own.

    Example:
      >>> found = fit_batch_tradeoff([10, 100, 1000], [1100, 200, 110])
      >>> round(found.min_steps), round(found.critical_batch_size)
      (100, 100)
    """
    sizes, counts = np.asarray(batch_sizes, float), np.asarray(steps, float)
    if sizes.shape != counts.shape or len(np.unique(sizes)) < 2:
        raise ValueError(
            "fit_batch_tradeoff: wanted two different batch_sizes or more and steps "
            f"for each, got {list(batch_sizes)} and {list(steps)}"
        )
    if not (sizes > 0).all() or not (counts > 0).all() or not np.isfinite(counts).all():
        raise ValueError(
            "fit_batch_tradeoff: batch_sizes and steps must be above 0 and finite, got "
            f"{list(batch_sizes)} and {list(steps)}"
        )
    low, high = np.log(sizes.min() / _REACH), np.log(sizes.max() * _REACH)
    for _ in range(8):
        grid = np.linspace(low, high, 101)
        errors = [_fit_steps(sizes, counts, np.exp(point))[1] for point in grid]
        best = int(np.argmin(errors))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 100)]
    critical = float(np.exp(grid[best]))
    min_steps, error = _fit_steps(sizes, counts, critical)
    # On a slope that leaves the range searched by a tenth, the points tell one number.
    is_bounded = bool(
        sizes.min() / _REACH * 1.1 < critical < sizes.max() * _REACH / 1.1
    )
    return BatchTradeoff(min_steps, min_steps * critical, is_bounded, error)


def _fit_steps(
    sizes: Float[np.ndarray, " points"],
    counts: Float[np.ndarray, " points"],
    critical: float,
) -> tuple[float, float]:
    """The best fewest steps for a critical batch size, and the error left."""
    ratios = np.log(counts) - np.log1p(critical / sizes)
    return float(np.exp(ratios.mean())), float(ratios.std())
