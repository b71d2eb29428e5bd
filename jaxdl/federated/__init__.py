"""Federated averaging, simulated on one machine: the data stays with its owners.

`split_dirichlet` deals the examples out to clients; `run_round` lets some of them train
on their own and has a server average what they learned. Works with any loss
`loss(params, batch, mask) -> scalar` and any optax optimiser on the clients.
"""

from jaxdl.federated.clients import ClientTraining, MaskedLoss, make_client_training
from jaxdl.federated.partition import count_classes, split_dirichlet, split_evenly
from jaxdl.federated.plans import RoundPlan, plan_round, sample_clients
from jaxdl.federated.rounds import (
    FederatedState,
    RoundReport,
    init_federated_state,
    run_round,
)
from jaxdl.federated.server import (
    SERVER_OPTIMIZERS,
    ServerOptimizer,
    make_server_optimizer,
)

__all__ = [
    "SERVER_OPTIMIZERS",
    "ClientTraining",
    "FederatedState",
    "MaskedLoss",
    "RoundPlan",
    "RoundReport",
    "ServerOptimizer",
    "count_classes",
    "init_federated_state",
    "make_client_training",
    "make_server_optimizer",
    "plan_round",
    "run_round",
    "sample_clients",
    "split_dirichlet",
    "split_evenly",
]
