"""A new user's path: a folder of images, three commands from the README, an answer."""

import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from tests.scripts import ROOT, run_script

COLORS = {"lemons": (220, 210, 40), "plums": (110, 30, 120), "limes": (60, 190, 50)}


def draw_fruit(rng, color, size):
    """A disc of a noisy colour somewhere on a noisy grey ground."""
    height, width = size
    ground = rng.integers(90, 160)
    pixels = np.full((height, width, 3), ground) + rng.normal(0, 12, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    radius = min(size) * rng.uniform(0.25, 0.4)
    center = rng.uniform(radius, np.array(size) - radius)
    disc = np.hypot(y - center[0], x - center[1]) < radius
    pixels[disc] = np.array(color) + rng.normal(0, 12, (disc.sum(), 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Three class folders of JPEG and PNG images of many sizes, and some to predict."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("user")
    for name, color in COLORS.items():
        (root / "images" / name).mkdir(parents=True)
        for index in range(40):
            suffix = ("jpg", "png", "JPEG")[index % 3]
            image = draw_fruit(rng, color, rng.integers(20, 60, 2))
            image.save(root / "images" / name / f"{index} photo.{suffix}")
        draw_fruit(rng, color, (48, 64)).save(root / f"new {name}.png")
    return root


def find_commands():
    """The overrides that README's commands give, without the user's own words."""
    text = (ROOT / "README.md").read_text()
    return {
        name: re.search(rf"^python (experiments/{name}\.py .*mine.*)$", text, re.M)[1]
        for name in ("train_classifier", "evaluate", "predict")
    }


def test_readme_names_the_three_commands():
    commands = find_commands()
    assert commands["train_classifier"] == (
        "experiments/train_classifier.py configs/train_classifier/folder.yaml "
        "data.path=images run.name=mine"
    )
    run = "runs/train_classifier/mine"
    assert commands["evaluate"] == f"experiments/evaluate.py {run}"
    assert commands["predict"].startswith(f"experiments/predict.py {run} images/")


def test_own_images_are_trained_evaluated_and_predicted(images, tmp_path_factory):
    words = find_commands()["train_classifier"].split()[1:]
    run_folder = images / "runs" / "train_classifier" / "mine"
    cache = tmp_path_factory.mktemp("compiled")
    train = run_script(
        "train_classifier",
        ROOT / words[0],
        *words[1:],
        "model.name=resnet8_cifar",
        "data.image_size=16",
        "augment.crop_padding=2",
        "schedule.duration=12 epochs",
        "run.log_every=3 epochs",
        "run.evaluate_every=6 epochs",
        "run.checkpoint_every=6 epochs",
        cwd=images,
        cache=cache,
    )
    assert train.returncode == 0, train.stderr
    assert train.stdout.rstrip().endswith(f"run folder: {run_folder}")
    test = json.loads((run_folder / "summary.json").read_text())["best"]["test"]
    assert test["accuracy"] >= 0.9

    words = find_commands()["evaluate"].split()[1:]
    evaluate = run_script("evaluate", *words, cwd=images, cache=cache)
    assert evaluate.returncode == 0, evaluate.stderr
    assert f"accuracy           {test['accuracy']!r}" in evaluate.stdout

    folder = find_commands()["predict"].split()[1]
    files = [f"new {name}.png" for name in COLORS]
    predict = run_script("predict", folder, *files, cwd=images, cache=cache)
    assert predict.returncode == 0, predict.stderr
    lines = [line.split() for line in predict.stdout.splitlines()]
    for name in COLORS:
        first = lines[lines.index(["new", f"{name}.png"]) + 1]
        assert first[1] == name and float(first[0]) > 0.5


@pytest.mark.slow
def test_photographs_of_flowers_train(data_dir, tmp_path):
    source = os.path.join(data_dir, "flowers")
    if not os.path.isdir(source):
        pytest.skip(f"no flowers in {data_dir}")
    train = run_script(
        "train_classifier",
        ROOT / "configs/train_classifier/folder.yaml",
        f"data.path={source}",
        "model.name=resnet8_cifar",
        "data.image_size=32",
        "schedule.duration=3 epochs",
        f"run.folder={tmp_path}",
        "run.name=flowers",
        timeout=900,
    )
    assert train.returncode == 0, train.stderr
    summary = json.loads(
        (tmp_path / "train_classifier" / "flowers" / "summary.json").read_text()
    )
    counts = summary["num_examples"]
    test = summary["best"]["test"]
    num_classes = len(test["per_class_accuracy"])
    assert counts["test"] > 0 and test["accuracy"] > 1.2 / num_classes
