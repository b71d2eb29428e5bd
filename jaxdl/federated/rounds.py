"""One round: clients are drawn, trained and averaged, and the server moves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxdl.federated.clients import ClientTraining
from jaxdl.federated.plans import plan_round, sample_clients
from jaxdl.federated.server import ServerOptimizer
from jaxdl.typing import Batch, Params


class FederatedState(NamedTuple):
    """What a federated training carries from round to round.

    Attributes:
      round_index: rounds done.
      params: the server's parameters.
      server: the state of its optimiser.
    """

    round_index: int
    params: Params
    server: Any


class RoundReport(NamedTuple):
    """What happened in a round.

    Attributes:
      clients: those that took part.
      losses: the mean training loss of each of them.
      num_examples: examples trained on, as often as they were.
      loss: mean over those of the clients, each weighed by the examples it has.
    """

    clients: Int[np.ndarray, " clients"]
    losses: Float[np.ndarray, " clients"]
    num_examples: int
    loss: float


def init_federated_state(params: Params, server: ServerOptimizer) -> FederatedState:
    """The state before the first round.

    Args:
      params: the parameters to begin with.
      server: see `make_server_optimizer`.

    Returns:
      A state of no rounds.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.federated import make_server_optimizer
      >>> server = make_server_optimizer("fedavg")
      >>> init_federated_state(jnp.zeros(2), server).round_index
      0
    """
    # Weak types would be gone after a round, and what is compiled not fit the next.
    strong = jax.tree.map(lambda w: jax.lax.convert_element_type(w, w.dtype), params)
    return FederatedState(0, strong, server.init(strong))


def run_round(
    state: FederatedState,
    data: Batch,
    parts: Sequence[Int[np.ndarray, "_"]],
    *,
    train: ClientTraining,
    server: ServerOptimizer,
    clients_per_round: int,
    epochs: int = 1,
    batch_size: int | None = None,
    max_steps: int | None = None,
    seed: int,
) -> tuple[FederatedState, RoundReport]:
    """Some clients train from the server's parameters, and the server moves.

    Round i draws its clients and their orders from (seed, i), and from nothing else.

    Args:
      state: see `init_federated_state`.
      data: arrays of all clients' examples along their first axis, best on the device.
      parts: positions of each client's examples; see `split_dirichlet`.
      train: see `make_client_training`.
      server: see `make_server_optimizer`; the one that made the state.
      clients_per_round: how many take part, in [1, len(parts)].
      epochs: see `plan_round`, as for the next two.
      batch_size: see there.
      max_steps: see there.
      seed: in [0, 2**64).

    Returns:
      The new state, and what happened.

    Raises:
      ValueError: see `sample_clients` and `plan_round`.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> from jaxdl.federated import make_client_training, make_server_optimizer
      >>> def loss_fn(params, batch, mask):
      ...     return jnp.mean((params - batch["x"]) ** 2, where=mask)
      >>> server = make_server_optimizer("fedavg")
      >>> state, report = run_round(
      ...     init_federated_state(jnp.zeros(()), server),
      ...     {"x": jnp.array([1.0, 3.0])},
      ...     [np.array([0]), np.array([1])],
      ...     train=make_client_training(loss_fn, optax.sgd(0.5)),
      ...     server=server,
      ...     clients_per_round=2,
      ...     seed=0,
      ... )
      >>> float(state.params), report.loss
      (2.0, 5.0)
    """
    index = state.round_index
    clients = sample_clients(
        len(parts), count=clients_per_round, round_index=index, seed=seed
    )
    plan = plan_round(
        parts,
        clients,
        round_index=index,
        epochs=epochs,
        batch_size=batch_size,
        max_steps=max_steps,
        seed=seed,
    )
    average, device_losses = train(state.params, data, plan)
    params, server_state = server.update(state.server, state.params, average)
    losses = np.asarray(device_losses)
    loss = float(np.average(losses.astype(np.float64), weights=plan.sizes))
    report = RoundReport(clients, losses, plan.num_examples, loss)
    return FederatedState(index + 1, params, server_state), report
