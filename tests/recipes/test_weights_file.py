"""Files of weights in the scripts: scored and asked; and what is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from jaxdl.errors import CheckpointError, ConfigError
from jaxdl.models import MODELS
from jaxdl.parallel import make_mesh
from jaxdl.recipes.build import build_dataset
from jaxdl.recipes.sections import DataSection, ModelSection
from jaxdl.recipes.weights_file import load_weights_file
from jaxdl.recipes.weights_options import (
    WEIGHTS_SUFFIXES,
    PreparationSection,
    is_weights_file,
)
from jaxdl.trees import named_leaves
from jaxdl.weights import (
    from_torch_state,
    read_tensors,
    save_safetensors,
    to_torch_state,
)
from tests.scripts import run_main
from tests.weights.reference_cases import draw_state

PREPARATION = ("augment.mean=[0.3]", "augment.std=[0.4]")
NAME = "model.name=resnet8_cifar"


@pytest.fixture(scope="module")
def variables():
    """Variables of a small network for the digits, drawn."""
    model, images = MODELS["resnet8_cifar"](num_classes=10), jnp.zeros((1, 8, 8, 1))
    shapes = jax.eval_shape(
        lambda key: model.init(key, images, train=False), jax.random.key(0)
    )
    generator = np.random.default_rng(0)

    def draw(leaf):
        scale = (2 / np.prod(leaf.shape[:-1])) ** 0.5 if leaf.ndim > 1 else 1
        values = generator.uniform(0.5, 1.5, leaf.shape)
        if leaf.ndim > 1:
            values = scale * generator.standard_normal(leaf.shape)
        return jnp.asarray(values, leaf.dtype)

    return jax.tree.map(draw, shapes)


@pytest.fixture(scope="module")
def accuracy(variables):
    """The accuracy on the digits' test split, without any of the scripts."""
    split = build_dataset(DataSection()).splits["test"]
    batch = split.read(np.arange(len(split)))
    images = (jnp.asarray(batch["images"], jnp.float32) / 255 - 0.3) / 0.4
    model = MODELS["resnet8_cifar"](num_classes=10)
    logits = jax.jit(lambda x: model.apply(variables, x, train=False))(images)
    return np.mean(np.argmax(logits, 1) == batch["labels"])


@pytest.fixture(scope="module")
def files(variables, tmp_path_factory):
    """The same weights in each kind of file that needs no PyTorch."""
    folder = tmp_path_factory.mktemp("weights")
    state = to_torch_state(variables, "resnet8_cifar")
    files = {kind: folder / f"{kind}.safetensors" for kind in ("own", "torch")}
    files["npz"] = folder / "net.npz"
    np.savez(files["npz"], **state)
    save_file(state, files["torch"])
    # A config that looks a little like that of an exported run, but is somebody's own.
    config = {"dataset": "digits", "model": "my_net", "step": "last"}
    save_safetensors(files["own"], variables, model_name="resnet8_cifar", config=config)
    return files


def read_accuracy(text):
    return float(re.search(r"^  accuracy +([\d.e-]+)$", text, re.MULTILINE)[1])


@pytest.mark.parametrize("kind", ["npz", "torch", "own"])
def test_evaluate_scores_a_file(files, accuracy, kind, capsys):
    words = PREPARATION if kind == "own" else (NAME, *PREPARATION)
    assert run_main("evaluate", files[kind], "mesh.data=2", *words) == (0, "")
    text = capsys.readouterr().out
    assert read_accuracy(text) == accuracy
    assert f"weights of {files[kind]}" in text


def test_predict_numbers_the_classes_of_a_file(tmp_path, capsys):
    state = draw_state("resnet8_cifar")
    np.savez(tmp_path / "net.npz", **state)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    argv = (tmp_path / "net.npz", tmp_path / "a.png", NAME)
    assert run_main("predict", *argv, "top=10") == (0, "")
    rows = re.findall(r"^  (\d\.\d{4})  (\d)$", capsys.readouterr().out, re.MULTILINE)
    # The published preparation of the CIFAR networks.
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images = jnp.asarray((pixels / 255 - mean) / std, jnp.float32)[None]
    variables = from_torch_state(state, "resnet8_cifar")
    model = MODELS["resnet8_cifar"](num_classes=10)
    logits = jax.jit(lambda x: model.apply(variables, x, train=False))(images)
    expected = np.asarray(jax.nn.softmax(logits))[0]
    assert [int(name) for _, name in rows] == np.argsort(-expected).tolist()
    np.testing.assert_allclose(
        [float(p) for p, _ in rows], np.sort(expected)[::-1], atol=1e-4
    )


def test_weights_lie_on_the_mesh(files, variables):
    mesh = make_mesh(data=4, model=2)
    trained = load_weights_file(
        files["npz"],
        mesh,
        model=ModelSection(name="resnet8_cifar"),
        augment=PreparationSection(mean=(0.3,), std=(0.4,)),
        dataset=build_dataset(DataSection()),
    )
    params, expected = named_leaves(trained.params), named_leaves(variables["params"])
    assert params.keys() == expected.keys()
    for path, leaf in params.items():
        assert leaf.sharding.mesh == mesh
        np.testing.assert_array_equal(leaf, expected[path])


