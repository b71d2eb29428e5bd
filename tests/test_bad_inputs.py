"""Mistakes a user can make: one clear line each, an exit status, no traceback."""

import dataclasses
import gzip
import json
import shutil
import struct
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdl.config import dump_config, load_config
from jaxdl.models import MODELS
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.trained import DatasetCard
from jaxdl.train import CheckpointStore
from tests.scripts import ROOT, run_main, run_script

QUICK = ROOT / "configs" / "train_classifier" / "quick.yaml"


# --- One line each for a wrong value, key or combination: (overrides, words) ---------

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


def run_quick(tmp_path, *overrides):
    status, message = run_main(
        "train_classifier", QUICK, "mesh.data=1", f"run.folder={tmp_path}", *overrides
    )
    return status, message


def check(status, message, wanted, words):
    assert status == wanted, message
    lines = message.splitlines()
    assert len(lines) == 1, message
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("overrides", "words"), CONFIG_CASES, ids=[" ".join(row[0]) for row in CONFIG_CASES]
)
def test_bad_config_gives_one_line_and_status_2(tmp_path, overrides, words):
    check(*run_quick(tmp_path, *overrides), 2, words)
    assert not list(tmp_path.glob("*/*/checkpoints/*"))


def test_missing_wandb_gives_one_line_and_status_2(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    check(*run_quick(tmp_path, "run.wandb=true"), 2, ["run.wandb", "jaxdl[wandb]"])


# --- Config files: (content, words) --------------------------------------------------

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


# --- Data on disk: a function that breaks a good folder, words ------------------------


def write_classes(root, *, count=8):
    for label, name in enumerate(("ape", "bee", "cow")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (80 * label, i, 9)).save(root / name / f"{i}.png")


def truncate_jpeg(root):
    file = root / "bee" / "x.jpg"
    Image.effect_noise((64, 64), 50).convert("RGB").save(file)
    file.write_bytes(file.read_bytes()[:400])


def keep_one_class(root):
    shutil.rmtree(root / "bee")
    shutil.rmtree(root / "cow")


def empty_class(root):
    shutil.rmtree(root / "bee")
    (root / "bee").mkdir()


def differ_between_splits(root):
    for split in ("train", "val"):
        write_classes(root / split)
    shutil.rmtree(root / "val" / "cow")
    for name in ("ape", "bee", "cow"):
        shutil.rmtree(root / name)


def leave_too_few(root):
    for file in root.glob("*/*.png"):
        if file.stem != "0":
            file.unlink()


FOLDER_CASES = {
    "corrupt jpeg": (
        lambda root: (root / "bee" / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 20),
        ["images/bee/x.jpg (class 'bee')"],
    ),
    "truncated jpeg": (truncate_jpeg, ["images/bee/x.jpg (class 'bee')"]),
    "empty file": (
        lambda root: (root / "ape" / "x.png").write_bytes(b""),
        ["empty image file", "images/ape/x.png (class 'ape')"],
    ),
    "text named png": (
        lambda root: (root / "cow" / "x.png").write_text("<html>"),
        ["not a JPEG, PNG or WebP image", "images/cow/x.png"],
    ),
    "dangling link": (
        lambda root: (root / "cow" / "x.png").symlink_to("nowhere.png"),
        ["can't read image", "images/cow/x.png", "No such file"],
    ),
    "empty class folder": (empty_class, ["empty class folder", "images/bee"]),
    "single class": (keep_one_class, ["a single class folder, 'ape'", "images"]),
    "no class folders": (
        lambda root: [shutil.rmtree(root / name) for name in ("ape", "bee", "cow")],
        ["no class folders in", "images"],
    ),
    "missing folder": (shutil.rmtree, ["no such file or folder", "images"]),
    "splits differ": (differ_between_splits, ["val", "lacks cow", "images"]),
    "too few images": (
        leave_too_few,
        ["test would be empty", "3 train examples of images"],
    ),
}


@pytest.mark.parametrize("residency", ["device", "stream"])
@pytest.mark.parametrize("case", FOLDER_CASES)
def test_bad_folder_gives_one_line_and_status_3(tmp_path, case, residency):
    breaking, words = FOLDER_CASES[case]
    root = tmp_path / "images"
    write_classes(root)
    breaking(root)
    status, message = run_quick(
        tmp_path,
        "data.source=folder",
        f"data.path={root}",
        "data.image_size=8",
        "data.batch_size=8",
        f"data.residency={residency}",
        "schedule.duration=2 epochs",
    )
    check(status, message, 3, words)


def test_unreadable_file_gives_one_line_and_status_3(tmp_path, monkeypatch):
    root = tmp_path / "images"
    write_classes(root)
    read_bytes = Path.read_bytes

    def refuse(path):  # a mode of 000 would not stop the superuser
        if path.name == "3.png" and path.parent.name == "bee":
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    words = ("data.source=folder", f"data.path={root}", "data.batch_size=8")
    status, message = run_quick(tmp_path, *words)
    check(status, message, 3, ["images/bee/3.png (class 'bee')", "Permission denied"])


def write_idx(root, *, labels=None):
    root.mkdir()
    for prefix, count in {"train": 40, "t10k": 10}.items():
        images = np.zeros((count, 8, 8), np.uint8)
        values = np.arange(count, dtype=np.uint8) % 10
        if labels is not None:
            values[17 % count] = labels
        for name, array in (("images-idx3", images), ("labels-idx1", values)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            file = root / f"{prefix}-{name}-ubyte.gz"
            file.write_bytes(gzip.compress(header + array.tobytes()))


def rewrite(file, change):
    file.write_bytes(gzip.compress(change(gzip.decompress(file.read_bytes()))))


IDX_CASES = {
    "label out of range": (None, ["label 10", "[0, 9]", "train-labels-idx1-ubyte.gz"]),
    "short file": (lambda data: data[:-5], ["train-labels-idx1-ubyte.gz"]),
    "bad magic": (lambda data: b"\1" + data[1:], ["train-labels-idx1-ubyte.gz"]),
    "not gzip": ("raw", ["train-labels-idx1-ubyte.gz"]),
    "missing file": ("missing", ["train-labels-idx1-ubyte"]),
}


@pytest.mark.parametrize("case", IDX_CASES)
def test_bad_idx_gives_one_line_and_status_3(tmp_path, case):
    change, words = IDX_CASES[case]
    root = tmp_path / "made"
    write_idx(root, labels=10 if change is None else None)
    file = root / "train-labels-idx1-ubyte.gz"
    if change == "raw":
        file.write_bytes(b"not gzip")
    elif change == "missing":
        file.unlink()
    elif change is not None:
        rewrite(file, change)
    overrides = ("data.source=idx", f"data.path={root}", "data.batch_size=8")
    check(*run_quick(tmp_path, *overrides), 3, words)


SOURCE_CASES = {
    "idx in an empty folder": (["data.source=idx", "data.path={tmp}"], ["{tmp}"]),
    "cifar10 in an empty folder": (
        ["data.source=cifar10", "data.path={tmp}"],
        ["{tmp}"],
    ),
    "cifar10 missing": (
        ["data.source=cifar10", "data.path={tmp}/no"],
        ["no such file or folder", "{tmp}/no"],
    ),
    "tfds not prepared": (
        ["data.source=tfds:mnist", "data.path={tmp}"],
        ["mnist", "array_record"],
    ),
}


@pytest.mark.parametrize("case", SOURCE_CASES)
def test_bad_source_gives_one_line_and_status_3(tmp_path, case):
    overrides, words = SOURCE_CASES[case]
    overrides = [text.format(tmp=tmp_path) for text in overrides]
    words = [text.format(tmp=tmp_path) for text in words]
    check(*run_quick(tmp_path, *overrides), 3, words)


# --- Run folders ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    """A run folder such as a run leaves behind, made without training."""
    run = tmp_path_factory.mktemp("runs") / "train_classifier" / "good"
    run.mkdir(parents=True)
    overrides = [f"run.folder={run.parents[1]}", "run.name=good", "mesh.data=1"]
    config = load_config(ClassifierConfig, QUICK, overrides)
    (run / "config.yaml").write_text(dump_config(config))
    names = tuple("0123456789")
    card = DatasetCard("digits", names, (8, 8, 1), (0.3,), (0.4,), {"train": 1294})
    (run / "dataset.json").write_text(json.dumps(dataclasses.asdict(card)))
    model = MODELS["resnet8_cifar"](num_classes=10)
    images = jax.numpy.zeros((1, 8, 8, 1))
    variables = dict(
        jax.jit(lambda key: model.init(key, images, train=False))(jax.random.key(0))
    )
    weights = {"params": variables.pop("params"), "model_state": variables}
    with CheckpointStore(run / "checkpoints") as store:
        store.save(7, {"weights": weights}, metrics={"accuracy": 0.5})
    return run


@pytest.fixture
def run(good_run, tmp_path):
    copy = tmp_path / "train_classifier" / "copy"
    shutil.copytree(good_run, copy)
    return copy


def edit_json(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def damage_weights(run):
    files = (run / "checkpoints").rglob("*")
    file = max((f for f in files if f.is_file()), key=lambda f: f.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def replace(run, old, new):
    text = (run / "config.yaml").read_text()
    assert old in text
    (run / "config.yaml").write_text(text.replace(old, new))


RUN_CASES = {
    "no config": (
        lambda run: (run / "config.yaml").unlink(),
        2,
        ["copy: not a run folder (it has no config.yaml)"],
    ),
    "empty folder": (
        lambda run: [shutil.rmtree(run), run.mkdir()],
        2,
        ["copy: not a run folder"],
    ),
    "no folder": (shutil.rmtree, 2, ["copy: not a run folder"]),
    "a file": (
        lambda run: [shutil.rmtree(run), run.write_text("x")],
        2,
        ["copy: neither a run folder nor a weights file"],
    ),
    "config is not yaml": (
        lambda run: (run / "config.yaml").write_text("model: ["),
        2,
        ["copy/config.yaml:1"],
    ),
    "config of another schema": (
        lambda run: replace(run, " momentum:", " momemtum:"),
        2,
        ["copy/config.yaml", "'optimizer.momentum'?"],
    ),
    "config of another model": (
        lambda run: replace(run, "resnet8_cifar", "resnet20_cifar"),
        5,
        ["copy/checkpoints/00000007: holds another model"],
    ),
    "config of missing data": (
        lambda run: [
            replace(run, "source: digits", "source: cifar10"),
            replace(run, "path: null", "path: /no/such"),
        ],
        3,
        ["no such file or folder", "/no/such"],
    ),
    "no dataset.json": (
        lambda run: (run / "dataset.json").unlink(),
        5,
        ["copy/dataset.json: unreadable (No such file"],
    ),
    "dataset.json cut short": (
        lambda run: (run / "dataset.json").write_text('{"name": "di'),
        5,
        ["copy/dataset.json: unreadable"],
    ),
    "dataset.json is a list": (
        lambda run: (run / "dataset.json").write_text("[]"),
        5,
        ["copy/dataset.json: unreadable"],
    ),
    "dataset.json is binary": (
        lambda run: (run / "dataset.json").write_bytes(b"\xff\xfe\x00"),
        5,
        ["copy/dataset.json: unreadable"],
    ),
    "dataset.json of another type": (
        lambda run: edit_json(run / "dataset.json", image_shape=[8, 8]),
        5,
        ["copy/dataset.json: unreadable (image_shape"],
    ),
    "other classes": (
        lambda run: edit_json(run / "dataset.json", class_names=list("abcdefghij")),
        3,
        ["digits: the classes are 0, 1", "trained on a, b"],
    ),
    "fewer classes": (
        lambda run: edit_json(run / "dataset.json", class_names=list("abc")),
        5,
        ["holds another model"],
    ),
    "no checkpoints": (
        lambda run: shutil.rmtree(run / "checkpoints"),
        5,
        ["copy/checkpoints: holds no checkpoint"],
    ),
    "damaged weights": (damage_weights, 5, ["copy/checkpoints", "sha256 differs"]),
    "damaged manifest": (
        lambda run: next(run.rglob("manifest.json")).write_text("{}"),
        5,
        ["copy/checkpoints", "manifest.json"],
    ),
}


@pytest.mark.parametrize("case", RUN_CASES)
def test_bad_run_folder_gives_one_line(run, case):
    breaking, status, words = RUN_CASES[case]
    breaking(run)
    check(*run_main("evaluate", run, "mesh.data=1"), status, words)


TOOL_CASES = {
    "evaluate without folder": ("evaluate", [], 2, ["the run folder is missing"]),
    "evaluate with a file too many": (
        "evaluate",
        ["{run}", "a.png"],
        2,
        ["'a.png': wanted key=value"],
    ),
    "evaluate an unknown split": (
        "evaluate",
        ["{run}", "split=tset"],
        2,
        ["split:", "'test'?"],
    ),
    "evaluate no rows": (
        "evaluate",
        ["{run}", "batch_size=0"],
        2,
        ["batch_size: wanted int >= 1, got 0"],
    ),
    "evaluate on too many devices": (
        "evaluate",
        ["{run}", "mesh.data=9"],
        2,
        ["needs 9 devices, there are 8"],
    ),
    "evaluate a step that was not saved": (
        "evaluate",
        ["{run}", "checkpoint=8"],
        5,
        ["no checkpoint of step 8", "there are 7"],
    ),
    "evaluate an unknown checkpoint": (
        "evaluate",
        ["{run}", "checkpoint=newest"],
        2,
        ["checkpoint:", "newest"],
    ),
    "evaluate a name too long": (
        "evaluate",
        ["x" * 300],
        2,
        ["not a run folder"],
    ),
    "predict without image": ("predict", ["{run}"], 2, ["there is no IMAGE"]),
    "predict without folder": ("predict", [], 2, ["the run folder is missing"]),
    "predict a missing image": (
        "predict",
        ["{run}", "{tmp}/no.png"],
        3,
        ["can't read {tmp}/no.png: No such file"],
    ),
    "predict a folder": (
        "predict",
        ["{run}", "{tmp}"],
        3,
        ["can't read {tmp}: Is a directory"],
    ),
    "predict a corrupt image": (
        "predict",
        ["{run}", "{tmp}/good.png", "{tmp}/bad.jpg"],
        3,
        ["{tmp}/bad.jpg"],
    ),
    "predict text": (
        "predict",
        ["{run}", "{tmp}/text.png"],
        3,
        ["not a JPEG, PNG or WebP image: {tmp}/text.png"],
    ),
    "predict no classes": (
        "predict",
        ["{run}", "{tmp}/good.png", "top=0"],
        2,
        ["top: wanted int >= 1, got 0"],
    ),
    "train with a missing config": (
        "train_classifier",
        ["{tmp}/no.yaml"],
        2,
        ["{tmp}/no.yaml: no such file"],
    ),
    "train without config": (
        "train_classifier",
        [],
        2,
        ["the config file is missing"],
    ),
    "train under a name that is taken": (
        "train_classifier",
        [QUICK, "run.folder={runs}", "run.name=copy"],
        2,
        ["run.name: ", "copy already holds a run", "--resume"],
    ),
    "resume with another config": (
        "train_classifier",
        [QUICK, "run.folder={runs}", "run.name=copy", "run.seed=0", "--resume"]
        + ["optimizer.learning_rate=0.3"],
        2,
        ["copy: the config differs", "optimizer.learning_rate"],
    ),
    "run folder is a file": (
        "train_classifier",
        [QUICK, "run.folder={tmp}/good.png"],
        2,
        ["run.folder: can't write to", "good.png"],
    ),
    "run folder in proc": (
        "train_classifier",
        [QUICK, "run.folder=/proc/runs"],
        2,
        ["run.folder: can't write to /proc/runs"],
    ),
}


@pytest.mark.parametrize("case", TOOL_CASES)
def test_bad_command_gives_one_line(run, tmp_path, case):
    name, argv, status, words = TOOL_CASES[case]
    Image.new("RGB", (9, 9)).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 9)
    (tmp_path / "text.png").write_text("text")
    places = {"run": run, "tmp": tmp_path, "runs": tmp_path}
    argv = [str(word).format(**places) for word in argv]
    check(*run_main(name, *argv), status, [word.format(**places) for word in words])


# --- Probes of a run: (script, arguments, exit status, words) ------------------------

PROBES = ("linear_probe", "knn_probe", "semi_supervised")
PROBE_CASES = {
    "without folder": ("linear_probe", [], 2, ["the run folder is missing"]),
    "no folder": ("linear_probe", ["{tmp}/no"], 2, ["no: not a run folder"]),
    "a step that was not saved": (
        "knn_probe",
        ["{run}", "checkpoint=8"],
        5,
        ["no checkpoint of step 8", "there are 7"],
    ),
    "a run of something else": (
        "semi_supervised",
        ["{study}"],
        2,
        ["not the run of a pre-training or a classifier", "its config has study"],
    ),
    "a run without checkpoints": (
        "knn_probe",
        ["{empty}"],
        5,
        ["empty/checkpoints: holds no checkpoint"],
    ),
    "an unknown key": (
        "linear_probe",
        ["{run}", "descent.learing_rate=1"],
        2,
        ["unknown key", "'descent.learning_rate'?"],
    ),
    "an unknown probe": (
        "linear_probe",
        ["{run}", "probes=[rigde]"],
        2,
        ["probes:", "descent", "ridge"],
    ),
    "a probe left out": (
        "linear_probe",
        ["{run}", "probes=[ridge]", "crops.random=true"],
        2,
        ["probes: only the descent reads it"],
    ),
    "crops that are not random": (
        "linear_probe",
        ["{run}", "crops.flip=false"],
        2,
        ["crops.flip: read with crops.random=true only"],
    ),
    "images of other channels": (
        "knn_probe",
        ["{run}", "data.source=folder", "data.path={fruit}"],
        3,
        ["images have 3 channels", "resnet8_cifar was trained on digits"],
    ),
    "images that are too small": (
        "linear_probe",
        ["{run}", "data.image_size=7"],
        3,
        ["digits: the images are 7x7", "trained on 8x8", "data.image_size"],
    ),
    "data that are not there": (
        "semi_supervised",
        ["{run}", "data.source=idx", "data.path={tmp}/no"],
        3,
        ["{tmp}/no"],
    ),
    "a source without path": (
        "linear_probe",
        ["{run}", "data.source=cifar10"],
        2,
        ["data.source: source 'cifar10' needs data.path"],
    ),
    "a share above 1": (
        "semi_supervised",
        ["{run}", "fractions=[0.1, 10]"],
        2,
        ["fractions"],
    ),
    "too many devices": (
        "knn_probe",
        ["{run}", "mesh.data=9"],
        2,
        ["needs 9 devices, there are 8"],
    ),
    "a batch that does not divide": (
        "linear_probe",
        ["{run}", "mesh.data=8", "data.batch_size=12", "run.folder={tmp}"],
        2,
        ["data.batch_size=12 does not divide over mesh.data=8 devices"],
    ),
    "a name that is taken": (
        "knn_probe",
        ["{run}", "run.folder={tmp}", "run.name=taken"],
        2,
        ["taken already holds a run; choose another name"],
    ),
}


@pytest.mark.parametrize("case", PROBE_CASES)
def test_bad_probe_gives_one_line(run, tmp_path, case):
    name, argv, status, words = PROBE_CASES[case]
    study, empty, taken = tmp_path / "study", tmp_path / "empty", tmp_path / "knn_probe"
    shutil.copytree(run, study)
    replace(study, "\nschedule:", "\nstudy:\n  num_seeds: 1\nschedule:")
    shutil.copytree(run, empty)
    shutil.rmtree(empty / "checkpoints")
    (taken / "taken").mkdir(parents=True)
    (taken / "taken" / "summary.json").write_text("{}")
    write_classes(tmp_path / "fruit")
    places = {"run": run, "tmp": tmp_path, "study": study, "empty": empty}
    places["fruit"] = tmp_path / "fruit"
    argv = [word.format(**places) for word in argv]
    words = [word.format(**places) for word in words]
    check(*run_main(name, *argv), status, words)


@pytest.mark.parametrize("name", PROBES)
def test_bad_probe_leaves_no_run_folder(run, tmp_path, name):
    words = (f"run.folder={tmp_path}/out", "checkpoint=8")
    check(*run_main(name, run, *words), 5, ["no checkpoint of step 8"])
    assert not (tmp_path / "out").exists()


# --- As a user sees it ---------------------------------------------------------------


def test_there_are_60_cases():
    tables = (CONFIG_CASES, FILE_CASES, FOLDER_CASES, IDX_CASES, SOURCE_CASES)
    assert sum(map(len, (*tables, RUN_CASES, TOOL_CASES))) >= 60


@pytest.mark.parametrize(
    ("name", "argv", "status", "text"),
    [
        ("train_classifier", [QUICK, "optimizer.lr=1"], 2, "optimizer.lr"),
        ("train_classifier", [QUICK, "mesh.data=2"], 2, "mesh: data=2"),
        (
            "train_classifier",
            [QUICK, "data.source=folder", "data.path=/no"],
            3,
            "tried /no",
        ),
        ("evaluate", ["/tmp"], 2, "not a run folder"),
    ],
    ids=["key", "mesh", "data", "run folder"],
)
def test_script_ends_with_one_line_on_stderr(tmp_path, name, argv, status, text):
    folder = [f"run.folder={tmp_path}"] if name == "train_classifier" else []
    process = run_script(name, *argv, *folder)
    assert process.returncode == status
    (line,) = process.stderr.splitlines()
    assert line.startswith("jaxdl: ") and text in line
    assert process.stdout == ""
