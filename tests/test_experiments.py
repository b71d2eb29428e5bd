"""Every experiment, from the command line to the run folder."""

import csv
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from jaxdl.config import describe_fields, load_config
from tests.scripts import (
    EXPERIMENTS,
    ROOT,
    SCRIPTS,
    list_small,
    load_script,
    run_main,
    run_script,
)

TRAININGS = {"pretrain_barlow_twins", "train_classifier", "train_rbf"}
STUDIES = {*EXPERIMENTS} - TRAININGS
OUTPUTS = (
    "curves.png",
    "confusion.png",
    "mistakes.png",
    "summary.json",
    "config.yaml",
    "metrics.jsonl",
    "model.txt",
)
DEVICES = {
    "1 device": (),
    "8 devices": ("mesh.simulated_devices=8",),
    "2 of 8 devices": ("mesh.simulated_devices=8", "mesh.data=2"),
}


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


def list_words(name, folder):
    """The command line of an experiment's quick.yaml, made small."""
    words = (*list_small(name), f"run.folder={folder}", "run.name=run")
    return (f"configs/{name}/quick.yaml", *words)


@pytest.fixture(scope="module")
def run_classifier(cache, tmp_path_factory):
    """`run_classifier(devices)`: a process that trains one, as a user starts it."""
    done = {}

    def run(devices="1 device"):
        if devices not in done:
            folder = tmp_path_factory.mktemp("classifier")
            process = run_script(
                "train_classifier",
                *list_words("train_classifier", folder),
                f"run.compilation_cache={cache}",
                *DEVICES[devices],
                JAX_LOG_COMPILES="1",
            )
            run_folder = folder / "train_classifier" / "run"
            done[devices] = SimpleNamespace(process=process, folder=run_folder)
        return done[devices]

    return run


@pytest.fixture(scope="module")
def trained(run_classifier):
    """The run folder of a classifier of the digits."""
    run = run_classifier("1 device")
    assert run.process.returncode == 0, run.process.stderr
    return run.folder


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """The run folder of a pre-training on the digits."""
    name, folder = "pretrain_barlow_twins", tmp_path_factory.mktemp("pretrained")
    assert run_main(name, *list_words(name, folder), "mesh.data=1") == (0, "")
    return folder / name / "run"


def read_lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def check_run_folder(folder, stdout):
    assert stdout.rstrip().endswith(f"run folder: {folder}")
    assert list(folder.glob("*.png"))
    for file in folder.iterdir():
        assert file.is_dir() or file.stat().st_size > 0, file
    assert json.loads((folder / "summary.json").read_text())
    assert json.loads((folder / "environment.json").read_text())["packages"]


def check_table(folder):
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and all(None not in row and None not in row.values() for row in rows)


def check_saved_config(name, folder, words):
    schema, file = load_script(name).Config, ROOT / "configs" / name / "quick.yaml"
    saved = load_config(schema, folder / "config.yaml", [])
    overrides = [word for word in map(str, words) if "=" in word]
    assert saved.run.name == "run" and set(list_small(name)) < set(overrides)
    assert load_config(schema, file, overrides) == saved


@pytest.mark.parametrize("name", sorted({*EXPERIMENTS} - {"train_classifier"}))
def test_experiment_fills_its_run_folder(name, tmp_path, monkeypatch, capsys):
    # In this process: to start another and load JAX there takes longer than many runs.
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    fields = {field.key for field in describe_fields(load_script(name).Config)}
    words = (*list_words(name, tmp_path), *["mesh.data=1"] * ("mesh.data" in fields))
    assert run_main(name, *words) == (0, "")
    folder = tmp_path / name / "run"
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    check_run_folder(folder, output.out)
    check_saved_config(name, folder, words)
    if name in STUDIES:
        check_table(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_quick_config_runs_as_it_is(cache, name, tmp_path):
    words = (f"configs/{name}/quick.yaml", f"run.folder={tmp_path}", "run.name=run")
    process = run_script(name, *words, cache=cache)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / name / "run" / "summary.json").is_file()


def check_classifier(run):
    process, folder = run.process, run.folder
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr
    check_run_folder(folder, process.stdout)
    check_saved_config("train_classifier", folder, process.args)
    for output in OUTPUTS:
        assert (folder / output).stat().st_size > 0, output
    rows = read_lines(folder / "metrics.jsonl")
    assert [(row["step"], row["split"]) for row in rows] == [
        (step, split) for step in (1, 2) for split in ("train", "validation")
    ]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["num_steps"] == 2 and summary["final"]["step"] == 2
    for step in ("advance_train_state", "evaluation_step"):
        compiles = re.findall(rf"Compiling jit\({step}\)", process.stderr)
        assert len(compiles) == 1, step
    return [row["loss"] for row in rows]


