"""Automatic augmentation: operations drawn for each image by a published policy.

Magnitudes are those of torchvision. The code of AutoAugment and RandAugment differs in
two things: there the factor of an enhancement rises from 0.1 at no magnitude to 1.9,
here it goes from 1 either way at random; and there solarize begins at level 256, so
that it may change nothing, here at 255. What a move brings in is gray, as in that code
for ImageNet; torchvision's is black.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxdl.augment.operations import IDENTITY, OPERATIONS, apply_operations
from jaxdl.augment.policy_tables import (
    AUTO_AUGMENT,
    AUTO_AUGMENT_LEVELS,
    NARROW,
    RANDOM_LEVELS,
    RANDOM_OPERATIONS,
    WIDE,
    Reach,
    tabulate_amounts,
)
from jaxdl.augment.views import Images
from jaxdl.typing import Array, Float, Int, PRNGKey

AutoAugmentPolicy = Literal["cifar10", "imagenet"]
"""The dataset that a policy of AutoAugment was found on."""


@functools.partial(jax.jit, static_argnames=("policy", "fill"))
def auto_augment(
    images: Images, *, policy: AutoAugmentPolicy, fill: int = 128, key: PRNGKey
) -> Images:
    """Changes each image by one of the 25 pairs of operations of AutoAugment.

    Args:
      images: bytes, or floats in [0, 1], which are rounded to 256 levels; of 1 or 3
        channels, and not normalised.
      policy: the dataset that the pairs were found on.
      fill: level in 0 to 255 of what a move brings in.
      key: of this call alone.

    Returns:
      Images of the same shape and dtype; of floats the levels divided by 255.

    Raises:
      ValueError: no such policy, another number of channels or a fill out of range.

    Source:
      Cubuk et al. 2018, arXiv:1805.09501; magnitudes as in torchvision, see this
      module. The paper's flip, crop and cutout are not part of it.

    Example:
      >>> images = jnp.zeros((2, 8, 8, 3), jnp.uint8)
      >>> auto_augment(images, policy="cifar10", key=jax.random.key(0)).shape
      (2, 8, 8, 3)
    """
    num_images, height, width, _ = images.shape
    drawn = draw_auto_augment(
        num_images, policy=policy, image_size=(height, width), key=key
    )
    return apply_operations(images, *drawn, fill=fill)


@functools.partial(jax.jit, static_argnames=("num_operations", "magnitude", "fill"))
def rand_augment(
    images: Images,
    *,
    num_operations: int = 2,
    magnitude: int = 9,
    fill: int = 128,
    key: PRNGKey,
) -> Images:
    """Changes each image by operations that are all drawn alike, of one magnitude.

    Args:
      images: as `auto_augment` takes them.
      num_operations: that are taken one after the other, at least 1; one may come
        twice.
      magnitude: level in 0 to 30 of every operation.
      fill: level of what a move brings in, in 0 to 255.
      key: of this call alone.

    Returns:
      Images as `auto_augment` gives them.

    Raises:
      ValueError: an option out of range or another number of channels.

    Source:
      Cubuk et al. 2019, arXiv:1909.13719; 14 operations, magnitudes as in torchvision,
      see this module.

    Example:
      >>> images = jnp.zeros((2, 8, 8, 3), jnp.uint8)
      >>> rand_augment(images, magnitude=5, key=jax.random.key(0)).shape
      (2, 8, 8, 3)
    """
    num_images, height, width, _ = images.shape
    if num_operations < 1:
        raise ValueError(
            f"rand_augment: num_operations must be at least 1, got {num_operations}"
        )
    if not 0 <= magnitude < RANDOM_LEVELS:
        raise ValueError(
            f"rand_augment: magnitude must be in 0 to {RANDOM_LEVELS - 1}, "
            f"got {magnitude}"
        )
    drawn = draw_random_operations(
        (num_images, num_operations),
        magnitude=magnitude,
        reach=NARROW,
        image_size=(height, width),
        key=key,
    )
    return apply_operations(images, *drawn, fill=fill)


@functools.partial(jax.jit, static_argnames="fill")
def trivial_augment(images: Images, *, fill: int = 128, key: PRNGKey) -> Images:
    """Changes each image by one operation, which and how far drawn alike.

    Args:
      images: as `auto_augment` takes them.
      fill: level in 0 to 255 of what comes in from outside.
      key: of this call alone.

    Returns:
      The images, changed; shape and dtype are kept.

    Raises:
      ValueError: another number of channels or a fill out of range.

    Source:
      Mueller and Hutter 2021, arXiv:2103.10158, in its wide form: shifts of up to 32
      pixels, whatever the size of the image.

    Example:
      >>> images = jnp.zeros((2, 8, 8, 3), jnp.uint8)
      >>> trivial_augment(images, key=jax.random.key(0)).shape
      (2, 8, 8, 3)
    """
    num_images, height, width, _ = images.shape
    drawn = draw_random_operations(
        (num_images, 1),
        magnitude=None,
        reach=WIDE,
        image_size=(height, width),
        key=key,
    )
    return apply_operations(images, *drawn, fill=fill)


POLICIES: dict[str, Callable[..., Array]] = {
    "autoaugment_cifar10": functools.partial(auto_augment, policy="cifar10"),
    "autoaugment_imagenet": functools.partial(auto_augment, policy="imagenet"),
    "randaugment": rand_augment,
    "trivialaugment": trivial_augment,
}
"""Functions `(images, *, key) -> images` by the names that configs use."""


def draw_auto_augment(
    num_images: int,
    *,
    policy: AutoAugmentPolicy,
    image_size: tuple[int, int],
    key: PRNGKey,
) -> tuple[Int[Array, "batch 2"], Float[Array, "batch 2"]]:
    """Operations and amounts for `apply_operations`."""
    if policy not in AUTO_AUGMENT:
        wanted = " or ".join(map(repr, AUTO_AUGMENT))
        raise ValueError(f"auto_augment: policy must be {wanted}, got {policy!r}")
    pairs = AUTO_AUGMENT[policy]
    numbers = [[OPERATIONS.index(name) for name, _, _ in pair] for pair in pairs]
    probabilities = [[probability for _, probability, _ in pair] for pair in pairs]
    levels = [[level for _, _, level in pair] for pair in pairs]
    draws = jax.random.uniform(key, (num_images, 5))
    chosen = (len(pairs) * draws[:, 0]).astype(jnp.int32)
    is_taken = draws[:, 1:3] < jnp.array(probabilities, jnp.float32)[chosen]
    operations = jnp.where(is_taken, jnp.array(numbers, jnp.int32)[chosen], IDENTITY)
    amounts = tabulate_amounts(
        NARROW, num_levels=AUTO_AUGMENT_LEVELS, image_size=image_size
    )
    ways = (draws[:, 3:] < 0.5).astype(jnp.int32)
    levels = jnp.array(levels, jnp.int32)[chosen]
    return operations, jnp.asarray(amounts)[operations, ways, levels]


def draw_random_operations(
    shape: tuple[int, int],
    *,
    magnitude: int | None,
    reach: Reach,
    image_size: tuple[int, int],
    key: PRNGKey,
) -> tuple[Int[Array, "batch steps"], Float[Array, "batch steps"]]:
    """Operations and amounts for `apply_operations`; no magnitude: any, drawn alike."""
    draws = jax.random.uniform(key, (*shape, 3))
    numbers = jnp.array(RANDOM_OPERATIONS, jnp.int32)
    operations = numbers[(len(numbers) * draws[..., 0]).astype(jnp.int32)]
    ways = (draws[..., 1] < 0.5).astype(jnp.int32)
    levels = (RANDOM_LEVELS * draws[..., 2]).astype(jnp.int32)
    if magnitude is not None:
        levels = jnp.full_like(levels, magnitude)
    amounts = tabulate_amounts(reach, num_levels=RANDOM_LEVELS, image_size=image_size)
    return operations, jnp.asarray(amounts)[operations, ways, levels]
