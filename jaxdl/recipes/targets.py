"""Ending a training once it is good enough, and telling when that was."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxdl.train import StopRequest, read_rows


class TargetStop(StopRequest):
    """A stop that a training asks for itself, besides the one that a person does."""

    def __init__(self, stop: StopRequest, reached: Callable[[], bool]):
        """Joins both.

        Args:
          stop: set by a signal.
          reached: whether the training is good enough.
        """
        super().__init__()
        self._stop, self._reached = stop, reached

    @property
    def requested(self) -> bool:
        """Whether a signal has arrived, or the training is good enough."""
        return self._stop.requested or self._reached()

    def poll(self, step: int = 0) -> bool:
        """Whether to stop now, see `StopRequest.poll`."""
        return self._stop.poll(step) or self._reached()


@dataclass(frozen=True)
class Target:
    """What a training is to reach.

    Attributes:
      split: whose rows of `metrics.jsonl` tell, `"train"` or `"validation"`.
      number: `"loss"`, to be at most the value, or `"accuracy"`, to be at least that.
      value: see `number`.
    """

    split: str
    number: str
    value: float

    def excess(self, row: Mapping[str, Any]) -> float:
        """How much a row lacks; 0 or less where it has reached the target."""
        difference = row[self.number] - self.value
        return difference if self.number == "loss" else -difference

    def describe(self) -> str:
        """The target in words.

        Example:
          >>> Target("train", "loss", 0.1).describe()
          'a training loss of 0.1'
        """
        split = "training" if self.split == "train" else self.split
        return f"a {split} {self.number} of {self.value:g}"


def make_reached(metrics: Path, target: Target) -> Callable[[], bool]:
    """Asks a run's own rows whether it has reached a target.

    Args:
      metrics: the `metrics.jsonl` of the run; may not be there yet.
      target: what to reach.

    Returns:
      `reached()`; reads the file again only when it has grown.
    """
    size, is_reached = -1, False

    def reached() -> bool:
        nonlocal size, is_reached
        now = metrics.stat().st_size if metrics.exists() else 0
        if now != size:
            size = now
            is_reached = find_steps(read_rows(metrics), target) is not None
        return is_reached

    return reached


def find_steps(rows: Sequence[Mapping[str, Any]], target: Target) -> float | None:
    """The steps after which a run has reached a target.

    A row of the training split is a mean over the steps since the one before, each of
    which saw the parameters before its update: it stands for the middle of them.
    Between two rows the number is taken to change evenly.

    Args:
      rows: of `metrics.jsonl`, in their order.
      target: what to reach.

    Returns:
      Steps, at least 1, as a fraction; None if no row has reached it.

    Example:
      >>> rows = [{"split": "train", "step": 10, "loss": 3.0},
      ...         {"split": "train", "step": 20, "loss": 1.0}]
      >>> find_steps(rows, Target("train", "loss", 2.0))
      9.5
    """
    last_step, before = 0, None
    for row in rows:
        if row["split"] != target.split:
            continue
        is_train = target.split == "train"
        place = (last_step + row["step"] - 1) / 2 if is_train else row["step"]
        last_step, excess = row["step"], target.excess(row)
        if excess <= 0:
            if before is not None and math.isfinite(before[1]):
                share = before[1] / (before[1] - excess)
                place = before[0] + share * (place - before[0])
            return max(float(place), 1.0)
        before = (place, excess)
    return None
