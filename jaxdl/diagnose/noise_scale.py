"""How noisy gradients are: the batch size from which on larger ones help little."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.typing import Array, Float, Params

Lengths = Float[Array, "*steps"] | Float[np.ndarray, "*steps"] | float
"""A squared length, or one for each step."""


class NoiseScale(NamedTuple):
    """Estimates from one step; to average over steps, average the first two.

    Attributes:
      gradient_norm_squared: squared length of the gradient without noise, |G|^2; an
        estimate without bias, so it may be negative where noise prevails.
      gradient_variance: of the gradients of single examples, summed over the
        parameters, tr(Sigma).
    """

    gradient_norm_squared: Any
    gradient_variance: Any

    @property
    def noise_scale(self) -> float | None:
        """Examples, tr(Sigma) / |G|^2; None where the estimates can't tell."""
        return noise_scale(*self)


def noise_scale(gradient_norm_squared: Any, gradient_variance: Any) -> float | None:
    """The simple noise scale, in examples.

    Far smaller batches than this take as many examples as single ones do to get
    somewhere; far larger ones take as many steps as the whole dataset would.

    Args:
      gradient_norm_squared: |G|^2; the mean of estimates over steps.
      gradient_variance: tr(Sigma); the mean over the same steps. Of the ratios of
        single steps there is no useful mean.

    Returns:
      The ratio of both; None where one is not finite, |G|^2 is not above 0 or
      tr(Sigma) is negative: noise hides the gradient, or there are too few estimates.

    Source:
      McCandlish et al. 2018, equation 2.9, arXiv:1812.06162.

    Example:
      >>> noise_scale(0.5, 8.0)
      16.0
      >>> noise_scale(-0.5, 8.0) is None
      True
    """
    norm_squared, variance = float(gradient_norm_squared), float(gradient_variance)
    if not 0 < norm_squared < float("inf") or not 0 <= variance < float("inf"):
        return None
    return variance / norm_squared


def estimate_noise(
    small_squared: Lengths,
    large_squared: Lengths,
    *,
    small_size: int,
    large_size: int,
) -> NoiseScale:
    """Parts of the noise scale from the lengths of gradients of two batch sizes.

    Args:
      small_squared: squared length of a mean gradient over `small_size` examples;
        the mean of several has less noise.
      large_squared: that over `large_size` examples.
      small_size: at least 1.
      large_size: above `small_size`.

    Returns:
      Estimates without bias. Both lengths may share examples.

    Raises:
      ValueError: the sizes are not 1 <= small_size < large_size.

    Source:
      McCandlish et al. 2018, appendix A.1, arXiv:1812.06162.

    Example:
      >>> found = estimate_noise(3.0, 1.5, small_size=1, large_size=4)
      >>> found.gradient_norm_squared, found.gradient_variance
      (1.0, 2.0)
    """
    _check_sizes(small_size, large_size)
    return _solve(small_squared - large_squared, large_squared, small_size, large_size)


def measure_noise(gradients: Params, *, small_size: int) -> NoiseScale:
    """Parts of the noise scale from the gradients of equal parts of a batch.

    Args:
      gradients: of the mean loss of each part, stacked along the first axis; two
        parts at least.
      small_size: examples per part.

    Returns:
      As `estimate_noise` for one part and for all of them, as float32 scalars. The
      difference of lengths is taken as the mean squared distance from the mean
      gradient, which it equals: nothing cancels, and the variance is never negative.

    Raises:
      ValueError: there is only one part, or `small_size` is below 1.

    Source:
      McCandlish et al. 2018, appendix A.1, arXiv:1812.06162.

    Example:
      >>> found = measure_noise({"kernel": jnp.array([[1.0], [3.0]])}, small_size=1)
      >>> float(found.gradient_norm_squared), float(found.gradient_variance)
      (3.0, 2.0)
    """
    leaves = [leaf.astype(jnp.float32) for leaf in jax.tree.leaves(gradients)]
    num_parts = len(leaves[0])
    _check_sizes(small_size, num_parts * small_size)
    spread, large_squared = jnp.zeros(()), jnp.zeros(())
    for leaf in leaves:
        mean = jnp.mean(leaf, axis=0, keepdims=True)
        spread += jnp.sum(jnp.square(leaf - mean)) / num_parts
        large_squared += jnp.sum(jnp.square(mean))
    return _solve(spread, large_squared, small_size, num_parts * small_size)


def _check_sizes(small_size: int, large_size: int) -> None:
    if not 1 <= small_size < large_size:
        raise ValueError(
            "the noise scale takes batches of two sizes, 1 <= small < large, got "
            f"small_size={small_size} and large_size={large_size}"
        )


def _solve(difference: Any, large_squared: Any, small: int, large: int) -> NoiseScale:
    """What solves |G_B|^2 = |G|^2 + tr(Sigma) / B for both sizes."""
    variance = difference / (1 / small - 1 / large)
    return NoiseScale(large_squared - variance / large, variance)
