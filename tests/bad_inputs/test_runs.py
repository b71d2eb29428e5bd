"""Run folders that are broken: one clear line each, no traceback."""

import json
import shutil

import pytest

from tests.bad_inputs.checks import check, replace
from tests.scripts import run_main


def edit_json(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def damage_weights(run):
    files = (run / "checkpoints").rglob("*")
    file = max((f for f in files if f.is_file()), key=lambda f: f.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


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
