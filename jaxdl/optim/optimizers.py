"""Optimisers for vision: optax pieces with the choices that the field makes.

Weight decay and layer-wise trust ratios leave out biases and normalisation scales:
they apply to arrays of two axes or more.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxdl.optim.schedules import Schedule
from jaxdl.typing import Params, PyTree

Rate = float | Schedule
"""A learning rate, or a function from the step to it."""


def sgd(
    learning_rate: Rate,
    *,
    momentum: float = 0.9,
    nesterov: bool = True,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Makes stochastic gradient descent with momentum, as in PyTorch.

    The decay is added to the gradient before the momentum (coupled).

    Args:
      learning_rate: a number or a schedule; multiplies the momentum, not what goes
        into it.
      momentum: share of the running sum that a step keeps, in [0, 1).
      nesterov: look ahead along the momentum.
      weight_decay: at least 0.

    Returns:
      An optax transformation.

    Source:
      Sutskever et al. 2013, "On the importance of initialization and momentum in
      deep learning".

    Example:
      >>> params = {"kernel": jnp.ones((1, 1))}
      >>> optimizer = sgd(0.5, momentum=0.0)
      >>> optimizer.update(params, optimizer.init(params), params)[0]
      {'kernel': Array([[-0.5]], dtype=float32)}
    """
    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask=_is_matrix),
        _momentum(momentum, nesterov),
        optax.scale_by_learning_rate(learning_rate),
    )


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
        optax.add_decayed_weights(weight_decay, mask=_is_matrix),
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
        optax.add_decayed_weights(weight_decay, mask=_is_matrix),
        optax.masked(optax.scale_by_trust_ratio(), _is_matrix),
        optax.scale_by_learning_rate(learning_rate),
    )


def lars(
    learning_rate: Rate,
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    trust_coefficient: float = 0.001,
) -> optax.GradientTransformation:
    """Makes momentum descent whose gradient has, per array, the array's length.

    Args:
      learning_rate: a number or a schedule; multiplies what goes into the momentum.
      momentum: share of the running sum that a step keeps, in [0, 1).
      nesterov: look ahead along the momentum; the paper does not.
      weight_decay: at least 0.
      trust_coefficient: length of the scaled gradient over that of the array.

    Returns:
      An optax transformation.

    Source:
      You et al. 2017, algorithm 1, arXiv:1708.03888. Differs from it: the length is
      that of gradient and decay together, and arrays of one axis are not scaled, as
      in the published codes of SimCLR and Barlow Twins.

    Example:
      >>> params = {"kernel": jnp.full((1, 1), 3.0)}
      >>> optimizer = lars(0.5, trust_coefficient=1.0)
      >>> optimizer.update(params, optimizer.init(params), params)[0]
      {'kernel': Array([[-1.5]], dtype=float32)}
    """
    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask=_is_matrix),
        optax.masked(
            optax.scale_by_trust_ratio(trust_coefficient=trust_coefficient), _is_matrix
        ),
        optax.scale_by_learning_rate(learning_rate),
        _momentum(momentum, nesterov),
    )


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adamw": adamw,
    "lamb": lamb,
    "lars": lars,
    "sgd": sgd,
}


def make_optimizer(
    name: str,
    learning_rate: Rate,
    *,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    nesterov: bool = True,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    clip_norm: float | None = None,
) -> optax.GradientTransformation:
    """Makes an optimiser by its name in `OPTIMIZERS`.

    Args:
      name: `adamw`, `lamb`, `lars` or `sgd`.
      learning_rate: a number or a schedule.
      weight_decay: at least 0; not applied to biases and normalisation scales.
      momentum: in [0, 1); read by `lars` and `sgd`.
      nesterov: read by `lars` and `sgd`.
      b1: in [0, 1); read by `adamw` and `lamb`.
      b2: in [0, 1); read by `adamw` and `lamb`.
      eps: above 0; read by `adamw` and `lamb`.
      clip_norm: the gradient of all parameters together is shortened to this length
        before anything else; None for no limit.

    Returns:
      An optax transformation; its `update` needs the parameters.

    Raises:
      ValueError: the name is unknown or a number is out of range.

    Example:
      >>> params = {"kernel": jnp.full((1, 1), 3.0)}
      >>> optimizer = make_optimizer("sgd", 0.5, momentum=0.0, clip_norm=1.0)
      >>> optimizer.update(params, optimizer.init(params), params)[0]
      {'kernel': Array([[-0.5]], dtype=float32)}
    """
    if name not in OPTIMIZERS:
        raise ValueError(
            f"make_optimizer: name must be one of {', '.join(OPTIMIZERS)}, got {name!r}"
        )
    is_allowed = {
        "weight_decay": (weight_decay, weight_decay >= 0, "at least 0"),
        "momentum": (momentum, 0 <= momentum < 1, "in [0, 1)"),
        "b1": (b1, 0 <= b1 < 1, "in [0, 1)"),
        "b2": (b2, 0 <= b2 < 1, "in [0, 1)"),
        "eps": (eps, eps > 0, "above 0"),
        "clip_norm": (clip_norm, clip_norm is None or clip_norm > 0, "above 0"),
    }
    for argument, (value, allowed, wanted) in is_allowed.items():
        if not allowed:
            raise ValueError(
                f"make_optimizer: {argument} must be {wanted}, got {value}"
            )
    if name in ("lars", "sgd"):
        options = {"momentum": momentum, "nesterov": nesterov}
    else:
        options = {"b1": b1, "b2": b2, "eps": eps}
    optimizer = OPTIMIZERS[name](learning_rate, weight_decay=weight_decay, **options)
    if clip_norm is None:
        return optimizer
    return optax.chain(optax.clip_by_global_norm(clip_norm), optimizer)


def _is_matrix(params: Params) -> PyTree:
    return jax.tree.map(lambda array: array.ndim > 1, params)


def _momentum(momentum: float, nesterov: bool) -> optax.GradientTransformation:
    """The running sum of gradients; without one, no memory is spent on it."""
    return optax.trace(momentum, nesterov=nesterov) if momentum else optax.identity()


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
