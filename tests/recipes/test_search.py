"""Searches of a tiny experiment, each trial in a process of its own."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError, LockError
from jaxdl.recipes.runs import open_run
from jaxdl.recipes.search import search_values
from jaxdl.recipes.search_config import SearchConfig
from jaxdl.recipes.search_target import load_target
from jaxdl.train import StopRequest
from tests.scripts import SCRIPTS

# Needs no JAX, so a trial takes as long as Python needs to start.
SCRIPT = """
import json
import signal
import sys
import time
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.errors import LockError, NonFiniteError
from jaxdl.recipes.command_line import read_command_line, run_script


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Run:
    folder: str = "runs"
    name: str = "run"
    resume: bool = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Training:
    rate: float = Field(default=0.1, gt=0)
    units: int = Field(default=4, ge=1)
    behaviour: Literal["train", "nothing", "raise", "wait", "kill", "quit", "lock"] = (
        "train"
    )
    label: str = "plain"

    def find_conflicts(self):
        if self.units <= 64:
            return []
        return [Conflict(("rate", "units"), "too slow for so many units")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    training: Training = Field(default_factory=Training)
    run: Run = Field(default_factory=Run)


def main(argv):
    config = read_command_line(Config, argv)
    training, folder = config.training, Path(config.run.folder)
    folder = folder / "fake" / config.run.name
    folder.mkdir(parents=True, exist_ok=True)
    assert config.run.resume
    with (folder / "starts").open("a") as file:
        file.write("x")
    print("training", training.label, flush=True)
    if training.rate > 0.5:
        raise NonFiniteError("step 7: loss is not finite; lower the rate")
    if training.behaviour == "raise":
        raise RuntimeError("out of paper")
    if training.behaviour == "lock":
        raise LockError(f"{folder}: in use by process 1")
    if training.behaviour == "kill":
        signal.raise_signal(signal.SIGKILL)
    if training.behaviour == "quit":
        return 0
    if training.behaviour == "wait" and not (folder / "saved").exists():
        wait(folder)
    score = None if training.behaviour == "nothing" else -abs(training.rate - 0.1)
    final = {"validation": {"score": score}, "test": [1.0, {"name": "text"}]}
    (folder / "summary.json").write_text(json.dumps({"final": final}))


def wait(folder):
    signals = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: signals.append(number))
    (folder / "ready").touch()
    while not signals:
        time.sleep(0.02)
    time.sleep(0.3)
    (folder / "saved").write_text(" ".join(map(str, signals)))
    sys.exit(128 + signals[0])


if __name__ == "__main__":
    run_script(main)
