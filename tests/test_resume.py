"""The training script as a process: killed, signalled, damaged, resumed."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import read_arrays

ROOT = Path(__file__).parents[1]
NUM_STEPS = 40
SHORT = [
    "configs/train_classifier/quick.yaml",
    "data.batch_size=16",
    "data.eval_batch_size=16",
    f"schedule.duration={NUM_STEPS} steps",
    "run.log_every=5 steps",
    "run.evaluate_every=10 steps",
    "run.checkpoint_every=10 steps",
    "run.tensorboard=false",
]

# Runs the script with a signal sent from inside at a named moment.
SIGNAL_AT = """
import os, runpy, signal, sys, threading, time

moment, numbers = sys.argv[1], [int(n) for n in sys.argv[2].split(",")]
sys.argv = ["experiments/train_classifier.py", *sys.argv[3:]]

def send():
    if numbers:
        print("SIGNAL", moment, flush=True)
        os.kill(os.getpid(), numbers.pop(0))

import jax
from jaxdl.recipes import classifier, fit, training
from jaxdl.train import CheckpointStore

make_advance = training.make_resident_advance

def make_resident_advance(*arguments, **options):
    advance = make_advance(*arguments, **options)

    def advance_and_signal(state, first_step, num_steps):
        if moment == "compiling" and first_step == 0:
            jax.config.update("jax_enable_compilation_cache", False)
            threading.Timer(0.5, send).start()
            start = time.perf_counter()
            state = jax.block_until_ready(advance(state, first_step, num_steps))
            assert time.perf_counter() - start > 0.5 and not numbers
            return state
        if moment in ("training", "twice") and first_step == 16:
            send()
        return advance(state, first_step, num_steps)

    return advance_and_signal

evaluate, evaluations = fit.evaluate, []

def evaluate_and_signal(step, *arguments, **options):
    evaluations.append(0)

    def step_and_signal(*rest):
        evaluations[-1] += 1
        if moment == "evaluating" and len(evaluations) == 2 and evaluations[-1] == 3:
            send()
        return step(*rest)

    return evaluate(step_and_signal, *arguments, **options)

seal = CheckpointStore._seal

def seal_and_signal(self, target, content):
    if moment == "saving" and content["step"] == 20:
        send()
        time.sleep(0.2)  # the loop goes on, and stops, before the seal
    if moment == "twice" and content["step"] == 17:
        send()
        time.sleep(20)  # the second signal must not wait for this
    seal(self, target, content)

summarise = classifier._summarise

def summarise_and_signal(*arguments):
    if moment == "summarising":
        send()
    return summarise(*arguments)

training.make_resident_advance = make_resident_advance
fit.evaluate = evaluate_and_signal
CheckpointStore._seal = seal_and_signal
classifier._summarise = summarise_and_signal
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("resume")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def command(base):
    """The short run's command line in a folder; compiled programs are shared."""

    def make(folder, *extra, prefix=()):
        return [
            sys.executable,
            *(prefix or ["experiments/train_classifier.py"]),
            *SHORT,
            f"run.folder={folder}",
            "run.name=run",
            f"run.compilation_cache={base / 'cache'}",
            *extra,
        ]

    return make


