"""What studies show to networks: noise or images, and weights fit to be looked at."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import load_dataset
from jaxdl.errors import ConfigError
from jaxdl.recipes.study_configs import ImagesSection
from jaxdl.typing import Array, PRNGKey


def build_images(
    section: ImagesSection, *, image_size: int, key: PRNGKey
) -> tuple[Array, Array | None]:
    """One batch of images of mean 0 and standard deviation 1 over all pixels.

    Args:
      section: where they come from, how many.
      image_size: side of noise if the section leaves it open.
      key: seeds the noise, and the choice of images.

    Returns:
      Float32 images (batch, height, width, channels), and their labels; None for
      noise, which has three channels.

    Raises:
      ConfigError: the source has fewer images than asked for.
      DataError: see `jaxdl.data.load_dataset`.
    """
    size = section.image_size
    if section.source == "noise":
        side = image_size if size is None else size
        shape = (section.batch_size, side, side, 3)
        return jax.random.normal(key, shape), None
    dataset = load_dataset(section.source, path=section.path, image_size=size)
    split = dataset.splits["train"]
    if len(split) < section.batch_size:
        raise ConfigError(
            f"images.batch_size={section.batch_size}: {dataset.name} has only "
            f"{len(split)} images to train on"
        )
    order = np.asarray(jax.random.permutation(key, len(split)))
    batch = split.read(np.sort(order[: section.batch_size]))
    images = batch["images"].astype(np.float32)
    std = images.std(dtype=np.float64) or 1.0
    images = (images - images.mean(dtype=np.float64)) / std
    return jnp.asarray(images, jnp.float32), jnp.asarray(batch["labels"])


def settle_statistics(
    model: nn.Module, variables: dict[str, Any], images: Array
) -> dict[str, Any]:
    """Running statistics set to those of a batch, as long training would leave them.

    A fresh network normalises by mean 0 and variance 1 in evaluation, that is not at
    all. Training updates are linear, `new = m old + (1 - m) batch`; from an old value
    of 0 and one of 1 both `m` and the batch's own statistics follow.

    Args:
      model: called as `model(images, train=True)`.
      variables: its variables; without running statistics they are returned as they
        are.
      images: the batch.

    Returns:
      The variables, with other running statistics.
    """
    if "batch_stats" not in variables:
        return variables
    old = variables["batch_stats"]

    def update(start):
        stats = jax.tree.map(lambda leaf: jnp.full_like(leaf, start), old)
        _, changed = model.apply(
            {**variables, "batch_stats": stats},
            images,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(0)},
        )
        return changed["batch_stats"]

    from_zero, from_one = update(0.0), update(1.0)
    settled = jax.tree.map(
        lambda zero, one: zero / (1.0 - (one - zero)), from_zero, from_one
    )
    return {**variables, "batch_stats": settled}


def draw_variables(model: nn.Module, images: Array, *, key: PRNGKey) -> dict[str, Any]:
    """The initial variables of a network, without running it.

    Args:
      model: called as `model(images, train=False)`.
      images: a batch; only its shape matters.
      key: seeds the initialisers.

    Returns:
      What `model.init` gives.

    Raises:
      ConfigError: the network can't take the images.
    """
    shape = jax.ShapeDtypeStruct(images.shape, images.dtype)
    try:
        return dict(model.lazy_init(key, shape, train=False))
    except ValueError as error:
        raise ConfigError(f"images.image_size: {error}") from None
