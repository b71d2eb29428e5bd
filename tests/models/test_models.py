"""What holds for every network in `MODELS`; shapes alone, so nothing is compiled."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import MODELS
from jaxdl.trees import count_parameters, named_leaves

# ImageNet: 1000 classes, as published by torchvision. CIFAR: 10 classes; those of 20
# to 110 layers as published with trained networks, that of 8 counted by hand.
PARAMETERS = {
    "resnet8_cifar": 75_290,
    "resnet20_cifar": 269_722,
    "resnet32_cifar": 464_154,
    "resnet44_cifar": 658_586,
    "resnet56_cifar": 853_018,
    "resnet110_cifar": 1_727_962,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


def images_of(*, side=32, channels=3):
    return jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32)


@functools.cache
def init_shapes(name, *, num_classes=10, channels=3):
    """The shapes of the variables of a model."""
    init = functools.partial(MODELS[name](num_classes=num_classes).init, train=False)
    return jax.eval_shape(init, jax.random.key(0), images_of(channels=channels))


@pytest.mark.parametrize("name", MODELS)
def test_model_has_the_published_number_of_parameters(name):
    num_classes = 10 if name.endswith("_cifar") else 1000
    params = init_shapes(name, num_classes=num_classes)["params"]
    published = PARAMETERS[name.replace("plain", "resnet")]
    assert count_parameters(params) == published


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_model_gives_float32_logits_and_new_statistics(name, dtype):
    variables = init_shapes(name)
    model = MODELS[name](num_classes=10, dtype=dtype)
    train = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    logits, updates = jax.eval_shape(train, variables, images_of())
    assert logits.shape == (2, 10)
    assert logits.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    assert updates["batch_stats"] == variables["batch_stats"]


@pytest.mark.parametrize("name", MODELS)
def test_model_takes_small_grey_images(name):
    variables = init_shapes(name, channels=1)
    evaluate = functools.partial(MODELS[name](num_classes=10).apply, train=False)
    images = images_of(side=8, channels=1)
    assert jax.eval_shape(evaluate, variables, images).shape == (2, 10)


@pytest.mark.parametrize("name", MODELS)
def test_model_names_its_parameters_by_stage_and_block(name):
    paths = named_leaves(init_shapes(name)["params"])
    assert "stem_conv/kernel" in paths
    assert "stage1/block0/conv1/kernel" in paths
    assert "head/kernel" in paths
    last_parts = {path.rsplit("/", 1)[1] for path in paths}
    assert last_parts == {"kernel", "bias", "scale"}


@pytest.mark.parametrize("name", [name for name in MODELS if "plain" in name])
def test_plain_model_has_the_parameters_of_the_residual_one(name):
    residual = name.replace("plain", "resnet")
    assert init_shapes(name) == init_shapes(residual)
