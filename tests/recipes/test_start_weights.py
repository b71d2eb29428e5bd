import json

import jax
import numpy as np
import pytest

from jaxdl.errors import CheckpointError, DataError
from jaxdl.models import MODELS
from jaxdl.recipes.start_weights import load_start_weights
from jaxdl.trees import named_leaves
from jaxdl.weights import save_safetensors, to_torch_state
from tests.drawing import draw_variables
from tests.scripts import run_main

NAME = "resnet8_cifar"
HEAD = ("params/head/bias", "params/head/kernel")


def make_variables(*, num_classes=10, shift=0.0, channels=1):
    images = jax.ShapeDtypeStruct((1, 8, 8, channels), np.float32)
    model = MODELS[NAME](num_classes=num_classes)
    variables = draw_variables(model, images, train=False)
    return jax.tree.map(lambda leaf: leaf + np.float32(shift), variables)


@pytest.fixture(scope="module", params=["own", "torch"])
def file(request, tmp_path_factory):
    """A file of trained weights for ten classes."""
    folder = tmp_path_factory.mktemp("weights")
    variables = make_variables(shift=0.25)
    if request.param == "own":
        path = folder / "trained.safetensors"
        save_safetensors(path, variables, model_name=NAME)
    else:
        path = folder / "trained.npz"
        np.savez(path, **to_torch_state(variables, NAME))
    return path


def test_load_start_weights_takes_every_value(file):
    found, kept = load_start_weights(file, make_variables(), model_name=NAME)
    assert kept == ()
    found, wanted = named_leaves(found), named_leaves(make_variables(shift=0.25))
    assert found.keys() == wanted.keys()
    for path in wanted:
        np.testing.assert_array_equal(found[path], wanted[path], err_msg=path)


def test_load_start_weights_keeps_the_new_head_of_other_classes(file):
    fresh = make_variables(num_classes=3)
    found, kept = load_start_weights(file, fresh, model_name=NAME)
    assert sorted(kept) == list(HEAD)
    found, fresh = named_leaves(found), named_leaves(fresh)
    trained = named_leaves(make_variables(shift=0.25))
    for path in fresh:
        wanted = fresh if path in HEAD else trained
        np.testing.assert_array_equal(found[path], wanted[path], err_msg=path)


def test_load_start_weights_fills_a_network_without_a_head(file):
    found, kept = load_start_weights(
        file, make_variables(num_classes=0), model_name=NAME
    )
    assert kept == ()
    found, trained = named_leaves(found), named_leaves(make_variables(shift=0.25))
    assert found.keys() == trained.keys() - set(HEAD)
    for path in found:
        np.testing.assert_array_equal(found[path], trained[path], err_msg=path)
    with pytest.raises(CheckpointError, match="in more than its head: does not fit"):
        wrong = make_variables(num_classes=0, channels=3)
        load_start_weights(file, wrong, model_name=NAME)


def test_load_start_weights_refuses_what_differs_in_more_than_the_head(file):
    words = "differs from resnet8_cifar with these options in more than its head: .*"
    with pytest.raises(CheckpointError, match=words):
        load_start_weights(file, make_variables(channels=3), model_name=NAME)


def test_load_start_weights_refuses_another_network(tmp_path):
    save_safetensors(tmp_path / "a.safetensors", make_variables(), model_name="vgg11")
    with pytest.raises(CheckpointError, match="holds vgg11, not resnet8_cifar"):
        load_start_weights(
            tmp_path / "a.safetensors", make_variables(), model_name=NAME
        )


def test_load_start_weights_names_a_missing_file():
    with pytest.raises(DataError, match="no such file"):
        load_start_weights("nowhere.npz", make_variables(), model_name=NAME)


def train(folder, *words):
    status, message = run_main(
        "train_classifier",
        "configs/train_classifier/quick.yaml",
        f"run.folder={folder}",
        "run.name=run",
        "run.tensorboard=false",
        "mesh.data=1",
        "model.name=mlp",
        "data.train_limit=50",
        "data.batch_size=10",
        "optimizer.learning_rate=0.02",
        *words,
    )
    assert status == 0, message


def read_first_loss(folder):
    path = folder / "train_classifier" / "run" / "metrics.jsonl"
    return json.loads(path.read_text().splitlines()[0])["loss"]


def test_training_starts_from_an_exported_run(tmp_path, capsys):
    train(tmp_path / "a", "schedule.duration=60 steps", "run.log_every=10 steps")
    run = tmp_path / "a" / "train_classifier" / "run"
    file = tmp_path / "mlp.safetensors"
    assert run_main("export_weights", run, file) == (0, "")
    words = ("schedule.duration=1 steps", "run.log_every=1 steps")
    train(tmp_path / "fresh", *words)
    train(tmp_path / "tuned", *words, f"weights={file}")
    assert f"starts from {file}" in capsys.readouterr().out
    fresh, tuned = (read_first_loss(tmp_path / name) for name in ("fresh", "tuned"))
    assert tuned < 0.3 * fresh
