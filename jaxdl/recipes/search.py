"""Searching for hyper-parameters: trials one after another, and what came out."""

import json
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from jaxdl.config import changed_fields, dump_config, load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes.runs import read_run_config
from jaxdl.recipes.search_config import SearchConfig
from jaxdl.recipes.search_importance import Importance, measure_importance, to_numbers
from jaxdl.recipes.search_space import Dimension, write_override
from jaxdl.recipes.search_target import Target
from jaxdl.recipes.search_trials import (
    Outcome,
    Trial,
    list_trials,
    read_metric,
    read_outcome,
    run_trial,
)
from jaxdl.recipes.study import Row, finish_study
from jaxdl.report import TrialAxis, plot_importance, plot_trials
from jaxdl.train import RunFolder, StopRequest

_MOST_SHOWN = 20


class _Result(NamedTuple):
    """A trial that is over; the score of one without any is NaN."""

    trial: Trial
    outcome: Outcome
    score: float


def search_values(
    config: SearchConfig, run: RunFolder, stop: StopRequest, target: Target
) -> int:
    """Runs the trials of a search one after another, then compares them.

    Each trial is a process, with a run folder in `variants/` of the search's. Those
    that are over are not repeated, the interrupted one is continued. One that fails is
    noted as such, and the next one begins.

    Args:
      config: tells what to search, how long and what for.
      run: the folder of the search, locked.
      stop: passed on to the running trial, which saves and ends.
      target: what the trials have in common.

    Returns:
      The exit status: 0, or 1 if no trial has a score, or 128 + signal after a stop.
      Unless stopped, `table.csv`, `parallel.png`, `importance.png` and `summary.json`
      are written.

    Raises:
      ConfigError: the search to continue is another one, or a summary lacks the metric.
      LockError: another process runs one of the trials.
    """
    console = Console()
    say = lambda text: console.print(
        text, highlight=False, markup=False, soft_wrap=True
    )
    if "test" in config.metric.split("."):
        say(
            f"warning: {config.metric} is of the test split; a score that was chosen "
            "by is too good to report"
        )
    base = _keep_base(config, run, target)
    trials = list_trials(config, target, run, base=base)
    results: list[_Result] = []
    for trial in trials:
        outcome = read_outcome(trial)
        if outcome is None or outcome.status == "stopped":
            if stop.requested:
                break
            say(f"[{trial.number + 1}/{len(trials)}] {_describe(trial)}")
            outcome = run_trial(trial, stop)
        if outcome.status == "stopped":
            break
        results.append(_read_result(trial, outcome, config.metric))
        say(f"{trial.name}: {_tell(results[-1], config.metric)}")
    if len(results) < len(trials):
        say(
            f"stopped with {len(results)} of {len(trials)} trials done. Continue with "
            f"the same command and run.name={run.path.name} --resume"
        )
        say(f"run folder: {run.path}")
        # A trial may have been stopped alone.
        return stop.exit_status or 128 + signal.SIGTERM
    ranked = _rank(results, config)
    if np.isfinite(ranked[0].score):
        say(f"best: {ranked[0].trial.name}; to repeat it: {_write_command(ranked[0])}")
    else:
        say(f"no trial has a score; {_tell(ranked[0], config.metric)}")
    _finish(config, run, target, results, ranked, console)
    return 0 if np.isfinite(ranked[0].score) else 1


def _keep_base(config: SearchConfig, run: RunFolder, target: Target) -> Path:
    """The file that all trials read, so that editing the original changes none."""
    base = run.path / "base.yaml"
    if not run.variants.exists():
        base.write_text(dump_config(target.config))
        return base
    seed = read_run_config(SearchConfig, run).run.seed
    old = load_config(type(target.config), base)
    changes = {"run.seed of the search": (seed, config.run.seed)}
    changes = {key: pair for key, pair in changes.items() if pair[0] != pair[1]}
    changes |= changed_fields(old, target.config)
    if changes:
        texts = [f"{key} was {a!r}, now {b!r}" for key, (a, b) in changes.items()]
        raise ConfigError(
            f"{run.path}: not the search to resume: {'; '.join(texts)}; start a new "
            "search or give the same values"
        )
    return base


def _read_result(trial: Trial, outcome: Outcome, metric: str) -> _Result:
    is_finished = outcome.status == "finished"
    return _Result(
        trial, outcome, read_metric(trial, metric) if is_finished else float("nan")
    )


def _rank(results: Sequence[_Result], config: SearchConfig) -> list[_Result]:
    """The best one first, those without a score last."""
    sign = -1 if config.goal == "maximise" else 1
    return sorted(
        results,
        key=lambda r: (not np.isfinite(r.score), np.nan_to_num(sign * r.score)),
    )


