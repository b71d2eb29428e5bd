"""Where the numbers of a run go: JSON lines, TensorBoard, Weights & Biases.

A row is a dict with `step`, `epoch`, `split` and numbers by name.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxdl.errors import ConfigError

Row = Mapping[str, Any]


@runtime_checkable
class Logger(Protocol):
    """What the training script asks of a place for numbers."""

    def log(self, row: Row) -> None:
        """Records one row."""
        ...

    def close(self) -> None:
        """Writes out what is buffered."""
        ...


class JsonLinesLogger:
    """Appends each row to a file as one line of JSON, at once."""

    def __init__(self, path: Path):
        """Opens the file for appending."""
        self._file = path.open("a")

    def log(self, row: Row) -> None:
        """Records one row."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoardLogger:
    """Writes scalars as TensorBoard events named `split/name`."""

    def __init__(self, folder: Path, *, first_step: int = 0):
        """Opens a new event file; events from `first_step` on replace older ones."""
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def log(self, row: Row) -> None:
        """Records one row."""
        for name, value in _scalars(row).items():
            self._writer.add_scalar(f"{row['split']}/{name}", value, row["step"])

    def close(self) -> None:
        """Flushes and closes the event file."""
        self._writer.close()


class WandbLogger:
    """Sends scalars to Weights & Biases (extra `wandb`).

    Without an account set WANDB_MODE=offline; the run then stays in its folder.
    """

    def __init__(self, folder: Path, *, name: str, config: Mapping[str, Any]):
        """Starts or resumes the W&B run called after the run folder.

        Raises:
          ConfigError: the extra is not installed; says how to.
        """
        try:
            import wandb
        except ModuleNotFoundError:
            raise ConfigError(
                "run.wandb=true needs the extra: pip install 'jaxdl[wandb]'"
            ) from None
        self._run = wandb.init(
            project="jaxdl",
            name=name,
            id=name,
            resume="allow",
            dir=str(folder),
            config=dict(config),
        )

    def log(self, row: Row) -> None:
        """Records one row."""
        self._run.log(
            {f"{row['split']}/{name}": v for name, v in _scalars(row).items()},
            step=row["step"],
        )

    def close(self) -> None:
        """Finishes the W&B run."""
        self._run.finish()


class GuardedLogger:
    """Keeps a full disk or a lost connection from ending a run of days.

    The first error is reported, then that logger is left alone.
    """

    def __init__(self, logger: Logger, *, on_warning: Callable[[str], None]):
        """Wraps a logger."""
        self._logger: Logger | None = logger
        self._on_warning = on_warning

    def log(self, row: Row) -> None:
        """Records one row, or reports that this logger is given up."""
        if self._logger is None:
            return
        try:
            self._logger.log(row)
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """Closes the logger."""
        try:
            if self._logger is not None:
                self._logger.close()
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        name = type(self._logger).__name__
        self._on_warning(f"{name} stops: {type(error).__name__}: {error}")
        self._logger = None


def log_row(loggers: Sequence[Logger], row: Row) -> None:
    """Hands one row to every logger."""
    for logger in loggers:
        logger.log(row)


def _scalars(row: Row) -> dict[str, float]:
    return {
        name: value
        for name, value in row.items()
        if name not in ("step", "split") and isinstance(value, int | float)
    }
