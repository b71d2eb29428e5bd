"""Initialisers: how the first values of parameters are drawn."""

from typing import Literal

import jax


def kaiming_normal(
    *, mode: Literal["fan_in", "fan_out"] = "fan_out"
) -> jax.nn.initializers.Initializer:
    """Makes an initialiser that keeps the variance of a ReLU network constant.

    Draws from a normal distribution (not truncated) of standard deviation
    sqrt(2 / fan), the fan of a convolution counting its window: height * width *
    input channels / groups for `fan_in`, height * width * features for `fan_out`.

    Args:
      mode: `fan_in` keeps the variance on the way forward, `fan_out` that of the
        gradient on the way back.

    Returns:
      A function `(key, shape, dtype) -> array`, for kernels whose last two axes are
      input and output.

    Raises:
      ValueError: the mode is neither.

    Source:
      He et al. 2015, equations 10 and 14, arXiv:1502.01852. As torchvision's.

    Example:
      >>> kaiming_normal(mode="fan_in")(jax.random.key(0), (3, 3, 16, 32)).shape
      (3, 3, 16, 32)
    """
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(
            f"kaiming_normal: mode must be 'fan_in' or 'fan_out', got {mode!r}"
        )
    return jax.nn.initializers.variance_scaling(2.0, mode, "normal")


def torch_uniform() -> jax.nn.initializers.Initializer:
    """Makes the initialiser that PyTorch gives the kernel of a linear layer.

    Returns:
      A function `(key, shape, dtype) -> array` that draws uniformly from
      +-1 / sqrt(fan_in).

    Source:
      `torch.nn.Linear.reset_parameters`. The bias here starts at 0 instead.

    Example:
      >>> bool((abs(torch_uniform()(jax.random.key(0), (4, 8))) <= 0.5).all())
      True
    """
    return jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