def _finish(
    config: SearchConfig,
    run: RunFolder,
    target: Target,
    results: Sequence[_Result],
    ranked: Sequence[_Result],
    console: Console,
) -> None:
    values = [result.trial.values for result in results]
    scores = np.array([result.score for result in results])
    importance = measure_importance(target.space, values, scores)
    plot_trials(
        [_describe_axis(*item) for item in target.space.items()],
        to_numbers(target.space, values),
        scores,
        run.path / "parallel.png",
        metric=config.metric,
        maximise=config.goal == "maximise",
    )
    plot_importance(
        importance.shares if importance else {},
        run.path / "importance.png",
        explained=importance.explained if importance else None,
        num_trials=int(np.isfinite(scores).sum()),
    )
    table = [_make_row(result, config.metric) for result in results]
    shown = ranked[:_MOST_SHOWN]
    left_out = len(ranked) - len(shown)
    finish_study(
        run,
        table=table,
        shown=_shorten([_make_row(result, config.metric) for result in shown]),
        summary=_summarise(config, target, results, ranked, importance),
        title=f"{target.script.stem}: {len(results)} trials, best first"
        + f" ({left_out} more in table.csv)" * (left_out > 0),
        console=console,
    )


def _summarise(
    config: SearchConfig,
    target: Target,
    results: Sequence[_Result],
    ranked: Sequence[_Result],
    importance: Importance | None,
) -> dict[str, Any]:
    best = ranked[0]
    return {
        "experiment": target.script.stem,
        "metric": config.metric,
        "goal": config.goal,
        "best": {
            "trial": best.trial.number,
            "score": best.score,
            "values": best.trial.values,
            "folder": str(best.trial.folder.path),
            "command": _write_command(best),
        }
        if np.isfinite(best.score)
        else None,
        "importance": importance._asdict() if importance else None,
        "trials": len(results),
        "failed": sum(result.outcome.status == "failed" for result in results),
        "seconds": sum(result.outcome.seconds for result in results),
    }


def _make_row(result: _Result, metric: str) -> Row:
    trial, outcome = result.trial, result.outcome
    row = {key: _write_value(value) for key, value in trial.values.items()}
    return {
        "trial": trial.number,
        **row,
        metric: result.score if np.isfinite(result.score) else None,
        "status": outcome.status,
        "reason": outcome.reason,
        "seconds": outcome.seconds,
    }


def _write_value(value: Any) -> Any:
    is_plain = isinstance(value, int | float | str) and not isinstance(value, bool)
    return value if is_plain else json.dumps(value)


def _shorten(rows: Sequence[Row]) -> list[Row]:
    """Rows for the screen: last parts of keys where they tell enough, no advice."""
    columns = list(rows[0])
    lasts = [column.rpartition(".")[2] for column in columns]
    names = {
        column: last if lasts.count(last) == 1 else column
        for column, last in zip(columns, lasts, strict=True)
        if any(row[column] is not None for row in rows)
    }
    briefly = [
        {**row, "reason": row["reason"] and row["reason"].partition(";")[0]}
        for row in rows
    ]
    return [{name: row[column] for column, name in names.items()} for row in briefly]


def _describe(trial: Trial) -> str:
    values = {
        key: float(f"{value:.4g}") if isinstance(value, float) else value
        for key, value in trial.values.items()
    }
    return " ".join([trial.name, *map(write_override, values, values.values())])


def _tell(result: _Result, metric: str) -> str:
    outcome = result.outcome
    seconds = f"{outcome.seconds:.0f} s"
    if outcome.status == "failed":
        return f"failed after {seconds}: {outcome.reason}"
    if not np.isfinite(result.score):
        return f"{metric} is not a finite number, {seconds}"
    return f"{metric} {result.score:.4g}, {seconds}"


def _describe_axis(key: str, dimension: Dimension) -> TrialAxis:
    if dimension.values:
        texts = tuple(str(_write_value(value)) for value in dimension.values)
        return TrialAxis(key, choices=texts)
    low, high = dimension.list_ends()
    is_log = dimension.scale == "log"
    return TrialAxis(key, low, high, is_log=is_log, is_integer=dimension.integer)


def _write_command(result: _Result) -> str:
    """What repeats a trial in a run folder of its own, from here."""
    _, script, base, *words = result.trial.command
    values: Mapping[str, Any] = result.trial.values
    files = [os.path.relpath(file) for file in (script, base)]
    short = [min(pair, key=len) for pair in zip(files, (script, base), strict=True)]
    return shlex.join(["python", *short, *words[: len(values)]])
