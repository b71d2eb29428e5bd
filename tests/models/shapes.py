"""The shapes of the variables of networks, traced once per session."""

import functools

import jax
import jax.numpy as jnp

from jaxdl.diagnose import count_macs
from jaxdl.models import INPUTS, MODELS

ONE_OF_EACH = (
    "alexnet",
    "efficientnet_b0",
    "googlenet_aux",
    "inception_v3",
    "plain8_cifar",
    "resnet8_cifar",
    "resnet18",
    "resnet50_v1",
    "resnet18_v2",
    "vgg11",
    "vgg11_bn",
)
"""A small network of each family and kind: what holds for it holds for the deep."""

FAMILIES = tuple(
    name
    for name in ONE_OF_EACH
    if name not in ("inception_v3", "plain8_cifar", "resnet50_v1", "vgg11_bn")
)


def classes_of(name):
    return 10 if INPUTS[name].image_size < 224 else 1000


def make(name, **options):
    return MODELS[name](num_classes=classes_of(name), **options)


def smallest_side(name):
    return make(name).describe_family().smallest_side


def images_of(side, *, channels=3):
    """A batch of two square images."""
    return jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32)


@functools.cache
def trace_init(name, *, channels=None, **options):
    """The shapes of the variables of a model, and what initialising it multiplies."""
    model, variables = make(name, **options), {}

    def init(key, images):
        logits, tracers = model.init_with_output(key, images, train=False)
        variables.update(jax.tree.map(lambda x: jax.typeof(x), tracers))
        return logits

    spec = INPUTS[name]
    images = images_of(spec.image_size, channels=channels or spec.channels)
    macs = count_macs(init, jax.random.key(0), images)
    as_struct = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype)
    return jax.tree.map(as_struct, variables), macs


def init_shapes(name, **options):
    return trace_init(name, **options)[0]