def environment():
    kept = {k: v for k, v in os.environ.items() if not re.match("JAX|XLA|WANDB", k)}
    return {
        **kept,
        "JAX_PLATFORMS": "cpu",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def start(arguments):
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(arguments, *, status=0, timeout=200):
    process = start(arguments)
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == status, (process.returncode, out, err)
    assert "Traceback" not in err
    return out, err


def run_of(folder):
    return folder / "train_classifier" / "run"


def saved_steps(folder):
    return sorted(int(path.name) for path in checkpoints(folder))


def checkpoints(folder):
    return [p for p in (run_of(folder) / "checkpoints").iterdir() if p.name.isdigit()]


@pytest.fixture(scope="module")
def whole(base, command):
    """The uninterrupted run: its folder and arrays."""
    folder = base / "whole"
    run(command(folder))
    arrays = read_arrays(run_of(folder), NUM_STEPS)
    words = ("params", "batch_stats", "trace", "key", "totals")
    assert all(any(word in name for name in arrays) for word in words)
    return folder, arrays


def assert_same_end(whole, folder):
    whole_folder, expected = whole
    found = read_arrays(run_of(folder), NUM_STEPS)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes(), name
    rows = (run_of(folder) / "metrics.jsonl").read_bytes()
    assert rows == (run_of(whole_folder) / "metrics.jsonl").read_bytes()
    summaries = [
        json.loads((run_of(f) / "summary.json").read_text())
        for f in (folder, whole_folder)
    ]
    for name in ("final", "best"):
        results = [{**s[name], "seconds": None} for s in summaries]
        assert results[0] == results[1]


def resume(command, folder):
    out, err = run(command(folder, "--resume"))
    assert not [
        p for p in (run_of(folder) / "checkpoints").iterdir() if p.name[0] == "."
    ]
    return out


def kill_once(command, folder, *, rows, delay):
    """Starts or resumes; kills `delay` seconds after the metrics have `rows` rows."""
    process = start(command(folder, "--resume"))
    metrics = run_of(folder) / "metrics.jsonl"
    first = time.monotonic()
    while process.poll() is None and time.monotonic() - first < 120:
        if rows == 0 or (metrics.exists() and metrics.read_text().count("\n") >= rows):
            break
        time.sleep(0.003)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), (out, err)
    return process.returncode != 0


def kill_and_finish(command, folder, *, kills, seed):
    generator = random.Random(seed)
    killed = 0
    total_rows = NUM_STEPS // 5 + NUM_STEPS // 10
    for _ in range(kills):
        at_start = generator.random() < 0.2
        killed += kill_once(
            command,
            folder,
            rows=0 if at_start else generator.randint(1, total_rows),
            delay=generator.uniform(0, 4 if at_start else 0.15),
        )
    resume(command, folder)
    return killed


def test_killed_at_random_and_resumed_ends_the_same(command, whole, folder):
    assert kill_and_finish(command, folder, kills=2, seed=3) >= 1
    assert_same_end(whole, folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_random_ten_runs_end_the_same(seed, command, whole, folder):
    assert kill_and_finish(command, folder, kills=3, seed=100 + seed) >= 1
    assert_same_end(whole, folder)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("moment", "number", "step"),
    [
        pytest.param("compiling", signal.SIGTERM, 1, marks=SLOW),
        pytest.param("training", signal.SIGTERM, 17, marks=SLOW),
        pytest.param("training", signal.SIGINT, 17, marks=SLOW),
        ("evaluating", signal.SIGTERM, 20),
        pytest.param("saving", signal.SIGTERM, None, marks=SLOW),
        pytest.param("summarising", signal.SIGTERM, NUM_STEPS, marks=SLOW),
    ],
)
def test_signal_saves_the_current_step_and_the_resumed_run_ends_the_same(
    moment, number, step, command, whole, folder
):
    prefix = ["-c", SIGNAL_AT, moment, str(int(number))]
    out, err = run(command(folder, prefix=prefix), status=128 + number)
    assert f"SIGNAL {moment}" in out and err == ""
    stopped = int(re.search(r"stopped after step (\d+) of 40; saved", out)[1])
    if step is None:
        assert stopped >= 20
    else:
        assert stopped == step
    assert saved_steps(folder)[-1] == stopped
    assert not (run_of(folder) / "summary.json").exists()
    out = resume(command, folder)
    assert f"resumed after step {stopped} of {NUM_STEPS}" in out
    assert_same_end(whole, folder)


