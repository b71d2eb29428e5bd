"""Radial basis function heads: distances to centres decide."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.layers.conv import Dense
from jaxdl.layers.distances import squared_distances
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.initializers import lecun_normal, zeros_bias
from jaxdl.layers.radial_kernels import RADIAL_KERNELS
from jaxdl.layers.tables import choose
from jaxdl.typing import Array, Float, Params

Metric = Literal["euclidean", "diagonal", "full"]

METRICS: tuple[Metric, ...] = ("euclidean", "diagonal", "full")
"""Distances that `RBFHead` knows."""


class RBFOutputs(NamedTuple):
    """What a head says of a batch, all float32."""

    logits: Float[Array, "*batch classes"]
    """Class scores, or predictions of a regression."""
    activations: Float[Array, "*batch centers"]
    """Of each centre, by its kernel."""
    squared_distances: Float[Array, "*batch centers"]
    """To each centre, under the metric; the width is not in them."""
    embeddings: Float[Array, "*batch size"]
    """What the distances are taken of."""


class RBFParts(NamedTuple):
    """What a head's parameters mean."""

    centers: Float[Array, "centers size"]
    """One per row."""
    widths: Float[Array, " centers"]
    """Above 0."""
    weights: Float[Array, "*weights size"] | None
    """See `squared_distances`; of the metric `"diagonal"`."""
    transforms: Float[Array, "*transforms size size"] | None
    """See `squared_distances`; of the metric `"full"`."""
    kernel: Float[Array, "centers classes"]
    """From activations to outputs."""
    bias: Float[Array, " classes"]
    """Added to the outputs."""


class RBFHead(nn.Module):
    """A linear embedding, distances to trainable centres, a kernel, a linear output.

    The embedding has no activation, and nothing is dropped before it: distances would
    be those of something else in training. The metric and the widths are positive by
    construction: their logarithms are the parameters, of which 0 means 1.

    Parameters: `embedding/{kernel, bias}` (not for `embedding_size=None`), `centers`
    (centers, size), `log_widths` (centers,), `log_weights` or `transforms` of the
    metric, `output/{kernel, bias}`.

    Attributes:
      num_centers: at least 1.
      num_classes: number of outputs, at least 1.
      embedding_size: of what distances are taken of; None takes those of the inputs
        themselves, as radial basis function networks on vectors do.
      metric: `"euclidean"`, `"diagonal"` (a weight per direction) or `"full"`
        (L of ||L (x - c)||).
      per_center_metric: each centre has a metric of its own. A full metric that all
        share adds nothing to what the embedding can do.
      kernel: one of `RADIAL_KERNELS`.
      nonnegative: output kernel and bias can't be negative: a centre speaks for
        classes, never against one.
      dropout_rate: share of activations dropped in training, in [0, 1); draws from the
        stream "dropout".

    Raises:
      ValueError: a number below 1, or an unknown name.

    Source:
      Amirian and Schwenker 2020, arXiv:2208.11401: metric diagonal and shared, kernel
      quadratic, output nonnegative; metric and output start in U(0.5, 1). Differs from
      it: positive by exp and softplus, where a ReLU can get stuck at 0.

    Example:
      >>> head = RBFHead(num_centers=4, num_classes=3, embedding_size=2)
      >>> outputs, _ = head.init_with_output(jax.random.key(0), jnp.ones((5, 8)))
      >>> outputs.logits.shape, outputs.squared_distances.shape
      ((5, 3), (5, 4))
    """

    num_centers: int
    num_classes: int
    embedding_size: int | None
    metric: Metric = "diagonal"
    per_center_metric: bool = False
    kernel: str = "quadratic"
    nonnegative: bool = False
    dropout_rate: float = 0.0

    def __post_init__(self):
        """Checks the numbers and the names."""
        for name in ("num_centers", "num_classes", "embedding_size"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"RBFHead: {name} must be at least 1, got {number}")
        choose({name: name for name in METRICS}, self.metric, what="metric")
        choose(RADIAL_KERNELS, self.kernel, what="radial kernel")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, features: Float[Array, "*batch features"], *, train: bool = False
    ) -> RBFOutputs:
        """Embeds features, measures their distances and weighs the activations.

        Args:
          features: of a backbone, or vectors; computed in float32.
          train: drop activations on the way to the outputs.

        Returns:
          Outputs and all that leads to them.
        """
        x = features.astype(jnp.float32)
        if self.embedding_size is not None:
            x = Dense(
                self.embedding_size,
                kernel_init=lecun_normal(),
                bias_init=zeros_bias,
                name="embedding",
            )(x)
        parts = self._make_parts(x.shape[-1])
        distances = squared_distances(
            x, parts.centers, weights=parts.weights, transforms=parts.transforms
        )
        activations = RADIAL_KERNELS[self.kernel](distances, parts.widths)
        kept = Dropout(self.dropout_rate)(activations, train=train)
        logits = weigh_activations(kept, parts)
        return RBFOutputs(logits, activations, distances, x)

    @nn.nowrap
    def read_parts(self, params: Params) -> RBFParts:
        """What parameters mean: centres, widths and metric as they are used.

        Args:
          params: of the head.

        Returns:
          Arrays; change parameters through `jaxdl.rbf` rather than through these.
        """
        output: Mapping[str, Array] = params["output"]
        kernel, bias = output["kernel"], output["bias"]
        if self.nonnegative:
            kernel, bias = jax.nn.softplus(kernel), jax.nn.softplus(bias)
        weights = params.get("log_weights")
        return RBFParts(
            centers=params["centers"],
            widths=jnp.exp(params["log_widths"]),
            weights=None if weights is None else jnp.exp(weights),
            transforms=params.get("transforms"),
            kernel=kernel,
            bias=bias,
        )

    def _make_parts(self, size: int) -> RBFParts:
        count = self.num_centers
        shared = (count,) if self.per_center_metric else ()
        params: dict[str, Any] = {
            "centers": self.param(
                "centers", nn.initializers.normal(1.0), (count, size), jnp.float32
            ),
            "log_widths": self.param(
                "log_widths", nn.initializers.zeros, (count,), jnp.float32
            ),
            "output": _Output(count, self.num_classes, self.nonnegative, name="output")(
                None
            ),
        }
        if self.metric == "diagonal":
            params["log_weights"] = self.param(
                "log_weights", _log_uniform, (*shared, size), jnp.float32
            )
        elif self.metric == "full":
            params["transforms"] = self.param(
                "transforms", _identities, (*shared, size, size), jnp.float32
            )
        return self.read_parts(params)


