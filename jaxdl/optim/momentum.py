"""Gradient descent with momentum, plain and with layer-wise trust ratios.

Weight decay and trust ratios leave out biases and normalisation scales.
"""

import jax
import jax.numpy as jnp
import optax

from jaxdl.optim.masks import is_matrix, is_vector
from jaxdl.optim.schedules import Rate


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
        optax.add_decayed_weights(weight_decay, mask=is_matrix),
        _momentum(momentum, nesterov),
        optax.scale_by_learning_rate(learning_rate),
    )


def lars(
    learning_rate: Rate,
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    trust_coefficient: float = 0.001,
    rate_after_momentum: bool = False,
    bias_learning_rate: Rate | None = None,
    clip_trust_ratio: bool = False,
) -> optax.GradientTransformation:
    """Makes momentum descent whose gradient has, per array, the array's length.

    The published pre-training of Barlow Twins is `rate_after_momentum=True` with two
    learning rates; small datasets do better with `clip_trust_ratio=True` and a
    `trust_coefficient` of 0.02.

    Args:
      learning_rate: a number or a schedule; multiplies what goes into the momentum.
      momentum: share of the running sum that a step keeps, in [0, 1).
      nesterov: look ahead along the momentum; the paper does not.
      weight_decay: at least 0.
      trust_coefficient: length of the scaled gradient over that of the array, above 0.
      rate_after_momentum: multiply what comes out of the momentum instead, as in
        `sgd`; a rate that falls then shortens the steps at once.
      bias_learning_rate: that of arrays of one axis (biases, scales of norms), a
        number or a schedule; None for the same as all.
      clip_trust_ratio: give each array the rate
        `min(trust_coefficient * |array| / |gradient|, learning_rate)` instead of the
        product of both: no step is longer than plain descent's.

    Returns:
      An optax transformation. An array that is all zeros, or has a gradient of zeros,
      takes the gradient as it is.

    Source:
      You et al. 2017, algorithm 1, arXiv:1708.03888. Differs from it: the length is
      that of gradient and decay together, and arrays of one axis are not scaled, as
      in the published codes of SimCLR and Barlow Twins; Zbontar et al. 2021, section
      2.2, arXiv:2103.03230, has the two rates after the momentum. The clipping is
      that of the LARC of NVIDIA's Apex and of solo-learn, whose denominator is the
      sum of both lengths, as in the paper, and a small number.

    Example:
      >>> params = {"kernel": jnp.full((1, 1), 3.0)}
      >>> optimizer = lars(0.5, trust_coefficient=1.0)
      >>> optimizer.update(params, optimizer.init(params), params)[0]
      {'kernel': Array([[-1.5]], dtype=float32)}
    """
    if clip_trust_ratio:
        trust = _scale_by_clipped_trust_ratio(trust_coefficient, learning_rate)
    else:
        trust = optax.scale_by_trust_ratio(trust_coefficient=trust_coefficient)
    rate, memory = (
        _scale_by_rates(learning_rate, bias_learning_rate),
        _momentum(momentum, nesterov),
    )
    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask=is_matrix),
        optax.masked(trust, is_matrix),
        *((memory, rate) if rate_after_momentum else (rate, memory)),
    )


def _scale_by_rates(rate: Rate, bias_rate: Rate | None) -> optax.GradientTransformation:
    """Minus the learning rate, one for matrices and one for the rest if there is."""
    if bias_rate is None:
        return optax.scale_by_learning_rate(rate)
    return optax.chain(
        optax.masked(optax.scale_by_learning_rate(rate), is_matrix),
        optax.masked(optax.scale_by_learning_rate(bias_rate), is_vector),
    )


def _scale_by_clipped_trust_ratio(
    coefficient: float, rate: Rate
) -> optax.GradientTransformation:
    """Times min(trust ratio / rate, 1), so that the step is at most that of SGD."""

    def init(params):
        del params
        return optax.ScaleByScheduleState(jnp.zeros((), jnp.int32))

    def update(updates, state, params=None):
        now = rate(state.count) if callable(rate) else rate

        def shorten(update, param):
            is_wide = jnp.finfo(update.dtype).bits > 16
            dtype = update.dtype if is_wide else jnp.float32
            size, length = (
                jnp.linalg.norm(x.astype(dtype).reshape(-1)) for x in (param, update)
            )
            limit = jnp.asarray(now, dtype)
            is_longer = (size > 0) & (coefficient * size < limit * length)
            # A quotient of ones where it isn't used: at a rate of 0 too.
            divisor = jnp.where(is_longer, limit * length, 1)
            factor = jnp.where(is_longer, coefficient * size / divisor, 1)
            return update * factor.astype(update.dtype)

        count = optax.safe_increment(state.count)
        updates = jax.tree.map(shorten, updates, params)
        return updates, optax.ScaleByScheduleState(count)

    return optax.GradientTransformation(init, update)


def _momentum(momentum: float, nesterov: bool) -> optax.GradientTransformation:
    """The running sum of gradients; without one, no memory is spent on it."""
    return optax.trace(momentum, nesterov=nesterov) if momentum else optax.identity()
