"""Whole runs of a tiny network, and the classifiers opened from their folders."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdl.errors import CheckpointError
from jaxdl.models import MODELS
from jaxdl.parallel import make_mesh
from jaxdl.recipes.build import build_dataset
from jaxdl.recipes.dataset_card import read_card
from jaxdl.recipes.trained import evaluate_run, load_classifier, predict_files
from jaxdl.train import CheckpointStore, RunFolder, abstract_tree
from jaxdl.trees import named_leaves
from tests.recipes.tiny_network import TinyNetwork
from tests.scripts import ROOT, run_main

QUICK = ROOT / "configs" / "train_classifier" / "quick.yaml"


@pytest.fixture(scope="module", autouse=True)
def tiny_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "resnet8_cifar", TinyNetwork)
        yield


@pytest.fixture(scope="module")
def train_run(tmp_path_factory):
    """`train_run(*overrides)`: the folder of a run, made once for each config."""
    done = {}

    def run(*overrides):
        if overrides not in done:
            folder = tmp_path_factory.mktemp("runs")
            words = ("run.evaluate_every=4 steps", "run.checkpoint_every=4 steps")
            status, message = run_main(
                "train_classifier",
                QUICK,
                f"run.folder={folder}",
                "run.name=run",
                "run.log_every=2 steps",
                "run.keep_last=3",
                "run.tensorboard=false",
                "schedule.duration=12 steps",
                "mesh.data=1",
                *words,
                *overrides,
            )
            assert status == 0, message
            done[overrides] = folder / "train_classifier" / "run"
        return done[overrides]

    return run


def load(folder, **options):
    return load_classifier(folder, make_mesh(data=1), **options)


def read_lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def read_summary(folder):
    return json.loads((folder / "summary.json").read_text())


def score(trained, params, split="test"):
    """Loss and accuracy by NumPy from one batch that holds the whole split."""
    data = build_dataset(trained.config.data).splits[split]
    batch = data.read(np.arange(len(data)))
    images = jnp.asarray(batch["images"])
    logits = trained.classifier.logits(params, trained.model_state, images)
    logits = np.asarray(logits, np.float64)
    scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -scores[np.arange(len(data)), batch["labels"]].mean()
    return loss, (logits.argmax(axis=1) == batch["labels"]).mean()


def restore_weights(folder, trained, *names, step):
    tree = {"params": trained.params, "model_state": trained.model_state}
    tree |= dict.fromkeys(names, trained.params)
    with CheckpointStore(folder / "checkpoints") as store:
        return store.restore({"weights": abstract_tree(tree)}, step=step).items[
            "weights"
        ]


def assert_equal_bits(a, b):
    a, b = named_leaves(jax.device_get(a)), named_leaves(jax.device_get(b))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_streamed_run_equals_resident_run_bit_for_bit(train_run):
    resident = train_run("data.residency=device", "augment.flip=true")
    streamed = train_run("data.residency=stream", "augment.flip=true")
    files = [folder / "metrics.jsonl" for folder in (resident, streamed)]
    assert files[0].read_bytes() == files[1].read_bytes()
    a, b = (load(folder, checkpoint=12) for folder in (resident, streamed))
    assert_equal_bits((a.params, a.model_state), (b.params, b.model_state))


def test_averaged_weights_are_the_ones_scored(train_run):
    folder = train_run("optimizer.ema_decay=0.9")
    trained = load(folder, checkpoint="last")
    weights = restore_weights(folder, trained, "ema_params", step=12)
    assert_equal_bits(trained.params, weights["ema_params"])
    loss, accuracy = score(trained, weights["ema_params"])
    final = read_summary(folder)["final"]["test"]
    np.testing.assert_allclose(final["loss"], loss, rtol=1e-5)
    assert final["accuracy"] == accuracy
    assert abs(score(trained, weights["params"])[0] - loss) > 1e-3
    row = read_lines(folder / "metrics.jsonl")[-1]
    assert row["split"] == "validation" and row["step"] == 12
    loss, _ = score(trained, weights["ema_params"], "validation")
    np.testing.assert_allclose(row["loss"], loss, rtol=1e-5)


def test_bfloat16_network_trains_float32_parameters(train_run):
    folder = train_run(
        "model.dtype=bfloat16", "optimizer.accumulate=2", "loss.label_smoothing=0.1"
    )
    trained = load(folder)
    leaves = named_leaves((trained.params, trained.model_state))
    assert {str(leaf.dtype) for leaf in leaves.values()} == {"float32"}
    losses = [row["loss"] for row in read_lines(folder / "metrics.jsonl")]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_accumulated_run_sees_every_example(train_run):
    folder = train_run("optimizer.accumulate=4", "augment.crop_padding=0")
    rows = read_lines(folder / "metrics.jsonl")
    train = [row for row in rows if row["split"] == "train"]
    assert [row["step"] for row in train] == [2, 4, 6, 8, 10, 12]
    counts = {row["accuracy"] * 128 for row in train}  # of two batches of 64
    assert all(count == round(count) for count in counts)
    assert train[-1]["loss"] < train[0]["loss"]


def test_smoothed_run_is_scored_without_smoothing(train_run):
    folder = train_run("loss.label_smoothing=0.5")
    trained = load(folder, checkpoint="last")
    final = read_summary(folder)["final"]
    loss, accuracy = score(trained, trained.params)
    np.testing.assert_allclose(final["test"]["loss"], loss, rtol=1e-5)
    assert final["test"]["accuracy"] == accuracy


@pytest.fixture
def folder(train_run):
    return train_run("data.residency=device", "augment.flip=true")


def test_load_classifier_finds_best_last_and_step(folder):
    rows = read_lines(folder / "metrics.jsonl")
    accuracy = {r["step"]: r["accuracy"] for r in rows if r["split"] == "validation"}
    best = max(accuracy, key=lambda step: (accuracy[step], -step))
    assert load(folder).step == best == read_summary(folder)["best"]["step"]
    assert load(folder, checkpoint="last").step == 12
    assert load(folder, checkpoint=8).step == 8
    with pytest.raises(CheckpointError, match="no checkpoint of step 9; there are"):
        load(folder, checkpoint=9)


def test_load_classifier_puts_weights_on_any_mesh(folder):
    mesh = make_mesh(data=4, model=2)
    trained = load_classifier(folder, mesh)
    for leaf in jax.tree.leaves(trained.params):
        assert leaf.sharding.mesh == mesh
    assert_equal_bits(trained.params, load(folder).params)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluate_run_equals_numpy(folder, split):
    mesh = make_mesh(data=2)
    trained = load_classifier(folder, mesh)
    numbers = evaluate_run(trained, mesh, split=split, batch_size=100)
    loss, accuracy = score(trained, trained.params, split)
    np.testing.assert_allclose(numbers["loss"], loss, rtol=1e-5)
    assert numbers["accuracy"] == accuracy and numbers["step"] == trained.step


def test_read_card_reads_what_the_run_wrote(folder):
    card = read_card(RunFolder(folder))
    assert card.class_names == tuple("0123456789")
    assert card.image_shape == (8, 8, 1)
    assert len(card.mean) == len(card.std) == 1
    assert card.num_examples == {"train": 1294, "validation": 144, "test": 359}


def test_predict_files_prepares_images_as_in_training(folder, tmp_path):
    trained = load(folder)
    test = build_dataset(trained.config.data).splits["test"]
    batch = test.read(np.arange(5))
    files = [str(tmp_path / f"{index}.png") for index in range(5)]
    for file, image in zip(files, batch["images"], strict=True):
        Image.fromarray(image[..., 0]).save(file)
    predictions = predict_files(trained, files, top=3)
    logits = trained.classifier.logits(
        trained.params, trained.model_state, jnp.asarray(batch["images"])
    )
    scores = np.exp(np.float64(logits))
    scores /= scores.sum(axis=1, keepdims=True)
    for classes, row in zip(predictions, scores, strict=True):
        order = np.argsort(-row)[:3]
        assert [name for name, _ in classes] == [str(index) for index in order]
        np.testing.assert_allclose([p for _, p in classes], row[order], rtol=1e-4)
