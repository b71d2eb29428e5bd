"""One trial of a search: a process of its own, and what became of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from jaxdl.config import describe_fields, suggest
from jaxdl.errors import ConfigError, LockError
from jaxdl.recipes.search_config import SearchConfig
from jaxdl.recipes.search_space import sample_trials, write_override
from jaxdl.recipes.search_target import Target
from jaxdl.train import RunFolder, StopRequest, write_json

_SECONDS_BETWEEN_LOOKS = 0.2
_STOPPED = {
    *(128 + number for number in (signal.SIGINT, signal.SIGTERM)),
    *(-number for number in (signal.SIGINT, signal.SIGTERM)),
}
"""How a process ends that was asked to: by an exit status, or by the signal itself."""
_TAIL = 64 * 1024


@dataclass(frozen=True)
class Trial:
    """One set of values.

    Attributes:
      number: counted from 0.
      values: by key of the config that is searched.
      command: runs it in its folder, or continues it there.
      folder: its run folder.
    """

    number: int
    values: Mapping[str, Any]
    command: tuple[str, ...]
    folder: RunFolder

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.path.name

    @property
    def record(self) -> Path:
        """Its `Outcome`; delete it to have a trial that failed tried again."""
        return self.folder.path / "trial.json"

    @property
    def output(self) -> Path:
        """What the process printed."""
        return self.folder.path / "output.txt"


class Outcome(NamedTuple):
    """How a trial ended.

    Attributes:
      status: whether it left a summary, gave up, or was asked to stop.
      seconds: its wall time, with those of earlier processes that were stopped.
      reason: why it failed, on one line.
    """

    status: Literal["finished", "failed", "stopped"]
    seconds: float
    reason: str | None = None


def list_trials(
    config: SearchConfig, target: Target, run: RunFolder, *, base: Path
) -> list[Trial]:
    """The trials of a search.

    Args:
      config: tells their number and the seed.
      target: what they have in common.
      run: the folder of the search, which theirs are in.
      base: the file of the config that they have in common.

    Returns:
      The trials, in order; nothing is run.
    """
    can_resume = any(
        d.key == "run.resume" for d in describe_fields(type(target.config))
    )
    trials = []
    for number, values in enumerate(
        sample_trials(
            target.space, num_trials=config.run.num_trials, seed=config.run.seed
        )
    ):
        name = f"trial-{number:03d}"
        own = {"run.folder": str(run.variants), "run.name": name}
        # Whether or not the search is resumed: its folder is locked, and new if not.
        own |= {"run.resume": True} if can_resume else {}
        words = [write_override(*item) for item in {**values, **own}.items()]
        command = (sys.executable, str(target.script), str(base), *words)
        folder = RunFolder(run.variants / target.script.stem / name)
        trials.append(Trial(number, values, command, folder))
    return trials


def read_outcome(trial: Trial) -> Outcome | None:
    """What became of a trial earlier; None of one that has not been begun."""
    try:
        outcome = Outcome(**json.loads(trial.record.read_text()))
    except (OSError, ValueError, TypeError):
        outcome = None
    if trial.folder.summary.exists() and (
        outcome is None or outcome.status == "stopped"
    ):  # the search ended before it could note that
        return Outcome("finished", outcome.seconds if outcome else 0.0)
    return outcome


def run_trial(trial: Trial, stop: StopRequest) -> Outcome:
    """Runs a trial to its end, or until it has stopped on request.

    Args:
      trial: what to run; what it prints goes to its `output`.
      stop: once requested, the same signal is sent to the trial, which saves.

    Returns:
      How it ended; also written to its `record`.

    Raises:
      LockError: another process runs this trial.
    """
    trial.folder.path.mkdir(parents=True, exist_ok=True)
    before = read_outcome(trial)
    start = time.perf_counter()
    with trial.output.open("ab") as output:
        offset = output.tell()
        status = _run_process(trial.command, output, stop)
    seconds = time.perf_counter() - start + (before.seconds if before else 0.0)
    if trial.folder.summary.exists():
        outcome = Outcome("finished", seconds)
    elif stop.requested or status in _STOPPED:
        outcome = Outcome("stopped", seconds)
    else:
        reason = _find_reason(trial.output, offset, status)
        if status == LockError.exit_status:
            raise LockError(reason)
        outcome = Outcome("failed", seconds, reason)
    write_json(trial.record, outcome._asdict())
    return outcome


def read_metric(trial: Trial, metric: str) -> float:
    """The score of a finished trial.

    Args:
      trial: has a summary.
      metric: names, and places in lists, with dots between: `final.test.loss`.

    Returns:
      The number; NaN for one that is not finite, which a summary holds as null.

    Raises:
      ConfigError: there is no number under this name.
    """
    numbers = _flatten(json.loads(trial.folder.summary.read_text()))
    if metric not in numbers:
        hint = suggest(metric, list(numbers))
        raise ConfigError(
            f"metric: no number {metric!r} in {trial.folder.summary}{hint}"
        )
    value = numbers[metric]
    return float("nan") if value is None else float(value)


def _run_process(command: tuple[str, ...], output: IO[bytes], stop: StopRequest) -> int:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # Ctrl-C reaches a whole group; a second signal would end the trial unsaved.
        process_group=0,
    )
    is_told = False
    try:
        while True:
            try:
                return process.wait(_SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                pass
            if stop.signal_number is not None and not is_told:
                process.send_signal(stop.signal_number)
                is_told = True
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _find_reason(output: Path, offset: int, status: int) -> str:
    """The line that a process ended with, in at most 300 characters."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"ended by {name}" + " (out of memory?)" * (name == "SIGKILL")
    with output.open("rb") as file:
        file.seek(max(offset, os.fstat(file.fileno()).st_size - _TAIL))
        text = file.read().decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if status == 0 or not lines:
        return f"ended with status {status} and without a summary"
    told = [line for line in lines if line.startswith("jaxdl: ")]
    line = told[-1].removeprefix("jaxdl: ") if told else lines[-1]
    return line if len(line) <= 300 else f"{line[:299]}…"


def _flatten(value: Any, path: str = "") -> dict[str, int | float | None]:
    """The numbers in a tree of JSON, by path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        inner = [_flatten(v, f"{path}.{k}" if path else str(k)) for k, v in items]
        return {key: number for numbers in inner for key, number in numbers.items()}
    is_number = value is None or isinstance(value, int | float)
    return {path: value} if is_number and not isinstance(value, bool) else {}
