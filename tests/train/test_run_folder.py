import json
import os
import signal
import subprocess
import sys

import jax
import pytest

from jaxdl.errors import LockError
from jaxdl.train import (
    RunFolder,
    describe_environment,
    lock_run_folder,
    read_rows,
    truncate_rows,
    write_environment,
)

HOLD = """
import sys
from pathlib import Path
from jaxdl.train import RunFolder, lock_run_folder
lock = lock_run_folder(RunFolder(Path(sys.argv[1])))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def holder(tmp_path_factory):
    """Another process that holds the lock of a run folder."""
    path = tmp_path_factory.mktemp("runs") / "held"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process, RunFolder(path)
    process.kill()
    process.communicate()


def test_lock_run_folder_names_the_other_then_takes_over_when_it_dies(holder):
    process, folder = holder
    before = (folder.path / "run.lock").read_bytes()
    for _ in range(2):  # trying leaves the other's lock as it is
        with pytest.raises(LockError) as caught:
            lock_run_folder(folder)
        message = str(caught.value)
        assert f"{folder.path}: in use by process {process.pid} on " in message
        assert "choose another run.name" in message
        assert caught.value.exit_status == 6
    assert (folder.path / "run.lock").read_bytes() == before

    process.send_signal(signal.SIGKILL)
    process.wait()
    # Its file is still there, but nobody holds it.
    with lock_run_folder(folder) as file:
        file.seek(0)
        assert file.read().startswith(f"process {os.getpid()} on ")


def test_lock_run_folder_is_released_when_closed(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    lock_run_folder(folder).close()
    with lock_run_folder(folder), pytest.raises(LockError, match=str(os.getpid())):
        lock_run_folder(folder)


def test_lock_run_folder_where_no_folder_can_be_raises_oserror(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        lock_run_folder(RunFolder(tmp_path / "file" / "run"))


ROWS = [
    {"step": step, "epoch": step / 7, "split": split, "loss": 0.1 + step}
    for step in (5, 10, 15)
    for split in ("train", "validation")
]


def write_rows(path, rows, tail=""):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)


TAILS = ["", '{"step": 20, "ep', '{"step": 1', "{", "\0" * 40, json.dumps(ROWS[0])[:-1]]


@pytest.mark.parametrize("tail", TAILS)
def test_read_rows_drops_a_last_line_cut_short(tail, tmp_path):
    path = tmp_path / "metrics.jsonl"
    write_rows(path, ROWS, tail)
    assert read_rows(path) == ROWS
    assert read_rows(tmp_path / "absent") == []


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("step", [0, 5, 12, 15, 99])
def test_truncate_rows_keeps_the_bytes_of_the_rest(step, tail, tmp_path):
    path, wanted = tmp_path / "metrics.jsonl", tmp_path / "wanted"
    write_rows(path, ROWS, tail)
    write_rows(wanted, [row for row in ROWS if row["step"] <= step])
    truncate_rows(path, step=step)
    assert path.read_bytes() == wanted.read_bytes()
    wanted.unlink()
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_truncate_rows_ends_a_whole_line_that_lacks_its_end(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(ROWS[0]))
    truncate_rows(path, step=5)
    assert path.read_text() == json.dumps(ROWS[0]) + "\n"


def test_truncate_rows_of_no_file_makes_none(tmp_path):
    truncate_rows(tmp_path / "metrics.jsonl", step=3)
    assert os.listdir(tmp_path) == []


def test_truncate_rows_interrupted_keeps_the_old_rows(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    write_rows(path, ROWS)
    monkeypatch.setattr(os, "fsync", lambda descriptor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        truncate_rows(path, step=5)
    assert read_rows(path) == ROWS


def test_describe_environment_names_versions_and_devices(tmp_path):
    environment = describe_environment()
    assert environment["packages"]["jax"] == jax.__version__
    assert environment["device_count"] == 8
    assert environment["process_count"] == 1
    folder = RunFolder(tmp_path)
    write_environment(folder)
    written = json.loads(folder.environment.read_text())
    assert {**written, "started": None} == {**environment, "started": None}


def test_describe_environment_without_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert describe_environment()["commit"] is None