@pytest.mark.slow
def test_second_signal_exits_at_once_and_loses_no_earlier_step(command, whole, folder):
    numbers = f"{int(signal.SIGTERM)},{int(signal.SIGINT)}"
    begin = time.monotonic()
    out, err = run(
        command(folder, prefix=["-c", SIGNAL_AT, "twice", numbers]), status=130
    )
    assert out.count("SIGNAL") == 2 and "stopped after" not in out
    assert saved_steps(folder) == [10]
    assert time.monotonic() - begin < 60
    assert "resumed after step 10" in resume(command, folder)
    assert_same_end(whole, folder)


def test_flipped_bit_in_the_newest_checkpoint_is_warned_of(command, whole, folder):
    shutil.copytree(whole[0], folder)
    (run_of(folder) / "summary.json").unlink()
    steps = saved_steps(folder)
    newest = run_of(folder) / "checkpoints" / f"{steps[-1]:08d}"
    path = max(newest.rglob("d/*"), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    out = resume(command, folder)
    assert f"warning: checkpoint {newest.name} is damaged ({path}: its sha256" in out
    assert f"resumed after step {steps[-2]} of {NUM_STEPS}" in out
    assert_same_end(whole, folder)


@pytest.mark.slow
def test_all_checkpoints_damaged_exits_5_and_deletes_nothing(command, whole, folder):
    shutil.copytree(whole[0], folder)
    (run_of(folder) / "summary.json").unlink()
    for path in checkpoints(folder):
        (path / "manifest.json").write_text("")
    before = sorted(folder.rglob("*"))
    _, err = run(command(folder, "--resume"), status=5)
    assert re.fullmatch(r"jaxdl: .*found 2 checkpoints, none can be restored.*\n", err)
    after = {path for path in folder.rglob("*")}
    assert set(before) <= after


@pytest.mark.slow
def test_nonfinite_exits_4_and_keeps_the_good_checkpoints(command, folder):
    out, err = run(
        command(
            folder,
            "schedule.name=cosine",
            "schedule.warmup=30 steps",
            "optimizer.learning_rate=1e20",
            "run.checkpoint_every=1 step",
        ),
        status=4,
    )
    found = re.fullmatch(
        r"jaxdl: step (\d+): ([\w/ ]+) is not finite; the last good checkpoint is "
        r"step (\d+) in (\S+); lower optimizer\.learning_rate.*\n",
        err,
    )
    assert found, err
    step, path, last, where = found.groups()
    assert last == step == str(saved_steps(folder)[-1])
    assert "/" in path or path == "loss"
    assert where == str(run_of(folder) / "checkpoints")
    arrays = read_arrays(run_of(folder), int(last))
    assert all(np.isfinite(a).all() for a in arrays.values() if a.dtype.kind == "f")
    assert not (run_of(folder) / "summary.json").exists()


def test_resume_with_another_learning_rate_exits_2(command, whole, folder):
    shutil.copytree(whole[0], folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    _, err = run(command(folder, "--resume", "optimizer.learning_rate=0.2"), status=2)
    assert err.startswith("jaxdl: ") and err.count("\n") == 1
    assert "optimizer.learning_rate was 0.1, now 0.2" in err
    before = {p: c for p, c in before.items() if p.name != "run.lock"}
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.slow
def test_resume_without_a_name_finds_the_newest_unfinished_run(command, whole, folder):
    for name, age in (("old", 9), ("newer", 5), ("done", 1)):
        shutil.copytree(run_of(whole[0]), folder / "train_classifier" / name)
        path = folder / "train_classifier" / name / "config.yaml"
        os.utime(path, (1e9 - age, 1e9 - age))
        if name != "done":
            (path.parent / "summary.json").unlink()
    arguments = [a for a in command(folder, "--resume") if a != "run.name=run"]
    out, _ = run(arguments)
    assert out.endswith(f"run folder: {folder / 'train_classifier' / 'newer'}\n")
    assert not (folder / "train_classifier" / "old" / "summary.json").exists()
