"""Optimisers for vision, by name: optax pieces with the choices that the field makes.

Weight decay and layer-wise trust ratios leave out biases and normalisation scales:
they apply to arrays of two axes or more.
"""

import inspect
from collections.abc import Callable
from typing import Any

import optax

from jaxdl.optim.adam import adamw, lamb
from jaxdl.optim.momentum import lars, sgd
from jaxdl.optim.schedules import Rate

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
    trust_coefficient: float = 0.001,
    rate_after_momentum: bool = False,
    bias_learning_rate: Rate | None = None,
    clip_trust_ratio: bool = False,
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
      trust_coefficient: above 0; for `lars` alone, as are the next three.
      rate_after_momentum: see `lars`.
      bias_learning_rate: see `lars`; a number is at least 0.
      clip_trust_ratio: see `lars`.
      clip_norm: the gradient of all parameters together is shortened to this length
        before anything else; None for no limit.

    Returns:
      An optax transformation; its `update` needs the parameters.

    Raises:
      ValueError: the name is unknown, a number is out of range, or an option of
        `lars` alone was set for another.

    Example:
      >>> import jax.numpy as jnp
      >>> params = {"kernel": jnp.full((1, 1), 3.0)}
      >>> optimizer = make_optimizer("sgd", 0.5, momentum=0.0, clip_norm=1.0)
      >>> optimizer.update(params, optimizer.init(params), params)[0]
      {'kernel': Array([[-0.5]], dtype=float32)}
    """
    if name not in OPTIMIZERS:
        raise ValueError(
            f"make_optimizer: name must be one of {', '.join(OPTIMIZERS)}, got {name!r}"
        )
    is_constant = isinstance(bias_learning_rate, int | float)
    is_allowed = {
        "weight_decay": (weight_decay, weight_decay >= 0, "at least 0"),
        "momentum": (momentum, 0 <= momentum < 1, "in [0, 1)"),
        "b1": (b1, 0 <= b1 < 1, "in [0, 1)"),
        "b2": (b2, 0 <= b2 < 1, "in [0, 1)"),
        "eps": (eps, eps > 0, "above 0"),
        "trust_coefficient": (trust_coefficient, trust_coefficient > 0, "above 0"),
        "bias_learning_rate": (
            bias_learning_rate,
            not is_constant or bias_learning_rate >= 0,
            "at least 0",
        ),
        "clip_norm": (clip_norm, clip_norm is None or clip_norm > 0, "above 0"),
    }
    for argument, (value, allowed, wanted) in is_allowed.items():
        if not allowed:
            raise ValueError(
                f"make_optimizer: {argument} must be {wanted}, got {value}"
            )
    layerwise = {
        "trust_coefficient": trust_coefficient,
        "rate_after_momentum": rate_after_momentum,
        "bias_learning_rate": bias_learning_rate,
        "clip_trust_ratio": clip_trust_ratio,
    }
    options: dict[str, Any] = {"b1": b1, "b2": b2, "eps": eps}
    if name in ("lars", "sgd"):
        options = {"momentum": momentum, "nesterov": nesterov}
    if name == "lars":
        options |= layerwise
    else:
        _check_unset(name, layerwise)
    optimizer = OPTIMIZERS[name](learning_rate, weight_decay=weight_decay, **options)
    if clip_norm is None:
        return optimizer
    return optax.chain(optax.clip_by_global_norm(clip_norm), optimizer)


def _check_unset(name: str, layerwise: dict[str, Any]) -> None:
    """Refuses options of lars that another optimiser would not read."""
    defaults = inspect.signature(lars).parameters
    for option, value in layerwise.items():
        if value != defaults[option].default:
            raise ValueError(
                f"make_optimizer: {name!r} does not read {option}, got {option}={value}"
            )
