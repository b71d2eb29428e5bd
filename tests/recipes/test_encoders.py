"""Networks opened from run folders as sources of features."""

import dataclasses
import json
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import from_arrays
from jaxdl.errors import CheckpointError, DataError, NonFiniteError
from jaxdl.metrics import neighbor_scores
from jaxdl.parallel import make_mesh
from jaxdl.recipes.build import build_dataset
from jaxdl.recipes.encoders import compute_features, load_encoder
from jaxdl.recipes.probe_subject import check_images
from jaxdl.recipes.trained import load_classifier
from tests.checkpoints import read_arrays
from tests.recipes.tiny_network import encode_patches

pytestmark = pytest.mark.usefixtures("tiny_backbone")

RUNS = ("pretrain_barlow_twins", "train_classifier")
SIDES = dict(zip(RUNS, (6, 8), strict=True))


def read_summary(folder):
    return json.loads((folder / "summary.json").read_text())


def open_run(short_runs, name, *, data=1, **options):
    mesh = make_mesh(data=data)
    encoder = load_encoder(short_runs[name], mesh, **options)
    return encoder, build_dataset(encoder.config.data), mesh


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)


@pytest.mark.parametrize("name", RUNS)
def test_encoder_features_equal_numpy(short_runs, images, name):
    encoder, _, _ = open_run(short_runs, name)
    side = SIDES[name]
    first = (8 - side) // 2
    middle = images[:, first : first + side, first : first + side] / 255.0
    prepared = (middle - encoder.card.mean) / np.array(encoder.card.std)
    expected = encode_patches(encoder.variables, prepared)
    features = encoder.features(images)
    assert features.dtype == np.float32 and features.shape == (5, side**2)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert set(encoder.params) == {"conv", "norm"}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(("data", "batch_size"), [(1, 50), (8, 500)])
def test_compute_features_gives_the_features_of_each_image_in_order(
    short_runs, name, data, batch_size
):
    encoder, dataset, mesh = open_run(short_runs, name, data=data)
    test = dataset.splits["test"]
    features, labels = compute_features(encoder, test, mesh, batch_size=batch_size)
    batch = test.read(np.arange(len(test)))
    np.testing.assert_array_equal(labels, batch["labels"])
    expected = encoder.features(batch["images"])
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)


def test_encoder_of_a_pretraining_has_the_accuracy_of_its_summary(short_runs):
    summary = read_summary(short_runs["pretrain_barlow_twins"])
    for checkpoint, part in (("last", "final"), ("best", "best")):
        encoder, dataset, mesh = open_run(
            short_runs, "pretrain_barlow_twins", checkpoint=checkpoint
        )
        assert encoder.step == summary[part]["step"]
        bank, test = (
            compute_features(encoder, dataset.splits[name], mesh, batch_size=512)
            for name in ("train", "test")
        )
        monitor = encoder.config.monitor
        scores = neighbor_scores(
            *map(jnp.asarray, (test[0], *bank)),
            num_classes=10,
            num_neighbors=monitor.num_neighbors,
            temperature=monitor.temperature,
        )
        accuracy = np.mean(np.argmax(scores, axis=1) == test[1])
        # A neighbour more or less where similarities tie.
        expected = summary[part]["test"]["neighbor_accuracy"]
        assert accuracy == pytest.approx(expected, abs=0.006)


def test_encoder_of_a_classifier_is_its_average_without_the_head(short_runs):
    encoder, dataset, mesh = open_run(short_runs, "train_classifier", checkpoint=8)
    trained = load_classifier(short_runs["train_classifier"], mesh, checkpoint=8)
    batch = dataset.splits["test"].read(np.arange(20))
    head = jax.tree.map(np.float64, dict(trained.params["head"]))
    logits = encoder.features(batch["images"]) @ head["kernel"] + head["bias"]
    expected = trained.classifier.logits(
        trained.params, trained.model_state, jnp.asarray(batch["images"])
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)
    assert (encoder.step, encoder.origin, encoder.name) == (8, "step 8", "trained")


class Started(Exception):
    """Carries the variables that a run would have started from."""


