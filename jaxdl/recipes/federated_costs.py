"""Energy and carbon dioxide of federated rounds and of a training in one place."""

import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax

from jaxdl.costs import CARBON_INTENSITY, carbon_kg, energy_kwh, federated_energy
from jaxdl.federated import MaskedLoss, make_client_training, plan_round
from jaxdl.recipes.federated_config import EnergySection


@dataclass(frozen=True)
class Cost:
    """What a training has taken so far.

    Attributes:
      examples: trained on, as often as they were.
      bytes: sent over the network, both ways.
      compute_kwh: of the machines that train, with their buildings.
      network_kwh: of the network.
      intensity: kg of CO2 equivalent per kWh of either.
    """

    examples: int = 0
    bytes: int = 0
    compute_kwh: float = 0.0
    network_kwh: float = 0.0
    intensity: float = 0.0

    @property
    def kwh(self) -> float:
        """All the energy."""
        return self.compute_kwh + self.network_kwh

    @property
    def kg(self) -> float:
        """CO2 equivalent of it."""
        return carbon_kg(self.kwh, intensity=self.intensity)


@dataclass(frozen=True)
class Rates:
    """What one example and one byte take.

    Attributes:
      energy: the assumptions.
      device_seconds: of a client's device, per example.
      server_seconds: of the machine with all the data, per example.
    """

    energy: EnergySection
    device_seconds: float
    server_seconds: float

    @property
    def intensity(self) -> float:
        """What a kWh gives off, in kg of CO2 equivalent."""
        given = self.energy.intensity
        return CARBON_INTENSITY[self.energy.electricity] if given is None else given

    def of_rounds(self, *, examples: int, exchanges: int, model_bytes: int) -> Cost:
        """The cost of rounds; that of the server, which only averages, is left out.

        Args:
          examples: trained on by clients.
          exchanges: how often a client got the parameters and sent them back.
          model_bytes: of the parameters.

        Returns:
          The sum over clients and rounds.
        """
        up = down = exchanges * model_bytes
        energy = self.energy
        # Clients are alike, so their sum is that of one that does it all.
        sums = federated_energy(
            energy.device_watts,
            examples * self.device_seconds,
            up,
            down,
            joules_per_byte_up=energy.up_joules_per_byte,
            joules_per_byte_down=energy.down_joules_per_byte,
            intensity=self.intensity,
        )
        return Cost(
            examples=examples,
            bytes=up + down,
            compute_kwh=sums.compute_kwh,
            network_kwh=sums.upload_kwh + sums.download_kwh,
            intensity=self.intensity,
        )

    def of_epochs(self, *, examples: int, data_bytes: int) -> Cost:
        """The cost of training in one place, with the data's way there.

        Args:
          examples: trained on.
          data_bytes: of the training data, which its owners send once.

        Returns:
          The sum.
        """
        energy, seconds = self.energy, examples * self.server_seconds
        joules = data_bytes * energy.up_joules_per_byte
        return Cost(
            examples=examples,
            bytes=data_bytes,
            compute_kwh=energy_kwh(energy.server_watts, seconds, pue=energy.server_pue),
            network_kwh=energy_kwh(joules, 1),  # a watt for a second is a joule
            intensity=self.intensity,
        )


def build_rates(
    section: EnergySection,
    loss_fn: MaskedLoss,
    params: Any,
    data: Any,
    *,
    device_batch: int,
    server_batch: int,
) -> Rates:
    """The rates of a config, with times measured where it gives none.

    Args:
      section: the assumptions.
      loss_fn: see `jaxdl.federated.MaskedLoss`.
      params: of the network.
      data: arrays of all examples.
      device_batch: examples per step of a client.
      server_batch: examples per step in one place.

    Returns:
      The rates.
    """
    device, server = section.device_seconds, section.server_seconds
    if device is None:
        here = measure_seconds(loss_fn, params, data, batch_size=device_batch)
        device = here * section.device_slowdown
    if server is None:
        server = measure_seconds(loss_fn, params, data, batch_size=server_batch)
    return Rates(section, device, server)


def measure_seconds(
    loss_fn: MaskedLoss, params: Any, data: Any, *, batch_size: int
) -> float:
    """How long a step of SGD takes here, per example: the least of three tries.

    Args:
      loss_fn: see `jaxdl.federated.MaskedLoss`.
      params: of the network.
      data: arrays of examples.
      batch_size: examples per step; all there are if they are fewer.

    Returns:
      Seconds.
    """
    train = make_client_training(loss_fn, optax.sgd(0.01), over="loop")
    count = len(jax.tree.leaves(data)[0])
    part = np.arange(min(count, 8 * batch_size))
    options = {"round_index": 0, "batch_size": min(batch_size, count), "seed": 0}
    plan = plan_round([part], np.array([0]), **options)
    jax.block_until_ready(train(params, data, plan))  # compiles
    tries = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(train(params, data, plan))
        tries.append((time.perf_counter() - start) / plan.num_examples)
    return min(tries)
