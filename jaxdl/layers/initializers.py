"""Initialisers: how the first values of parameters are drawn.

An initialiser is a function `(key, shape, dtype) -> array`. Of a kernel, the last
axis is the output, the one before it the input (the channels of one group) and the
others the window. Its fans are those of PyTorch: `fan_in` is window * inputs per
group and `fan_out` window * features, of all groups together.
"""

import functools
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from jaxdl.layers.tables import choose

Fan = Literal["fan_in", "fan_out"]
"""`fan_in` keeps the variance of the activations on the way forward, `fan_out` that
of the gradients on the way back."""

BiasInitializer = Callable[[int], Initializer]
"""Makes the initialiser of a bias from the `fan_in` of the kernel beside it."""


def calculate_gain(activation: str, *, negative_slope: float = 0.01) -> float:
    """By how much kernels are drawn wider, so that an activation keeps the variance.

    Args:
      activation: `linear`, `identity`, `sigmoid`, `tanh`, `relu`, `leaky_relu` or
        `selu`.
      negative_slope: of `leaky_relu`.

    Returns:
      The factor on the standard deviation.

    Raises:
      ValueError: the activation has no gain of its own there.

    Source:
      `torch.nn.init.calculate_gain`. Those of tanh and SELU are empirical, and
      sigmoid's is 1 by convention. PyTorch has none for smooth forms of ReLU; its
      networks use that of `relu` for them.

    Example:
      >>> calculate_gain("tanh"), calculate_gain("leaky_relu", negative_slope=1.0)
      (1.6666666666666667, 1.0)
    """
    gains = {
        "linear": 1.0,
        "identity": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + negative_slope**2)),
        "selu": 3 / 4,
    }
    return choose(gains, activation, what="gain of an activation")


def kaiming_normal(
    *, mode: Fan = "fan_out", gain: float = math.sqrt(2), truncated: bool = False
) -> Initializer:
    """Makes an initialiser that keeps the variance of a ReLU network constant.

    Draws from a normal distribution of standard deviation gain / sqrt(fan).

    Args:
      mode: see `Fan`. PyTorch's own default is `fan_in`; its ResNets use `fan_out`.
      gain: see `calculate_gain`; by default that of ReLU.
      truncated: draw nothing beyond two standard deviations of the normal
        distribution, which is widened to keep the one asked for.

    Returns:
      A function `(key, shape, dtype) -> array`. Calls of the same arguments give the
      same function.

    Raises:
      ValueError: the mode is neither.

    Source:
      He et al. 2015, equations 10 and 14, arXiv:1502.01852; not truncated there.

    Example:
      >>> kaiming_normal(mode="fan_in")(jax.random.key(0), (3, 3, 16, 32)).shape
      (3, 3, 16, 32)
    """
    _check_mode("kaiming_normal", mode)
    return _scale_variance(gain**2, mode, _NORMAL[truncated])


def kaiming_uniform(
    *, mode: Fan = "fan_out", gain: float = math.sqrt(2)
) -> Initializer:
    """Makes the uniform initialiser of the variance of `kaiming_normal`.

    Args:
      mode: see `Fan`. PyTorch's own default is `fan_in`.
      gain: see `calculate_gain`; by default that of ReLU.

    Returns:
      A function `(key, shape, dtype) -> array` that draws from +-gain * sqrt(3 / fan).

    Raises:
      ValueError: the mode is neither.

    Source:
      He et al. 2015, arXiv:1502.01852, as `torch.nn.init.kaiming_uniform_`.

    Example:
      >>> draws = kaiming_uniform(mode="fan_in")(jax.random.key(0), (6, 100))
      >>> bool((abs(draws) <= 1).all())
      True
    """
    _check_mode("kaiming_uniform", mode)
    return _scale_variance(gain**2, mode, "uniform")


def xavier_normal(*, gain: float = 1.0, truncated: bool = False) -> Initializer:
    """Makes an initialiser between the two Kaiming ones, for both ways at once.

    Draws from a normal distribution of variance gain^2 / mean(fan_in, fan_out).

    Args:
      gain: see `calculate_gain`.
      truncated: as in `kaiming_normal`.

    Returns:
      A function `(key, shape, dtype) -> array`.

    Source:
      Glorot and Bengio 2010, equation 12.

    Example:
      >>> xavier_normal()(jax.random.key(0), (4, 8)).shape
      (4, 8)
    """
    return _scale_variance(gain**2, "fan_avg", _NORMAL[truncated])


