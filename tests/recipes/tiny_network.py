"""A network that compiles in a moment, with all that a real one has."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.layers import BatchNorm
from jaxdl.models.network import Family, Network


class TinyNetwork(nn.Module):
    """One convolution, one normalisation, the mean over the image, one projection."""

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Conv(8, (3, 3), strides=2, use_bias=False, dtype=self.dtype)(images)
        x = nn.relu(BatchNorm(dtype=self.dtype)(x, train=train))
        x = x.reshape(len(x), -1)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x).astype(jnp.float32)


class LinearNetwork(nn.Module):
    """Logits linear in the pixels; examples of a batch don't meet."""

    num_classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(self.num_classes)(images.reshape(len(images), -1))


class TinyBackbone(Network, kw_only=True):
    """Patches of 2x2 pixels, each seen by four units; trains, and gives features."""

    @nn.nowrap
    def describe_family(self):
        return Family(smallest_side=2, in_torchvision=False)

    def encode(self, images, *, train):
        x = nn.Conv(4, (2, 2), strides=2, padding="VALID", name="conv")(images)
        x = nn.relu(BatchNorm(name="norm")(x, train=train))
        return {"features": x.reshape(len(x), -1)}


def encode_patches(variables, images):
    """The features of a `TinyBackbone` in evaluation mode, in float64."""
    conv, norm = variables["params"]["conv"], variables["params"]["norm"]
    stats = variables["batch_stats"]["norm"]
    conv, norm, stats = jax.tree.map(np.float64, (dict(conv), dict(norm), dict(stats)))
    n, height, width, channels = images.shape
    patches = images.reshape(n, height // 2, 2, width // 2, 2, channels)
    patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(n, -1, 4 * channels)
    x = patches @ conv["kernel"].reshape(4 * channels, -1) + conv["bias"]
    x = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
    return np.maximum(x * norm["scale"] + norm["bias"], 0).reshape(n, -1)
