"""What all networks have in common: their options, their head, their outputs."""

import dataclasses
import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from jaxdl.layers import (
    ACTIVATIONS,
    INITIALIZERS,
    NORMS,
    BiasInitializer,
    Dense,
    Dropout,
    Style,
    kaiming_normal,
    torch_uniform,
    torch_uniform_bias,
    zeros_bias,
)
from jaxdl.layers.tables import choose
from jaxdl.models.inputs import IMAGENET, InputSpec
from jaxdl.models.splits import Splits
from jaxdl.typing import Array, Float

_TABLES = {
    "norm": {**NORMS, "none": None},
    "activation": ACTIVATIONS,
    "initialization": {**INITIALIZERS, "torchvision": None},
}
"""What the options of a network may name."""


@dataclasses.dataclass(frozen=True)
class Family:
    """What the networks of one family are unless they are told otherwise.

    Attributes:
      norm: a key of `NORMS`, or "none".
      norm_epsilon: added to the variance by the norm.
      activation: a key of `ACTIVATIONS`.
      dropout_rate: in [0, 1).
      dropped: names of the dense layers whose input loses values to dropout.
      kernel_init: of convolutions, as in the reference implementation.
      bias_init: of convolutions.
      dense_kernel_init: of dense layers.
      dense_bias_init: of dense layers.
      smallest_side: of an image, in pixels, that leaves something to pool.
      in_torchvision: whether the reference implementation is torchvision.
      images: what the published weights want.

    Example:
      >>> from jaxdl.models import VGG
      >>> VGG(depth=11, num_classes=10).describe_family().smallest_side
      32
    """

    norm: str = "batch"
    norm_epsilon: float = 1e-5
    activation: str = "relu"
    dropout_rate: float = 0.0
    dropped: tuple[str, ...] = ("head",)
    kernel_init: Initializer = kaiming_normal()
    bias_init: BiasInitializer = zeros_bias
    dense_kernel_init: Initializer = torch_uniform()
    dense_bias_init: BiasInitializer = torch_uniform_bias
    smallest_side: int = 1
    in_torchvision: bool = True
    images: InputSpec = IMAGENET


