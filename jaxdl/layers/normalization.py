"""Normalisation layers: one formula over different axes, then a scale and a shift.

Every layer is called as `norm(x, train=...)`, on images or on vectors, so that one
takes the place of another by its name in `NORMS`.
"""

import functools
import math
from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.layers.moments import normalize, normalize_with_moments, standardize
from jaxdl.typing import Array, Float


class Norm(nn.Module, kw_only=True):
    """What the normalisation layers share; not a layer itself.

    Parameters `scale` and `bias`, one number per channel each.

    Attributes:
      epsilon: added to the variance, positive.
      dtype: of the output; statistics are float32 always.
      param_dtype: of scale and bias.
      scale_init: initialiser of the scale; zeros make a residual branch start as
        nothing.
      bias_init: initialiser of the bias.
    """

    epsilon: float = 1e-5
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    scale_init: jax.nn.initializers.Initializer = nn.initializers.ones
    bias_init: jax.nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *pixels channels"], *, train: bool
    ) -> Float[Array, "batch *pixels channels"]:
        """Normalises, then scales and shifts each channel.

        Args:
          x: activations, channels last, any float dtype.
          train: whether this is a step of training; only BatchNorm treats it apart.

        Returns:
          Activations of the same shape, in `dtype`.

        Raises:
          ValueError: `x` is not floating point, has no axis but the channels, or is
            of a shape that the layer's groups do not divide.
        """
        if x.ndim < 2 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(
                f"{type(self).__name__}: x must be floating point, with a batch axis "
                f"and channels, got {x.dtype} of shape {x.shape}"
            )
        channels = x.shape[-1:]
        scale = self.param("scale", self.scale_init, channels, self.param_dtype)
        bias = self.param("bias", self.bias_init, channels, self.param_dtype)
        rescale = {"eps": self.epsilon, "scale": scale, "bias": bias}
        y = self._normalize(x.astype(jnp.float32), rescale, train=train)
        return y.astype(self.dtype)

    def _normalize(self, x, rescale, *, train):
        """Normalises float32 activations with the keyword arguments `rescale`."""
        raise NotImplementedError


class BatchNorm(Norm):
    """Normalises each channel by its mean and variance over the batch.

    Under `jit` with a batch split over devices the statistics are those of the whole
    batch: two all-reduces of a number per channel on the way forward.

    With `num_groups`, each of that many equal and contiguous parts of the batch is
    normalised by its own statistics ("ghost batches"): with as many groups as devices,
    or a multiple, no device asks another for anything, neither on the way forward
    nor for the gradient of `x`. The running statistics are the mean over groups;
    since every device keeps them all, their update is an all-reduce of two numbers
    per channel, which no other part of the step waits for, and which is left out of
    the compiled program where the update is not used.

    Running `mean` and `var` are in the collection `batch_stats`, which training
    updates and evaluation uses.

    Attributes:
      momentum: share of the running value that a step keeps, in [0, 1]; PyTorch's
        0.1 is 0.9 here.
      num_groups: parts of the batch, or None for the whole batch.
      epsilon: the other attributes are those of `Norm`.

    Raises:
      ValueError: the momentum or the number of groups is out of range.

    Source:
      Ioffe and Szegedy 2015, algorithm 1, arXiv:1502.03167. Differs from it: the
      running variance is the biased one, as in Flax (PyTorch's is n / (n - 1) times
      that). Ghost batches: Hoffer et al. 2017, algorithm 1, arXiv:1705.08741; the
      running statistics there take the groups one after another.

    Example:
      >>> x = jnp.array([[1.0], [3.0]])
      >>> norm = BatchNorm()
      >>> variables = norm.init(jax.random.key(0), x, train=False)
      >>> y, updates = norm.apply(variables, x, train=True, mutable=["batch_stats"])
      >>> y.round(3).tolist(), updates["batch_stats"]["mean"].round(3).tolist()
      ([[-1.0], [1.0]], [0.20000000298023224])
    """

    momentum: float = 0.9
    num_groups: int | None = None

    def __post_init__(self):
        """Checks the numbers."""
        if not 0 <= self.momentum <= 1:
            raise ValueError(
                f"BatchNorm: momentum must be in [0, 1], got {self.momentum}"
            )
        if self.num_groups is not None and self.num_groups < 1:
            raise ValueError(
                f"BatchNorm: num_groups must be at least 1, got {self.num_groups}"
            )
        super().__post_init__()

    def _normalize(self, x, rescale, *, train):
        running_mean = self.variable(
            "batch_stats", "mean", jnp.zeros, x.shape[-1:], jnp.float32
        )
        running_var = self.variable(
            "batch_stats", "var", jnp.ones, x.shape[-1:], jnp.float32
        )
        if not train:
            return standardize(x, running_mean.value, running_var.value, **rescale)
        groups = _split_batch(x, self.num_groups or 1)
        axes = range(1, groups.ndim - 1)
        y, (mean, var) = normalize_with_moments(groups, axes, **rescale)
        if not self.is_initializing():
            keep = self.momentum
            for running, batch in ((running_mean, mean), (running_var, var)):
                batch = batch.reshape(-1, x.shape[-1]).mean(0)
                running.value = keep * running.value + (1 - keep) * batch
        return y.reshape(x.shape)


