"""A network that compiles in a moment, with all that a real one has."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxdl.layers import BatchNorm


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
