"""Shapes of layers, beside what other parts of the library count."""

import jax
import numpy as np
import pytest

from jaxdl.diagnose import (
    count_macs,
    list_layer_shapes,
    list_split_sums,
    split_share,
)
from jaxdl.models import MODELS, list_splits


def list_layers(name, side, batch=2):
    model = MODELS[name](num_classes=3)
    images = jax.ShapeDtypeStruct((batch, side, side, 3), np.float32)
    init = lambda key, x: dict(model.init(key, x, train=False))
    variables = jax.eval_shape(init, jax.random.key(0), images)
    forward = lambda v, x: model.apply(v, x, train=False)
    macs = count_macs(forward, variables, images)
    return model, list_layer_shapes(model, variables, images), macs


@pytest.mark.parametrize(
    ("name", "side"), [("resnet20_cifar", 32), ("vgg11", 32), ("efficientnet_b0", 64)]
)
def test_list_layer_shapes_finds_every_multiplication(name, side):
    _, layers, macs = list_layers(name, side)
    assert sum(layer.macs for layer in layers) == macs
    assert [layer.is_first for layer in layers] == [True] + [False] * (len(layers) - 1)


def test_list_split_sums_of_a_residual_network_are_two_per_block():
    model, layers, _ = list_layers("resnet8_cifar", 16, batch=4)
    sums = list_split_sums(layers, list_splits(model))
    # Of each block first what is given to its first layer, then what its second gives.
    sides = [(16, 16), (16, 16), (16, 16), (8, 32), (8, 32), (4, 64)]
    assert [one.shape for one in sums] == [(4, side, side, c) for side, c in sides]
    stem = 16 * 16 * 9 * 3 * 16
    head = 64 * 3
    blocks = 16 * 16 * 9 * 2 * 16 * 16
    blocks += 8 * 8 * 9 * (16 * 32 + 32 * 32) + 4 * 4 * 9 * (32 * 64 + 64 * 64)
    share = split_share(layers, list_splits(model))
    assert share == pytest.approx(blocks / (stem + blocks + head))


def test_list_split_sums_leaves_out_the_images_and_what_is_kept_whole():
    model, layers, _ = list_layers("small_cnn", 16)
    splits = list_splits(model)
    shapes = [one.shape[1:] for one in list_split_sums(layers, splits)]
    assert shapes == [(8, 8, 32), (4, 4, 32), (2, 2, 256)]
    whole = [("conv[34]/", "whole"), *splits]
    assert len(list_split_sums(layers, whole)) == 1
    assert not list_split_sums(layers, [("^(params|optimizer_state)/", "largest")])
