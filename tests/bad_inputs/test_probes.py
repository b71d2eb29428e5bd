"""Probes of a run that a user got wrong: one clear line each, no traceback."""

import shutil

import pytest

from tests.bad_inputs.checks import check, replace, write_classes
from tests.scripts import run_main

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
