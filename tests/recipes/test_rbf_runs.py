"""Finished runs of radial basis function networks, as other scripts take them."""

import json
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdl.parallel import make_mesh
from jaxdl.recipes.build import build_dataset
from jaxdl.recipes.encoders import load_encoder
from jaxdl.recipes.rbf import make_nearest_prediction
from jaxdl.recipes.trained import load_classifier
from tests.recipes.tiny_network import encode_patches
from tests.scripts import SMALL_BY_NAME, run_main

pytestmark = pytest.mark.usefixtures("tiny_backbone")

SMALL = {**SMALL_BY_NAME["train_rbf"], "model.name": "resnet8_cifar"}
WORDS = [f"{key}={value}" for key, value in SMALL.items()]


@pytest.fixture(scope="module")
def folder(make_short_run):
    return make_short_run("train_rbf", *WORDS, "optimizer.ema_decay=0.5")


@pytest.fixture(scope="module")
def trained(folder, tiny_backbone):
    return load_classifier(folder, make_mesh(data=1), checkpoint="last")


@pytest.fixture(scope="module")
def images(trained):
    test = build_dataset(trained.config.data).splits["test"]
    return test.read(np.arange(6))["images"]


def take(trained, part):
    return {
        name: tree[part]
        for name, tree in {"params": trained.params, **trained.model_state}.items()
        if part in tree
    }


def encode(trained, images):
    prepared = (images / 255.0 - trained.card.mean) / np.array(trained.card.std)
    return encode_patches(take(trained, "backbone"), prepared)


def describe(trained, images):
    """Logits and scaled distances of images, and the logits at centres, in float64."""
    head = jax.tree.map(np.float64, take(trained, "head")["params"])
    embedding, output = head["embedding"], head["output"]
    widths, weights = np.exp(head["log_widths"]), np.exp(head["log_weights"])

    def measure(points):
        differences = points[:, None] - head["centers"][None]
        return (differences**2 @ weights) / widths**2

    def score(points):
        return (1 - measure(points)) @ output["kernel"] + output["bias"]

    points = encode(trained, images) @ embedding["kernel"] + embedding["bias"]
    return score(points), measure(points), score(head["centers"])


def read_numbers(text):
    found = re.findall(r"^  (\w+) +([\d.e-]+)$", text, re.MULTILINE)
    return {name: float(number) for name, number in found}


@pytest.mark.parametrize(("checkpoint", "part"), [("best", "best"), ("last", "final")])
def test_evaluate_gives_the_numbers_of_the_summary(folder, capsys, checkpoint, part):
    argv = (folder, "mesh.data=2", f"checkpoint={checkpoint}", "batch_size=100")
    assert run_main("evaluate", *argv) == (0, "")
    numbers = read_numbers(capsys.readouterr().out)
    summary = json.loads((folder / "summary.json").read_text())[part]["test"]
    assert numbers["accuracy"] == summary["accuracy"]
    for name in ("loss", "cluster_loss", "balanced_accuracy"):
        np.testing.assert_allclose(numbers[name], summary[name], rtol=1e-5)


def test_nearest_prediction_equals_numpy(trained, images):
    predict = make_nearest_prediction(trained.classifier)
    logits, nearest = predict(trained.params, trained.model_state, jnp.asarray(images))
    expected, scaled, at_centers = describe(trained, images)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(nearest.index, scaled.argmin(axis=1))
    np.testing.assert_allclose(nearest.distance, np.sqrt(scaled.min(axis=1)), rtol=1e-4)
    labels = at_centers.argmax(axis=1)[scaled.argmin(axis=1)]
    np.testing.assert_array_equal(nearest.label, labels)


def test_predict_tells_the_nearest_centre(folder, trained, images, tmp_path, capsys):
    files = [tmp_path / f"{index}.png" for index in range(2)]
    for file, image in zip(files, images, strict=False):
        Image.fromarray(image[..., 0]).save(file)
    assert run_main("predict", folder, *files, "top=1", "checkpoint=last") == (0, "")
    lines = capsys.readouterr().out.splitlines()
    logits, scaled, at_centers = describe(trained, images[:2])
    for index, file in enumerate(files):
        center = scaled[index].argmin()
        name, best, nearest = lines[3 * index : 3 * index + 3]
        assert name == str(file)
        assert re.fullmatch(rf"  \d\.\d{{4}}  {logits[index].argmax()}", best)
        distance = float(re.search(r", ([\d.]+) widths away$", nearest)[1])
        assert distance == pytest.approx(np.sqrt(scaled[index, center]), abs=0.006)
        start = f"  nearest centre: {center}, of class {at_centers[center].argmax()}, "
        assert nearest.startswith(start)


def test_export_weights_says_that_there_is_no_such_file(folder, tmp_path):
    file = tmp_path / "out.safetensors"
    status, message = run_main("export_weights", folder, file)
    assert status == 2 and not file.exists()
    assert re.search("distances to centres has no weights file; evaluate.py", message)
    assert len(message.splitlines()) == 1


def test_load_encoder_gives_the_backbone_without_the_head(folder, trained, images):
    encoder = load_encoder(folder, make_mesh(data=1), checkpoint="last")
    expected = encode(trained, images)
    np.testing.assert_allclose(encoder.features(images), expected, rtol=1e-4, atol=1e-5)
    assert set(encoder.params) == {"conv", "norm"}


class Started(Exception):
    """Carries the variables that a run would have started from."""


def test_untrained_encoder_has_the_backbone_its_run_started_from(
    folder, make_short_run, monkeypatch
):
    def start(config, plan, task, variables, *rest, **options):
        raise Started(jax.device_get(variables["params"]["backbone"]))

    monkeypatch.setattr("jaxdl.recipes.rbf_start.build_training", start)
    with pytest.raises(Started) as started:
        make_short_run("train_rbf", *WORDS, called="started")
    encoder = load_encoder(folder, make_mesh(data=1), checkpoint="untrained")
    chex.assert_trees_all_equal(dict(encoder.params), started.value.args[0])
    assert encoder.step is None


@pytest.mark.slow
def test_probe_takes_the_run(folder, tmp_path):
    words = ("map.method=pca", "votes.num_neighbors=[5]", "untrained=false")
    place = (f"run.folder={tmp_path}", "run.name=probe", "mesh.data=1")
    assert run_main("knn_probe", folder, *words, *place) == (0, "")
    summary = json.loads((tmp_path / "knn_probe/probe/summary.json").read_text())
    assert summary["encoder"]["model"] == "resnet8_cifar"