def xavier_uniform(*, gain: float = 1.0) -> Initializer:
    """Makes the uniform initialiser of the variance of `xavier_normal`.

    Args:
      gain: see `calculate_gain`.

    Returns:
      A function `(key, shape, dtype) -> array` that draws from
      +-gain * sqrt(6 / (fan_in + fan_out)).

    Source:
      Glorot and Bengio 2010, equation 16.

    Example:
      >>> draws = xavier_uniform()(jax.random.key(0), (4, 2))
      >>> bool((abs(draws) <= 1).all())
      True
    """
    return _scale_variance(gain**2, "fan_avg", "uniform")


def lecun_normal(*, truncated: bool = False) -> Initializer:
    """Makes a normal initialiser of standard deviation 1 / sqrt(fan_in).

    Args:
      truncated: as in `kaiming_normal`. Flax's default for kernels, which JAX calls
        `lecun_normal`, is the truncated one.

    Returns:
      A function `(key, shape, dtype) -> array`.

    Source:
      LeCun et al. 1998, "Efficient BackProp", section 4.6.

    Example:
      >>> lecun_normal()(jax.random.key(0), (4, 8)).shape
      (4, 8)
    """
    return _scale_variance(1.0, "fan_in", _NORMAL[truncated])


def lecun_uniform() -> Initializer:
    """Makes the uniform initialiser of the variance of `lecun_normal`.

    Returns:
      A function `(key, shape, dtype) -> array` that draws from +-sqrt(3 / fan_in).

    Source:
      LeCun et al. 1998, "Efficient BackProp", section 4.6.

    Example:
      >>> draws = lecun_uniform()(jax.random.key(0), (3, 8))
      >>> bool((abs(draws) <= 1).all())
      True
    """
    return _scale_variance(1.0, "fan_in", "uniform")


def torch_uniform(*, mode: Fan = "fan_in") -> Initializer:
    """Makes the initialiser that PyTorch gives linear layers and convolutions.

    Args:
      mode: PyTorch's default is `fan_in`; `fan_out` is that of the last layer of
        torchvision's EfficientNet.

    Returns:
      A function `(key, shape, dtype) -> array` that draws from +-1 / sqrt(fan). The
      bias beside it is `torch_uniform_bias`.

    Raises:
      ValueError: the mode is neither.

    Source:
      `reset_parameters` of `torch.nn.Linear` and `torch.nn.Conv2d`: Kaiming uniform
      of gain sqrt(1 / 3).

    Example:
      >>> bool((abs(torch_uniform()(jax.random.key(0), (4, 8))) <= 0.5).all())
      True
    """
    _check_mode("torch_uniform", mode)
    return _scale_variance(1 / 3, mode, "uniform")


@functools.cache
def fixed_normal(std: float) -> Initializer:
    """Makes a normal initialiser of one standard deviation, whatever the fan.

    Args:
      std: standard deviation, above 0.

    Returns:
      A function `(key, shape, dtype) -> array`.

    Raises:
      ValueError: the standard deviation is not above 0.

    Example:
      >>> fixed_normal(0.01)(jax.random.key(0), (4, 8)).shape
      (4, 8)
    """
    if not std > 0:
        raise ValueError(f"fixed_normal: std must be above 0, got {std}")
    return jax.nn.initializers.normal(std)


@functools.cache
def truncated_normal(
    std: float, *, lower: float = -2.0, upper: float = 2.0
) -> Initializer:
    """Makes a normal initialiser that draws only within bounds given as such.

    With small standard deviations the bounds +-2 cut nothing off, unlike those of
    `truncated=True` elsewhere, which are relative.

    Args:
      std: standard deviation of the normal distribution before it is cut, above 0.
      lower: smallest value, below 0.
      upper: largest value, above 0.

    Returns:
      A function `(key, shape, dtype) -> array`.

    Raises:
      ValueError: a number is out of range.

    Source:
      `torch.nn.init.trunc_normal_` of mean 0; torchvision's GoogLeNet and Inception
      start from it.

    Example:
      >>> draws = truncated_normal(1.0, lower=-0.5, upper=1.5)(jax.random.key(0), (9,))
      >>> bool(((-0.5 <= draws) & (draws <= 1.5)).all())
      True
    """
    if not (std > 0 and lower < 0 < upper):
        raise ValueError(
            "truncated_normal: std must be above 0 and lower < 0 < upper, got "
            f"std={std}, lower={lower}, upper={upper}"
        )
    # In float32, JAX draws a bound itself about once in ten million where the mass
    # beyond it rounds to 0: at std=0.01 that is a kernel entry of -2.
    lower, upper = max(lower / std, -5.0), min(upper / std, 5.0)

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        draws = jax.random.truncated_normal(
            key, lower, upper, shape, dtype, out_sharding=out_sharding
        )
        return draws * jnp.asarray(std, dtype)

    return initialize


