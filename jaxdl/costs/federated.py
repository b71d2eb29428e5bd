"""Energy of a round of federated learning: what clients compute and send."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from jaxdl.costs.checks import Number

_JOULES_PER_KWH = 3.6e6

PerClient = Num[np.ndarray, " clients"] | Number
"""A number for each client, or one for all."""


@dataclass(frozen=True)
class RoundEnergy:
    """What a round takes, summed over its clients.

    Attributes:
      compute_kwh: of training on the clients.
      upload_kwh: of sending to the server.
      download_kwh: of sending to the clients.
      carbon_kg: of CO2 equivalent, of all three.
    """

    compute_kwh: float
    upload_kwh: float
    download_kwh: float
    carbon_kg: float

    @property
    def total_kwh(self) -> float:
        """Of computing and sending."""
        return self.compute_kwh + self.upload_kwh + self.download_kwh


def federated_energy(
    watts: PerClient,
    seconds: PerClient,
    bytes_up: PerClient,
    bytes_down: PerClient,
    *,
    joules_per_byte_up: Number,
    joules_per_byte_down: Number,
    intensity: PerClient,
) -> RoundEnergy:
    """Energy and CO2 of one round: the sum over clients of P t + up e_up + down e_down.

    Times the intensity of each client's electricity, this is the carbon dioxide. Most
    of it is computing: a federated training can give off up to a hundred times as much
    as a central one, as its devices are less efficient and it needs more rounds.

    Args:
      watts: power of each client while it trains, at least 0.
      seconds: how long each trains, at least 0.
      bytes_up: sent to the server, at least 0.
      bytes_down: received from it, at least 0.
      joules_per_byte_up: energy of the network for a byte, at least 0. (1 kWh per GB is
        0.0036.)
      joules_per_byte_down: likewise.
      intensity: kg of CO2 equivalent per kWh where each client is, in [0, 2].

    Returns:
      Sums over the clients; a number for all counts once per client of the arrays, and
      for one client if there is no array.

    Raises:
      ValueError: an argument out of range, or arrays of different lengths.

    Source:
      Qiu et al. 2021, arXiv:2102.07627: the sum, with the energy per byte given here
      instead of the power of routers and servers.

    Example:
      >>> clients = np.array([10.0, 5.0])
      >>> energy = federated_energy(
      ...     clients, 3600, 1e6, 1e6,
      ...     joules_per_byte_up=0.0036, joules_per_byte_down=0.0036, intensity=0.475,
      ... )
      >>> print(f"{energy.total_kwh:.4f} kWh, {energy.carbon_kg:.6f} kg")
      0.0190 kWh, 0.009025 kg
    """
    names = ("watts", "seconds", "bytes_up", "bytes_down", "intensity")
    given = (watts, seconds, bytes_up, bytes_down, intensity)
    pairs = zip(names, given, strict=True)
    values = [
        _check(value, name, high=2 if name == "intensity" else np.inf)
        for name, value in pairs
    ]
    try:
        power, time, up, down, carbon = np.broadcast_arrays(*values)
    except ValueError:
        lengths = {n: len(v) for n, v in zip(names, values, strict=True) if len(v) > 1}
        raise ValueError(
            f"federated_energy: wanted arrays of one length, got {lengths}"
        ) from None
    up_cost = _check(joules_per_byte_up, "joules_per_byte_up")
    down_cost = _check(joules_per_byte_down, "joules_per_byte_down")
    kwh = np.stack([power * time, up * up_cost, down * down_cost]) / _JOULES_PER_KWH
    compute, upload, download = kwh.sum(axis=1).tolist()
    return RoundEnergy(
        compute, upload, download, float((kwh.sum(axis=0) * carbon).sum())
    )


def _check(
    value: PerClient, name: str, *, high: Number = np.inf
) -> Float[np.ndarray, " clients"]:
    array = np.atleast_1d(np.asarray(value, np.float64))
    is_good = np.isfinite(array) & (array >= 0) & (array <= high)
    if array.ndim > 1 or not is_good.all():
        upper = f" and at most {high:g}" if np.isfinite(high) else ""
        raise ValueError(
            f"federated_energy: {name} must be finite, at least 0{upper}, one number "
            f"or one per client, got {value!r}"
        )
    return array