@pytest.mark.parametrize("name", RUNS)
def test_untrained_encoder_has_the_weights_that_its_run_started_from(
    short_runs, make_short_run, monkeypatch, name
):
    def start(config, plan, task, variables, *rest, **options):
        raise Started(jax.device_get(variables))

    module = "pretraining" if name == RUNS[0] else "classifier"
    monkeypatch.setattr(f"jaxdl.recipes.{module}.build_training", start)
    with pytest.raises(Started) as started:
        make_short_run(name, called="started")
    (expected,) = started.value.args
    encoder, _, _ = open_run(short_runs, name, checkpoint="untrained")
    trained, _, _ = open_run(short_runs, name)
    for collection, tree in encoder.variables.items():
        saved = expected[collection]
        saved = saved["backbone"] if name == RUNS[0] else saved
        for layer in tree:
            chex.assert_trees_all_equal(tree[layer], saved[layer])
    kernels = [np.asarray(each.params["conv"]["kernel"]) for each in (encoder, trained)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert (encoder.step, encoder.name) == (None, "untrained")


@pytest.mark.parametrize("name", RUNS)
def test_load_encoder_restores_what_the_checkpoint_holds(short_runs, name):
    arrays = read_arrays(short_runs[name], 8)
    encoder, _, _ = open_run(short_runs, name, data=8, checkpoint=8)
    is_twin = name == RUNS[0]
    params = "params']['backbone']" if is_twin else "ema_params']"
    stats = "model_state']['batch_stats']" + "['backbone']" * is_twin
    for place, tree in ((params, encoder.params), (stats, encoder.model_state)):
        tree = tree.get("batch_stats", tree)
        for layer, leaves in tree.items():
            for part, leaf in leaves.items():
                saved = arrays[f"weights['{place}['{layer}']['{part}']"]
                np.testing.assert_array_equal(leaf, saved)
                assert len(leaf.sharding.device_set) == 8


@pytest.mark.parametrize("checkpoint", ["best", "last", 5])
def test_load_encoder_names_a_checkpoint_that_is_not_there(
    short_runs, tmp_path, checkpoint
):
    copy = tmp_path / "copy"
    shutil.copytree(short_runs[RUNS[0]], copy)
    if checkpoint != 5:
        shutil.rmtree(copy / "checkpoints")
    message = "no checkpoint of step 5; there are 4, 8, 12"
    message = message if checkpoint == 5 else "copy/checkpoints: holds no checkpoint"
    with pytest.raises(CheckpointError, match=message):
        load_encoder(copy, make_mesh(data=1), checkpoint=checkpoint)


def test_compute_features_names_an_image_whose_features_are_not_finite(short_runs):
    encoder, dataset, mesh = open_run(short_runs, RUNS[0])
    params = jax.tree.map(lambda leaf: leaf * np.inf, encoder.params)
    broken = dataclasses.replace(encoder, params=params)
    with pytest.raises(NonFiniteError, match=r"resnet8_cifar, step \d+: the features"):
        compute_features(broken, dataset.splits["test"], mesh, batch_size=512)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((8, 8, 3), r"arrays: the images have 3 channels; resnet8_cifar .* has 1$"),
        ((6, 5, 1), r"arrays: the images are 6x5; .* 6x6 .* data.image_size"),
    ],
)
def test_check_images_names_what_the_network_can_not_take(short_runs, shape, words):
    encoder, _, _ = open_run(short_runs, RUNS[0])
    images = np.zeros((4, *shape), np.uint8)
    with pytest.raises(DataError, match=words):
        check_images(encoder, from_arrays((images, np.array([0, 1, 0, 1]))))


@pytest.mark.parametrize("side", [6, 8, 11])
def test_check_images_takes_images_of_any_larger_size(short_runs, side):
    encoder, _, _ = open_run(short_runs, RUNS[0])
    images = np.full((4, side, side, 1), 7, np.uint8)
    check_images(encoder, from_arrays((images, np.array([0, 1, 0, 1]))))
    assert encoder.features(images).shape == (4, 36)
