"""Commands that a user got wrong: one clear line each, no traceback."""

import pytest
from PIL import Image

from tests.bad_inputs.checks import QUICK, check
from tests.bad_inputs.test_configs import CONFIG_CASES, FILE_CASES
from tests.bad_inputs.test_data import FOLDER_CASES, IDX_CASES, SOURCE_CASES
from tests.bad_inputs.test_runs import RUN_CASES
from tests.scripts import run_main, run_script

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
