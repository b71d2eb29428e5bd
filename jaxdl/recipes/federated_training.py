"""One training of the study of federated averaging: its rounds and their rows."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
import optax
from rich.console import Console
from rich.progress import track

from jaxdl.federated import (
    FederatedState,
    RoundReport,
    ServerOptimizer,
    init_federated_state,
    make_client_training,
    make_server_optimizer,
    run_round,
)
from jaxdl.parallel import replicated_sharding
from jaxdl.recipes.federated_config import AlgorithmName, FederatedConfig
from jaxdl.recipes.federated_costs import Cost
from jaxdl.recipes.federated_setup import Setup
from jaxdl.recipes.study import Row
from jaxdl.train import StopRequest

CENTRAL = "central"
"""What the training in one place is called among the algorithms."""


class Training(NamedTuple):
    """One training that is about to begin.

    Attributes:
      split: how the data is dealt out.
      alpha: its Dirichlet concentration, if it has one.
      algorithm: what it is trained by.
      rounds: how many there are to be.
      state: before the first.
      advance: `advance(state) -> (state, report)`, one round.
      find_cost: `find_cost(examples, exchanges)`, of all rounds up to there.
    """

    split: str
    alpha: float | None
    algorithm: str
    rounds: int
    state: FederatedState
    advance: Callable[[FederatedState], tuple[FederatedState, RoundReport]]
    find_cost: Callable[[int, int], Cost]


def prepare_central(setup: Setup) -> Training:
    """Plain SGD: one client with all the data, and an epoch to a round.

    Args:
      setup: what all trainings share.

    Returns:
      The training.
    """
    config = setup.config
    server = make_server_optimizer("fedavg")
    train = make_client_training(
        setup.loss_fn,
        optax.sgd(config.central.learning_rate),
        over=config.federated.over,
    )
    parts = [np.arange(len(setup.labels))]

    def advance(state):
        return run_round(
            state,
            setup.data,
            parts,
            train=train,
            server=server,
            clients_per_round=1,
            batch_size=config.data.batch_size,
            seed=config.run.seed,
        )

    data_bytes = setup.data["images"].nbytes
    return Training(
        split="pooled",
        alpha=None,
        algorithm=CENTRAL,
        rounds=config.central.epochs,
        state=init_federated_state(setup.params, server),
        advance=advance,
        find_cost=lambda examples, exchanges: setup.rates.of_epochs(
            examples=examples, data_bytes=data_bytes
        ),
    )


def prepare(
    setup: Setup,
    name: str,
    alpha: float | None,
    parts: Sequence[np.ndarray],
    algorithm: AlgorithmName,
) -> Training:
    """A training by an algorithm on data dealt out to clients.

    Args:
      setup: what all trainings share.
      name: of the way it is dealt out.
      alpha: its Dirichlet concentration, if it has one.
      parts: positions of each client's examples.
      algorithm: see `jaxdl.recipes.federated_config`.

    Returns:
      The training.
    """
    federated = setup.config.federated
    mesh = setup.mesh if federated.over == "vmap" else None
    data = setup.data
    if mesh is not None:
        data = jax.device_put(data, replicated_sharding(mesh))
    client = setup.config.client
    server = _build_server(setup.config, algorithm)
    train = make_client_training(
        setup.loss_fn,
        optax.sgd(client.learning_rate, momentum=client.momentum or None),
        proximal=client.proximal if algorithm == "fedprox" else 0.0,
        over=federated.over,
        mesh=mesh,
    )

    def advance(state):
        return run_round(
            state,
            data,
            parts,
            train=train,
            server=server,
            clients_per_round=federated.clients_per_round,
            epochs=federated.epochs,
            batch_size=federated.batch_size,
            max_steps=federated.max_steps,
            seed=setup.config.run.seed,
        )

    return Training(
        split=name,
        alpha=alpha,
        algorithm=algorithm,
        rounds=federated.rounds,
        state=init_federated_state(setup.params, server),
        advance=advance,
        find_cost=lambda examples, exchanges: setup.rates.of_rounds(
            examples=examples, exchanges=exchanges, model_bytes=setup.model_bytes
        ),
    )


def train_rounds(
    setup: Setup, training: Training, stop: StopRequest, console: Console
) -> Iterator[Row]:
    """A row for the beginning and for each scored round, costs summed up to there.

    Args:
      setup: what all trainings share.
      training: this one.
      stop: asked before every round; ends the rows early.
      console: shows a bar on a terminal, and a line when all rounds are done.

    Yields:
      Rows of the table.
    """
    every = setup.config.federated.evaluate_every
    every = 1 if training.algorithm == CENTRAL else every
    state, examples, exchanges = training.state, 0, 0
    yield _make_row(setup, training, state, None, training.find_cost(0, 0))
    title = f"{training.split}, {training.algorithm}"
    rounds = track(
        range(1, training.rounds + 1),
        title,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    row, diverged = {}, False
    for index in rounds:
        if stop.requested:
            return
        state, report = training.advance(state)
        examples += report.num_examples
        exchanges += len(report.clients)
        diverged = not math.isfinite(report.loss)
        if index % every == 0 or index == training.rounds or diverged:
            cost = training.find_cost(examples, exchanges)
            row = _make_row(setup, training, state, report, cost)
            yield row
        if diverged:
            break
    text = f"{title}: test accuracy {row['test_accuracy']:.4f}, {row['kwh']:.3g} kWh"
    console.print(text + " (diverged)" * diverged, highlight=False, markup=False)


def _make_row(
    setup: Setup,
    training: Training,
    state: FederatedState,
    report: RoundReport | None,
    cost: Cost,
) -> Row:
    accuracy, loss = setup.score(state.params)
    train_loss = None if report is None else report.loss
    return {
        "split": training.split,
        "alpha": training.alpha,
        "algorithm": training.algorithm,
        "round": state.round_index,
        "test_accuracy": accuracy,
        "test_loss": loss,
        "train_loss": train_loss,
        "examples": cost.examples,
        "bytes": cost.bytes,
        "compute_kwh": cost.compute_kwh,
        "network_kwh": cost.network_kwh,
        "kwh": cost.kwh,
        "kg_co2e": cost.kg,
    }


def _build_server(config: FederatedConfig, algorithm: AlgorithmName) -> ServerOptimizer:
    server = config.server
    is_adaptive = algorithm in ("fedadam", "fedyogi", "fedadagrad")
    return make_server_optimizer(
        "fedavg" if algorithm == "fedprox" else algorithm,
        learning_rate=(
            server.adaptive_learning_rate if is_adaptive else server.learning_rate
        ),
        b1=server.b1,
        b2=server.b2,
        tau=server.tau,
    )