def weigh_activations(
    activations: Float[Array, "*batch centers"], parts: RBFParts
) -> Float[Array, "*batch classes"]:
    """The linear output of a head.

    Args:
      activations: of the centres.
      parts: of the head; its kernel and bias.

    Returns:
      The outputs, float32 with all its bits on every device.

    Example:
      >>> parts = RBFParts(None, None, None, None, jnp.ones((2, 1)), jnp.ones(1))
      >>> weigh_activations(jnp.ones((1, 2)), parts)
      Array([[3.]], dtype=float32)
    """
    product = jnp.matmul(activations, parts.kernel, precision=lax.Precision.HIGHEST)
    return product + parts.bias.reshape((1,) * (product.ndim - 1) + parts.bias.shape)


class _Output(nn.Module):
    """Kernel and bias of the output, under a name of their own."""

    num_centers: int
    num_classes: int
    nonnegative: bool

    @nn.compact
    def __call__(self, _: None) -> dict[str, Array]:
        shape = (self.num_centers, self.num_classes)
        initializer = _softplus_uniform if self.nonnegative else lecun_normal()
        return {
            "kernel": self.param("kernel", initializer, shape, jnp.float32),
            "bias": self.param("bias", nn.initializers.zeros, shape[1:], jnp.float32),
        }


def _log_uniform(key, shape, dtype):
    return jnp.log(jax.random.uniform(key, shape, dtype, 0.5, 1.0))


def _softplus_uniform(key, shape, dtype):
    """What softplus makes U(0.5, 1) of."""
    return jnp.log(jnp.expm1(jax.random.uniform(key, shape, dtype, 0.5, 1.0)))


def _identities(key, shape, dtype):
    del key
    return jnp.broadcast_to(jnp.eye(shape[-1], dtype=dtype), shape)
