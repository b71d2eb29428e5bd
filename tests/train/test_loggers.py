import json
import math
import sys
import time

import pytest

from jaxdl.errors import ConfigError
from jaxdl.train import (
    GuardedLogger,
    JsonLinesLogger,
    Logger,
    TensorBoardLogger,
    WandbLogger,
    log_row,
    read_rows,
)

ROWS = [
    {"step": 5, "epoch": 0.5, "split": "train", "loss": 2.5, "accuracy": 0.25},
    {
        "step": 5,
        "epoch": 0.5,
        "split": "validation",
        "loss": 0.1,
        "per_class_accuracy": [0.5, None],
    },
    {"step": 10, "epoch": 1.0, "split": "train", "loss": 1e-30, "accuracy": 1},
]


def test_json_lines_logger_writes_at_once_and_appends(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for row in ROWS:
        logger = JsonLinesLogger(path)
        logger.log(row)
        assert read_rows(path)[-1] == row  # before it is closed
        logger.close()
    assert path.read_text().split("\n") == [*map(json.dumps, ROWS), ""]


def read_events(folder):
    """All scalars of the event files, by their own protocol buffers."""
    from tensorboardX.event_file_writer import EventFileWriter  # noqa: F401
    from tensorboardX.proto.event_pb2 import Event

    scalars, starts = [], []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, position = path.read_bytes(), 0
        while position < len(content):
            # A record: its length in 8 bytes, 4 of checksum, itself, 4 of checksum.
            length = int.from_bytes(content[position : position + 8], "little")
            body = content[position + 12 : position + 12 + length]
            position += 16 + length
            event = Event.FromString(body)
            if event.HasField("session_log"):
                starts.append(event.step)
            for value in event.summary.value:
                scalars.append((value.tag, event.step, value.simple_value))
    return scalars, starts


def test_tensorboard_logger_events_read_back(tmp_path):
    logger = TensorBoardLogger(tmp_path, first_step=3)
    for row in ROWS:
        logger.log(row)
    logger.close()
    scalars, starts = read_events(tmp_path)
    expected = [
        (f"{row['split']}/{name}", row["step"], value)
        for row in ROWS
        for name, value in row.items()
        if name in ("epoch", "loss", "accuracy")
    ]
    assert [entry[:2] for entry in scalars] == [entry[:2] for entry in expected]
    for found, wanted in zip(scalars, expected, strict=True):
        assert math.isclose(found[2], wanted[2], rel_tol=1e-6)
    assert starts == [3]  # readers forget what an earlier session wrote from there on
    assert "tensorflow" not in sys.modules


class Failing:
    """Works until its n-th call."""

    def __init__(self, *, fails_from):
        self.calls, self.fails_from = 0, fails_from

    def log(self, row):
        self.calls += 1
        if self.calls >= self.fails_from:
            raise OSError(28, "No space left on device")

    def close(self):
        self.log(None)


def test_guarded_logger_gives_up_once():
    inner, warnings = Failing(fails_from=2), []
    logger = GuardedLogger(inner, on_warning=warnings.append)
    for row in ROWS * 3:
        logger.log(row)
    logger.close()
    assert inner.calls == 2
    assert warnings == ["Failing stops: OSError: [Errno 28] No space left on device"]


def test_guarded_logger_survives_a_failing_close():
    inner, warnings = Failing(fails_from=2), []
    logger = GuardedLogger(inner, on_warning=warnings.append)
    logger.log(ROWS[0])
    logger.close()
    logger.close()
    assert inner.calls == 2 and len(warnings) == 1


def test_guarded_logger_lets_an_interrupt_through():
    class Interrupted(Failing):
        def log(self, row):
            raise KeyboardInterrupt

    logger = GuardedLogger(Interrupted(fails_from=1), on_warning=lambda text: None)
    with pytest.raises(KeyboardInterrupt):
        logger.log(ROWS[0])


def test_log_row_goes_on_to_the_next_logger(tmp_path):
    warnings = []
    loggers = [
        GuardedLogger(Failing(fails_from=1), on_warning=warnings.append),
        JsonLinesLogger(tmp_path / "metrics.jsonl"),
    ]
    for row in ROWS:
        log_row(loggers, row)
    loggers[1].close()
    assert read_rows(tmp_path / "metrics.jsonl") == ROWS and len(warnings) == 1


def test_every_logger_is_a_logger(tmp_path):
    made = [JsonLinesLogger(tmp_path / "a"), TensorBoardLogger(tmp_path)]
    made.append(GuardedLogger(made[0], on_warning=lambda text: None))
    assert all(isinstance(logger, Logger) for logger in made)
    for logger in made[:2]:
        logger.close()


def test_wandb_logger_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"pip install 'jaxdl\[wandb\]'"):
        WandbLogger(tmp_path, name="a", config={})


@pytest.mark.filterwarnings("default")
def test_wandb_logger_offline_keeps_the_run_in_its_folder(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger(tmp_path, name="first", config={"model": {"name": "tiny"}})
    for row in ROWS:
        logger.log(row)
    logger.close()
    (stored,) = tmp_path.glob("wandb/offline-run-*/run-first.wandb")
    # W&B writes in a process of its own, which may still be at it on a busy machine.
    wanted = (b"train/loss", b"train/accuracy", b"validation/loss", b"tiny")
    deadline = time.monotonic() + 30
    while not all(name in stored.read_bytes() for name in wanted):
        assert time.monotonic() < deadline, stored.read_bytes()
        time.sleep(0.1)
