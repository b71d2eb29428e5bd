"""How throughput changes with devices and layouts: measured, forecast, explained."""

import os
import time
from collections.abc import Sequence
from typing import Any

import jax
from rich.console import Console

from jaxdl.costs import compare_published, find_peak_flops, model_flops_utilization
from jaxdl.parallel import CollectiveReport
from jaxdl.recipes.scaling_forecast import CaseForecast, forecast_layout
from jaxdl.recipes.scaling_programs import (
    Program,
    Subject,
    build_programs,
    build_subject,
    count_step_flops,
    list_wanted_exchanges,
    time_programs,
)
from jaxdl.recipes.scaling_study_config import Case, ScalingStudyConfig
from jaxdl.recipes.scaling_words import describe_scaling
from jaxdl.recipes.study import Row, finish_study
from jaxdl.report import MemoryBar, ScalingCurve, plot_scaling
from jaxdl.train import RunFolder

_PARTS = ("parameters", "optimizer", "other", "batch", "temporaries")


def study_scaling(config: ScalingStudyConfig, run: RunFolder) -> int:
    """Measures all cases of a config; writes table, figure, words and summary.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.

    Raises:
      ConfigError: a case can't be: too few devices, layers or batches that they don't
        divide; found before anything is compiled.
    """
    start = time.perf_counter()
    console = Console()
    say = lambda text: console.print(
        text, highlight=False, markup=False, soft_wrap=True
    )
    subject = build_subject(config)
    cases = config.list_cases()
    for case in cases:
        list_wanted_exchanges(subject, case)
    programs = build_programs(subject, cases, say=say)
    say(f"timing {len(programs)} programs in {config.study.rounds} rounds")
    time_programs(programs, rounds=config.study.rounds, steps=config.study.steps)
    forecasts = _forecast_layouts(subject, cases, programs)
    flops = count_step_flops(subject, cases[0]) / cases[0].batch_size
    rows = list_rows(subject, cases, programs, forecasts, flops_per_image=flops)
    circumstances = _describe_circumstances(config, flops)
    sentences = describe_scaling(rows, _list_forecasts(forecasts), circumstances)
    (run.path / "summary.txt").write_text("\n".join(sentences) + "\n")
    _plot(
        run,
        rows,
        forecasts,
        circumstances,
        title=f"training {config.model.name}: points measured, dashes forecast",
    )
    for sentence in sentences:
        say(sentence)
    finish_study(
        run,
        table=rows,
        shown=[_show(row) for row in rows],
        summary={
            "paragraph": " ".join(sentences),
            **circumstances,
            "forecast_byte_error": _collect_errors(rows),
            "results": rows,
            "forecast": _list_forecasts(forecasts),
            "published": compare_published(),
            "seconds": time.perf_counter() - start,
        },
        title="strong: devices share a batch; weak: the batch grows with them",
        console=console,
    )
    return 0


def list_rows(
    subject: Subject,
    cases: Sequence[Case],
    programs: dict[Any, Program],
    forecasts: dict[tuple[str, str], list[CaseForecast]],
    *,
    flops_per_image: float,
) -> list[dict[str, Any]]:
    """A row of the table for each case.

    Args:
      subject: what is trained.
      cases: those measured.
      programs: timed, by `Case.program`.
      forecasts: by scaling and layout.
      flops_per_image: of a training step.

    Returns:
      Times in seconds, sizes in bytes per device, shares of 1. `efficiency` is against
      as many single devices; of simulated ones, which share their cores, against one
      on the same cores. None where there is nothing to tell.
    """
    rows = []
    for case in cases:
        base_case = subject.config.list_case(case.scaling, case.layout, 1)[0]
        program, base = programs[case.program], programs[base_case.program]
        seconds = program.median_seconds
        rate = case.batch_size / seconds
        speedup = rate / (base_case.batch_size / base.median_seconds)
        efficiency = speedup if _shares_cores() else speedup / case.devices
        expected = {f.case.devices: f for f in forecasts[case.scaling, case.layout]}
        rows.append(
            {
                "scaling": case.scaling,
                "layout": case.layout,
                "devices": case.devices,
                "data": case.data,
                "model": case.model,
                "batch_size": case.batch_size,
                "step_seconds": seconds,
                "fastest_seconds": min(program.seconds),
                "slowest_seconds": max(program.seconds),
                "images_per_second": rate,
                "speedup": speedup,
                "efficiency": efficiency,
                "forecast_images_per_second": expected[case.devices].images_per_second,
                "forecast_efficiency": expected[case.devices].efficiency,
                **_count_exchanges(subject, case, program.exchanges),
                **_count_memory(program),
                **_count_work(case, program, base_case, base),
                "mfu": _find_utilization(
                    subject.config, case, flops_per_image * case.batch_size, seconds
                ),
            }
        )
    return rows


def _shares_cores() -> bool:
    """Whether devices are parts of one processor, and no faster together than one."""
    return jax.default_backend() == "cpu"


def _forecast_layouts(
    subject: Subject, cases: Sequence[Case], programs: dict[Any, Program]
) -> dict[tuple[str, str], list[CaseForecast]]:
    return {
        (case.scaling, case.layout): forecast_layout(
            subject,
            case,
            base_seconds=programs[case.program].median_seconds,
            base_batch=case.batch_size,
        )
        for case in cases
        if case.devices == 1
    }