class Network(nn.Module, kw_only=True):
    """A network that scores or describes images; each family is a subclass.

    A subclass says what it is in `describe_family` and computes its maps in `encode`.
    None for an option means the family's own choice.

    Attributes:
      num_classes: logits per image; 0 for a network without a head, which gives its
        features, and without auxiliary heads where the family has any.
      norm: a key of `NORMS`, or "none" for no normalisation (convolutions then have a
        bias).
      norm_epsilon: added to the variance by the norm.
      norm_groups: see `Style`.
      activation: a key of `ACTIVATIONS`.
      initialization: a key of `INITIALIZERS` for all kernels, biases then being 0;
        None for the distributions of the reference implementation, which "torchvision"
        asks for by name.
      dropout_rate: in [0, 1); training draws from the stream "dropout".
      dtype: the dtype of convolutions and activations; parameters, statistics, pooling
        over the image and the head are float32.

    Raises:
      ValueError: an unknown name, a number out of range, or "torchvision" for a
        network that is not there.

    Example:
      >>> from jaxdl.models import ResNet
      >>> model = ResNet(depth=18, num_classes=10, norm="group", activation="gelu")
      >>> model.style.norm, model.style.activation
      ('group', 'gelu')
    """

    num_classes: int
    norm: str | None = None
    norm_epsilon: float | None = None
    norm_groups: int | None = None
    activation: str | None = None
    initialization: str | None = None
    dropout_rate: float | None = None
    dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        """Checks the options before anything is built on them."""
        super().__post_init__()
        name = type(self).__name__
        if self.num_classes < 0:
            raise ValueError(
                f"{name}: num_classes must be at least 0, got {self.num_classes}"
            )
        rate = self.dropout_rate
        if rate is not None and not 0 <= rate < 1:
            raise ValueError(f"{name}: dropout_rate must be in [0, 1), got {rate}")
        for option, table in _TABLES.items():
            choice = getattr(self, option)
            if choice is not None:
                choose(table, choice, what=option)
        in_torchvision = self.describe_family().in_torchvision
        if self.initialization == "torchvision" and not in_torchvision:
            raise ValueError(
                f"{name}: initialization is 'torchvision', which has no such network; "
                "leave it out for the distributions of the paper"
            )

    @nn.nowrap
    def describe_family(self) -> Family:
        """What this network is unless its options say otherwise."""
        raise NotImplementedError

    @nn.nowrap
    def list_splits(self) -> Splits:
        """Which layers are split where devices share the parameters; () for none."""
        return ()

    def encode(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> dict[str, Array]:
        """The named maps up to "features", called inside the compact `extract`."""
        raise NotImplementedError

    def __call__(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch outputs"]:
        """Scores images, or with no classes describes them.

        Args:
          images: normalised images, channels last, of any number of channels.
          train: normalise by the statistics of the batch, update the running ones and
            drop values.

        Returns:
          Float32 logits; with no classes the "features" of `extract`.

        Raises:
          ValueError: the images are smaller than the network can take.
        """
        maps = self.extract(images, train=train)
        return maps["logits" if self.num_classes else "features"]

    @nn.compact
    def extract(
        self, images: Float[Array, "batch height width channels"], *, train: bool
    ) -> OrderedDict[str, Array]:
        """What the network sees in images, from pixels to logits.

        Called as `model.apply(variables, images, train=False, method="extract")`.

        Args:
          images: as for a call.
          train: as for a call.

        Returns:
          Maps of (batch, height, width, channels) in `dtype`, in the order in which
          they are computed and named as the family's class says; then the vectors
          "features", before the last dropout, and, where there are classes,
          "logits", both float32.

        Raises:
          ValueError: the images are smaller than the network can take.
        """
        self.check_side(images, self.describe_family().smallest_side)
        # Not a plain dictionary: JAX sorts the keys of those.
        maps = OrderedDict(self.encode(images, train=train))
        x = maps["features"] = maps["features"].astype(jnp.float32)
        if self.num_classes:
            logits = self.apply_dense(x, self.num_classes, name="head", train=train)
            maps["logits"] = logits
        return maps

    @nn.nowrap
    def check_side(self, images, smallest_side: int, *, when: str = "") -> None:
        """Names the smallest side that works, where XLA would only name a shape."""
        height, width = images.shape[1:3]
        if min(height, width) < smallest_side:
            raise ValueError(
                f"{type(self).__name__}: images must be at least {smallest_side} x "
                f"{smallest_side} pixels{when}, got {height} x {width}"
            )

    @property
    def style(self) -> Style:
        """The layers' norm, activation, initialisers and dtype."""
        family = self.describe_family()
        norm = family.norm if self.norm is None else self.norm
        epsilon = self.norm_epsilon
        kernel_init, bias_init = self._pick_init(family.kernel_init, family.bias_init)
        return Style(
            norm=None if norm == "none" else norm,
            norm_epsilon=family.norm_epsilon if epsilon is None else epsilon,
            norm_groups=self.norm_groups,
            activation=self.activation or family.activation,
            kernel_init=kernel_init,
            bias_init=bias_init,
            dtype=self.dtype,
        )

    @nn.nowrap
    def make_dense(
        self, *, kernel_init: Initializer | None = None
    ) -> Callable[..., Dense]:
        """A maker of dense layers with the family's initialisers, or those asked for.

        Args:
          kernel_init: of the reference implementation, where it is not the family's.

        Returns:
          Called as `make_dense()(features, dtype=..., name=...)`.
        """
        family = self.describe_family()
        kernel_init, bias_init = self._pick_init(
            kernel_init or family.dense_kernel_init, family.dense_bias_init
        )
        return functools.partial(Dense, kernel_init=kernel_init, bias_init=bias_init)

    def apply_dense(
        self,
        x: Float[Array, "batch inputs"],
        features: int,
        *,
        name: str,
        train: bool,
        dtype: DTypeLike = jnp.float32,
    ) -> Float[Array, "batch features"]:
        """A dense layer, after dropout where the family has it there.

        Args:
          x: vectors.
          features: outputs.
          name: of the layer.
          train: drop.
          dtype: in which it computes.

        Returns:
          Vectors of `features` numbers, not activated.
        """
        family, rate = self.describe_family(), self.dropout_rate
        if name in family.dropped:
            rate = family.dropout_rate if rate is None else rate
            x = Dropout(rate, name=f"{name}_dropout")(x, train=train)
        return self.make_dense()(features, dtype=dtype, name=name)(x)

    def sow_auxiliary(self, name: str, head: nn.Module, x, *, train: bool) -> None:
        """In training, leaves the logits of an auxiliary head to the loss.

        They go into the collection "auxiliary_logits" as `<name>_logits`, if the caller
        has made it mutable. Evaluation does not run the head; initialising makes its
        parameters.

        Args:
          name: of the head.
          head: a module called as `head(x, train=...)`.
          x: the map that it scores.
          train: run the head.
        """
        if train or self.is_initializing():
            logits = head(x, train=train)
            if not self.is_initializing():
                self.sow("auxiliary_logits", f"{name}_logits", logits)

    def _pick_init(self, kernel_init, bias_init):
        if self.initialization in (None, "torchvision"):
            return kernel_init, bias_init
        return INITIALIZERS[self.initialization], zeros_bias


def check_choice(what: str, choice: Any, choices: Iterable[Any]) -> None:
    """Names what was wanted where an option is none of the choices.

    Args:
      what: whose option, and which.
      choice: what was given.
      choices: what is allowed.

    Raises:
      ValueError: it is not one of them.

    Example:
      >>> check_choice("VGG: depth", 12, (11, 13))
      Traceback (most recent call last):
      ...
      ValueError: VGG: depth must be one of 11, 13, got 12
    """
    if choice not in choices:
        wanted = ", ".join(map(str, choices))
        raise ValueError(f"{what} must be one of {wanted}, got {choice}")
