"""Activation functions, by name in one table.

The table is a plain dictionary: `ACTIVATIONS["gelu"](x)`. Each function works
elementwise, in the dtype of its argument, and has finite derivatives everywhere.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxdl.layers.tables import choose
from jaxdl.typing import Array, Float

Activation = Callable[[jax.Array], jax.Array]
"""A function applied to each element of an array."""


def gelu_tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The tanh approximation of GELU, within 5e-4 of it.

    0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Args:
      x: activations, any float dtype.

    Returns:
      Activations of the same shape and dtype.

    Source:
      Hendrycks and Gimpel 2016, section 2, arXiv:1606.08415.

    Example:
      >>> gelu_tanh(jnp.array([-1.0, 0.0, 1.0])).round(3).tolist()
      [-0.15900000929832458, 0.0, 0.8410000205039978]
    """
    # Beyond 10 the factor is 0 or 1 in every dtype; the cube would overflow and the
    # gradient become 0 * infinity.
    inner = jnp.clip(x, -10.0, 10.0)
    inner = math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)
    # (1 + tanh(u)) / 2 = sigmoid(2 u), without cancellation where tanh is near -1.
    return x * jax.nn.sigmoid(2 * inner)


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "celu": jax.nn.celu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_tanh": gelu_tanh,
    "silu": jax.nn.silu,
    "identity": lambda x: x,
}
"""Activations by name: `gelu` is the exact form by erf, PyTorch's default (Flax's is
`gelu_tanh`); `leaky_relu` has slope 0.01 below 0, `elu` and `celu` have alpha 1."""

_OPTIONS = {"leaky_relu": "negative_slope", "elu": "alpha", "celu": "alpha"}


def make_activation(name: str, **options: float) -> Activation:
    """Makes an activation function from its name.

    Args:
      name: a key of `ACTIVATIONS`.
      **options: `negative_slope` of `leaky_relu` (0.01 by default), `alpha` of `elu`
        and `celu` (1 by default), each positive.

    Returns:
      A function of one array.

    Raises:
      ValueError: an unknown name, an option the activation does not have, or one
        that is not positive.

    Source:
      ELU: Clevert et al. 2016, arXiv:1511.07289. CELU: Barron 2017,
      arXiv:1704.07483. GELU: Hendrycks and Gimpel 2016, arXiv:1606.08415. SiLU:
      Elfwing et al. 2018, arXiv:1702.03118.

    Example:
      >>> make_activation("leaky_relu", negative_slope=0.5)(jnp.array([-2.0, 2.0]))
      Array([-1.,  2.], dtype=float32)
    """
    function = choose(ACTIVATIONS, name, what="activation")
    for option, value in options.items():
        if option != _OPTIONS.get(name):
            known = _OPTIONS.get(name, "none")
            raise ValueError(f"{name} has no option {option!r}; it has: {known}")
        if not value > 0:
            raise ValueError(f"{name}: {option} must be positive, got {value}")
    return functools.partial(function, **options) if options else function
