"""Every experiment, from the command line to the run folder."""

import csv
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from jaxdl.config import describe_fields, load_config
from jaxdl.recipes.configs import ClassifierConfig
from tests.scripts import (
    EXPERIMENTS,
    ROOT,
    SCRIPTS,
    list_small,
    load_script,
    run_main,
    run_script,
)

CLASSIFIERS = [n for n in EXPERIMENTS if load_script(n).Config is ClassifierConfig]
OTHER_TRAININGS = ["pretrain_barlow_twins", "train_rbf"]
STUDIES = sorted(set(EXPERIMENTS) - {*CLASSIFIERS, *OTHER_TRAININGS})
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


@pytest.fixture(scope="module")
def run_experiment(cache, tmp_path_factory):
    """`run_experiment(name, devices)`: its quick.yaml made small, run once."""
    done = {}

    def run(name, devices="1 device"):
        if (name, devices) not in done:
            folder = tmp_path_factory.mktemp(name)
            fields = {field.key for field in describe_fields(load_script(name).Config)}
            key = "run.compilation_cache"
            process = run_script(
                name,
                f"configs/{name}/quick.yaml",
                *list_small(name),
                f"run.folder={folder}",
                "run.name=run",
                *[f"{key}={cache}"] * (key in fields),
                *DEVICES[devices],
                cache=None if key in fields else cache,
                JAX_LOG_COMPILES="1",
            )
            done[name, devices] = SimpleNamespace(
                process=process, folder=folder / name / "run"
            )
        return done[name, devices]

    return run


@pytest.fixture(scope="module")
def trained(run_experiment):
    """The run folder of a classifier of the digits."""
    run = run_experiment("train_classifier", "1 device")
    assert run.process.returncode == 0, run.process.stderr
    return run.folder


def read_lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_fills_its_run_folder(run_experiment, name):
    run = run_experiment(name)
    assert run.process.returncode == 0, run.process.stderr
    assert "Traceback" not in run.process.stderr
    assert run.process.stdout.rstrip().endswith(f"run folder: {run.folder}")
    assert list(run.folder.glob("*.png"))
    for file in run.folder.iterdir():
        assert file.is_dir() or file.stat().st_size > 0, file
    assert json.loads((run.folder / "summary.json").read_text())
    assert json.loads((run.folder / "environment.json").read_text())["packages"]


@pytest.mark.parametrize("name", STUDIES)
def test_study_writes_a_table(run_experiment, name):
    with (run_experiment(name).folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and all(None not in row and None not in row.values() for row in rows)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_writes_a_config_that_loads_back(run_experiment, name):
    devices = "2 of 8 devices" if name in CLASSIFIERS else "1 device"
    run = run_experiment(name, devices)
    schema = load_script(name).Config
    saved = load_config(schema, run.folder / "config.yaml", [])
    assert saved.run.name == "run"
    overrides = [word for word in run.process.args if "=" in word]
    assert set(list_small(name)) < set(overrides)
    file = ROOT / "configs" / name / "quick.yaml"
    assert load_config(schema, file, overrides) == saved


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_quick_config_runs_as_it_is(cache, name, tmp_path):
    words = (f"configs/{name}/quick.yaml", f"run.folder={tmp_path}", "run.name=run")
    process = run_script(name, *words, cache=cache)
    assert process.returncode == 0, process.stderr
    assert (tmp_path / name / "run" / "summary.json").is_file()


@pytest.mark.parametrize("devices", DEVICES)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier_fills_its_run_folder(run_experiment, name, devices):
    run = run_experiment(name, devices)
    assert run.process.returncode == 0, run.process.stderr
    for output in OUTPUTS:
        assert (run.folder / output).stat().st_size > 0, output
    rows = read_lines(run.folder / "metrics.jsonl")
    assert [(row["step"], row["split"]) for row in rows] == [
        (step, split) for step in (1, 2) for split in ("train", "validation")
    ]
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["num_steps"] == 2 and summary["final"]["step"] == 2


@pytest.mark.parametrize("devices", DEVICES)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier_compiles_each_step_once(run_experiment, name, devices):
    log = run_experiment(name, devices).process.stderr
    for step in ("advance_train_state", "evaluation_step"):
        assert len(re.findall(rf"Compiling jit\({step}\)", log)) == 1, step


def test_classifier_gives_the_same_numbers_on_any_number_of_devices(run_experiment):
    rows = []
    for devices in DEVICES:
        folder = run_experiment("train_classifier", devices).folder
        rows.append([row["loss"] for row in read_lines(folder / "metrics.jsonl")])
    np.testing.assert_allclose(rows, rows[:1] * len(rows), rtol=2e-3)


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
    results = []
    for words in ((), ("mesh.simulated_devices=8",)):
        process = run_script(
            "evaluate", trained, "split=validation", *words, cache=cache
        )
        assert process.returncode == 0, process.stderr
        results.append(accuracies(process.stdout)["accuracy"])
    assert results[0] == results[1]


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
def test_probes_take_a_pretraining(run_experiment, tmp_path, name):
    pretraining = run_experiment("pretrain_barlow_twins")
    assert pretraining.process.returncode == 0, pretraining.process.stderr
    source = pretraining.folder
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


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_quick_and_needs_no_jax(name, tmp_path):
    # A jax that can't be imported proves that none is.
    (tmp_path / "jax.py").write_text("raise ImportError('jax was imported')\n")
    seconds = []
    for _ in range(3):  # the best of three, as another process may take the core
        process = run_script(name, "--help", PYTHONPATH=f"{tmp_path}:{ROOT}")
        assert process.returncode == 0, process.stderr
        assert "fields, as key=default:" in process.stdout
        seconds.append(process.seconds)
        if seconds[-1] < 1:
            break
    assert min(seconds) < 1
