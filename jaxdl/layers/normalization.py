"""Normalisation of activations by their own statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.typing import Array, Float


class BatchNorm(nn.Module):
    """Normalises each channel by its mean and variance over the batch.

    The variance is the mean squared deviation, in two passes: the one-pass form
    (mean of squares minus square of mean) that Flax takes by default gives 24 for a
    true variance of 1 at mean 1e4. Under `jit` with a batch split over devices the
    statistics are those of the whole batch.

    Parameters `scale` and `bias`; running `mean` and `var` in the collection
    `batch_stats`, which training updates and evaluation uses.

    Attributes:
      momentum: share of the running value that a step keeps, in [0, 1]; PyTorch's
        0.1 is 0.9 here.
      epsilon: added to the variance.
      dtype: of the output; statistics are float32 always.
      param_dtype: of scale and bias.
      scale_init: initialiser of the scale; zeros make a residual branch start as
        nothing.
      bias_init: initialiser of the bias.

    Source:
      Ioffe and Szegedy 2015, algorithm 1, arXiv:1502.03167. Differs from it: the
      running variance is the biased one, as in Flax (PyTorch's is n / (n - 1) times
      that).

    Example:
      >>> x = jnp.array([[1.0], [3.0]])
      >>> norm = BatchNorm()
      >>> variables = norm.init(jax.random.key(0), x, train=False)
      >>> y, updates = norm.apply(variables, x, train=True, mutable=["batch_stats"])
      >>> y.round(3).tolist(), updates["batch_stats"]["mean"].round(3).tolist()
      ([[-1.0], [1.0]], [0.20000000298023224])
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32
    scale_init: jax.nn.initializers.Initializer = nn.initializers.ones
    bias_init: jax.nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch channels"], *, train: bool
    ) -> Float[Array, "*batch channels"]:
        """Normalises, in training by the statistics of `x` itself.

        Args:
          x: activations, channels last.
          train: use the statistics of `x` and update the running ones; otherwise
            use the running ones.

        Returns:
          Activations of the same shape, in `dtype`.
        """
        channels = x.shape[-1:]
        scale = self.param("scale", self.scale_init, channels, self.param_dtype)
        bias = self.param("bias", self.bias_init, channels, self.param_dtype)
        running_mean = self.variable(
            "batch_stats", "mean", jnp.zeros, channels, jnp.float32
        )
        running_var = self.variable(
            "batch_stats", "var", jnp.ones, channels, jnp.float32
        )
        x = x.astype(jnp.float32)
        if train:
            mean, var = _channel_moments(x)
            if not self.is_initializing():
                keep = self.momentum
                running_mean.value = keep * running_mean.value + (1 - keep) * mean
                running_var.value = keep * running_var.value + (1 - keep) * var
        else:
            mean, var = running_mean.value, running_var.value
        factor = jax.lax.rsqrt(var + self.epsilon) * scale.astype(jnp.float32)
        aligned = (1,) * (x.ndim - 1) + channels
        centred = x - mean.reshape(aligned)
        y = centred * factor.reshape(aligned) + bias.astype(jnp.float32).reshape(
            aligned
        )
        return y.astype(self.dtype)


def _channel_moments(x):
    """Mean and biased variance per channel; deviations from the mean, not squares."""
    axes = tuple(range(x.ndim - 1))
    mean = jnp.mean(x, axis=axes, keepdims=True)
    var = jnp.mean(jnp.square(x - mean), axis=axes)
    return mean.reshape(-1), var
