"""What the studies' explaining pictures show, measured on the layers themselves."""

import os
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.layers import NORMS, Dropout, DropoutForm, Style, dropout
from jaxdl.report import DropoutOutputs, plot_dropout, plot_pooled_axes
from jaxdl.typing import PRNGKey


def draw_pooled_axes(path: str | os.PathLike[str]) -> None:
    """Draws the cube picture of every norm, as its layer has it.

    Args:
      path: the PNG to write.
    """
    masks = {}
    for norm in NORMS:
        num_groups = 2 if norm == "group" else None
        name = f"{norm}, 2 groups" if norm == "group" else norm
        masks[name] = find_pooled(norm, num_groups=num_groups, key=jax.random.key(0))
    plot_pooled_axes(masks, path)


def draw_dropout(path: str | os.PathLike[str], *, rate: float = 0.5) -> None:
    """Draws what the forms and kinds of dropout do at one rate.

    Args:
      path: the PNG to write.
      rate: probability of dropping a value, in [0, 1).
    """
    key = jax.random.key(0)
    forms: tuple[DropoutForm, ...] = ("inverted", "classic")
    plot_dropout(
        {
            f"{form} dropout, rate {rate:g}": sample_dropout(form, rate=rate, key=key)
            for form in forms
        },
        {
            "single values": find_dropped(spatial=False, rate=rate, key=key),
            "whole channels (spatial)": find_dropped(spatial=True, rate=rate, key=key),
        },
        path,
    )


def find_pooled(
    norm: str, *, num_groups: int | None = None, key: PRNGKey
) -> np.ndarray:
    """Which activations share a mean and a variance, seen in the gradient.

    The first activation, normalised, has a gradient with respect to those that count
    in its mean and variance, and to no other.

    Args:
      norm: a key of `NORMS`, or "none".
      num_groups: see `Style`.
      key: draws the activations.

    Returns:
      bool (4 examples, 6 pixels, 6 channels), seen from the first activation.

    Example:
      >>> mask = find_pooled("instance", key=jax.random.key(0))
      >>> mask.sum(), mask[0, :, 0].all()
      (np.int64(6), np.True_)
    """
    name = None if norm == "none" else norm
    layer = Style(norm=name, norm_groups=num_groups).make_norm()

    @jax.jit
    def differentiate(key):
        def first(x):
            y, _ = layer.init_with_output(key, x, train=True)
            return y[0, 0, 0, 0]

        return jax.grad(first)(jax.random.normal(key, (4, 2, 3, 6)))

    return np.asarray(differentiate(key)).reshape(4, 6, 6) != 0


def sample_dropout(
    form: DropoutForm,
    *,
    rate: float,
    num_draws: int = 4000,
    num_inputs: int = 100,
    key: PRNGKey,
) -> DropoutOutputs:
    """Outputs of a unit whose inputs are dropped, in training and in evaluation.

    Args:
      form: see `dropout`.
      rate: probability of dropping an input, in [0, 1).
      num_draws: outputs in training.
      num_inputs: of the unit.
      key: draws inputs, weights and what is dropped.

    Returns:
      Outputs for one input, as the weights and the input are the same in every draw
      and for both forms.

    Example:
      >>> outputs = sample_dropout("classic", rate=0.5, key=jax.random.key(0))
      >>> outputs.training.shape
      (4000,)
    """
    key_inputs, key_weights, key_draws = jax.random.split(key, 3)
    inputs = jax.nn.relu(jax.random.normal(key_inputs, (num_inputs,)) + 0.5)
    weights = (1 + jax.random.normal(key_weights, (num_inputs,))) / num_inputs

    @jax.vmap
    def draw(key):
        return weights @ dropout(inputs, rate=rate, train=True, form=form, key=key)

    evaluation = weights @ dropout(inputs, rate=rate, train=False, form=form)
    training = jax.jit(draw)(jax.random.split(key_draws, num_draws))
    return DropoutOutputs(np.asarray(training), float(evaluation))


def find_dropped(
    *, spatial: bool, rate: float, num_channels: int = 6, key: PRNGKey
) -> Sequence[np.ndarray]:
    """Where dropout takes the values of an image away, channel by channel.

    Args:
      spatial: see `Dropout`.
      rate: probability of dropping, in [0, 1).
      num_channels: of the image.
      key: draws what is dropped.

    Returns:
      A bool array (height, width) for each channel.

    Example:
      >>> masks = find_dropped(spatial=True, rate=0.5, key=jax.random.key(0))
      >>> all(mask.all() or not mask.any() for mask in masks)
      True
    """
    layer = Dropout(rate, spatial=spatial)
    ones = jnp.ones((1, 8, 8, num_channels))
    left = layer.apply({}, ones, train=True, rngs={"dropout": key})
    return list(np.moveaxis(np.asarray(left)[0] == 0, -1, 0))
