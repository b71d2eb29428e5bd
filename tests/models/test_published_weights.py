"""Networks against published weights and an independent forward pass."""

from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdl.augment import normalize, to_float
from jaxdl.models import MODELS
from jaxdl.trees import named_leaves

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_test_images(folder, *, num_images):
    """The first images of the CIFAR-10 test sheet, 100 tiles of 32 x 32 a row."""
    sheet = np.asarray(Image.open(folder / "cifar10" / "test.webp").convert("RGB"))
    tiles = sheet.reshape(100, 32, 100, 32, 3).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(10_000, 32, 32, 3)[:num_images]


def torch_name(path):
    """`params/stage1/block0/norm1/scale` to `layer1.0.bn1.weight`."""
    collection, *parts = path.split("/")
    leaf = {
        "kernel": "weight",
        "scale": "weight",
        "bias": "bias",
        "mean": "running_mean",
        "var": "running_var",
    }[parts.pop()]
    names = {"stem_conv": "conv1", "stem_norm": "bn1", "head": "linear"}
    parts = [
        names.get(p, p)
        .replace("stage", "layer")
        .replace("block", "")
        .replace("norm", "bn")
        for p in parts
    ]
    return ".".join([*parts, leaf])


def convert(arrays, variables):
    """Arrays of PyTorch's layout in the tree of `variables`."""

    def convert_leaf(name, leaf):
        array = arrays[name]
        axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[array.ndim]
        array = array.transpose(axes)
        assert array.shape == leaf.shape, name
        return array

    leaves = {torch_name(path): leaf for path, leaf in named_leaves(variables).items()}
    stored = {name for name in arrays if "num_batches_tracked" not in name}
    assert stored == set(leaves)
    converted = [convert_leaf(name, leaf) for name, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(variables), converted)


@pytest.mark.parametrize("name", ["resnet20", "resnet56"])
def test_cifar_resnet_gives_the_reference_logits(name, data_dir):
    folder = Path(data_dir)
    weights = folder / "resnet_cifar10_weights"
    reference = np.load(weights / "reference_logits_test500.npz")[name]
    images = normalize(
        to_float(jax.numpy.asarray(read_test_images(folder, num_images=500))),
        mean=MEAN,
        std=STD,
    )
    model = MODELS[f"{name}_cifar"](num_classes=10)
    shapes = jax.eval_shape(
        lambda: model.init(jax.random.key(0), images[:1], train=False)
    )
    with np.load(weights / f"{name}.npz") as arrays:
        variables = convert(dict(arrays), shapes)
    logits = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, images)
    np.testing.assert_allclose(logits, reference, atol=1e-3)
    assert (np.argmax(logits, 1) == np.argmax(reference, 1)).all()
