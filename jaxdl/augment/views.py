"""Two random views of each image, for self-supervised learning."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.augment import pixels
from jaxdl.augment.blur import (
    blur_planes,
    check_sigma,
    draw_blur_sigmas,
    find_blur_radius,
)
from jaxdl.augment.checks import check_channels, check_probability
from jaxdl.augment.color import check_jitter, draw_color_steps, take_color_steps
from jaxdl.augment.mapping import map_images
from jaxdl.augment.resampling import (
    Interpolation,
    Taps,
    check_interpolation,
    find_taps,
    mirror,
    resample,
    stand_up,
)
from jaxdl.augment.resized_crop import check_crop, draw_crop_boxes, parse_size
from jaxdl.typing import Array, Bool, Float, Int, PRNGKey, UInt8

Images = (
    Float[Array, "batch height width channels"]
    | UInt8[Array, "batch height width channels"]
)
"""Floats in [0, 1], or bytes as they are stored."""


@dataclasses.dataclass(frozen=True)
class View:
    """How one view of an image is drawn; steps are taken in this order.

    Raises:
      ValueError: a number out of range.

    Example:
      >>> dataclasses.replace(CIFAR_VIEWS[0], flip_probability=0.0).hue
      0.1
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    """Least and greatest share of the image's area that is kept, in (0, 1]."""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Least and greatest width over height of what is kept."""
    interpolation: Interpolation = "bicubic"
    """How it is resized, see `crop_and_resize`; always antialiased."""
    flip_probability: float = 0.5
    """That left and right change places."""
    jitter_probability: float = 0.8
    """That the colours change, see `color_jitter`."""
    brightness: float = 0.4
    """Strength of that step, at least 0; 0 leaves it out."""
    contrast: float = 0.4
    """Strength of that step, at least 0; 0 leaves it out."""
    saturation: float = 0.2
    """Strength of that step, at least 0; 0 for images that have not 3 channels."""
    hue: float = 0.1
    """Strength of that step, in [0, 0.5]; 0 for images that have not 3 channels."""
    grayscale_probability: float = 0.2
    """That the colour is taken out; 0 for images that have not 3 channels."""
    blur_probability: float = 0.0
    """That the view is blurred, see `gaussian_blur`."""
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    """Least and greatest standard deviation in pixels, above 0."""
    solarize_probability: float = 0.0
    """That the bright parts are inverted, see `solarize`."""
    solarize_threshold: float = 128 / 255
    """From which value on; values are in [0, 1]."""

    def __post_init__(self):
        check_crop("View", crop_scale=self.crop_scale, crop_ratio=self.crop_ratio)
        check_interpolation("View", self.interpolation)
        check_sigma("View", blur_sigma=self.blur_sigma)
        numbers = dataclasses.asdict(self)
        strengths = ("brightness", "contrast", "saturation", "hue")
        check_jitter("View", **{name: numbers[name] for name in strengths})
        names = [name for name in numbers if name.endswith("_probability")]
        check_probability("View", **{name: numbers[name] for name in names})


BARLOW_TWINS_VIEWS = (
    View(blur_probability=1.0),
    View(blur_probability=0.1, solarize_probability=0.2),
)
"""For ImageNet: Zbontar et al. 2021, section 2.2, with the parameters of BYOL."""

CIFAR_VIEWS = (View(), View(solarize_probability=0.2))
"""For 32x32 pixels: the same without blur, as in solo-learn."""

_GRAYSCALE_VIEW = View(
    crop_scale=(0.2, 1.0), saturation=0.0, hue=0.0, grayscale_probability=0.0
)
GRAYSCALE_VIEWS = (_GRAYSCALE_VIEW, _GRAYSCALE_VIEW)
"""For small images of one channel; digits want `flip_probability=0` besides."""


class Draws(NamedTuple):
    """One view's parameters, the batch first."""

    boxes: Int[Array, "batch 4"]
    is_mirrored: Bool[Array, " batch"]
    steps: Int[Array, "batch steps"]
    factors: Float[Array, "batch 4"]
    sigmas: Float[Array, " batch"]
    is_solarized: Bool[Array, " batch"]


