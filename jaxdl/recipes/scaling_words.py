"""What a study of scaling found, in plain words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxdl.costs import compare_published
from jaxdl.recipes.study import Row

_SMALL = 0.005
"""Errors and shares that are rounded to nothing."""


def describe_scaling(
    rows: Sequence[Row], forecasts: Sequence[Row], circumstances: Mapping[str, Any]
) -> list[str]:
    """The efficiency at each size, what limits it, and how good the forecast is.

    Args:
      rows: of the table.
      forecasts: a row for each layout and number of devices.
      circumstances: the devices, and the links that forecasts assume.

    Returns:
      Sentences.
    """
    return [
        _describe_one_device(rows[0], circumstances),
        *_explain_efficiency(circumstances),
        *(_describe_layout(own) for own in _group(rows) if len(own) > 1),
        *_describe_limits(rows),
        *_describe_forecasts(forecasts, circumstances),
        *_describe_errors(rows),
        _describe_published(),
    ]


def _group(rows: Sequence[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["scaling"], row["layout"]), []).append(row)
    return list(groups.values())


def _describe_one_device(row: Row, circumstances: Mapping[str, Any]) -> str:
    text = (
        f"One device ({circumstances['device_kind']}) trains "
        f"{circumstances['network']} on {row['images_per_second']:,.0f} images/s: "
        f"{1e3 * row['step_seconds']:.3g} ms for a step of {row['batch_size']}"
    )
    if row["mfu"] is None:
        return f"{text}."
    return f"{text}, {_percent(row['mfu'])} of its peak (MFU)."


def _explain_efficiency(circumstances: Mapping[str, Any]) -> Iterator[str]:
    if circumstances["shares_cores"]:
        cores = circumstances["cores"]
        yield (
            "Several devices are simulated: all of them share the same "
            f"{cores} CPU core{'s' * (cores != 1)}, so eight can't be eight times as "
            "fast. Efficiency as measured is therefore throughput against one device "
            "on the same cores: below 100 % splitting costs time, above it one device "
            "leaves cores idle that several use. What as many real devices would gain "
            "is forecast."
        )


def _describe_layout(rows: Sequence[Row]) -> str:
    first, *rest = rows
    sizes = ", ".join(
        f"{_percent(row['efficiency'])} on {row['devices']}" for row in rest
    )
    how = (
        f"a batch of {first['batch_size']} shared"
        if first["scaling"] == "strong"
        else f"{first['batch_size']} images for each device"
    )
    return f"Layout {first['layout']}, {how}: efficiency {sizes}."


def _describe_limits(rows: Sequence[Row]) -> Iterator[str]:
    """What was counted on the largest number of devices, layout by layout."""
    for own in _group(rows):
        alone, last = own[0], own[-1]
        if len(own) == 1 or last["scaling"] != rows[0]["scaling"]:
            continue
        kept = last["memory_bytes"] / alone["memory_bytes"]
        yield (
            f"What limits {last['layout']} on {last['devices']}: each device sends "
            f"{_megabytes(last['sent_bytes'])} per step in {last['exchanges']} "
            f"exchanges (least in theory {_megabytes(last['least_bytes'])}) and keeps "
            f"{_percent(kept)} of what one alone does; {_name_limit(last)}."
        )


def _name_limit(row: Row) -> str:
    lost = 1 / row["efficiency"] - 1
    if lost <= 0.02:
        return "nothing is lost"
    repeated = max(row["replicated_work"] or 0.0, 0.0)
    text = f"a step takes {_percent(lost)} more than it should"
    if repeated >= lost / 2:
        return f"{text}, most of it for work that several devices repeat"
    return (
        f"{text}, {_percent(repeated)} for work that several repeat, the rest for "
        "exchanges, waiting for each other and work in smaller pieces"
    )


def _describe_forecasts(
    rows: Sequence[Row], circumstances: Mapping[str, Any]
) -> Iterator[str]:
    node = circumstances["devices_per_node"]
    parts = [_describe_forecast(own, node) for own in _group(rows) if len(own) > 1]
    if parts:
        yield (
            "Forecast on real devices, each as fast as this one alone, linked at "
            f"{circumstances['inside_bandwidth'] / 1e9:g} GB/s in nodes of {node} and "
            f"{circumstances['between_bandwidth'] / 1e9:g} GB/s between nodes: "
            f"{'; '.join(parts)}."
        )


def _describe_forecast(rows: Sequence[Row], node: int) -> str:
    first, last = rows[0], rows[-1]
    known = [row for row in rows if row["devices"] <= node][-1]
    text = (
        f"{last['layout']} ({last['scaling']}) {_percent(known['efficiency'])} on "
        f"{known['devices']}"
    )
    if last is not known:
        text += f", {_percent(last['efficiency'])} on {last['devices']:,}"
    slow = "messages to start" if last["latency_share"] > 0.5 else "bytes to pass"
    if last["waiting_share"] > _SMALL:
        text += f" ({_percent(last['waiting_share'])} of a step waits for {slow})"
    ideal = last["batch_size"] * first["compute_seconds"] / first["batch_size"]
    repeated = last["devices"] * last["compute_seconds"] / ideal - 1
    if repeated > _SMALL:
        text += f" ({_percent(repeated)} more work, as devices repeat some)"
    return text


def _describe_errors(rows: Sequence[Row]) -> Iterator[str]:
    worst: dict[str, float] = {}
    for row in rows:
        error = row["forecast_byte_error"]
        if error is not None:
            worst[row["layout"]] = max(worst.get(row["layout"], 0.0), error, key=abs)
    exact = [name for name, error in worst.items() if abs(error) < 1e-9]
    if exact:
        yield (
            "The bytes that follow from the layout and the shapes alone are those of "
            f"the compiled programs, to 0 %: {', '.join(exact)}."
        )
    for name, error in worst.items():
        if name not in exact:
            yield (
                f"Of layout {name} they are off by up to {100 * error:+.1f} %: there "
                "the compiler decides what to move, shares of parameters or of "
                "activations."
            )


def _describe_published() -> str:
    parts = [
        f"{row['name']} {_percent(float(row['published']))} (forecast "
        f"{_percent(float(row['predicted']))})"
        for row in compare_published()
    ]
    return (
        f"Published efficiencies, and the same forecast for them: {'; '.join(parts)}."
    )


def _percent(share: int | float) -> str:
    return f"{100 * share:.3g} %" if abs(share) >= _SMALL else "0 %"


def _megabytes(count: int | float) -> str:
    return f"{count / 1e6:.3g} MB"