def test_classifier_gives_the_same_numbers_on_any_number_of_devices(run_classifier):
    losses = [check_classifier(run_classifier(devices)) for devices in DEVICES]
    np.testing.assert_allclose(losses, losses[:1] * len(losses), rtol=2e-3)


def accuracies(text):
    return dict(re.findall(r"^  (\w+) +([\d.e-]+)$", text, re.MULTILINE))


def test_evaluate_does_not_depend_on_devices_or_batch_size(trained, capsys):
    summary = json.loads((trained / "summary.json").read_text())
    numbers = []
    for data in (1, 8):
        for batch_size in (1, 7, 512):
            words = (f"mesh.data={data}", f"batch_size={batch_size}")
            assert run_main("evaluate", trained, *words) == (0, "")
            numbers.append(accuracies(capsys.readouterr().out))
    for name in ("accuracy", "top5", "balanced_accuracy"):
        texts = {found[name] for found in numbers}
        assert texts == {repr(summary["best"]["test"][name])}
    losses = [float(found["loss"]) for found in numbers]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def test_evaluate_runs_on_simulated_devices(trained, cache):
    summary = json.loads((trained / "summary.json").read_text())
    process = run_script("evaluate", trained, "mesh.simulated_devices=8", cache=cache)
    assert process.returncode == 0, process.stderr
    accuracy = accuracies(process.stdout)["accuracy"]
    assert accuracy == repr(summary["best"]["test"]["accuracy"])


PROBES = {
    "linear_probe": ("descent.duration=2 epochs", "untrained=false"),
    "knn_probe": ("map.method=pca", "votes.num_neighbors=[5]", "untrained=false"),
    "semi_supervised": (
        "num_seeds=1",
        "fractions=[0.02]",
        "tuning.duration=1 epochs",
        "scratch.duration=1 epochs",
    ),
}


@pytest.mark.parametrize("name", PROBES)
def test_probes_take_a_pretraining(pretrained, tmp_path, name):
    source = pretrained
    words = ("mesh.data=1", f"run.folder={tmp_path}", "run.name=probe")
    assert run_main(name, source, *PROBES[name], *words) == (0, "")
    folder = tmp_path / name / "probe"
    summary = json.loads((folder / "summary.json").read_text())
    last = json.loads((source / "summary.json").read_text())["num_steps"]
    assert summary["encoder"]["step"] == last
    assert list(folder.glob("*.png")) and (folder / "table.csv").stat().st_size > 0


def test_predict_prints_the_most_probable_classes(trained, tmp_path, capsys):
    files = [tmp_path / "a.png", tmp_path / "b [red].png", tmp_path / "[" / "red].png"]
    files[2].parent.mkdir()
    for seed, file in enumerate(files):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(file)
    assert run_main("predict", trained, *files) == (0, "")
    text = capsys.readouterr().out
    probabilities = [
        float(p) for p in re.findall(r"^  (\d\.\d{4})  \d$", text, re.MULTILINE)
    ]
    assert len(probabilities) == 5 * len(files)
    for row in np.reshape(probabilities, (-1, 5)):
        assert (np.diff(row) <= 0).all() and row.sum() <= 1.001
    assert run_main("predict", trained, files[0], "top=1") == (0, "")
    assert re.fullmatch(
        rf"{re.escape(str(files[0]))}\n  0\.\d{{4}}  \d\n", capsys.readouterr().out
    )


def test_predict_shows_the_name_of_every_file(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x[").mkdir()  # "[/red]" would end a style in rich's markup
    names = ["a.png", "[bold].png", "x[/red].png", f"{'long' * 30}.png"]
    for name in names:
        Image.new("RGB", (9, 9)).save(name)
    assert run_main("predict", trained, *names) == (0, "")
    text = capsys.readouterr().out
    for name in names:
        assert name in text


def test_help_is_quick(tmp_path):
    seconds = []
    for _ in range(3):  # the best of three, as another process may take the core
        process = run_script("train_classifier", "--help")
        assert process.returncode == 0, process.stderr
        seconds.append(process.seconds)
        if seconds[-1] < 1:
            break
    assert min(seconds) < 1


# All in one process, in which JAX can't be imported.
SAY_HELP = """
import contextlib, io, runpy, sys

sys.modules["jax"] = None
for script in sys.argv[1:]:
    sys.argv, text = [script, "--help"], io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    assert "fields, as key=default:" in text.getvalue(), script
    print(script)
"""


def test_help_needs_no_jax():
    scripts = [str(path) for path in SCRIPTS.values()]
    command = [sys.executable, "-c", SAY_HELP, *scripts]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == scripts
