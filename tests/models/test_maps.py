"""The named maps of every kind of network; shapes alone."""

import functools

import jax
import jax.numpy as jnp
import pytest

from jaxdl.models import INPUTS
from tests.models.shapes import (
    ONE_OF_EACH,
    classes_of,
    images_of,
    init_shapes,
    make,
)

# Side of the maps at the side that the network was made for, and their channels.
MAPS = {
    "alexnet": {
        "stage1": (55, 64),
        "stage2": (27, 192),
        "stage3": (13, 256),
        "pooled": (6, 256),
        "features": 4096,
    },
    "efficientnet_b0": {
        "stem": (112, 32),
        "stage1": (112, 16),
        "stage2": (56, 24),
        "stage3": (28, 40),
        "stage4": (14, 80),
        "stage5": (14, 112),
        "stage6": (7, 192),
        "stage7": (7, 320),
        "top": (7, 1280),
        "features": 1280,
    },
    "googlenet_aux": {
        "stem": (112, 64),
        "stage1": (56, 192),
        "stage2": (28, 480),
        "stage3": (14, 832),
        "stage4": (7, 1024),
        "features": 1024,
    },
    "inception_v3": {
        "stem": (147, 64),
        "stage1": (71, 192),
        "stage2": (35, 288),
        "stage3": (17, 768),
        "stage4": (8, 2048),
        "features": 2048,
    },
    "resnet8_cifar": {
        "stem": (32, 16),
        "stage1": (32, 16),
        "stage2": (16, 32),
        "stage3": (8, 64),
        "features": 64,
    },
    "resnet18": {
        "stem": (112, 64),
        "stage1": (56, 64),
        "stage2": (28, 128),
        "stage3": (14, 256),
        "stage4": (7, 512),
        "features": 512,
    },
    "resnet50_v1": {
        "stem": (112, 64),
        "stage1": (56, 256),
        "stage2": (28, 512),
        "stage3": (14, 1024),
        "stage4": (7, 2048),
        "features": 2048,
    },
    "vgg11": {
        "stage1": (224, 64),
        "stage2": (112, 128),
        "stage3": (56, 256),
        "stage4": (28, 512),
        "stage5": (14, 512),
        "pooled": (7, 512),
        "features": 4096,
    },
}
MAPS["plain8_cifar"] = MAPS["resnet8_cifar"]
MAPS["vgg11_bn"] = MAPS["vgg11"]
MAPS["resnet18_v2"] = {
    **{name: size for name, size in MAPS["resnet18"].items() if name != "features"},
    "final": (7, 512),
    "features": 512,
}


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_model_extracts_its_maps_in_order(name):
    model = make(name, dtype=jnp.bfloat16)
    extract = functools.partial(model.apply, train=False, method="extract")
    images = images_of(INPUTS[name].image_size)
    maps = jax.eval_shape(extract, init_shapes(name), images)
    vectors = {"features": maps.pop("features"), "logits": maps.pop("logits")}
    expected = dict(MAPS[name])
    features = expected.pop("features")
    assert [x.shape for x in vectors.values()] == [
        (2, features),
        (2, classes_of(name)),
    ]
    assert {x.dtype.name for x in vectors.values()} == {"float32"}
    assert {x.dtype.name for x in maps.values()} == {"bfloat16"}
    shapes = {key: (side, side, channels) for key, (side, channels) in expected.items()}
    assert [(key, x.shape[1:]) for key, x in maps.items()] == list(shapes.items())