"""
RATE = "training.rate: {low: 0.01, high: 0.4, scale: log}"
METRIC = "final.validation.score"


@pytest.fixture
def search(tmp_path, capsys):
    """`search(*overrides)`: exit status and output of a search of the tiny script."""
    scripts = tmp_path / "experiments"
    scripts.mkdir()
    (scripts / "fake.py").write_text(SCRIPT)
    (scripts / "works_on_a_folder.py").write_text("")
    (tmp_path / "fake.yaml").write_text("training:\n  label: small one\n")

    def run(*overrides, space=RATE, stop=None):
        words = [
            "experiment=fake",
            f"config={tmp_path / 'fake.yaml'}",
            f"space={{{space}}}",
            f"metric={METRIC}",
            f"run.folder={tmp_path / 'runs'}",
            "run.name=run",
            "run.num_trials=2",
        ]
        config = load_config(SearchConfig, None, [*words, *overrides])
        target = load_target(config, scripts=scripts)
        with (
            stop or StopRequest() as stop,
            open_run(config, experiment="search") as folder,
        ):
            assert folder.path == tmp_path / "runs" / "search" / "run"
            return search_values(config, folder, stop, target), capsys.readouterr().out

    run.folder = tmp_path / "runs" / "search" / "run"
    run.trials = run.folder / "variants" / "fake"
    return run


def read_table(folder):
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_summary(folder):
    return json.loads((folder / "summary.json").read_text())


def wait_until_ready(trials):
    deadline = time.monotonic() + 60
    while not list(trials.glob("*/ready")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def count_starts(search):
    files = sorted(search.trials.glob("*/starts"))
    return [len(file.read_text()) for file in files]


def test_search_values_finds_the_best_and_its_command_repeats_it(search, tmp_path):
    status, text = search("run.num_trials=4", "overrides={training.units: 8}")
    assert status == 0 and text.rstrip().endswith(f"run folder: {search.folder}")
    rows = read_table(search.folder)
    rates = [float(row["training.rate"]) for row in rows]
    assert [float(row[METRIC]) for row in rows] == [-abs(r - 0.1) for r in rates]
    assert [row["status"] for row in rows] == ["finished"] * 4
    summary = read_summary(search.folder)
    best = min(range(4), key=lambda i: abs(rates[i] - 0.1))
    assert summary["best"]["trial"] == best
    assert summary["best"]["values"] == {"training.rate": rates[best]}
    assert set(summary["importance"]["shares"]) == {"training.rate"}
    for name in ("parallel.png", "importance.png", "environment.json"):
        assert (search.folder / name).stat().st_size > 0
    assert summary["best"]["command"] in text
    trial = search.trials / f"trial-{best:03d}"
    assert (trial / "output.txt").read_text() == "training small one\n"

    _, *words = shlex.split(summary["best"]["command"])
    words += [f"run.folder={tmp_path / 'again'}", "run.resume=true"]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    again = json.loads((tmp_path / "again/fake/run/summary.json").read_text())
    assert again["final"]["validation"]["score"] == summary["best"]["score"]


def test_search_values_minimises(search):
    search("goal=minimise", "run.num_trials=3")
    scores = [float(row[METRIC]) for row in read_table(search.folder)]
    assert read_summary(search.folder)["best"]["score"] == min(scores)


def test_search_values_goes_on_after_a_failed_trial(search):
    space = "training.rate: {low: 0.01, high: 1000, scale: log}"
    status, text = search("run.num_trials=6", space=space)
    assert status == 0
    rows = read_table(search.folder)
    for row in rows:
        is_high = float(row["training.rate"]) > 0.5
        assert row["status"] == ("failed" if is_high else "finished")
        reason = "step 7: loss is not finite; lower the rate" if is_high else ""
        assert row["reason"] == reason and (row[METRIC] == "") == is_high
    failed = sum(row["status"] == "failed" for row in rows)
    assert 0 < failed < 6 and read_summary(search.folder)["failed"] == failed
    assert "failed after" in text and "Traceback" not in text
    starts = count_starts(search)
    assert search("run.num_trials=6", "run.resume=true", space=space)[0] == 0
    assert count_starts(search) == starts == [1] * 6


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("raise", "RuntimeError: out of paper"),
        ("kill", "ended by SIGKILL (out of memory?)"),
        ("quit", "ended with status 0 and without a summary"),
        ("nothing", None),
    ],
)
def test_search_values_tells_why_no_trial_has_a_score(search, behaviour, reason):
    words = (f"overrides={{training.behaviour: {behaviour}}}", "run.num_trials=1")
    status, text = search(*words)
    assert status == 1 and "no trial has a score" in text
    (row,) = read_table(search.folder)
    assert row["reason"] == (reason or "") and row[METRIC] == ""
    assert read_summary(search.folder)["best"] is None
    assert read_summary(search.folder)["importance"] is None


def test_search_values_lengthens_a_finished_search(search):
    search()
    first = read_table(search.folder)
    with pytest.raises(ConfigError, match="already holds a run; add --resume"):
        search("run.num_trials=3")
    status, text = search("run.num_trials=3", "run.resume=true")
    assert status == 0 and count_starts(search) == [1, 1, 1]
    rows = read_table(search.folder)
    assert rows[:2] == first and len(rows) == 3
    assert "[3/3] trial-002" in text and "[1/3]" not in text


def test_search_values_does_not_resume_another_search(search, tmp_path):
    search()
    again = "run.resume=true"
    with pytest.raises(ConfigError, match="run.seed of the search was 0, now 5"):
        search(again, "run.seed=5")
    with pytest.raises(ConfigError, match="training.rate"):
        search(again, space="training.rate: {low: 0.02, high: 0.4}")
    (tmp_path / "fake.yaml").write_text("training:\n  label: other\n")
    message = "training.label was 'small one', now 'other'"
    with pytest.raises(ConfigError, match=message):
        search(again)
    assert count_starts(search) == [1, 1]


def test_search_values_passes_a_stop_on_and_continues(search):
    words = ("overrides={training.behaviour: wait}", "run.num_trials=1")
    stop = StopRequest()

    def interrupt():
        wait_until_ready(search.trials)
        signal.raise_signal(signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    status, text = search(*words, stop=stop)
    thread.join()
    assert status == 128 + signal.SIGTERM
    trial = search.trials / "trial-000"
    assert (trial / "saved").read_text() == str(int(signal.SIGTERM))
    assert "stopped with 0 of 1 trials done" in text
    assert "run.name=run --resume" in text
    assert not (search.folder / "summary.json").exists()
    before = json.loads((trial / "trial.json").read_text())
    assert before["status"] == "stopped"
    assert search(*words, "run.resume=true")[0] == 0
    assert (trial / "starts").read_text() == "xx"
    (row,) = read_table(search.folder)
    assert row["status"] == "finished" and float(row["seconds"]) > before["seconds"]


def test_ctrl_c_reaches_a_trial_once(search, tmp_path):
    shutil.copy(SCRIPTS["search"], tmp_path / "experiments")
    words = ["experiment=fake", f"space={{{RATE}}}", f"metric={METRIC}"]
    words += ["overrides={training.behaviour: wait}", f"config={tmp_path}/fake.yaml"]
    words += [f"run.folder={tmp_path / 'runs'}", "run.name=run"]
    process = subprocess.Popen(
        [sys.executable, tmp_path / "experiments/search.py", "/dev/null", *words],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until_ready(search.trials)
    # As a terminal does, to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (search.trials / "trial-000" / "saved").read_text() == "2"
    assert text.endswith(f"run folder: {search.folder}\n")


def test_search_values_begins_no_trial_once_it_is_to_stop(search):
    stop = StopRequest()
    stop.signal_number = signal.SIGINT
    assert search(stop=stop)[0] == 130
    assert not count_starts(search)


def test_search_values_takes_a_trial_that_ended_unnoticed(search):
    search()
    (search.trials / "trial-001" / "trial.json").unlink()
    assert search("run.resume=true")[0] == 0
    assert count_starts(search) == [1, 1]


def test_search_values_does_not_call_a_running_trial_failed(search):
    with pytest.raises(LockError, match="in use by process 1"):
        search("overrides={training.behaviour: lock}")
    assert not list(search.trials.glob("*/trial.json"))


def test_search_values_stops_at_a_metric_that_is_not_there(search):
    message = f"no number 'final.validation.scor' .*Did you mean {METRIC!r}?"
    with pytest.raises(ConfigError, match=message):
        search("metric=final.validation.scor")
    assert count_starts(search) == [1]


def test_search_values_reads_lists_and_warns_of_the_test_split(search):
    status, text = search("metric=final.test.0", "run.num_trials=1")
    assert status == 0 and "warning: final.test.0 is of the test split" in text
    assert read_summary(search.folder)["best"]["score"] == 1.0


@pytest.mark.parametrize(
    ("words", "space", "message"),
    [
        (["experiment=fakes"], RATE, r"experiment: no fakes.py in .*mean 'fake'\?"),
        (
            ["experiment=works_on_a_folder"],
            RATE,
            "experiment: works_on_a_folder works on a run folder; wanted a script that",
        ),
        (["config=absent.yaml"], RATE, "absent.yaml: no such file"),
        (
            ["overrides={training: {unit: 1}}"],
            RATE,
            "overrides: training.unit: unknown key. Did you mean 'training.units'?",
        ),
        (
            [],
            "training.rat: {low: 1, high: 2}",
            "space: training.rat: unknown key. Did you mean 'training.rate'?",
        ),
        (
            [],
            "training.rate: {low: 0, high: 2}",
            "space: training.rate: wanted float > 0, got 0.0",
        ),
        (
            [],
            "training.units: {low: 4, high: 16}",
            "space: training.units: wanted int >= 1, got 4.0; integer: true draws",
        ),
        (
            [],
            "training.behaviour: {values: [train, riase]}",
            "space: training.behaviour: .*got \"riase\". Did you mean 'raise'?",
        ),
        (
            [],
            "training.units: {values: [4, 65]}",
            "space: training.units=65: .*too slow for so many units",
        ),
    ],
)
def test_load_target_refuses_before_the_first_trial(search, words, space, message):
    with pytest.raises(ConfigError, match=message) as error:
        search(*words, space=space)
    lines = error.value.messages
    assert len(lines) == 1 or re.match("space: training.units", lines[0])
    assert not search.folder.exists()