def test_published_preparation_is_the_default(tmp_path):
    dataset = build_dataset(DataSection())
    state = {"linear.bias": np.zeros(10, np.float32)}
    np.savez(tmp_path / "net.npz", **state)
    with pytest.raises(ConfigError, match="mean has 3 values .*resnet20_cifar's publ"):
        load_weights_file(
            tmp_path / "net.npz",
            make_mesh(data=1),
            model=ModelSection(name="resnet20_cifar"),
            augment=PreparationSection(),
            dataset=dataset,
        )


def test_is_weights_file_goes_by_what_is_there_then_by_name(tmp_path):
    (tmp_path / "run.npz").mkdir()
    (tmp_path / "weights").write_bytes(b"x")
    assert not is_weights_file(str(tmp_path / "run.npz"))
    assert is_weights_file(str(tmp_path / "weights"))
    assert is_weights_file("missing.PTH") and not is_weights_file("runs/missing")


@pytest.mark.parametrize("suffix", WEIGHTS_SUFFIXES)
def test_suffixes_are_those_that_can_be_read(tmp_path, suffix):
    with pytest.raises(CheckpointError, match="No such file"):
        read_tensors(tmp_path / f"x{suffix}")
    with pytest.raises(
        CheckpointError, match=re.escape(", ".join(WEIGHTS_SUFFIXES[:-1]))
    ):
        read_tensors(tmp_path / "x.pkl")


REFUSED = {
    "no name": (["{npz}"], 2, ["model.name: missing", "net.npz"]),
    "missing": (["{tmp}/no.npz", NAME], 5, ["{tmp}/no.npz: no such file"]),
    "some other file": (["{tmp}/x.txt"], 2, ["x.txt: neither a run folder nor"]),
    "checkpoint of a file": (
        ["{npz}", NAME, "checkpoint=last"],
        2,
        ["checkpoint: only for a run folder"],
    ),
    "network of a run": (
        ["{tmp}", NAME],
        2,
        ["model.name: only for a weights file", ".safetensors"],
    ),
    "one half of the preparation": (
        ["{npz}", NAME, "augment.mean=[0.5]"],
        2,
        ["augment.mean: wanted augment.mean and augment.std"],
    ),
    "three channels": (
        ["{npz}", NAME],
        2,
        ["augment.mean has 3 values", "the images of digits have 1"],
    ),
    "images too small": (
        ["{npz}", "model.name=alexnet", *PREPARATION],
        2,
        ["model.name: alexnet:", "63", "8 x 8"],
    ),
    "damaged": (["{tmp}/bad.npz", NAME, *PREPARATION], 5, ["bad.npz: no npz file"]),
    "damaged header": (["{tmp}/bad.safetensors"], 5, ["bad.safetensors: no safeten"]),
    "unpublished": (
        ["{npz}", "model.name=mlp", *PREPARATION],
        2,
        ["model.name: mlp: no PyTorch layout is known"],
    ),
    "other options": (
        ["{own}", "model.norm=group", *PREPARATION],
        5,
        ["own.safetensors: holds another network than resnet8_cifar with these opt"],
    ),
    "unknown network": (
        ["{tmp}/odd.safetensors", *PREPARATION],
        5,
        ["odd.safetensors: its header does not fit: model.name:"],
    ),
    "odd classes": (
        ["{tmp}/odd_card.safetensors", *PREPARATION],
        5,
        ["odd_card.safetensors: its header is damaged (class_names"],
    ),
}


CARD = {
    "name": "digits",
    "class_names": list("0123456789"),
    "image_shape": [8, 8, 1],
    "mean": [0.3],
    "std": [0.4],
    "num_examples": {},
}


@pytest.mark.parametrize("case", REFUSED)
def test_evaluate_refuses_in_one_line(files, variables, tmp_path, case):
    argv, status, words = REFUSED[case]
    (tmp_path / "x.txt").write_text("text")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 and so on")
    (tmp_path / "bad.safetensors").write_bytes(b"text " * 9)
    save_safetensors(tmp_path / "odd.safetensors", variables, model_name="line")
    save_safetensors(
        tmp_path / "odd_card.safetensors",
        variables,
        model_name="resnet8_cifar",
        config={"model": {}, "data": {}, "dataset": CARD | {"class_names": 3}},
    )
    places = {"tmp": tmp_path, **files}
    fill = lambda text: str(text).format(**places)
    result, message = run_main("evaluate", "mesh.data=1", *map(fill, argv))
    assert result == status, message
    assert len(message.splitlines()) == 1, message
    for word in words:
        assert fill(word) in message


def test_evaluate_lists_the_tensors_of_another_network(files):
    status, message = run_main(
        "evaluate", files["npz"], "model.name=resnet20_cifar", *PREPARATION
    )
    head, missing = message.splitlines()
    assert status == 5 and "not those of resnet20_cifar" in head
    assert "layer1.1.conv1.weight" in missing