@functools.cache
def orthogonal(*, gain: float = 1.0) -> Initializer:
    """Makes an initialiser of kernels whose features are orthogonal to each other.

    A kernel is taken as a matrix with one column per feature. Its columns are
    orthonormal times the gain; where there are more features than inputs, its rows
    are.

    Args:
      gain: see `calculate_gain`.

    Returns:
      A function `(key, shape, dtype) -> array` for shapes of at least two axes.

    Source:
      Saxe et al. 2014, arXiv:1312.6120, as `torch.nn.init.orthogonal_`.

    Example:
      >>> kernel = orthogonal()(jax.random.key(0), (8, 2))
      >>> (kernel.T @ kernel).round(3).tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """

    def initialize(key, shape, dtype=jnp.float32, out_sharding=None):
        # The decomposition behind it exists from 32 bits on.
        wide = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
        kernel = jax.nn.initializers.orthogonal(gain)(key, shape, wide, out_sharding)
        return kernel.astype(dtype)

    return initialize


def zeros_bias(fan_in: int) -> Initializer:
    """The initialiser of a bias that starts at 0.

    Args:
      fan_in: of the kernel beside it; makes no difference.

    Returns:
      A function `(key, shape, dtype) -> array`.

    Example:
      >>> zeros_bias(9)(jax.random.key(0), (2,))
      Array([0., 0.], dtype=float32)
    """
    del fan_in
    return jax.nn.initializers.zeros


def torch_uniform_bias(fan_in: int) -> Initializer:
    """The initialiser that PyTorch gives a bias, within +-1 / sqrt(fan_in).

    Args:
      fan_in: of the kernel beside it, at least 1.

    Returns:
      A function `(key, shape, dtype) -> array`.

    Source:
      `reset_parameters` of `torch.nn.Linear` and `torch.nn.Conv2d`.

    Example:
      >>> bool((abs(torch_uniform_bias(4)(jax.random.key(0), (9,))) <= 0.5).all())
      True
    """
    bound = 1 / math.sqrt(fan_in)
    return functools.partial(jax.random.uniform, minval=-bound, maxval=bound)


_NORMAL = {False: "normal", True: "truncated_normal"}


@functools.cache
def _scale_variance(scale, mode, distribution):
    """Variance scale / fan; cached, since modules that hold the result compare by it.

    A new function in an equal network would make jit compile again.
    """
    return jax.nn.initializers.variance_scaling(scale, mode, distribution)


def _check_mode(name, mode):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out', got {mode!r}")


INITIALIZERS: dict[str, Initializer] = {
    "kaiming_normal": kaiming_normal(),
    "kaiming_normal_fan_in": kaiming_normal(mode="fan_in"),
    "kaiming_truncated_normal": kaiming_normal(truncated=True),
    "kaiming_uniform": kaiming_uniform(),
    "kaiming_uniform_fan_in": kaiming_uniform(mode="fan_in"),
    "xavier_normal": xavier_normal(),
    "xavier_truncated_normal": xavier_normal(truncated=True),
    "xavier_uniform": xavier_uniform(),
    "lecun_normal": lecun_normal(),
    "lecun_truncated_normal": lecun_normal(truncated=True),
    "lecun_uniform": lecun_uniform(),
    "torch_uniform": torch_uniform(),
    "orthogonal": orthogonal(),
    "normal_0.01": fixed_normal(0.01),
    "normal_0.05": fixed_normal(0.05),
    "zeros": jax.nn.initializers.zeros,
}
"""Initialisers of kernels by name; `zeros` is for the scale that ends a branch."""
