import functools
import re

import jax
import jax.numpy as jnp
import pytest

from jaxdl.layers import RBFHead
from jaxdl.models import (
    MODELS,
    VGG,
    AlexNet,
    CifarResNet,
    ImageMLP,
    Projector,
    RBFNetwork,
    ResNet,
    SmallCNN,
    TwinNetwork,
    list_splits,
)
from jaxdl.trees import named_leaves

SMALL = {
    "alexnet": (AlexNet(num_classes=3, width=2, hidden_size=6), 63),
    "mlp": (ImageMLP(num_classes=3, hidden_size=6), 8),
    "resnet18": (ResNet(depth=18, num_classes=3, width=2), 32),
    "resnet50": (ResNet(depth=50, num_classes=3, width=2), 32),
    "resnet50_v2": (ResNet(depth=50, num_classes=3, width=2, version="v2"), 32),
    "resnet8_cifar": (CifarResNet(depth=8, num_classes=3, width=2), 8),
    "small_cnn": (SmallCNN(num_classes=3, widths=(2, 4, 6, 8), norm="batch"), 16),
    "vgg11_bn": (VGG(depth=11, num_classes=3, width=2, hidden_size=6), 32),
}


def list_shapes(model, side):
    init = functools.partial(model.init, train=False)
    x = jnp.zeros((1, side, side, 3))
    shapes = jax.eval_shape(init, jax.random.key(0), x)
    return {path: leaf.shape for path, leaf in named_leaves(shapes).items()}


@pytest.mark.parametrize("name", SMALL)
def test_list_splits_matches_layers_that_fit_each_other(name):
    model, side = SMALL[name]
    shapes = list_shapes(model, side)
    outputs = []
    for pattern, word in list_splits(model):
        found = [shapes[path] for path in shapes if re.search(pattern, path)]
        kernels = [shape for shape in found if len(shape) > 1]
        if word == "outputs":
            assert found or "norm" in pattern
            outputs = [shape[-1] for shape in kernels] or outputs
        else:
            inputs = [shape[-2] for shape in kernels]
            # The square that dense layers see is flat: its channels lie inside.
            assert len(inputs) == len(outputs) > 0
            assert [i % o for i, o in zip(inputs, outputs, strict=True)] == [0] * len(
                inputs
            )


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet50_v2"])
def test_list_splits_of_a_resnet_reaches_the_norm_between(name):
    model, side = SMALL[name]
    shapes = list_shapes(model, side)
    widths = {"outputs": set(), "inputs": set()}
    first = next(iter(list_splits(model)))
    block = "stage1/block0"
    for pattern, word in list_splits(model):
        for path in shapes:
            if block in path and re.search(pattern, path):
                axis = -1 if word == "outputs" else -2
                if word == "outputs" or len(shapes[path]) > 1:
                    widths[word].add(shapes[path][axis])
    norms = [p for p in shapes if block in p and re.search(list_splits(model)[1][0], p)]
    assert len(norms) == 4  # scale, bias, mean and variance
    assert widths == {"outputs": {2}, "inputs": {2}}
    assert first[1] == "outputs"


def test_list_splits_of_wrappers_are_those_of_their_parts():
    backbone = MODELS["resnet8_cifar"](num_classes=0)
    twins = TwinNetwork(backbone, Projector(widths=(8, 8, 8)))
    assert twins.list_splits()[:3] == backbone.list_splits()
    assert twins.list_splits()[3:] == (
        ("dense1/", "outputs"),
        ("norm1/", "outputs"),
        ("dense2/", "inputs"),
        ("dense3/", "outputs"),
    )
    rbf = RBFNetwork(backbone, RBFHead(4, 3, embedding_size=2))
    assert rbf.list_splits() == backbone.list_splits()


def test_list_splits_of_a_network_without_any_is_empty():
    assert list_splits(MODELS["googlenet"](num_classes=3)) == ()
