"""Dropout: in training, a random part of the activations is set to zero."""

from collections.abc import Sequence
from typing import Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.typing import Array, Float, PRNGKey

DropoutForm = Literal["inverted", "classic"]
"""Where the expectation is put right: in training, or in evaluation."""


def dropout(
    x: Float[Array, "..."],
    *,
    rate: float,
    train: bool,
    form: DropoutForm = "inverted",
    shared_axes: Sequence[int] = (),
    key: PRNGKey | None = None,
) -> Float[Array, "..."]:
    """Sets values to zero at random, and keeps their expectation.

    "inverted" divides the values kept by 1 - rate, and does nothing in evaluation.
    "classic" leaves the values kept as they are, and multiplies all by 1 - rate in
    evaluation. Training's expectation is evaluation's value in both.

    Args:
      x: activations, any float dtype.
      rate: probability of becoming zero, in [0, 1).
      train: drop; otherwise the expectation is given.
      form: "inverted" or "classic".
      shared_axes: axes along which values are dropped together: height and width for
        whole channels, all but the batch for whole examples.
      key: needed in training where the rate is not 0.

    Returns:
      Activations of the same shape and dtype. The same key drops the same values on
      any number of devices.

    Raises:
      ValueError: the rate or form is out of range, an axis is not one of `x`, or the
        key is missing.

    Source:
      Srivastava et al. 2014, section 4 (classic) and 10 (inverted), "Dropout: a simple
      way to prevent neural networks from overfitting".

    Example:
      >>> dropout(jnp.ones(4), rate=0.5, train=True, key=jax.random.key(1))
      Array([2., 0., 2., 2.], dtype=float32)
      >>> dropout(jnp.ones(4), rate=0.5, train=False, form="classic")
      Array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    _check_choice("dropout: form", form, get_args(DropoutForm))
    keep = 1.0 - _check_rate("dropout", rate)
    if rate == 0 or (form == "inverted" and not train):
        return x
    if not train:
        return x * keep
    if key is None:
        raise ValueError(f"dropout: training at rate {rate} needs a key, got None")
    shape = list(x.shape)
    for axis in shared_axes:
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(
                f"dropout: shared_axes={tuple(shared_axes)} are not all axes of x of "
                f"shape {x.shape}"
            )
        shape[axis] = 1
    kept = jax.random.bernoulli(key, keep, shape)
    return jnp.where(kept, x / keep if form == "inverted" else x, jnp.zeros_like(x))


class Dropout(nn.Module):
    """Drops single activations, or whole channels, in training.

    In `apply` the keys come from the stream "dropout":
    `rngs={"dropout": key}`.

    Attributes:
      rate: probability of becoming zero, in [0, 1).
      form: see `dropout`.
      spatial: drop whole channels of an image: neighbouring pixels are so alike that
        one tells what another was. On vectors it changes nothing.

    Raises:
      ValueError: the rate or form is out of range.

    Source:
      Srivastava et al. 2014, section 4; whole channels: Tompson et al. 2015, section
      3.2, arXiv:1411.4280.

    Example:
      >>> x = jnp.ones((1, 4))
      >>> rngs = {"dropout": jax.random.key(0)}
      >>> Dropout(0.5).apply({}, x, train=True, rngs=rngs)
      Array([[0., 2., 2., 0.]], dtype=float32)
    """

    rate: float
    form: DropoutForm = "inverted"
    spatial: bool = False

    def __post_init__(self):
        """Checks the rate and the form."""
        _check_rate("Dropout", self.rate)
        _check_choice("Dropout: form", self.form, get_args(DropoutForm))
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *pixels channels"], *, train: bool
    ) -> Float[Array, "batch *pixels channels"]:
        """Drops in training; gives the expectation in evaluation.

        Args:
          x: activations, channels last, any float dtype.
          train: drop.

        Returns:
          Activations of the same shape and dtype.
        """
        axes = range(1, x.ndim - 1) if self.spatial else ()
        return _drop(self, x, train=train, form=self.form, shared_axes=axes)


class StochasticDepth(nn.Module):
    """Drops the branch of a residual block for whole examples, in training.

    The values kept are divided by 1 - rate; evaluation changes nothing. In `apply`
    the keys come from the stream "dropout": `rngs={"dropout": key}`.

    Attributes:
      rate: probability of becoming zero, in [0, 1); usually grows with depth.
      mode: "row" draws for each example, "batch" once for all of them.

    Raises:
      ValueError: the rate or mode is out of range.

    Source:
      Huang et al. 2016, section 3, arXiv:1603.09382. Differs from it as torchvision
      does: training is scaled, not evaluation.

    Example:
      >>> x = jnp.ones((2, 3))
      >>> rngs = {"dropout": jax.random.key(0)}
      >>> StochasticDepth(0.5).apply({}, x, train=True, rngs=rngs)
      Array([[0., 0., 0.],
             [2., 2., 2.]], dtype=float32)
    """

    rate: float
    mode: Literal["row", "batch"] = "row"

    def __post_init__(self):
        """Checks the rate and the mode."""
        _check_rate("StochasticDepth", self.rate)
        _check_choice("StochasticDepth: mode", self.mode, ("row", "batch"))
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *pixels channels"], *, train: bool
    ) -> Float[Array, "batch *pixels channels"]:
        """Drops in training; gives `x` itself in evaluation.

        Args:
          x: the output of a branch, before it is added to the shortcut.
          train: drop.

        Returns:
          Activations of the same shape and dtype.
        """
        axes = range(1 if self.mode == "row" else 0, x.ndim)
        return _drop(self, x, train=train, shared_axes=axes)


def _drop(module, x, *, train, **options):
    """Drops with a key of the module's stream, asked for only where one is needed."""
    key = module.make_rng("dropout") if train and module.rate > 0 else None
    return dropout(x, rate=module.rate, train=train, key=key, **options)


def _check_rate(owner, rate):
    if not 0 <= rate < 1:
        raise ValueError(f"{owner}: rate must be in [0, 1), got {rate}")
    return rate


def _check_choice(owner, choice, choices):
    if choice not in choices:
        wanted = " or ".join(map(repr, choices))
        raise ValueError(f"{owner} must be {wanted}, got {choice!r}")
