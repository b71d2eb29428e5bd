"""What a step would take on devices that are not there, beside what was measured."""

import dataclasses
from typing import Any

from jaxdl.costs import Exchange, Link, Network, forecast
from jaxdl.errors import ConfigError
from jaxdl.parallel import CollectiveReport
from jaxdl.recipes.scaling_programs import (
    Subject,
    find_split_share,
    list_wanted_exchanges,
)
from jaxdl.recipes.scaling_study_config import Case, NetworkLinksSection

_ALONG_ALL = ("activations", "finite")
"""Exchanges among neighbours; others skip the devices that share a copy."""


@dataclasses.dataclass(frozen=True)
class CaseForecast:
    """A step on real devices, each as fast as the one that was measured.

    Attributes:
      case: the layout and the number of devices.
      compute_seconds: of the device that has most to do.
      exchange_seconds: whether hidden or not.
      step_seconds: both, less what is hidden.
      latency_share: part of the exchange that messages take to start, in [0, 1].
      images_per_second: over all devices.
      efficiency: against as many single devices, in [0, 1].
      exchanges: from the layout alone.
    """

    case: Case
    compute_seconds: float
    exchange_seconds: float
    step_seconds: float
    latency_share: float
    images_per_second: float
    efficiency: float
    exchanges: CollectiveReport

    @property
    def waiting_share(self) -> float:
        """Part of a step that is waiting for exchanges."""
        return 1 - self.compute_seconds / self.step_seconds


def build_network(section: NetworkLinksSection, *, latency: bool = True) -> Network:
    """The network of a config, on request without the time that messages take to start.

    Args:
      section: what the config says.
      latency: whether messages take time to start.

    Returns:
      See `jaxdl.costs.Network`.
    """
    return Network(
        Link(section.inside_latency * latency, section.inside_bandwidth),
        Link(section.between_latency * latency, section.between_bandwidth),
        section.per_node,
    )


def forecast_case(
    subject: Subject, case: Case, *, base_seconds: float, base_batch: int
) -> CaseForecast:
    """Forecasts a case from what one device takes.

    Args:
      subject: what is trained.
      case: the layout and the number of devices, which need not be there.
      base_seconds: of a step on one device, above 0.
      base_batch: examples in that step.

    Returns:
      The forecast.

    Raises:
      ConfigError: the network has no such layout.
    """
    links = subject.config.links
    wanted = list_wanted_exchanges(subject, case)
    split = find_split_share(subject, case) if case.model > 1 else 0.0
    examples = -(-case.batch_size // case.data)
    # What is not split over "model" is done by each of them.
    share = examples / base_batch * (1 - split + split / case.model)
    # Each exchange once more without latency: what is left is bytes.
    whole, moving = (
        forecast(
            base_seconds * share,
            [case.devices],
            exchanges=_to_exchanges(wanted, case),
            network=build_network(links, latency=latency),
            overlap=links.overlap,
        )
        for latency in (True, False)
    )
    exchange, step = whole.exchange_seconds[0], whole.step_seconds[0]
    rate = case.batch_size / step
    return CaseForecast(
        case=case,
        compute_seconds=base_seconds * share,
        exchange_seconds=exchange,
        step_seconds=step,
        latency_share=1 - moving.exchange_seconds[0] / exchange if exchange else 0.0,
        images_per_second=rate,
        efficiency=rate / (case.devices * base_batch / base_seconds),
        exchanges=wanted,
    )


def forecast_layout(
    subject: Subject, case: Case, *, base_seconds: float, base_batch: int
) -> list[CaseForecast]:
    """Forecasts a layout for all numbers of devices that it has a form of.

    Args:
      subject: what is trained.
      case: tells the layout and the scaling.
      base_seconds: see `forecast_case`.
      base_batch: see `forecast_case`.

    Returns:
      Up to the largest number of devices; shorter where the network's layers or the
      batch can't be split further.
    """
    study = subject.config.study
    found = []
    for count in sorted({*study.devices, *study.forecast_devices}):
        for one in subject.config.list_case(case.scaling, case.layout, count):
            if one.batch_size < one.data:
                return found
            try:
                sizes: Any = {"base_seconds": base_seconds, "base_batch": base_batch}
                found.append(forecast_case(subject, one, **sizes))
            except ConfigError:
                return found
    return found


def _to_exchanges(report: CollectiveReport, case: Case) -> list[Exchange]:
    """Devices along `"model"` are neighbours, those along `"data"` as far apart."""
    return [
        Exchange(
            one.kind,
            one.payload_bytes,
            count=one.count,
            group_size=one.group_size,
            stride=1 if one.operation in _ALONG_ALL else case.model,
        )
        for one in report.collectives
    ]
