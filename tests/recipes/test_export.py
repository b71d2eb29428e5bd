"""A file exported from a run: scored and asked like the run, without a word more."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from jaxdl.config import load_config
from jaxdl.models import MODELS
from jaxdl.recipes.configs import EvaluationConfig, PredictionConfig
from jaxdl.recipes.weights_options import read_weights_defaults
from jaxdl.weights import load_safetensors
from tests.recipes.tiny_network import TinyNetwork
from tests.scripts import ROOT, run_main

QUICK = ROOT / "configs" / "train_classifier" / "quick.yaml"


@pytest.fixture(scope="module", autouse=True)
def tiny_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "resnet8_cifar", TinyNetwork)
        yield


def read_accuracy(text):
    return float(re.search(r"^  accuracy +([\d.e-]+)$", text, re.MULTILINE)[1])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of a short run and the file exported from it."""
    folder = tmp_path_factory.mktemp("runs")
    words = (
        f"run.folder={folder}",
        "run.name=run",
        "run.tensorboard=false",
        "schedule.duration=3 steps",
        "data.split_seed=3",
        "mesh.data=1",
    )
    status, message = run_main("train_classifier", QUICK, *words)
    assert status == 0, message
    run, file = folder / "train_classifier" / "run", folder / "digits.safetensors"
    status, message = run_main("export_weights", run, file, "checkpoint=last")
    assert status == 0, message
    return run, file


def test_exported_file_is_scored_like_its_run_without_a_word(exported, capsys):
    run, file = exported
    texts = []
    for argv in ((run, "checkpoint=last"), (file,)):
        assert run_main("evaluate", "mesh.data=1", *argv) == (0, "")
        texts.append(capsys.readouterr().out.replace(f" in {file}", ""))
    assert texts[0] == texts[1] and "weights of step 3" in texts[0]


def test_exported_file_tells_what_is_needed_to_use_it(exported):
    run, file = exported
    saved = load_safetensors(file)
    assert saved.model_name == "resnet8_cifar"
    card = saved.config["dataset"]
    assert card == json.loads((run / "dataset.json").read_text())
    assert card["class_names"] == list("0123456789")
    assert card["image_shape"] == [8, 8, 1] and saved.config["step"] == 3


def test_predict_names_the_classes_of_an_exported_file(exported, tmp_path, capsys):
    run, file = exported
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    image = tmp_path / "a.png"
    Image.fromarray(pixels).save(image)
    texts = []
    for argv in ((run, image, "checkpoint=last"), (file, image)):
        assert run_main("predict", *argv) == (0, "")
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_command_line_wins_over_the_header(exported, capsys):
    _, file = exported
    assert (
        run_main(
            "evaluate", "mesh.data=1", file, "augment.mean=[9]", "augment.std=[1]"
        )[0]
        == 0
    )
    moved = read_accuracy(capsys.readouterr().out)
    assert run_main("evaluate", "mesh.data=1", file) == (0, "")
    assert read_accuracy(capsys.readouterr().out) != moved
    status, message = run_main("evaluate", "mesh.data=1", file, "data.image_size=9")
    assert status == 3 and "9, 9, 1 (3)" in message


def test_defaults_of_a_file_are_those_of_its_run(exported):
    run, file = exported
    config = load_config(
        EvaluationConfig, None, read_weights_defaults(EvaluationConfig, str(file), [])
    )
    assert config.data.split_seed == 3
    card = json.loads((run / "dataset.json").read_text())
    assert list(config.augment.mean) == card["mean"]
    config = load_config(
        PredictionConfig, None, read_weights_defaults(PredictionConfig, str(file), [])
    )
    assert config.model.name == "resnet8_cifar"


@pytest.mark.parametrize("words", [["a.npz"], ["a.safetensors", "b.safetensors"]])
def test_export_refuses_other_files(exported, words):
    status, message = run_main("export_weights", exported[0], *words)
    assert status == 2 and "wanted one OUT.safetensors to write" in message
