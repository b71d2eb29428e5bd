"""What a person sees while a run goes on: a bar, or lines where there is no screen."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


class ProgressDisplay:
    """A bar with epoch, step, loss, accuracy, images/s and time left on a terminal.

    Where the output is not a terminal, each `show` prints one line instead.
    """

    def __init__(
        self,
        *,
        num_steps: int,
        first_step: int,
        examples_per_step: int,
        steps_per_epoch: float,
        console: Console | None = None,
    ):
        """Prepares the display; use as a context manager.

        Args:
          num_steps: the step the run ends at.
          first_step: the step it starts at.
          examples_per_step: images per step over all devices.
          steps_per_epoch: steps in one pass over the train split.
          console: where to print; standard output by default.
        """
        self.console = console or Console()
        self._num_steps = num_steps
        self._examples_per_step = examples_per_step
        self._steps_per_epoch = steps_per_epoch
        self._mark = (first_step, time.perf_counter())
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]:.1f}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task(
            "train",
            total=num_steps,
            completed=first_step,
            epoch=first_step / steps_per_epoch,
            numbers="compiling",
        )

    def __enter__(self) -> "ProgressDisplay":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def advance(self, step: int) -> None:
        """Moves the bar."""
        self._progress.update(
            self._task, completed=step, epoch=step / self._steps_per_epoch
        )

    def lap(self, step: int) -> tuple[float, float]:
        """Seconds and images per second since the last lap, once `step` is done."""
        last_step, last_time = self._mark
        self._mark = (step, time.perf_counter())
        seconds = max(self._mark[1] - last_time, 1e-9)
        return seconds, (step - last_step) * self._examples_per_step / seconds

    def leave_out(self, seconds: float) -> None:
        """Takes time that was not spent training out of the current lap."""
        self._mark = (self._mark[0], self._mark[1] + seconds)

    def show(
        self,
        step: int,
        split: str,
        numbers: Mapping[str, float | None],
        *,
        speed: float = 0,
    ) -> None:
        """Shows the numbers of a split: in the bar for training, else as a line."""
        text = "  ".join(
            f"{name} {'unknown' if value is None else format(value, '.4g')}"
            for name, value in numbers.items()
        )
        if speed:
            text += f"  {speed:,.0f} images/s"
        if self.console.is_terminal and split == "train":
            self._progress.update(self._task, numbers=text)
            return
        epoch = step / self._steps_per_epoch
        self.console.print(
            f"step {step}/{self._num_steps}  epoch {epoch:.2f}  {split:<11}  {text}",
            highlight=False,
            soft_wrap=True,
        )

    def say(self, message: str) -> None:
        """Prints a line without disturbing the bar."""
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)
