"""From which distribution each kernel and bias of a network starts.

The initialisers of all layers are noted while shapes are traced; each distinct one
then draws a kernel of one shape, whose deviation and bounds tell the distribution.
"""

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import Conv, Dense
from jaxdl.models import INPUTS, MODELS

SHAPE = (3, 3, 16, 64)
FAN_IN, FAN_OUT = 9 * 16, 9 * 64
UNBOUNDED = np.inf


def normal(std):
    return std, UNBOUNDED


def uniform(bound):
    return bound / np.sqrt(3), bound


KAIMING = normal(np.sqrt(2 / FAN_OUT))
KAIMING_FAN_IN = normal(np.sqrt(2 / FAN_IN))
TORCH = uniform(1 / np.sqrt(FAN_IN))
ZERO = (0.0, 0.0)

# Kernel, then bias, by the first pattern that is found in the path; as in the
# constructors of torchvision's networks and, for CIFAR, in He et al. 2016.
EXPECTED = {
    "alexnet": {"": (TORCH, TORCH)},
    "vgg11": {"stage": (KAIMING, ZERO), "fc|head": (normal(0.01), ZERO)},
    "vgg11_bn": {"stage": (KAIMING, ZERO), "fc|head": (normal(0.01), ZERO)},
    "resnet18": {"conv": (KAIMING, None), "head": (TORCH, TORCH)},
    "resnet50": {"conv": (KAIMING, None), "head": (TORCH, TORCH)},
    "resnet50_v1": {"conv": (KAIMING, None), "head": (TORCH, TORCH)},
    "resnet18_v2": {"conv": (KAIMING, None), "head": (TORCH, TORCH)},
    "resnet8_cifar": {"conv": (KAIMING_FAN_IN, None), "head": (TORCH, ZERO)},
    "googlenet_aux": {
        "conv": (normal(0.01), None),
        "head|fc1": (normal(0.01), TORCH),
    },
    "inception_v3": {
        "aux/head": (normal(0.001), TORCH),
        "conv": (normal(0.1), None),
        "head": (normal(0.1), TORCH),
    },
    "efficientnet_b0": {
        "squeeze_excitation/fc": (KAIMING, ZERO),
        "conv": (KAIMING, None),
        "head": (uniform(1 / np.sqrt(FAN_OUT)), ZERO),
    },
}


def note_initializers(name, **options):
    """The initialisers of kernel and bias (None without one) by the layer's path."""
    noted = {}

    def note(call, args, kwargs, context):
        layer = context.module
        if isinstance(layer, (Conv, Dense)) and context.method_name == "__call__":
            bias_init = layer.bias_init if layer.use_bias else None
            noted["/".join(layer.path)] = (layer.kernel_init, bias_init)
        return call(*args, **kwargs)

    model = MODELS[name](num_classes=10, **options)
    side = min(INPUTS[name].image_size, 75)
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    with nn.intercept_methods(note):
        init = functools.partial(model.init, train=False)
        jax.eval_shape(init, jax.random.key(0), images)
    return noted


@functools.cache
def draw(initializer):
    return np.asarray(initializer(jax.random.key(0), SHAPE, jnp.float32), float)


def check_distribution(initializer, expected):
    """9216 draws: their deviation is right to 1 %, their bounds almost reached."""
    (std, bound), draws = expected, draw(initializer)
    assert draws.std() == pytest.approx(std, rel=0.03)
    assert abs(draws.mean()) <= 0.05 * std
    largest = abs(draws).max()
    if bound == UNBOUNDED:
        assert largest > 3 * std  # where a uniform or a truncated one ends earlier
    else:
        assert 0.99 * bound <= largest <= bound


@pytest.mark.parametrize("name", EXPECTED)
def test_layers_start_as_in_the_reference_implementation(name):
    noted = note_initializers(name)
    assert noted
    used = set()
    for path, (kernel_init, bias_init) in noted.items():
        pattern = next(p for p in EXPECTED[name] if re.search(p, path))
        kernel, bias = EXPECTED[name][pattern]
        used.add(pattern)
        check_distribution(kernel_init, kernel)
        assert (bias_init is None) == (bias is None), path
        if bias is not None:
            check_distribution(bias_init(FAN_IN), bias)
    assert used == set(EXPECTED[name])


@pytest.mark.parametrize("name", ["alexnet", "efficientnet_b0", "resnet18"])
def test_torchvision_is_the_name_of_the_reference(name):
    named = note_initializers(name, initialization="torchvision")
    assert named == note_initializers(name)


@pytest.mark.parametrize("name", ["resnet20_cifar", "resnet50_v1", "resnet18_v2"])
def test_torchvision_is_refused_where_it_has_no_such_network(name):
    with pytest.raises(ValueError, match="'torchvision', which has no such network"):
        MODELS[name](num_classes=10, initialization="torchvision")


@pytest.mark.parametrize("name", ["vgg11", "googlenet_aux", "efficientnet_b0"])
def test_one_initializer_by_name_serves_every_kernel(name):
    noted = note_initializers(name, initialization="xavier_uniform")
    (kernel_init,) = {kernel_init for kernel_init, _ in noted.values()}
    bound = np.sqrt(6 / (FAN_IN + FAN_OUT))
    check_distribution(kernel_init, uniform(bound))
    for bias_init in {bias_init for _, bias_init in noted.values()} - {None}:
        check_distribution(bias_init(FAN_IN), ZERO)
