"""What a server makes of the average of its clients' parameters."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jaxdl.typing import Params

ServerName = Literal["fedavg", "fedavgm", "fedadam", "fedyogi", "fedadagrad"]

SERVER_OPTIMIZERS: tuple[str, ...] = get_args(ServerName)
"""Names that `make_server_optimizer` takes."""


class ServerOptimizer(NamedTuple):
    """A rule that moves a server's parameters.

    Attributes:
      init: `init(params) -> state`.
      update: `update(state, params, average) -> (params, state)`.
    """

    init: Callable[[Params], Any]
    update: Callable[[Any, Params, Params], tuple[Params, Any]]


def make_server_optimizer(
    name: ServerName,
    *,
    learning_rate: float = 1.0,
    b1: float = 0.9,
    b2: float = 0.99,
    tau: float = 1e-3,
) -> ServerOptimizer:
    """The server's step, with D = average - params as its direction.

    fedavg moves by `learning_rate` D, at 1 to the average itself; fedavgm by
    `learning_rate` times m = b1 m + D; the others by `learning_rate` m / (sqrt(v) +
    tau) with m = b1 m + (1 - b1) D and v, of each parameter, by their name:

    - fedadam: v = b2 v + (1 - b2) D^2
    - fedyogi: v = v - (1 - b2) D^2 sign(v - D^2)
    - fedadagrad: v = v + D^2

    Args:
      name: one of `SERVER_OPTIMIZERS`.
      learning_rate: above 0; 1 suits the first two, about 0.01 the others.
      b1: share of the direction kept from round to round, in [0, 1); fedavg has none.
      b2: share of v kept, in [0, 1); of fedadam and fedyogi.
      tau: above 0; how large an adaptive step gets where v is small.

    Returns:
      The rule. m and v begin at 0 and their bias is not corrected.

    Raises:
      ValueError: another name, or a number out of range.

    Source:
      Reddi et al. 2021, arXiv:2003.00295, algorithm 2; momentum as Hsu et al. 2019,
      arXiv:1909.06335. There v begins at tau^2 or more, here at 0, as in Flower.

    Example:
      >>> server = make_server_optimizer("fedavg", learning_rate=0.5)
      >>> params, average = {"w": jnp.zeros(2)}, {"w": jnp.ones(2)}
      >>> server.update(server.init(params), params, average)[0]["w"].tolist()
      [0.5, 0.5]
    """
    if name not in SERVER_OPTIMIZERS:
        raise ValueError(
            f"make_server_optimizer: name must be one of {SERVER_OPTIMIZERS}, "
            f"got {name!r}"
        )
    for option, value in (("learning_rate", learning_rate), ("tau", tau)):
        if not value > 0:
            raise ValueError(
                f"make_server_optimizer: {option} must be above 0, got {value}"
            )
    for option, value in (("b1", b1), ("b2", b2)):
        if not 0 <= value < 1:
            raise ValueError(
                f"make_server_optimizer: {option} must be in [0, 1), got {value}"
            )
    if name == "fedavg":
        return _make_averaging(learning_rate)
    if name == "fedavgm":
        return _make_momentum(learning_rate, b1)
    squares = {
        "fedadam": lambda v, d: b2 * v + (1 - b2) * d**2,
        "fedyogi": lambda v, d: v - (1 - b2) * d**2 * jnp.sign(v - d**2),
        "fedadagrad": lambda v, d: v + d**2,
    }
    return _make_adaptive(squares[name], learning_rate, b1, tau)


def _make_averaging(learning_rate: float) -> ServerOptimizer:
    def update(state, params, average):
        # Not params + 1 * (average - params), which rounds to something else.
        if learning_rate == 1:
            return average, state
        move = lambda w, a: w + learning_rate * (a - w)
        return jax.tree.map(move, params, average), state

    return ServerOptimizer(lambda params: (), jax.jit(update))


def _make_momentum(learning_rate: float, b1: float) -> ServerOptimizer:
    def update(m, params, average):
        m = jax.tree.map(lambda m, w, a: b1 * m + (a - w), m, params, average)
        move = lambda w, m: w + learning_rate * m
        return jax.tree.map(move, params, m), m

    return ServerOptimizer(_make_zeros, jax.jit(update))


def _make_adaptive(
    update_squares: Callable[..., Any], learning_rate: float, b1: float, tau: float
) -> ServerOptimizer:
    def update(state, params, average):
        delta = jax.tree.map(jnp.subtract, average, params)
        m = jax.tree.map(lambda m, d: b1 * m + (1 - b1) * d, state["m"], delta)
        v = jax.tree.map(update_squares, state["v"], delta)
        move = lambda w, m, v: w + learning_rate * m / (jnp.sqrt(v) + tau)
        return jax.tree.map(move, params, m, v), {"m": m, "v": v}

    init = lambda params: {"m": _make_zeros(params), "v": _make_zeros(params)}
    return ServerOptimizer(init, jax.jit(update))


def _make_zeros(params: Params) -> Params:
    return jax.tree.map(jnp.zeros_like, params)
