"""One training step: gradient, update, guard against non-finite numbers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxdl.parallel import map_shares
from jaxdl.train.noise import add_noise
from jaxdl.train.state import LossFunction, Statistics, TrainState
from jaxdl.typing import Array, Batch, Bool

TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Statistics]]


def make_train_step(
    loss_fn: LossFunction,
    optimizer: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    ema_decay: float | None = None,
    noise_scale: bool = False,
    mesh: Mesh | None = None,
    state_shardings: Any = None,
) -> TrainStep:
    """One jitted update of the state, whose buffers it takes over.

    Step i draws its randomness from `fold_in(state.key, i)`, so a resumed run repeats
    the numbers of an uninterrupted one. A step whose loss, gradient, new parameters or
    new model state is not finite changes nothing but `state.finite`.

    Args:
      loss_fn: see `jaxdl.train.LossFunction`.
      optimizer: turns the mean gradient into an update.
      accumulate: micro-batches per step; their gradients are averaged.
      ema_decay: share of the moving average kept per step, in [0, 1); needs a state
        made with `ema=True`.
      noise_scale: measure how noisy gradients are, as `make_gradient` does; needs a
        state made with `noise_scale=True`.
      mesh: read for `noise_scale` alone.
      state_shardings: where the new state lives; None leaves that to the compiler.

    Returns:
      `step(state, batch) -> (state, statistics)`.

    Raises:
      ValueError: `accumulate` below 1 or not dividing the batch, `ema_decay` outside
        [0, 1) or without an average in the state, or see `make_gradient`.
    """
    if accumulate < 1:
        raise ValueError(f"accumulate must be at least 1, got {accumulate}")
    if ema_decay is not None and not 0 <= ema_decay < 1:
        raise ValueError(f"ema_decay must be in [0, 1), got {ema_decay}")
    gradient_fn = make_gradient(
        loss_fn, accumulate=accumulate, noise_scale=noise_scale, mesh=mesh
    )

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Statistics]:
        if (ema_decay is None) != (state.ema_params is None):
            raise ValueError(
                f"ema_decay={ema_decay} does not fit a state with ema_params "
                f"{'absent' if state.ema_params is None else 'present'}"
            )
        key = jax.random.fold_in(state.key, state.step)
        loss, grads, model_state, statistics = gradient_fn(
            state.params, state.model_state, batch, key=key
        )
        updates, optimizer_state = optimizer.update(
            grads, state.optimizer_state, state.params
        )
        params = optax.apply_updates(state.params, updates)
        ema_params = state.ema_params
        if ema_decay is not None:
            ema_params = optax.incremental_update(
                params,
                ema_params,  # pyright: ignore[reportArgumentType]
                1 - ema_decay,
            )
        new = TrainState(
            step=state.step + 1,
            params=params,
            model_state=model_state,
            optimizer_state=optimizer_state,
            ema_params=ema_params,
            key=state.key,
            totals=jax.tree.map(jnp.add, state.totals, statistics),
            finite=state.finite,
        )
        finite = state.finite & all_finite((loss, grads, params, model_state))
        # `where`, not a product with 0: 0 x NaN is NaN.
        kept = jax.tree.map(
            lambda new, old: new if new is old else jnp.where(finite, new, old),
            new,
            state,
        )
        return kept.replace(finite=finite), statistics

    shardings = None if state_shardings is None else (state_shardings, None)
    return jax.jit(step, donate_argnums=0, out_shardings=shardings)


def make_gradient(
    loss_fn: LossFunction,
    *,
    accumulate: int = 1,
    noise_scale: bool = False,
    mesh: Mesh | None = None,
) -> Callable[..., Any]:
    """Mean loss and gradient over the parts of a batch.

    The noise scale is read off the gradients of those parts, at no further gradient.
    Where there is only one, the devices' shares are made parts: the loss must then be
    a mean over examples that don't meet (no BatchNorm), and what is drawn at random is
    drawn for each share, from the same distribution as for the whole.

    Args:
      loss_fn: see `jaxdl.train.LossFunction`.
      accumulate: number of parts; rows i, i + accumulate, ... form one, so each is
        spread over all devices that the batch is spread over.
      noise_scale: the statistics become `MeasuredStatistics`.
      mesh: the devices that share the batch; needed for `noise_scale` with one part.

    Returns:
      `gradient(params, model_state, batch, *, key)` giving (loss, gradient, model
      state after the last part, statistics summed).

    Raises:
      ValueError: the noise scale of one part on one device, or of a loss whose model
        state the shares of the devices would each change.
    """
    value_and_grad = jax.value_and_grad(loss_fn, has_aux=True)
    by_share = noise_scale and accumulate == 1
    if by_share and (mesh is None or mesh.shape["data"] == 1):
        raise ValueError(
            "noise_scale compares parts of a batch; wanted accumulate of 2 or more, or "
            f"a mesh with several devices along data, got accumulate={accumulate}"
        )

    def one(model_state, params, part, key):
        (loss, (model_state, statistics)), grads = value_and_grad(
            params, model_state, part, key=key
        )
        return model_state, (loss, grads, statistics)

    def gradient(params, model_state, batch, *, key):
        if accumulate == 1 and not by_share:
            model_state, (loss, grads, statistics) = one(
                model_state, params, batch, key
            )
            return loss, grads, model_state, statistics
        if by_share:
            outputs = _map_over_devices(one, model_state, params, batch, mesh, key=key)
        else:
            keys = jax.random.split(key, accumulate)
            parts = jax.tree.map(lambda rows: _split_rows(rows, accumulate), batch)
            model_state, outputs = _scan(
                lambda carry, inputs: one(carry, params, *inputs),
                model_state,
                (parts, keys),
                accumulate,
            )
        losses, grads, statistics = outputs
        mean = lambda leaf: jnp.mean(leaf, axis=0)
        total = lambda leaf: jnp.sum(leaf, axis=0, dtype=leaf.dtype)
        statistics = jax.tree.map(total, statistics)
        if noise_scale:
            size = len(jax.tree.leaves(batch)[0])
            statistics = add_noise(statistics, grads, batch_size=size)
        return mean(losses), jax.tree.map(mean, grads), model_state, statistics

    return gradient


def _map_over_devices(one, model_state, params, batch, mesh, *, key):
    """Loss, gradient and statistics of each device's rows, stacked."""
    if jax.tree.leaves(model_state):
        raise ValueError(
            "noise_scale of the devices' shares needs a network without model state "
            f"(BatchNorm), got {', '.join(model_state)}; wanted accumulate of 2 or more"
        )
    keys = jax.random.split(key, mesh.shape["data"])
    share = lambda params, rows: one(model_state, params, rows[0], rows[1][0])[1]
    return map_shares(share, mesh)(params, (batch, keys))


def all_finite(tree: Any) -> Bool[Array, ""]:
    """Whether no floating-point leaf holds a NaN or an infinity."""
    leaves = [
        jnp.isfinite(leaf).all()
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    return jnp.stack(leaves).all()


def _split_rows(rows: Array, parts: int) -> Array:
    if len(rows) % parts:
        raise ValueError(f"accumulate={parts} does not divide {len(rows)} rows")
    split = rows.reshape(len(rows) // parts, parts, *rows.shape[1:])
    return jnp.swapaxes(split, 0, 1)


def _scan(function: Callable[..., Any], carry: Any, inputs: Any, length: int) -> Any:
    """Runs `lax.scan`, unrolled on CPU.

    There XLA's convolution gradient inside a loop is over 30 times slower.
    """
    if jax.default_backend() != "cpu":
        return jax.lax.scan(function, carry, inputs, length=length)
    outputs = []
    for index in range(length):
        part = jax.tree.map(lambda leaf: leaf[index], inputs)  # noqa: B023
        carry, output = function(carry, part)
        outputs.append(output)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)
