"""Training variants of a config one after another, and comparing what came out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from jaxdl.errors import NonFiniteError
from jaxdl.recipes.classifier import train_classifier
from jaxdl.recipes.runs import open_run
from jaxdl.recipes.study import Row, finish_study
from jaxdl.recipes.variants import Comparison, Variant, vary
from jaxdl.report import Curve, plot_variants
from jaxdl.train import RunFolder, StopRequest, read_rows, write_json

Results = Mapping[str, Sequence[Row]]
"""By name of the variant, a row of the table for each seed."""

SHOWN = ("train_loss", "train_accuracy", "scored_train_accuracy", "test_accuracy")
"""Columns whose mean and deviation over the seeds are told."""

Conclusion = tuple[Mapping[str, Any], Sequence[str]]
"""Entries of the summary besides those of the variants, and sentences to say."""

_SUMMED = (*SHOWN, "test_loss", "best_test_accuracy", "seconds")
"""Those of the summary."""


@dataclass(frozen=True)
class _Job:
    """One training of one variant."""

    variant: Variant
    config: Any
    folder: RunFolder

    @property
    def failure(self) -> Path:
        """Says why a run could not go on; as final as a summary."""
        return self.folder.path / "diverged.json"

    @property
    def is_finished(self) -> bool:
        return self.folder.summary.exists() or self.failure.exists()


def compare_classifiers(
    config: Comparison,
    run: RunFolder,
    stop: StopRequest,
    *,
    title: str,
    metrics: Sequence[tuple[str, str]] = (("train", "loss"), ("validation", "error")),
    draw: Callable[[Results, Path], None] | None = None,
    train: Callable[..., int] = train_classifier,
    extend: Callable[[Results], Results] = lambda results: results,
    conclude: Callable[[Results], Conclusion] = lambda results: ({}, ()),
    shown: Sequence[str] = SHOWN,
) -> int:
    """Trains every variant of a config with every seed, then compares them.

    Each training is a run of its own in `variants/<name>-seed<n>` of the run folder,
    where `evaluate.py` and the like find what they need. Those that are finished are
    not repeated, the interrupted one is continued. One that ends at a number that is
    not finite is noted as such, and the next one begins.

    Args:
      config: tells the variants and the seeds.
      run: the folder of the comparison, locked.
      stop: asked after every step of every training.
      title: of the table on the screen.
      metrics: see `jaxdl.report.plot_variants`.
      draw: draws more figures from the results, into the folder given.
      train: `train(config, run, stop, resume_name=...)`, given the config of a variant
        with a seed; leaves what `train_classifier` does.
      extend: adds columns to the results, once they are all there.
      conclude: tells what all of them together mean.
      shown: columns to show on the screen; numbers of runs that finished.

    Returns:
      The exit status: 0, or 128 + signal after a requested stop. With 0, `table.csv`,
      `curves.png` and `summary.json` are written.
    """
    console = Console()
    say = lambda text: console.print(
        text, highlight=False, markup=False, soft_wrap=True
    )
    jobs = _list_jobs(config, run)
    for number, job in enumerate(jobs, start=1):
        if stop.requested:
            break
        heading = f"[{number}/{len(jobs)}] {job.folder.path.name}"
        if job.is_finished:
            say(f"{heading}: finished before")
            continue
        say(heading)
        failure = _train(job, run, stop, train)
        if failure:
            say(f"{job.folder.path.name} diverged, the next one begins: {failure}")
    if stop.requested:
        count = sum(job.is_finished for job in jobs)
        say(
            f"stopped with {count} of {len(jobs)} runs finished. Continue with the "
            f"same command and run.name={run.path.name} --resume"
        )
        say(f"run folder: {run.path}")
        return stop.exit_status
    read: dict[str, list[Row]] = {}
    for job in jobs:
        read.setdefault(job.variant.name, []).append(_read_result(job))
    results = extend(read)
    columns = tuple(dict.fromkeys((*_SUMMED, *shown)))
    plot_variants(_read_curves(jobs), run.path / "curves.png", metrics=metrics)
    if draw is not None:
        draw(results, run.path)
    conclusion, sentences = conclude(results)
    for sentence in sentences:
        say(sentence)
    summary = {name: _summarise(rows, columns) for name, rows in results.items()}
    finish_study(
        run,
        table=[row for rows in results.values() for row in rows],
        shown=[_show(job.variant, results, shown) for job in jobs[: len(results)]],
        summary={**summary, **conclusion},
        title=title,
        console=console,
    )
    return 0


def _list_jobs(config: Comparison, run: RunFolder) -> list[_Job]:
    """All trainings, the first seed of every variant first."""
    jobs = []
    for index in range(config.study.num_seeds):
        for variant in config.list_variants():
            seed = config.run.seed + index
            name = f"{variant.name}-seed{seed}"
            changes = {
                "run.folder": str(run.path),
                "run.name": name,
                "run.seed": seed,
            }
            folder = RunFolder(run.variants / name)
            jobs.append(_Job(variant, _vary_alike(variant.config, changes), folder))
    return jobs


def _vary_alike(config: Any, changes: Mapping[str, Any]) -> Any:
    return vary(config, changes, schema=type(config))


def _train(
    job: _Job, run: RunFolder, stop: StopRequest, train: Callable[..., int]
) -> str | None:
    """One training; tells why it could not be finished, if so."""
    # Whether or not the comparison is resumed: its folder is locked, and new if not.
    resumed = _vary_alike(job.config, {"run.resume": True})
    with open_run(resumed, experiment="variants") as folder:
        try:
            train(resumed, folder, stop, resume_name=run.path.name)
        except NonFiniteError as error:
            failure = str(error).partition(";")[0]
            write_json(job.failure, {"reason": failure})
            return failure
    return None


def _read_result(job: _Job) -> Row:
    """A row of the table: what a finished run wrote, or how far one got."""
    row: dict[str, Any] = {"variant": job.variant.name, **job.variant.settings}
    row["seed"] = job.config.run.seed
    if job.failure.exists():
        reason = json.loads(job.failure.read_text())["reason"]
        trained = [r for r in read_rows(job.folder.metrics) if r["split"] == "train"]
        last = trained[-1] if trained else {}
        return row | {
            "status": f"diverged: {reason}",
            "steps": last.get("step", 0),
            "train_loss": last.get("loss"),
            "train_accuracy": last.get("accuracy"),
        }
    summary = json.loads(job.folder.summary.read_text())
    final, best = summary["final"], summary["best"]
    row |= {
        "status": "finished",
        "steps": summary["num_steps"] + summary.get("warm_start_steps", 0),
        "parameters": summary["parameters"],
        "seconds": final["seconds"],
        "train_loss": final["train"]["loss"],
        "train_accuracy": final["train"]["accuracy"],
    }
    if "train_scored" in final:
        row["scored_train_loss"] = final["train_scored"]["loss"]
        row["scored_train_accuracy"] = final["train_scored"]["accuracy"]
    return row | {
        "validation_accuracy": final["validation"]["accuracy"],
        "test_loss": final["test"]["loss"],
        "test_accuracy": final["test"]["accuracy"],
        "best_test_accuracy": best["test"]["accuracy"],
    }


def _read_curves(jobs: Sequence[_Job]) -> list[Curve]:
    by_variant: dict[str, list[_Job]] = {}
    for job in jobs:
        by_variant.setdefault(job.variant.name, []).append(job)
    return [
        Curve(
            same[0].variant.label,
            same[0].variant.panel,
            runs=[read_rows(job.folder.metrics) for job in same],
            diverged=any(job.failure.exists() for job in same),
        )
        for same in by_variant.values()
    ]


def _summarise(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, Any]:
    """Counts of a variant's runs; mean and deviation over those that finished."""
    finished = [row for row in rows if row["status"] == "finished"]
    summary: dict[str, Any] = {"runs": len(rows), "finished": len(finished)}
    for column in columns:
        values = [row[column] for row in finished if row.get(column) is not None]
        if values:
            count = len(values)
            std = float(np.std(values, ddof=1)) if count > 1 else None
            summary[column] = {
                "mean": float(np.mean(values)),
                "std": std,
                "standard_error": None if std is None else std / count**0.5,
            }
    return summary


def _show(variant: Variant, results: Results, shown: Sequence[str]) -> Row:
    """A line on the screen for all seeds of a variant."""
    summary = _summarise(results[variant.name], shown)
    row = dict(variant.settings)
    for column in shown:
        if any(column in r for rows in results.values() for r in rows):
            spread = summary.get(column)
            row[column.replace("_", " ")] = _write_spread(spread, summary["finished"])
    if any(r["status"] != "finished" for rows in results.values() for r in rows):
        row["finished"] = f"{summary['finished']} of {summary['runs']}"
    return row


def _write_spread(spread: Mapping[str, Any] | None, num_finished: int) -> str:
    if spread is None:
        return "" if num_finished else "diverged"
    # Counts of steps or examples need no digits behind the point.
    style = ".4f" if abs(spread["mean"]) < 100 else ",.0f"
    deviation = "" if spread["std"] is None else f" ± {format(spread['std'], style)}"
    return f"{format(spread['mean'], style)}{deviation}"
