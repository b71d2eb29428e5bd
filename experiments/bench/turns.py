"""Timing of programs in processes of their own that take turns.

A side starts with `serve`: it warms up, says that it is ready, and then times its call
as often as it is asked to. The script that compares starts a `Side` for each and lets
them take turns, so that what else runs on the machine slows all alike.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

Times = dict[str, list[list[float]]]
"""By side, one (wall, CPU) pair of seconds per call for each round."""


def serve(
    call: Callable[[], Any],
    report: Any = None,
    *,
    read_cpu_time: Callable[[], float] = time.process_time,
) -> None:
    """A side's process: one line of seconds, wall and CPU, for each line it reads."""
    print(json.dumps(report), flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), read_cpu_time()
        for _ in range(int(line)):
            call()
        numbers = [time.perf_counter() - wall, read_cpu_time() - cpu]
        print(json.dumps([number / int(line) for number in numbers]), flush=True)


class Side:
    """A process that waits for its turn."""

    def __init__(self, command: list[str], *, threads: int):
        """Starts the process and waits until it has compiled and warmed up."""
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **limits},
        )
        line = self._read()
        if not line:
            raise SystemExit(f"{' '.join(command)}: the process ended, see above")
        self.report = json.loads(line)

    def time(self, calls: int) -> list[float]:
        """Seconds per call, wall and CPU."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return json.loads(self._read())

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def take_turns(sides: dict[str, Side], arguments: argparse.Namespace) -> Times:
    """Times all sides, one after the other in every round, and ends them."""
    times: Times = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, side in sides.items():
            if arguments.idle:
                wait_until_idle(arguments.idle)
            times[name].append(side.time(arguments.calls))
    for side in sides.values():
        side.process.kill()
    return times


def list_ratios(times: Times, side: str, column: int) -> list[float]:
    """What a side took over what the first one took, by round."""
    first = next(iter(times.values()))
    pairs = zip(times[side], first, strict=True)
    return [a[column] / b[column] for a, b in pairs]


def print_times(case: str, times: Times) -> None:
    """Medians and ratios of each side, wall and CPU time apart."""
    first = next(iter(times))
    for column, clock in enumerate(("wall", "cpu")):
        for side, rows in times.items():
            ratios = list_ratios(times, side, column)
            print(
                f"{case:<14} {clock:<5} {side:<14} "
                f"{1e3 * median(row[column] for row in rows):8.1f} ms   "
                f"{side} / {first} {median(ratios):.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} rounds)",
                flush=True,
            )


def add_turn_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that all comparisons have."""
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2, help="per turn")
    parser.add_argument("--threads", type=int, default=2, help="the others may use")
    parser.add_argument("--idle", type=float, default=0.85, help="share to wait for")
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--worker", help=argparse.SUPPRESS)


def wait_until_idle(fraction: float) -> None:
    """Waits, at most 2 minutes, until that share of the CPU time is idle (Linux)."""
    for _ in range(120):
        before = _idle_and_total()
        time.sleep(1)
        idle, total = (b - a for a, b in zip(before, _idle_and_total(), strict=True))
        if idle >= fraction * total:
            return


def _idle_and_total() -> tuple[int, int]:
    values = list(map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:]))
    return values[3] + values[4], sum(values)