def _count_exchanges(
    subject: Subject, case: Case, exchanges: CollectiveReport
) -> dict[str, Any]:
    forecast = list_wanted_exchanges(subject, case)
    least = list_wanted_exchanges(subject, case, scatters=True)
    sent, wanted = exchanges.sent_bytes(), forecast.sent_bytes()
    return {
        "exchanges": exchanges.count(),
        "forecast_exchanges": forecast.count(),
        "sent_bytes": round(sent),
        "forecast_bytes": round(wanted),
        "least_bytes": round(least.sent_bytes()),
        "forecast_byte_error": wanted / sent - 1 if sent else None,
        **{
            f"sent_by_{kind.replace('-', '_')}": round(exchanges.sent_bytes(kind))
            for kind in ("all-reduce", "all-gather", "reduce-scatter", "all-to-all")
        },
    }


def _count_memory(program: Program) -> dict[str, int]:
    memory = program.memory
    parts = {f"{part}_bytes": getattr(memory, part) for part in _PARTS}
    return {**parts, "memory_bytes": memory.total}


def _count_work(
    case: Case, program: Program, base_case: Case, base: Program
) -> dict[str, float | None]:
    """What the devices compute together beyond what one would for the same batch."""
    if not program.flops or not base.flops:
        return {"flops_per_device": None, "replicated_work": None}
    alone = base.flops * case.batch_size / base_case.batch_size
    return {
        "flops_per_device": program.flops,
        "replicated_work": case.devices * program.flops / alone - 1,
    }


def _read_peak(config: ScalingStudyConfig) -> float | None:
    if config.study.peak_flops is not None:
        return config.study.peak_flops
    kind = "bfloat16" if config.model.dtype == "bfloat16" else "tf32"
    return find_peak_flops(jax.devices()[0].device_kind, kind)


def _find_utilization(
    config: ScalingStudyConfig, case: Case, flops: float, seconds: float
) -> float | None:
    peak = _read_peak(config)
    if peak is None:
        return None
    count = 1 if _shares_cores() else case.devices
    return model_flops_utilization(flops, seconds, num_devices=count, peak_flops=peak)


def _describe_circumstances(config: ScalingStudyConfig, flops: float) -> dict[str, Any]:
    links = config.links
    return {
        "network": config.model.name,
        "device_kind": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)) if _shares_cores() else None,
        "shares_cores": _shares_cores(),
        "flops_per_image": flops,
        "peak_flops": _read_peak(config),
        "inside_bandwidth": links.inside_bandwidth,
        "between_bandwidth": links.between_bandwidth,
        "devices_per_node": links.per_node,
    }


def _list_forecasts(
    forecasts: dict[tuple[str, str], list[CaseForecast]],
) -> list[dict[str, Any]]:
    return [
        {
            "scaling": one.case.scaling,
            "layout": one.case.layout,
            "devices": one.case.devices,
            "batch_size": one.case.batch_size,
            "compute_seconds": one.compute_seconds,
            "exchange_seconds": one.exchange_seconds,
            "step_seconds": one.step_seconds,
            "images_per_second": one.images_per_second,
            "efficiency": one.efficiency,
            "waiting_share": one.waiting_share,
            "latency_share": one.latency_share,
            "sent_bytes": round(one.exchanges.sent_bytes()),
        }
        for layout in forecasts.values()
        for one in layout
    ]


def _collect_errors(rows: Sequence[Row]) -> dict[str, float]:
    """The largest error of each layout, above the truth or below."""
    errors: dict[str, float] = {}
    for row in rows:
        name, error = row["layout"], row["forecast_byte_error"]
        if error is not None:
            errors[name] = max(errors.get(name, 0.0), error, key=abs)
    return errors


def _show(row: Row) -> Row:
    """A line on the screen: few columns, and no more digits than are read."""
    percent = lambda share: f"{100 * share:.0f} %"
    return {
        "scaling": row["scaling"],
        "layout": row["layout"],
        "n": row["devices"],
        "batch": row["batch_size"],
        "images/s": f"{row['images_per_second']:,.0f}",
        "efficiency": percent(row["efficiency"]),
        "forecast": percent(row["forecast_efficiency"]),
        "MB sent": row["sent_bytes"] / 1e6,
        "MB kept": row["memory_bytes"] / 1e6,
    }


def _plot(
    run: RunFolder,
    rows: Sequence[Row],
    forecasts: dict[tuple[str, str], list[CaseForecast]],
    circumstances: dict[str, Any],
    *,
    title: str,
) -> None:
    curves = []
    for (scaling, layout), expected in forecasts.items():
        own = [r for r in rows if (r["scaling"], r["layout"]) == (scaling, layout)]
        column = lambda name, own=own: [row[name] for row in own]
        curves.append(
            ScalingCurve(
                label=layout,
                scaling=scaling,
                devices=column("devices"),
                images_per_second=column("images_per_second"),
                efficiency=column("efficiency"),
                sent_bytes=column("sent_bytes"),
                forecast_devices=[one.case.devices for one in expected],
                forecast_images_per_second=[one.images_per_second for one in expected],
                forecast_efficiency=[one.efficiency for one in expected],
                forecast_bytes=[one.exchanges.sent_bytes() for one in expected],
            )
        )
    plot_scaling(
        curves,
        _list_bars(rows),
        run.path / "scaling.png",
        title=title,
        shares_cores=circumstances["shares_cores"],
    )


def _list_bars(rows: Sequence[Row]) -> list[MemoryBar]:
    """One device, and every layout of the first scaling on as many as there are."""
    first = [row for row in rows if row["scaling"] == rows[0]["scaling"]]
    most = max(row["devices"] for row in first)
    chosen = [first[0], *(r for r in first if r["devices"] == most > 1)]
    return [
        MemoryBar(
            "1 device" if row["devices"] == 1 else f"{row['layout']}, {row['devices']}",
            {part: row[f"{part}_bytes"] for part in _PARTS},
        )
        for row in chosen
    ]
