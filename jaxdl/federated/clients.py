"""The clients' part of a round: each trains on its own, then their mean is taken."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxdl.federated.plans import RoundPlan, pad_plan
from jaxdl.parallel import batch_sharding, replicated_sharding
from jaxdl.typing import Array, Batch, Params

MaskedLoss = Callable[..., Array]
"""`loss(params, batch, mask) -> scalar`: mean over the rows where the mask is True.

The other rows only fill the batch. What the loss is where all are False does not
matter: it may be NaN."""

ClientTraining = Callable[[Params, Batch, RoundPlan], tuple[Params, Array]]
"""`train(params, data, plan) -> (average, losses)`.

The average is that of the clients' parameters after their training, each weighed by
the examples it has; the losses are each client's mean over the examples as it trained
on them."""


def make_client_training(
    loss_fn: MaskedLoss,
    optimizer: optax.GradientTransformation,
    *,
    proximal: float = 0.0,
    over: Literal["vmap", "loop"] = "vmap",
    mesh: Mesh | None = None,
) -> ClientTraining:
    """Trains all clients of a round from the same parameters.

    Each has a fresh optimiser state; nothing is kept of it. A network must not have
    running statistics: the loss takes parameters only.

    Args:
      loss_fn: see `MaskedLoss`.
      optimizer: the clients', such as `optax.sgd(0.1)`.
      proximal: mu of FedProx, at least 0: adds mu / 2 times the squared distance to
        the parameters of the round's beginning to the loss trained on (the losses
        told are without it).
      over: "vmap" trains all clients at once, in one program of as many steps as the
        longest of them takes; "loop" one after the other with one compiled step. On
        CPU convolutions need the loop: their gradients inside a compiled loop, or
        with a kernel for each client, are over 30 times slower there. Where sizes
        differ much, the loop is spared the steps of the shorter ones. The results are
        equal but for rounding.
      mesh: spreads the clients over its `"data"` axis; needs "vmap".

    Returns:
      See `ClientTraining`. `data` are arrays of all examples along their first axis;
      the plan tells who has which.

    Raises:
      ValueError: `proximal` below 0, another `over`, or a mesh with "loop".

    Source:
      McMahan et al. 2017, arXiv:1602.05629, algorithm 1; Li et al. 2020,
      arXiv:1812.06127, equation 2 (FedProx).

    Example:
      >>> from jaxdl.federated import plan_round
      >>> def loss_fn(params, batch, mask):
      ...     return jnp.mean((params - batch["x"]) ** 2, where=mask)
      >>> train = make_client_training(loss_fn, optax.sgd(0.5))
      >>> parts = [np.array([0, 1, 2]), np.array([3])]
      >>> plan = plan_round(parts, np.array([0, 1]), round_index=0, seed=0)
      >>> data = {"x": jnp.array([1.0, 2.0, 3.0, 6.0])}
      >>> float(train(jnp.zeros(()), data, plan)[0])  # 3/4 of 2 and 1/4 of 6
      3.0
    """
    if proximal < 0:
        raise ValueError(
            f"make_client_training: proximal must be at least 0, got {proximal}"
        )
    if over not in ("vmap", "loop"):
        raise ValueError(
            f"make_client_training: over must be 'vmap' or 'loop', got {over!r}"
        )
    step = _make_step(loss_fn, optimizer, proximal)
    if over == "vmap":
        return _train_at_once(step, optimizer, mesh)
    if mesh is not None:
        raise ValueError("make_client_training: a mesh needs over='vmap', got 'loop'")
    return _train_one_by_one(step, optimizer)


def _make_step(
    loss_fn: MaskedLoss, optimizer: optax.GradientTransformation, proximal: float
) -> Callable[..., Any]:
    """One step of one client; nothing changes in a step without examples."""

    def pull(grad, value, start):
        return grad + proximal * (value - start)

    def step(start, carry, data, indices, mask):
        params, optimizer_state, total = carry
        batch = jax.tree.map(lambda rows: rows[indices], data)
        loss, grads = jax.value_and_grad(loss_fn)(params, batch, mask)
        if proximal:
            grads = jax.tree.map(pull, grads, params, start)
        updates, new_state = optimizer.update(grads, optimizer_state, params)
        count = jnp.sum(mask, dtype=jnp.float32)
        new = (optax.apply_updates(params, updates), new_state, total + loss * count)
        # `where`, not a product with 0: the loss of no example may be NaN.
        return jax.tree.map(lambda n, o: jnp.where(count > 0, n, o), new, carry)

    return step


def _train_at_once(
    step: Callable[..., Any],
    optimizer: optax.GradientTransformation,
    mesh: Mesh | None,
) -> ClientTraining:
    per_client = replicated = None
    if mesh is not None:
        per_client, replicated = batch_sharding(mesh), replicated_sharding(mesh)
    many = jax.vmap(step, in_axes=(None, 0, None, 0, 0))

    def train_clients(params, data, indices, mask, weights, num_steps):
        carry = (params, optimizer.init(params), jnp.zeros((), jnp.float32))
        repeat = lambda leaf: jnp.broadcast_to(leaf, (len(weights), *leaf.shape))
        carry = jax.tree.map(repeat, carry)
        if per_client is not None:
            carry = jax.lax.with_sharding_constraint(carry, per_client)
        # A bound that is not known to the compiler: rounds of all lengths share it.
        body = lambda i, c: many(params, c, data, indices[:, i], mask[:, i])
        trained, _, totals = jax.lax.fori_loop(0, num_steps, body, carry)
        return jax.tree.map(lambda leaf: _average(leaf, weights), trained), totals

    compiled = jax.jit(
        train_clients, out_shardings=None if mesh is None else (replicated, per_client)
    )

    def train(params: Params, data: Batch, plan: RoundPlan) -> tuple[Params, Array]:
        count = len(plan.sizes)
        padded = plan if mesh is None else pad_plan(plan, mesh.shape["data"])
        rows = (padded.indices, padded.mask, _weigh(padded))
        if mesh is not None:
            rows = jax.device_put(rows, per_client)
            params, data = jax.device_put((params, data), replicated)
        steps = np.int32(plan.num_steps.max())
        average, totals = compiled(params, data, *rows, steps)
        return average, _mean_losses(totals[:count], plan)

    return train


def _train_one_by_one(
    step: Callable[..., Any], optimizer: optax.GradientTransformation
) -> ClientTraining:
    client_step = jax.jit(step)
    add = jax.jit(
        lambda total, params, weight: jax.tree.map(
            lambda t, w: t + weight.astype(w.dtype) * w, total, params
        )
    )
    # Not `init` alone: its weak types would have the second step compile again.
    init = jax.jit(lambda params: (optimizer.init(params), jnp.zeros((), jnp.float32)))

    def train(params: Params, data: Batch, plan: RoundPlan) -> tuple[Params, Array]:
        average, totals = jax.tree.map(jnp.zeros_like, params), []
        for client, weight in enumerate(_weigh(plan)):
            carry = (params, *init(params))
            for index in range(plan.num_steps[client]):
                rows = (plan.indices[client, index], plan.mask[client, index])
                carry = client_step(params, carry, data, *rows)
            average = add(average, carry[0], weight)
            totals.append(carry[2])
        return average, _mean_losses(jnp.stack(totals), plan)

    return train


def _weigh(plan: RoundPlan) -> np.ndarray:
    return (plan.sizes / plan.sizes.sum()).astype(np.float32)


def _average(leaf: Array, weights: Array) -> Array:
    """Sum over clients; not a matrix product, which may be in lower precision."""
    shape = (len(weights),) + (1,) * (leaf.ndim - 1)
    return jnp.sum(weights.astype(leaf.dtype).reshape(shape) * leaf, axis=0)


def _mean_losses(totals: Array, plan: RoundPlan) -> Array:
    counts = plan.mask.sum(axis=(1, 2), dtype=np.float32)
    return totals / jnp.asarray(counts)
