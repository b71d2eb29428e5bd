"""AlexNet and VGG: their values, and where they drop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import VGG, AlexNet
from jaxdl.trees import named_leaves
from tests.float64 import convolve, pool

SMALL = {"num_classes": 3, "width": 1, "hidden_size": 8}


def leaves_float64(variables):
    leaves = named_leaves(variables["params"])
    return {path: np.asarray(leaf, float) for path, leaf in leaves.items()}


def relu_layer(x, leaves, name, *, multiply, **options):
    """Multiplies by the kernel, adds the bias, and keeps what is above 0."""
    y = multiply(x, leaves[f"{name}/kernel"], **options) + leaves[f"{name}/bias"]
    return np.maximum(y, 0)


def apply_dense_layers(x, leaves):
    x = x.reshape(len(x), -1)
    for name in ("fc1", "fc2"):
        x = relu_layer(x, leaves, name, multiply=np.matmul)
    return x @ leaves["head/kernel"] + leaves["head/bias"]


def alexnet_float64(leaves, x):
    conv = functools.partial(relu_layer, leaves=leaves, multiply=convolve)
    shrink = functools.partial(pool, reduce=np.max, window=3, stride=2)
    x = shrink(conv(x, name="conv1", stride=4, padding=2))
    x = shrink(conv(x, name="conv2"))
    for name in ("conv3", "conv4", "conv5"):
        x = conv(x, name=name)
    # One row of 1 pixel, two columns: each column of the square of 6 sees one of them.
    return apply_dense_layers(np.repeat(np.repeat(shrink(x), 6, 1), 3, 2), leaves)


def vgg11_float64(leaves, x):
    for stage, number in enumerate((1, 1, 2, 2, 2), start=1):
        for index in range(1, number + 1):
            name = f"stage{stage}/conv{index}"
            x = relu_layer(x, leaves, name, multiply=convolve)
        x = pool(x, np.max, window=2, stride=2)
    return apply_dense_layers(np.repeat(np.repeat(x, 7, 1), 7, 2), leaves)


@pytest.mark.parametrize(
    ("model", "sides", "reference"),
    [
        (AlexNet(**SMALL), (63, 95), alexnet_float64),
        (VGG(depth=11, **SMALL), (33, 35), vgg11_float64),
    ],
)
def test_dense_network_equals_numpy_in_float64(model, sides, reference, draw_variables):
    images = jax.random.normal(jax.random.key(0), (2, *sides, 3))
    variables = draw_variables(model, images)
    logits = jax.jit(functools.partial(model.apply, train=False))(variables, images)
    expected = reference(leaves_float64(variables), np.asarray(images, float))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "drops_features"),
    [(AlexNet(**SMALL), False), (VGG(depth=11, **SMALL), True)],
)
def test_dense_network_drops_before_the_layers_it_should(
    model, drops_features, draw_variables
):
    images = jax.random.normal(jax.random.key(0), (8, 64, 64, 3))
    variables = draw_variables(model, images)
    extract = jax.jit(
        functools.partial(model.apply, train=True, method="extract"),
    )
    maps = extract(variables, images, rngs={"dropout": jax.random.key(1)})
    head = variables["params"]["head"]
    logits = jnp.dot(maps["features"], head["kernel"], precision="highest")
    whole = np.allclose(logits + head["bias"][None], maps["logits"], atol=1e-4)
    assert whole is not drops_features
    evaluated = model.apply(variables, images, train=False, method="extract")
    assert not np.allclose(evaluated["features"], maps["features"], atol=1e-4)
    np.testing.assert_allclose(evaluated["pooled"], maps["pooled"], atol=1e-5)


@pytest.mark.parametrize("depth", [8, 12])
def test_vgg_names_an_unknown_depth(depth):
    with pytest.raises(ValueError, match=f"one of 11, 13, 16, 19, got {depth}"):
        VGG(depth=depth, num_classes=10)
