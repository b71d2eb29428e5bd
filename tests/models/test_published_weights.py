"""Networks against published weights and an independent forward pass."""

from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxdl.augment import normalize, to_float
from jaxdl.models import INPUTS, MODELS
from jaxdl.weights import load_torch


def read_test_images(folder, *, num_images):
    """The first images of the CIFAR-10 test sheet, 100 tiles of 32 x 32 a row."""
    sheet = np.asarray(Image.open(folder / "cifar10" / "test.webp").convert("RGB"))
    tiles = sheet.reshape(100, 32, 100, 32, 3).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(10_000, 32, 32, 3)[:num_images]


@pytest.mark.parametrize("name", ["resnet20", "resnet56"])
def test_cifar_resnet_gives_the_reference_logits(name, data_dir):
    folder = Path(data_dir)
    weights = folder / "resnet_cifar10_weights"
    reference = np.load(weights / "reference_logits_test500.npz")[name]
    spec = INPUTS[f"{name}_cifar"]
    images = jax.numpy.asarray(read_test_images(folder, num_images=500))
    images = normalize(to_float(images), mean=spec.mean, std=spec.std)
    model = MODELS[f"{name}_cifar"](num_classes=10)
    variables = load_torch(weights / f"{name}.npz", f"{name}_cifar")
    logits = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, images)
    np.testing.assert_allclose(logits, reference, atol=1e-3)
    assert (np.argmax(logits, 1) == np.argmax(reference, 1)).all()
