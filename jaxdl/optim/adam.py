"""Adam with decoupled weight decay, and with steps of each array's own length.

Weight decay and layer-wise trust ratios leave out biases and normalisation scales.
"""

import math

import jax
import jax.numpy as jnp
import optax

from jaxdl.optim.masks import is_matrix
from jaxdl.optim.schedules import Rate


def adamw(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Makes Adam with decoupled weight decay.

    Args:
      learning_rate: a number or a schedule; multiplies the decay too.
      b1: decay of the mean gradient, in [0, 1).
      b2: decay of the mean squared gradient, in [0, 1).
      eps: added to the root of the latter.
      weight_decay: at least 0.

    Returns:
      An optax transformation.

    Source:
      Loshchilov and Hutter 2019, algorithm 2, arXiv:1711.05101; the decay is
      multiplied by the learning rate, as in PyTorch.

    Example:
      >>> params = {"kernel": jnp.ones((1, 1))}
      >>> optimizer = adamw(0.5)
      >>> optimizer.update(params, optimizer.init(params), params)[0]
      {'kernel': Array([[-0.5]], dtype=float32)}
    """
    return optax.chain(
        _scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(weight_decay, mask=is_matrix),
        optax.scale_by_learning_rate(learning_rate),
    )


def lamb(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Makes Adam whose step has, per array, the length of the array itself.

    Args:
      learning_rate: a number or a schedule.
      b1: decay of the mean gradient, in [0, 1).
      b2: decay of the mean squared gradient, in [0, 1).
      eps: added to the root of the latter.
      weight_decay: at least 0.

    Returns:
      An optax transformation.

    Source:
      You et al. 2020, algorithm 2, arXiv:1904.00962, with the identity for phi.
      Differs from it: arrays of one axis get plain Adam steps.

    Example:
      >>> params = {"kernel": jnp.full((1, 1), 3.0)}
      >>> optimizer = lamb(0.5)
      >>> optimizer.update(params, optimizer.init(params), params)[0]
      {'kernel': Array([[-1.5]], dtype=float32)}
    """
    return optax.chain(
        _scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(weight_decay, mask=is_matrix),
        optax.masked(optax.scale_by_trust_ratio(), is_matrix),
        optax.scale_by_learning_rate(learning_rate),
    )


def _scale_by_adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Adam's direction, equation by equation as in Kingma and Ba 2015, algorithm 1.

    `optax.scale_by_adam` raises a float to an integer power, which strict dtype
    promotion refuses, and its 1 - b2**count loses four digits at the first steps.
    """

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        # Two trees of their own: a donated state can't hold one array twice.
        also_zeros = jax.tree.map(jnp.zeros_like, params)
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), zeros, also_zeros)

    def update(updates, state, params=None):
        count = optax.safe_increment(state.count)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)
        mu_weight, nu_weight = _weight_sum(b1, count), _weight_sum(b2, count)

        def direction(m, v):
            root = jnp.sqrt(v / nu_weight.astype(v.dtype))
            return m / mu_weight.astype(m.dtype) / (root + eps)

        return jax.tree.map(direction, mu, nu), optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def _weight_sum(decay: float, count):
    """1 - decay**count, exact to float32 also where that is close to 0."""
    log_decay = math.log(decay) if decay else -math.inf
    return -jnp.expm1(count.astype(jnp.float32) * log_decay)
