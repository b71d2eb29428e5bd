"""Configs that a user got wrong: one clear line each, exit status 2."""

import sys

import pytest

from tests.bad_inputs.checks import check, run_quick
from tests.scripts import run_main

CONFIG_CASES = [
    (["optimizer.lr=0.1"], ["optimizer.lr: unknown key", "'optimizer.learning_rate'?"]),
    (["optimiser.name=sgd"], ["optimiser.name: unknown key", "'optimizer.name'?"]),
    (["seed=1"], ["seed: unknown key", "'run.seed'?"]),
    (["model.name=resnet20cifar"], ["model.name:", "'resnet20_cifar'?"]),
    (["model.dtype=float16"], ["model.dtype:", "float32", "bfloat16"]),
    (["optimizer.name=adam"], ["optimizer.name:", "'adamw'?"]),
    (["schedule.name=onecycle"], ["schedule.name:", "'one_cycle'?"]),
    (["data.source=mnist"], ["data.source: unknown source 'mnist'", "tfds:<name>"]),
    (["data.source=tfds"], ["data.source:", "tfds:mnist"]),
    (["data.source=idx"], ["data.source: source 'idx' needs data.path"]),
    (["data.path=x"], ["data.path: the digits ship with scikit-learn"]),
    (["data.batch_size=64.5"], ["data.batch_size: wanted int >= 1, got 64.5"]),
    (["data.batch_size=0"], ["data.batch_size: wanted int >= 1, got 0"]),
    (["data.batch_size=many"], ['data.batch_size: wanted int >= 1, got "many"']),
    (["data.validation_fraction=1"], ["data.validation_fraction: wanted float > 0"]),
    (
        ["data.validation_fraction=0.5", "data.test_fraction=0.5"],
        ["0.5 + 0.5", "nothing is left"],
    ),
    (["data.residency=gpu"], ["data.residency:", "auto", "device", "stream"]),
    (["data.num_workers=-1"], ["data.num_workers: wanted int >= 0"]),
    (["loss.label_smoothing=1"], ["loss.label_smoothing: wanted float >= 0, < 1"]),
    (["optimizer.learning_rate=-1"], ["optimizer.learning_rate: wanted float > 0"]),
    (["optimizer.learning_rate=1e-3x"], ['wanted float > 0, got "1e-3x"']),
    (["optimizer.nesterov=1"], ["optimizer.nesterov: wanted true or false, got 1"]),
    (["optimizer.ema_decay=1"], ["optimizer.ema_decay: wanted float > 0, < 1"]),
    (["optimizer.accumulate=3"], ["a batch of 64 does not divide into 3 parts"]),
    (["schedule.duration=30"], ["schedule.duration: '30' is no duration"]),
    (["schedule.duration=2 hours"], ["schedule.duration: '2 hours'"]),
    (["schedule.duration=-2 epochs"], ["schedule.duration:", "not negative"]),
    (["schedule.name=step"], ["schedule.name: the step schedule needs"]),
    (["schedule.warmup=1 epoch"], ["schedule.warmup: the one_cycle schedule"]),
    (
        ["schedule.name=cosine", "schedule.warmup=99 epochs"],
        ["schedule.warmup: 99 epochs of warm-up fill the 25 epochs"],
    ),
    (
        ["schedule.name=cosine", "schedule.warmup=40 steps", "schedule.duration=1e3"],
        ["schedule.duration: '1e3' is no duration"],
    ),
    (
        ["schedule.name=cosine", "schedule.warmup=9999 steps"],
        ["schedule.warmup (9999 steps)", "not shorter than", "25 epochs"],
    ),
    (
        ["schedule.name=step", "schedule.milestones=[20 epochs, 9 steps]"],
        ["schedule.milestones", "9 steps"],
    ),
    (
        ["schedule.name=step", "schedule.milestones=[99999 steps]"],
        ["schedule.milestones", "99999 steps"],
    ),
    (["augment.mean=[0.5]"], ["augment.mean: give both"]),
    (
        ["augment.mean=[0.5, 0.5, 0.5]", "augment.std=[1, 1, 1]"],
        ["augment.mean has 3 values", "1 channel"],
    ),
    (
        ["augment.crop_mode=reflect", "augment.crop_padding=8"],
        ["augment.crop_padding", "8"],
    ),
    (["mesh.data=0"], ["mesh.data: wanted 1 or more devices, or -1"]),
    (["mesh.data=16"], ["mesh: data=16 x model=1 needs 16 devices, there are 8"]),
    (
        ["mesh.data=-1", "mesh.model=3"],
        ["mesh: model=3 does not divide the 8 devices", "1, 2, 4, 8"],
    ),
    (["mesh.data=3"], ["data.batch_size: a batch of 64", "3 devices", "63 or 66"]),
    (["mesh.data=-1", "data.batch_size=12"], ["data.batch_size=12", "8 or 16"]),
    (["run.name=../up"], ["run.name: '../up' can't name a folder"]),
    (["run.keep_last=0"], ["run.keep_last: wanted int >= 1, got 0"]),
    (["run.log_every=0 steps"], ["run.log_every: '0 steps' is zero"]),
    (["run.resume=true"], ["run.resume: no unfinished run of this config"]),
    (["run.seed=${oc.env:HOME}"], ["run.seed:"]),
    (["run.seed"], ['"run.seed": wanted key=value']),
    (["--run.seed=1"], ["--run.seed=1", "without dashes"]),
    (["--verbose"], ["unrecognized arguments: --verbose", "--help"]),
]


@pytest.mark.parametrize(
    ("overrides", "words"), CONFIG_CASES, ids=[" ".join(row[0]) for row in CONFIG_CASES]
)
def test_bad_config_gives_one_line_and_status_2(tmp_path, overrides, words):
    check(*run_quick(tmp_path, *overrides), 2, words)
    assert not list(tmp_path.glob("*/*/checkpoints/*"))


def test_missing_wandb_gives_one_line_and_status_2(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    check(*run_quick(tmp_path, "run.wandb=true"), 2, ["run.wandb", "jaxdl[wandb]"])


FILE_CASES = {
    "not yaml": ("model: [", ["bad.yaml:1"]),
    "tab": ("model:\n\tname: resnet8_cifar\n", ["bad.yaml:2", "'\\t'"]),
    "list": ("- model\n", ["bad.yaml", "wanted sections"]),
    "duplicate key": ("run:\n  seed: 1\n  seed: 2\n", ["bad.yaml:3: run.seed", "twic"]),
    "python tag": ("run: !!python/object:os.system {}\n", ["bad.yaml:1"]),
    "interpolation": ("run:\n  name: ${oc.env:HOME}\n", ["bad.yaml:2: run.name"]),
    "binary": (b"\x00\xff\xfe", ["bad.yaml"]),
    "nul in folder": ('run:\n  folder: "a\\0b"\n', ["bad.yaml:2: run.folder"]),
    "nul in name": ('run:\n  name: "a\\0b"\n', ["bad.yaml:2: run.name"]),
}


@pytest.mark.parametrize("case", FILE_CASES)
def test_bad_config_file_gives_one_line_and_status_2(tmp_path, case):
    content, words = FILE_CASES[case]
    file = tmp_path / "bad.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    folder = [] if case == "nul in folder" else [f"run.folder={tmp_path}"]
    check(*run_main("train_classifier", file, *folder), 2, words)
