"""The choices that a whole network shares: its norm, activation and initialisers."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxdl.layers.activations import ACTIVATIONS
from jaxdl.layers.initializers import BiasInitializer, kaiming_normal, zeros_bias
from jaxdl.layers.normalization import NORMS, Norm
from jaxdl.layers.tables import choose
from jaxdl.typing import Array, Float


class NoNorm(nn.Module):
    """Stands where a norm would: changes nothing, and has no parameters.

    Attributes:
      dtype: of the output.

    Example:
      >>> NoNorm().apply({}, jnp.ones((1, 2)), train=True)
      Array([[1., 1.]], dtype=float32)
    """

    dtype: DTypeLike = jnp.float32

    def __call__(self, x: Float[Array, "..."], *, train: bool) -> Float[Array, "..."]:
        """Gives `x` back.

        Args:
          x: activations, any float dtype.
          train: not used.

        Returns:
          `x` in `dtype`.
        """
        return x.astype(self.dtype)


@dataclasses.dataclass(frozen=True)
class Style:
    """How the layers of a network are made; one value travels through all of it.

    Attributes:
      norm: a key of `NORMS`, or None for no normalisation.
      norm_epsilon: added to the variance, positive.
      norm_momentum: of BatchNorm's running statistics, in [0, 1].
      activation: a key of `ACTIVATIONS`.
      kernel_init: initialiser of kernels.
      bias_init: makes the initialiser of a bias from the fan-in of its kernel.
      dtype: the dtype in which layers compute and hand on.
      norm_groups: groups of the batch for "batch" (see `BatchNorm`), of the channels
        for "group"; None for the norm's own choice.

    Raises:
      ValueError: an unknown norm or activation, or groups for a norm without them.

    Example:
      >>> style = Style(norm="group", activation="gelu")
      >>> norm, x = style.make_norm("norm1"), jnp.ones((1, 4))
      >>> variables = norm.init(jax.random.key(0), x, train=True)
      >>> style.activate(norm.apply(variables, x, train=True))
      Array([[0., 0., 0., 0.]], dtype=float32)
    """

    norm: str | None = "batch"
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9
    activation: str = "relu"
    kernel_init: jax.nn.initializers.Initializer = kaiming_normal()
    bias_init: BiasInitializer = zeros_bias
    dtype: DTypeLike = jnp.float32
    norm_groups: int | None = None

    def __post_init__(self):
        """Checks the names, before a network is built with them."""
        if self.norm is not None:
            choose(NORMS, self.norm, what="norm")
        choose(ACTIVATIONS, self.activation, what="activation")
        if self.norm_groups is not None and self.norm not in ("batch", "group"):
            raise ValueError(
                f"Style: norm_groups={self.norm_groups} is for the norms 'batch' and "
                f"'group', got norm={self.norm!r}"
            )

    def make_norm(
        self,
        name: str | None = None,
        *,
        scale_init: jax.nn.initializers.Initializer = nn.initializers.ones,
    ) -> Norm | NoNorm:
        """Makes a normalisation layer, called as `norm(x, train=...)`.

        Args:
          name: of the layer among its parent's; Linen numbers it if None.
          scale_init: initialiser of its scale.

        Returns:
          A layer of the kind `norm`; without one, a layer that changes nothing.

        Example:
          >>> Style(norm=None).make_norm().apply({}, jnp.ones(2), train=True)
          Array([1., 1.], dtype=float32)
        """
        if self.norm is None:
            return NoNorm(dtype=self.dtype, name=name)
        options = {}
        if self.norm == "batch":
            options["momentum"] = self.norm_momentum
        if self.norm_groups is not None:
            options["num_groups"] = self.norm_groups
        return NORMS[self.norm](
            epsilon=self.norm_epsilon,
            dtype=self.dtype,
            scale_init=scale_init,
            name=name,
            **options,
        )

    def activate(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Applies the activation to each element.

        Args:
          x: activations, any float dtype.

        Returns:
          Activations of the same shape and dtype.

        Example:
          >>> Style().activate(jnp.array([-1.0, 1.0]))
          Array([0., 1.], dtype=float32)
        """
        return ACTIVATIONS[self.activation](x)