def make_two_views(
    views: tuple[View, View], *, size: int | tuple[int, int]
) -> Callable[..., tuple[Array, Array]]:
    """Makes the function that draws two views of each image of a batch.

    Args:
      views: settings of the first and of the second view.
      size: side of the views in pixels, or their height and width.

    Returns:
      A pure function `two_views(images, *, key) -> (first, second)`, see `make_view`.

    Raises:
      ValueError: not two views, or a size below 1.

    Source:
      Zbontar et al. 2021, section 2.2, arXiv:2103.03230.

    Example:
      >>> two_views = make_two_views(CIFAR_VIEWS, size=8)
      >>> first, second = two_views(jnp.ones((2, 8, 8, 3)), key=jax.random.key(0))
      >>> first.shape, second.shape
      ((2, 8, 8, 3), (2, 8, 8, 3))
    """
    if len(views) != 2:
        raise ValueError(f"make_two_views: views must be 2, got {len(views)}")
    first, second = (make_view(view, size=size) for view in views)

    @jax.jit
    def two_views(images: Images, *, key: PRNGKey) -> tuple[Array, Array]:
        key_first, key_second = jax.random.split(key)
        return first(images, key=key_first), second(images, key=key_second)

    return two_views


def make_view(view: View, *, size: int | tuple[int, int]) -> Callable[..., Array]:
    """Makes the function that draws one view of each image of a batch.

    Args:
      view: its settings.
      size: side of the view in pixels, or its height and width.

    Returns:
      A pure function `augment(images, *, key) -> images` of images of any size: in
      [0, 1], float32 or bfloat16, whose dtype it keeps, or bytes, which it makes
      float32 in [0, 1] without a copy of the batch. It computes in float32, and raises
      ValueError where the view changes colours and there aren't 3 channels.

    Raises:
      ValueError: a size below 1.

    Example:
      >>> augment = make_view(BARLOW_TWINS_VIEWS[0], size=8)
      >>> augment(jnp.ones((2, 9, 10, 3)), key=jax.random.key(0)).shape
      (2, 8, 8, 3)
    """
    new_size = parse_size("make_view", size)
    jitters = view.jitter_probability > 0
    in_color = {
        "saturation": jitters * view.saturation,
        "hue": jitters * view.hue,
        "grayscale_probability": view.grayscale_probability,
    }

    @jax.jit
    def augment(
        images: Images, *, key: PRNGKey
    ) -> Float[Array, "batch new_height new_width channels"]:
        num_images, height, width, num_channels = images.shape
        check_channels("make_view", num_channels, **in_color)
        draws = draw_view(view, num_images, image_size=(height, width), key=key)

        taps = find_taps(
            draws.boxes,
            image_size=(height, width),
            size=new_size,
            interpolation=view.interpolation,
            antialias=True,
        )
        taps = mirror(taps, draws.is_mirrored)
        if images.dtype == jnp.uint8:
            taps = taps._replace(row_weights=taps.row_weights / 255.0)

        def apply(image, *parameters):
            taps, draws = (
                parameters[: len(Taps._fields)],
                parameters[len(Taps._fields) :],
            )
            return _apply_view(view, image, Taps(*taps), Draws(*draws))

        return map_images(apply, images, *taps, *draws)

    return augment


def draw_view(
    view: View, num_images: int, *, image_size: tuple[int, int], key: PRNGKey
) -> Draws:
    """The parameters of one view of each image."""
    keys = jax.random.split(key, 4)
    boxes = draw_crop_boxes(
        num_images,
        image_size=image_size,
        scale=view.crop_scale,
        ratio=view.crop_ratio,
        key=keys[0],
    )
    steps, factors = draw_color_steps(
        num_images,
        (view.brightness, view.contrast, view.saturation, view.hue),
        jitter_probability=view.jitter_probability,
        grayscale_probability=view.grayscale_probability,
        key=keys[1],
    )
    sigmas = draw_blur_sigmas(
        num_images,
        sigma=view.blur_sigma,
        probability=view.blur_probability,
        key=keys[2],
    )
    choices = jax.random.uniform(keys[3], (num_images, 2))
    is_mirrored = choices[:, 0] < view.flip_probability
    is_solarized = choices[:, 1] < view.solarize_probability
    return Draws(boxes, is_mirrored, steps, factors, sigmas, is_solarized)


def _apply_view(view: View, image: Array, taps: Taps, draws: Draws) -> Array:
    """One view of one image."""
    x = resample(image, taps)
    x = take_color_steps(jnp.clip(x, 0.0, 1.0), draws.steps, draws.factors)
    if view.blur_probability:
        radius = find_blur_radius(view.blur_sigma[1])
        x = blur_planes(x, draws.sigmas, radius=radius)
    if view.solarize_probability:
        inverted = pixels.invert_bright(x, threshold=view.solarize_threshold)
        x = jnp.where(draws.is_solarized, inverted, x)
    dtype = jnp.float32 if image.dtype == jnp.uint8 else image.dtype
    return stand_up(x).astype(dtype)
