"""What a training would cost on several numbers of devices."""

import math
import time
from typing import Any

from rich.console import Console

from jaxdl.costs import (
    CARBON_INTENSITY,
    Exchange,
    Link,
    Network,
    Scaling,
    carbon_kg,
    compare_published,
    electricity_price,
    energy_kwh,
    exchange_seconds,
    forecast,
    purchase_price,
    purchase_share,
    rental_price,
)
from jaxdl.recipes.cost_of_training_config import (
    CostOfTrainingConfig,
    LinksSection,
    PricesSection,
)
from jaxdl.recipes.study import finish_study
from jaxdl.report import CostCurve, plot_costs
from jaxdl.train import RunFolder

_LABELS = {"weak": "batch grows", "strong": "batch is shared"}
_SHOWN = {
    "scaling": "scaling",
    "devices": "devices",
    "batch_size": "batch",
    "efficiency": "efficiency",
    "hours": "hours",
    "kwh": "kWh",
    "carbon_kg": "kg CO2",
    "owned": "bought",
    "rented": "rented",
}
_USEFUL = 0.5  # efficiency below which half of the devices are paid for nothing


def forecast_costs(config: CostOfTrainingConfig, run: RunFolder) -> int:
    """Forecasts time, energy, carbon dioxide and money; writes table and figure.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    rows = list_costs(config)
    published = compare_published()
    sentences = describe_costs(config, rows)
    curves = [_to_curve(rows, scaling) for scaling in _list_scalings(rows)]
    title = f"{config.work.name}: {config.work.examples:,} examples"
    plot_costs(curves, run.path / "costs.png", title=title)
    console = Console()
    for sentence in sentences:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    finish_study(
        run,
        table=rows,
        shown=[{text: row[name] for name, text in _SHOWN.items()} for row in rows],
        summary={
            "paragraph": " ".join(sentences),
            "results": rows,
            "published": published,
            "seconds": time.perf_counter() - start,
        },
        title="weak: the batch grows with the devices; strong: they share one batch",
        console=console,
    )
    return 0


def list_costs(config: CostOfTrainingConfig) -> list[dict[str, Any]]:
    """A row for each number of devices, of weak and then of strong scaling.

    Args:
      config: the resolved config.

    Returns:
      Times in seconds and hours, energy in kWh, CO2 in kg, prices in the config's
      currency. Prices of a run are of its devices alone; `purchase` is of whole nodes.
    """
    work = config.work
    rows = _list_scaled(config, "weak", work.batch_per_device)
    if work.total_batch is not None:
        rows += _list_scaled(config, "strong", work.total_batch)
    return rows


def describe_costs(
    config: CostOfTrainingConfig, rows: list[dict[str, Any]]
) -> list[str]:
    """What the forecast says, in plain words.

    Args:
      config: the resolved config.
      rows: from `list_costs`.

    Returns:
      Sentences.
    """
    first = rows[0]
    sentences = [
        f"{_count(first['devices'], 'device')} would take {_spell(first['hours'])}, "
        f"{first['kwh']:,.3g} kWh, {first['carbon_kg']:,.3g} kg of CO2, and "
        f"{first['owned']:,.3g} in money if bought or {first['rented']:,.3g} if rented."
    ]
    for scaling in _list_scalings(rows):
        own = [row for row in rows if row["scaling"] == scaling]
        if own[-1]["devices"] > 1:
            sentences += _describe_last(config, own, scaling)
    section = config.prices
    nodes = max(row["nodes"] for row in rows)
    bare = purchase_price(section.node, nodes)
    sentences.append(
        f"Buying {_count(nodes, 'node')} costs {bare:,.0f}, and "
        f"{_price_nodes(section, nodes):,.0f} with network and storage."
    )
    return sentences


def _list_scaled(
    config: CostOfTrainingConfig, scaling: Scaling, batch_size: int
) -> list[dict[str, Any]]:
    work = config.work
    counts = [n for n in config.devices.counts if scaling == "weak" or n <= batch_size]
    if not counts:
        return []
    table = forecast(
        batch_size / work.examples_per_second,
        counts,
        exchanges=[Exchange("all-reduce", work.gradient_bytes)],
        network=_build_network(config.links, config.devices.per_node),
        batch_size=batch_size,
        scaling=scaling,
        overlap=work.overlap,
    )
    return [{**row, **_price_run(config, row)} for row in table.list_rows()]


def _build_network(links: LinksSection, per_node: int) -> Network:
    return Network(
        Link(links.inside_latency, links.inside_bandwidth),
        Link(links.between_latency, links.between_bandwidth),
        per_node,
    )


def _price_run(config: CostOfTrainingConfig, row: dict[str, Any]) -> dict[str, Any]:
    """What all steps take, from what one takes."""
    devices, prices, electricity = config.devices, config.prices, config.electricity
    count = row["devices"]
    num_steps = math.ceil(config.work.examples / row["batch_size"])
    seconds = num_steps * row["step_seconds"]
    kwh = energy_kwh(count * devices.watts, seconds, pue=devices.pue)
    intensity = electricity.intensity
    if intensity is None:
        intensity = CARBON_INTENSITY[electricity.source]
    nodes = math.ceil(count / devices.per_node)
    own = _price_nodes(prices, 1) / devices.per_node * count
    worn = purchase_share(own, seconds, lifetime_years=prices.lifetime_years)
    current = electricity_price(kwh, price_per_kwh=electricity.price_per_kwh)
    hourly = prices.rent_per_device_hour
    return {
        "nodes": nodes,
        "num_steps": num_steps,
        "hours": seconds / 3600,
        "kwh": kwh,
        "carbon_kg": carbon_kg(kwh, intensity=intensity),
        "purchase": _price_nodes(prices, nodes),
        "purchase_share": worn,
        "electricity": current,
        "owned": worn + current,
        "rented": rental_price(count, seconds, price_per_device_hour=hourly),
    }


def _price_nodes(prices: PricesSection, count: int) -> float:
    return purchase_price(
        prices.node,
        count,
        network=prices.network_share,
        storage=prices.storage_share,
        compounds=prices.compounds,
    )


def _list_scalings(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["scaling"] for row in rows))


def _to_curve(rows: list[dict[str, Any]], scaling: str) -> CostCurve:
    own = [row for row in rows if row["scaling"] == scaling]
    names = ("devices", "hours", "efficiency", "owned", "rented", "carbon_kg")
    return CostCurve(_LABELS[scaling], *([row[name] for row in own] for name in names))


def _describe_last(
    config: CostOfTrainingConfig, rows: list[dict[str, Any]], scaling: str
) -> list[str]:
    """How the largest number of devices does, and what limits it."""
    last = rows[-1]
    batch = f"{last['batch_size']:,} examples"
    how = f"a batch of {batch}" if scaling == "weak" else f"{batch} shared"
    waiting = 1 - last["compute_seconds"] / last["step_seconds"]
    sentences = [
        f"On {last['devices']:,} with {how} per step it would take "
        f"{_spell(last['hours'])} and {last['kwh']:,.3g} kWh, at "
        f"{100 * last['efficiency']:.0f} % of the speed of as many single devices: "
        f"{100 * waiting:.0f} % of a step is waiting for the exchange of gradients, "
        f"{_explain_exchange(config, last['devices'])}."
    ]
    if scaling == "weak":
        return [
            *sentences,
            "Whether so large a batch needs more examples for the same loss is not in "
            "this.",
        ]
    sentences.append(
        "Devices that are left with few examples are taken to be as fast at each as "
        "with many."
    )
    fastest = min(rows, key=lambda row: row["hours"])
    useful = [row["devices"] for row in rows if row["efficiency"] >= _USEFUL]
    if useful and useful[-1] < last["devices"]:
        sentences.append(
            f"Sharing, {_count(fastest['devices'], 'device')} would be done first, and "
            f"{useful[-1]:,} is the most with an efficiency of at least half."
        )
    return sentences


def _explain_exchange(config: CostOfTrainingConfig, count: int) -> str:
    """Whether messages or bytes take the time of an exchange."""
    links, size = config.links, config.devices.per_node
    without_latency = Network(
        Link(0, links.inside_bandwidth), Link(0, links.between_bandwidth), size
    )
    networks = (_build_network(links, size), without_latency)
    whole, moving = (
        exchange_seconds("all-reduce", config.work.gradient_bytes, n, group_size=count)
        for n in networks
    )
    if whole == 0:
        return "of which there is none"
    share = moving / whole
    if share >= 0.5:
        return f"{100 * share:.0f} % of it for bytes to pass (bandwidth)"
    return f"{100 * (1 - share):.0f} % of it for messages to start (latency)"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}" + "s" * (number != 1)


def _spell(hours: float) -> str:
    """A time in a unit that suits it."""
    for unit, length in (("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60)):
        if hours >= 2 * length:
            return f"{hours / length:.3g} {unit}"
    return f"{hours * 3600:.3g} seconds"
