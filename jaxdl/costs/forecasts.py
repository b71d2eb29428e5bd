"""Time of a training step on more devices than there are at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from jaxdl.costs.checks import Number, check_count, check_number
from jaxdl.costs.links import EXCHANGE_KINDS, Network, exchange_seconds

Scaling = Literal["weak", "strong"]


@dataclass(frozen=True)
class Exchange:
    """What devices send each other in a step, as counted in a compiled program.

    Attributes:
      kind: one of `EXCHANGE_KINDS`.
      payload_bytes: of the whole arrays of one run, at least 0.
      count: runs per step, at least 0.
      group_size: devices that take part in one, at least 1; None is all.
      stride: distance of one device of a group to the next, at least 1.

    Raises:
      ValueError: an attribute out of range.

    Example:
      >>> gradients = Exchange("all-reduce", 25_600_000 * 4)
      >>> gradients.count
      1
    """

    kind: str
    payload_bytes: Number
    count: int = 1
    group_size: int | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        if self.kind not in EXCHANGE_KINDS:
            raise ValueError(
                f"Exchange: kind must be one of {EXCHANGE_KINDS}, got {self.kind!r}"
            )
        check_number(self.payload_bytes, "payload_bytes", where="Exchange")
        check_count(self.count, "count", where="Exchange", low=0)
        if self.group_size is not None:
            check_count(self.group_size, "group_size", where="Exchange")
        check_count(self.stride, "stride", where="Exchange")


@dataclass(frozen=True)
class Forecast:
    """A step on several numbers of devices; entry i of each is for `devices[i]`.

    Attributes:
      scaling: "weak" or "strong".
      devices: how many.
      batch_sizes: examples in a step, over all devices.
      compute_seconds: per step, of the device that has most to do.
      exchange_seconds: per step, whether hidden or not.
      step_seconds: computing, and what of the exchange is not hidden by it.
      examples_per_second: over all devices.
      efficiency: examples per second and device over those of one device, in [0, 1].
    """

    scaling: Scaling
    devices: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    compute_seconds: tuple[float, ...]
    exchange_seconds: tuple[float, ...]
    step_seconds: tuple[float, ...]
    examples_per_second: tuple[float, ...]
    efficiency: tuple[float, ...]

    def efficiency_from(self, base: int) -> tuple[float, ...]:
        """Efficiency against another number of devices than 1.

        Args:
          base: one of `devices`.

        Returns:
          For each of `devices`; 1 for `base`.

        Raises:
          ValueError: nothing is forecast for `base` devices.
        """
        if base not in self.devices:
            raise ValueError(
                f"efficiency_from: base must be one of {self.devices}, got {base}"
            )
        whole = self.efficiency[self.devices.index(base)]
        return tuple(value / whole for value in self.efficiency)

    def list_rows(self) -> list[dict[str, int | float | str]]:
        """A row of a table for each number of devices."""
        names = ("devices", "batch_size", "compute_seconds", "exchange_seconds")
        names = (*names, "step_seconds", "examples_per_second", "efficiency")
        columns = zip(
            self.devices,
            self.batch_sizes,
            self.compute_seconds,
            self.exchange_seconds,
            self.step_seconds,
            self.examples_per_second,
            self.efficiency,
            strict=True,
        )
        return [
            {"scaling": self.scaling, **dict(zip(names, row, strict=True))}
            for row in columns
        ]


def forecast(
    compute_seconds: Number,
    devices: Sequence[int],
    *,
    exchanges: Sequence[Exchange] | Callable[[int], Sequence[Exchange]],
    network: Network,
    batch_size: int = 1,
    scaling: Scaling = "weak",
    overlap: Number = 0.0,
    fixed_seconds: Number = 0.0,
) -> Forecast:
    """Time of a step from what one device takes and what is sent between them.

    A step is computing, then exchanging, less what of the exchange is hidden behind
    computing. All devices are equally fast, links carry nothing else, and data arrive
    in time; measured efficiencies are lower where that is not so. In strong scaling
    the time per example is taken to be that of the whole batch, which is kind to
    devices that are left with few.

    Args:
      compute_seconds: of one step on one device, exchanging nothing, above 0.
      devices: how many to forecast for, at least 1 each; above one node, whole nodes.
      exchanges: what a step sends, or a function of the number of devices that tells it
        (where shares of a batch are sent, not gradients). On one device they're free.
      network: how devices are connected.
      batch_size: examples in the step of `compute_seconds`, at least 1.
      scaling: "weak": each device does such a step, the batch grows; "strong": the
        batch is shared among the devices, the largest share counts.
      overlap: part of the exchange that can be hidden, in [0, 1].
      fixed_seconds: of `compute_seconds`, what is not less for a share of the batch
        (the optimiser's update, for example), at least 0.

    Returns:
      Times, examples per second and efficiency.

    Raises:
      ValueError: an argument out of range, no devices, or a batch that is too small to
        share.

    Source:
      Hockney's model of messages along rings (`exchange_seconds`); weak and strong
      scaling as in Gustafson 1988, doi:10.1145/42411.42415, and Amdahl 1967.

    Example:
      >>> from jaxdl.costs.links import Link
      >>> network = Network(Link(0, 100e9), Link(0, 10e9), 8)
      >>> gradients = [Exchange("all-reduce", 100e6)]
      >>> table = forecast(0.1, [1, 8, 64], exchanges=gradients, network=network)
      >>> [f"{100 * value:.1f} %" for value in table.efficiency]
      ['100.0 %', '98.3 %', '83.9 %']
    """
    time, fixed, hidden_part = _check_arguments(
        compute_seconds, devices, batch_size, scaling, overlap, fixed_seconds
    )
    steps: list[tuple[int, float, float, float]] = []
    for count in devices:
        share = 1.0 if scaling == "weak" else -(-batch_size // count) / batch_size
        compute = fixed + (time - fixed) * share
        sent = exchanges(count) if callable(exchanges) else exchanges
        exchange = 0.0 if count == 1 else _sum_exchanges(sent, count, network)
        hidden = min(hidden_part * exchange, compute)
        examples = batch_size * (count if scaling == "weak" else 1)
        steps.append((examples, compute, exchange, compute + exchange - hidden))
    sizes, computes, exchanged, totals = zip(*steps, strict=True)
    rates = tuple(size / total for size, total in zip(sizes, totals, strict=True))
    alone = batch_size / time
    return Forecast(
        scaling,
        tuple(devices),
        sizes,
        computes,
        exchanged,
        totals,
        rates,
        tuple(
            rate / (count * alone) for rate, count in zip(rates, devices, strict=True)
        ),
    )


def _check_arguments(
    compute_seconds: Number,
    devices: Sequence[int],
    batch_size: int,
    scaling: str,
    overlap: Number,
    fixed_seconds: Number,
) -> tuple[float, float, float]:
    where = "forecast"
    time = check_number(
        compute_seconds, "compute_seconds", where=where, may_be_low=False
    )
    fixed = check_number(fixed_seconds, "fixed_seconds", where=where, high=time)
    part = check_number(overlap, "overlap", where=where, high=1)
    check_count(batch_size, "batch_size", where=where)
    if scaling not in ("weak", "strong"):
        raise ValueError(
            f"forecast: scaling must be 'weak' or 'strong', got {scaling!r}"
        )
    if not devices:
        raise ValueError("forecast: devices is empty, wanted at least one number")
    for count in devices:
        check_count(count, "devices", where=where)
        if scaling == "strong" and count > batch_size:
            raise ValueError(
                f"forecast: a batch_size of {batch_size} can't be shared among {count} "
                "devices; wanted at least one example for each"
            )
    return time, fixed, part


def _sum_exchanges(
    exchanges: Sequence[Exchange], num_devices: int, network: Network
) -> float:
    total = 0.0
    for one in exchanges:
        size = num_devices if one.group_size is None else one.group_size
        if size > num_devices:
            raise ValueError(
                f"forecast: group_size {size} of {one.kind!r} is above the "
                f"{num_devices} devices; wanted at most as many"
            )
        total += one.count * exchange_seconds(
            one.kind, one.payload_bytes, network, group_size=size, stride=one.stride
        )
    return total
