"""Gaussian blur, each image by its own width."""

import functools
import math

import jax
import jax.numpy as jnp

from jaxdl.augment.checks import check_probability
from jaxdl.augment.mapping import keep_apart, map_images
from jaxdl.augment.resampling import lay_down, stand_up
from jaxdl.typing import Array, Float, PRNGKey

_TRUNCATION = 3.0
"""Taps reach this many of the greatest standard deviation: 0.3 % of it is cut."""


@functools.partial(jax.jit, static_argnames=("sigma", "probability"))
def gaussian_blur(
    images: Float[Array, "batch height width channels"],
    *,
    sigma: tuple[float, float] = (0.1, 2.0),
    probability: float = 1.0,
    key: PRNGKey,
) -> Float[Array, "batch height width channels"]:
    """Blurs a share of the images, each by its own draw.

    Args:
      images: float32 or bfloat16 in [0, 1].
      sigma: least and greatest standard deviation in pixels, above 0; uniform.
      probability: that an image is blurred, in [0, 1].
      key: of this call alone.

    Returns:
      Images of the same shape and dtype.

    Raises:
      ValueError: an option out of range.

    Source:
      Chen et al. 2020, SimCLR, appendix A, arXiv:2002.05709, with a fixed number of
      taps, see `blur_images`.

    Example:
      >>> gaussian_blur(jnp.ones((2, 4, 4, 3)), key=jax.random.key(0)).shape
      (2, 4, 4, 3)
    """
    options = {"sigma": sigma, "probability": probability}
    sigmas = draw_blur_sigmas(images.shape[0], **options, key=key)
    return blur_images(images, sigmas, radius=find_blur_radius(sigma[1]))


@functools.partial(jax.jit, static_argnames="radius")
def blur_images(
    images: Float[Array, "batch height width channels"],
    sigmas: Float[Array, " batch"],
    *,
    radius: int,
) -> Float[Array, "batch height width channels"]:
    """Blurs each image by the given width.

    Args:
      images: any float dtype; computed in float32.
      sigmas: standard deviation for each image in pixels, float32; images with 0 are
        left as they are.
      radius: taps on each side of a pixel, at least 0. Those of a Gaussian are
        sampled at pixels and scaled to sum to 1. Beyond its border an image goes on
        with its last pixel.

    Returns:
      Images of the same shape and dtype.

    Raises:
      ValueError: a negative radius.

    Example:
      >>> images = jnp.zeros((1, 1, 5, 1)).at[0, 0, 2, 0].set(1.0)
      >>> blurred = blur_images(images, jnp.array([0.5]), radius=1)
      >>> [f"{value:.3f}" for value in blurred.ravel()]
      ['0.000', '0.107', '0.787', '0.107', '0.000']
    """
    if radius < 0:
        raise ValueError(f"blur_images: radius must be at least 0, got {radius}")

    def blur(image, sigma):
        planes = blur_planes(lay_down(image), sigma, radius=radius)
        return stand_up(planes).astype(image.dtype)

    return map_images(blur, images, sigmas.astype(jnp.float32))


def draw_blur_sigmas(
    num_images: int, *, sigma: tuple[float, float], probability: float, key: PRNGKey
) -> Float[Array, " batch"]:
    """A width for each image, 0 for those that aren't blurred; see `gaussian_blur`."""
    check_sigma("gaussian_blur", sigma=sigma)
    check_probability("gaussian_blur", probability=probability)
    low, high = sigma
    draws = jax.random.uniform(key, (num_images, 2))
    sigmas = low + (high - low) * draws[:, 0]
    return jnp.where(draws[:, 1] < probability, sigmas, 0.0)


def find_blur_radius(largest_sigma: float) -> int:
    """Taps on each side that leave out less than 0.3 % of the widest Gaussian."""
    return math.ceil(_TRUNCATION * largest_sigma)


def check_sigma(routine: str, **bounds: tuple[float, float]) -> None:
    """Raises ValueError for widths that are out of range."""
    for name, (low, high) in bounds.items():
        if not 0.0 < low <= high < math.inf:
            raise ValueError(
                f"{routine}: {name} must be two numbers above 0, the least first, "
                f"got {(low, high)}"
            )


def blur_planes(planes: Array, sigma: Array, *, radius: int) -> Array:
    """Blurs one image that is laid down, unless its `sigma` is 0."""

    def blur(planes):
        distances = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
        weights = jnp.exp(-0.5 * (distances / sigma) ** 2)
        weights = weights / weights.sum()
        width, _, height = planes.shape
        taps = range(2 * radius + 1)
        across = sum(
            weights[tap]
            * planes.at[_clip_shift(width, tap - radius)].get(mode="promise_in_bounds")
            for tap in taps
        )
        # A slice of a padded array is read as one piece; a gather along the last axis
        # pixel by pixel.
        sides = ((0, 0), (0, 0), (radius, radius))
        pad = lambda x: jnp.pad(x, sides, mode="edge")
        padded = keep_apart(pad, jnp.asarray(across), needed=sigma > 0)
        return sum(weights[tap] * padded[..., tap : tap + height] for tap in taps)

    return jax.lax.cond(sigma > 0, blur, lambda planes: planes, planes)


def _clip_shift(size, shift):
    return jnp.clip(jnp.arange(size) + shift, 0, size - 1)
