"""A stack of equal dense layers, in which depth is all there is to study."""

import flax.linen as nn
import jax

from jaxdl.layers import Dense, kaiming_normal, make_activation
from jaxdl.typing import Array, Float


class DenseStack(nn.Module):
    """`depth` dense layers of equal width, each followed by an activation.

    Modules `layer1` to `layer<depth>`, each with a `dense` inside, and `head` where
    there are outputs. Biases start at 0.

    Attributes:
      width: units per layer, at least 1.
      depth: hidden layers, at least 1.
      activation: a key of `ACTIVATIONS`.
      kernel_init: initialiser of the hidden kernels; that of the head is the default.
      num_outputs: of a linear layer at the end; None for no such layer.

    Raises:
      ValueError: the width or the depth is below 1.

    Example:
      >>> import jax.numpy as jnp
      >>> y, variables = DenseStack(width=4, depth=2).init_with_output(
      ...     jax.random.key(0), jnp.ones((1, 3))
      ... )
      >>> y.shape, sorted(variables["params"])
      ((1, 4), ['layer1', 'layer2'])
    """

    width: int
    depth: int
    activation: str = "relu"
    kernel_init: jax.nn.initializers.Initializer = kaiming_normal(mode="fan_in")
    num_outputs: int | None = None

    def __post_init__(self):
        """Checks the sizes before anything is built on them."""
        if min(self.width, self.depth) < 1:
            raise ValueError(
                "DenseStack: width and depth must be at least 1, got "
                f"width={self.width}, depth={self.depth}"
            )
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch inputs"]
    ) -> Float[Array, "batch outputs"]:
        """Runs the layers in turn.

        Args:
          x: vectors.

        Returns:
          The activations of the last layer, or the head's outputs.
        """
        for index in range(1, self.depth + 1):
            x = HiddenLayer(
                self.width, self.activation, self.kernel_init, name=f"layer{index}"
            )(x)
        if self.num_outputs is None:
            return x
        kernel_init = kaiming_normal(mode="fan_in")
        return Dense(self.num_outputs, kernel_init=kernel_init, name="head")(x)


class HiddenLayer(nn.Module):
    """A dense layer and an activation, seen from outside as one.

    Attributes:
      features: outputs.
      activation: a key of `ACTIVATIONS`.
      kernel_init: initialiser of the kernel.

    Example:
      >>> import jax.numpy as jnp
      >>> layer = HiddenLayer(2, "relu", jax.nn.initializers.ones)
      >>> layer.init_with_output(jax.random.key(0), -jnp.ones((1, 3)))[0]
      Array([[0., 0.]], dtype=float32)
    """

    features: int
    activation: str
    kernel_init: jax.nn.initializers.Initializer

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch inputs"]
    ) -> Float[Array, "batch features"]:
        """Runs the layer.

        Args:
          x: vectors.

        Returns:
          Activations.
        """
        y = Dense(self.features, kernel_init=self.kernel_init, name="dense")(x)
        return make_activation(self.activation)(y)