class LayerNorm(Norm):
    """Normalises each image, or each of its pixels, by its own statistics.

    Attributes:
      axes: "image" takes them over height, width and channels of an image;
        "channels" over the channels of each pixel. The same on vectors.
      epsilon: the other attributes are those of `Norm`.

    Raises:
      ValueError: the axes are neither.

    Source:
      Ba et al. 2016, equation 3, arXiv:1607.06450. Over the channels alone as in Liu
      et al. 2022, arXiv:2201.03545. Differs from PyTorch's over images: scale and
      bias are per channel, not per pixel.

    Example:
      >>> norm, x = LayerNorm(), jnp.array([[1.0, 3.0]])
      >>> y, _ = norm.init_with_output(jax.random.key(0), x, train=True)
      >>> y.round(3).tolist()
      [[-1.0, 1.0]]
    """

    axes: Literal["image", "channels"] = "image"

    def __post_init__(self):
        """Checks the axes."""
        if self.axes not in ("image", "channels"):
            raise ValueError(
                f"LayerNorm: axes must be 'image' or 'channels', got {self.axes!r}"
            )
        super().__post_init__()

    def _normalize(self, x, rescale, *, train):
        first = 1 if self.axes == "image" else x.ndim - 1
        return normalize(x, range(first, x.ndim), **rescale)


class InstanceNorm(Norm):
    """Normalises each channel of each image by its own statistics.

    An image of one pixel has nothing but its mean: the result is the bias.

    Attributes:
      epsilon: all attributes are those of `Norm`.

    Source:
      Ulyanov et al. 2016, arXiv:1607.08022.

    Example:
      >>> norm, x = InstanceNorm(), jnp.array([[[[1.0, 5.0], [3.0, 9.0]]]])
      >>> y, _ = norm.init_with_output(jax.random.key(0), x, train=True)
      >>> y.round(3).tolist()
      [[[[-1.0, -1.0], [1.0, 1.0]]]]
    """

    def _normalize(self, x, rescale, *, train):
        if x.ndim == 2:
            raise ValueError(
                "InstanceNorm: takes the mean over the pixels of an image, and "
                f"vectors of shape {x.shape} have none; LayerNorm works on both"
            )
        return normalize(x, range(1, x.ndim - 1), **rescale)


class GroupNorm(Norm):
    """Normalises each group of channels of each image by its own statistics.

    One group is LayerNorm over the image, a group per channel InstanceNorm.

    Attributes:
      num_groups: groups of neighbouring channels; None for 32, or where 32 does not
        divide the channels, for the greatest common divisor of both.
      epsilon: the other attributes are those of `Norm`.

    Raises:
      ValueError: the number of groups is below 1.

    Source:
      Wu and He 2018, section 3.1, arXiv:1803.08494.

    Example:
      >>> norm, x = GroupNorm(2), jnp.array([[1.0, 3.0, 5.0, 9.0]])
      >>> y, _ = norm.init_with_output(jax.random.key(0), x, train=True)
      >>> y.round(3).tolist()
      [[-1.0, 1.0, -1.0, 1.0]]
    """

    num_groups: int | None = 32

    def __post_init__(self):
        """Checks the number of groups."""
        if self.num_groups is not None and self.num_groups < 1:
            raise ValueError(
                f"GroupNorm: num_groups must be at least 1, got {self.num_groups}"
            )
        super().__post_init__()

    def _normalize(self, x, rescale, *, train):
        channels = x.shape[-1]
        num_groups = self.num_groups or math.gcd(32, channels)
        if channels % num_groups:
            raise ValueError(
                f"GroupNorm: {channels} channels do not divide into "
                f"num_groups={num_groups}"
            )
        split = (num_groups, channels // num_groups)
        groups = x.reshape(*x.shape[:-1], *split)
        scale, bias = (rescale[name].reshape(split) for name in ("scale", "bias"))
        axes = (*range(1, x.ndim - 1), x.ndim)
        y = normalize(groups, axes, eps=rescale["eps"], scale=scale, bias=bias)
        return y.reshape(x.shape)


NORMS: dict[str, Callable[..., Norm]] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
    "layer_channels": functools.partial(LayerNorm, axes="channels"),
    "instance": InstanceNorm,
    "group": functools.partial(GroupNorm, num_groups=None),
}
"""Normalisation layers by name, each made with the attributes of `Norm`."""


def _split_batch(x, num_groups):
    """Puts an axis of groups in front; the first rows are the first group."""
    batch = x.shape[0]
    if batch % num_groups:
        raise ValueError(
            f"BatchNorm: a batch of {batch} does not divide into "
            f"num_groups={num_groups}"
        )
    return x.reshape(num_groups, batch // num_groups, *x.shape[1:])
