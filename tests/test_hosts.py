"""Trainings by several processes, which are killed, stuck, stopped and resumed."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxdl.train import read_rows
from tests.checkpoints import read_arrays
from tests.scripts import run_main

ROOT = Path(__file__).parents[1]
SCRIPT = "experiments/train_classifier.py"
SHORT = [
    "configs/train_classifier/quick.yaml",
    "model.name=small_cnn",
    "model.norm=batch",
    "augment.crop_padding=0",
    "data.image_size=16",
    "data.batch_size=16",
    "optimizer.learning_rate=0.01",
    "schedule.duration=12 steps",
    "run.log_every=4 steps",
    "run.evaluate_every=12 steps",
    "run.checkpoint_every=4 steps",
    "run.tensorboard=false",
    "run.name=run",
]


def find_free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def start(folder, *overrides, fault=("none", "0")):
    command = [sys.executable, "-m", "tests.hosts_faults", *fault, SCRIPT, *SHORT]
    return subprocess.Popen(
        [*command, f"run.folder={folder}", *overrides],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(address, *, limit):
    """A line to whoever waits at an address, once it does."""
    deadline = time.monotonic() + limit
    while True:
        try:
            return socket.create_connection(address, timeout=limit)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def finish(process, *, timeout=240):
    """Exit status, what it wrote to stderr, and when it ended."""
    _, errors = process.communicate(timeout=timeout)
    return process.returncode, errors, time.monotonic()


def start_together(folder, *overrides, count=2, faults=None, own=None):
    address = f"hosts.coordinator=127.0.0.1:{find_free_port()}"
    shared = ["hosts.start=flags", address, f"hosts.count={count}", *overrides]
    return [
        start(
            folder,
            *shared,
            f"hosts.index={index}",
            *(own or {}).get(index, ()),
            fault=(faults or {}).get(index, ("none", "0")),
        )
        for index in range(count)
    ]


def run_alone(folder, *overrides):
    """In this process, which has 8 devices."""
    status, errors = run_main(
        "train_classifier", *SHORT, f"run.folder={folder}", *overrides
    )
    assert status == 0, errors
    return folder / "train_classifier" / "run"


def read_lines(errors):
    return [line for line in errors.splitlines() if line.startswith("jaxdl: ")]


def assert_same_run(run, expected, *, step):
    """Equal rows mean that every step saw the same examples."""
    rows, wanted = (read_rows(path / "metrics.jsonl") for path in (run, expected))
    assert [row["step"] for row in rows] == [row["step"] for row in wanted]
    for row, other in zip(rows, wanted, strict=True):
        np.testing.assert_allclose(row["loss"], other["loss"], rtol=1e-6)
        assert row["accuracy"] == other["accuracy"]
    arrays, others = read_arrays(run, step), read_arrays(expected, step)
    assert list(arrays) == list(others)
    for name, values in arrays.items():
        limit = 1e-6 * max(1.0, np.abs(others[name]).max())
        np.testing.assert_allclose(values, others[name], rtol=0, atol=limit)


def test_processes_stop_together_and_one_continues(tmp_path):
    together = start_together(
        tmp_path / "two", "mesh.simulated_devices=2", faults={1: ("term", "6")}
    )
    found = [finish(process) for process in together]
    assert [status for status, _, _ in found] == [143, 143], found
    run = tmp_path / "two" / "train_classifier" / "run"
    (newest,) = sorted((run / "checkpoints").glob("0*"))[-1:]
    assert 6 <= int(newest.name) <= 8
    rest = run_alone(tmp_path / "two", "--resume", "mesh.data=4")
    whole = run_alone(tmp_path / "one", "mesh.data=4")
    assert_same_run(rest, whole, step=12)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other_with_its_name(tmp_path, victim):
    together = start_together(tmp_path, faults={victim: ("die", "6")})
    ended = finish(together[victim])
    status, errors, seconds = finish(together[1 - victim])
    assert ended[0] == -9
    assert status == 7, errors
    assert seconds - ended[2] < 15
    assert f"jaxdl: process {victim} on {socket.gethostname()} ended" in errors
    run = run_alone(tmp_path, "--resume", "mesh.data=2")
    whole = run_alone(tmp_path / "one", "mesh.data=2")
    assert_same_run(run, whole, step=12)


@pytest.mark.slow
@pytest.mark.parametrize("stuck", [0, 1])
def test_a_stuck_process_ends_both_in_time(tmp_path, stuck):
    begin = time.monotonic()
    together = start_together(
        tmp_path, "hosts.step_timeout=20", faults={stuck: ("hang", "6")}
    )
    # The clock of the stuck one starts when it gets stuck, which is after this.
    run = tmp_path / "train_classifier" / "run" / "checkpoints"
    while not list(run.glob("*4")) and time.monotonic() - begin < 200:
        time.sleep(0.1)
    begin = time.monotonic()
    for status, errors, seconds in [finish(process) for process in together]:
        assert status == 7, errors
        assert seconds - begin < 1.5 * 20
        assert f"process {stuck} on {socket.gethostname()}: no progress" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("fail", 3, "images/7.png: damaged"),
        ("break", 1, "RuntimeError: out of memory"),
    ],
)
def test_an_error_of_one_is_told_by_all(tmp_path, fault, status, words):
    first, second = start_together(tmp_path, faults={1: (fault, "6")})
    ended = finish(second)
    other, errors, seconds = finish(first)
    assert (ended[0], other) == (status, status), errors
    assert f"process 1 on {socket.gethostname()}: {words}" in errors
    assert seconds - ended[2] < 15


@pytest.mark.slow
def test_four_processes_with_two_axes_equal_one(tmp_path):
    layout = ["mesh.model=2", "layout.share=everything", "data.residency=stream"]
    together = start_together(
        tmp_path / "four", "mesh.simulated_devices=2", *layout, count=4
    )
    found = [finish(process) for process in together]
    assert [status for status, _, _ in found] == [0] * 4, found
    whole = run_alone(tmp_path / "one", *layout)
    assert_same_run(tmp_path / "four" / "train_classifier" / "run", whole, step=12)


def test_configs_that_differ_are_refused_by_key(tmp_path):
    together = start_together(tmp_path, own={1: ["optimizer.learning_rate=0.3"]})
    for status, errors, _ in [finish(process) for process in together]:
        assert status == 2
        (line,) = read_lines(errors)
        assert line.startswith(f"jaxdl: process 1 on {socket.gethostname()} has ")
        assert "optimizer.learning_rate=0.3, process 0 has " in line
    assert not (tmp_path / "train_classifier").exists()


@pytest.mark.parametrize(("index", "number"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_one_signal_ends_the_wait_for_other_processes(tmp_path, index, number):
    address = ("127.0.0.1", find_free_port())
    place = [f"hosts.coordinator={address[0]}:{address[1]}", f"hosts.index={index}"]
    # The other one is played by this test: it comes, and says nothing.
    with contextlib.ExitStack() as stack:
        if index:
            other = stack.enter_context(socket.create_server(address))
            other.settimeout(120)
        waiting = ["hosts.start=flags", "hosts.count=2", "hosts.join_timeout=600"]
        process = start(tmp_path, *waiting, *place)
        stack.callback(process.kill)
        line = other.accept()[0] if index else call(address, limit=120)
        stack.enter_context(line)
        begin = time.monotonic()
        process.send_signal(number)
        status, errors, seconds = finish(process, timeout=20)
    assert status == 128 + number
    assert seconds - begin < 5  # most of it for Python to end, on a busy machine
    expected = "jaxdl: interrupted while waiting for other processes"
    assert read_lines(errors) == [expected]
    assert "Traceback" not in errors
    assert not (tmp_path / "train_classifier").exists()


@pytest.mark.slow
def test_two_processes_count_every_example_once():
    address = f"127.0.0.1:{find_free_port()}"
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.hosts_evaluation", address, "2", str(index)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    for process in both:
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        line = next(line for line in output.splitlines() if line.startswith("FOUND "))
        rows = json.loads(line.removeprefix("FOUND "))
        assert len(rows) == 4 * 40
        for row in rows:
            values = np.arange(row["examples"])
            assert row["count"] == len(values)
            assert row["labels"] == np.sum(values % 3)
            np.testing.assert_allclose(row["values"], 0.5 * values.sum(), rtol=1e-6)
            assert row["outputs"] == values.tolist()
            assert row["times"] == [1] * len(values)
