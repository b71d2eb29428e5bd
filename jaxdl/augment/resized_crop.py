"""Random resized crops: a box of random area and shape, cut out and resized."""

import functools
import math

import jax
import jax.numpy as jnp

from jaxdl.augment.mapping import keep_apart, map_images
from jaxdl.augment.resampling import (
    Interpolation,
    Taps,
    check_interpolation,
    find_taps,
    resample,
    stand_up,
)
from jaxdl.typing import Array, Float, Int, PRNGKey

_NUM_ATTEMPTS = 10


@functools.partial(
    jax.jit, static_argnames=("size", "scale", "ratio", "interpolation", "antialias")
)
def random_resized_crop(
    images: Float[Array, "batch height width channels"],
    *,
    size: int | tuple[int, int],
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    interpolation: Interpolation = "bicubic",
    antialias: bool = True,
    key: PRNGKey,
) -> Float[Array, "batch new_height new_width channels"]:
    """Cuts a box out of each image, by its own draw, and resizes it.

    Args:
      images: float32 or bfloat16 in [0, 1].
      size: side of the results in pixels, or their height and width.
      scale: least and greatest share of the image's area that a box has, in (0, 1].
      ratio: least and greatest width over height of a box.
      interpolation: see `crop_and_resize`.
      antialias: see `crop_and_resize`.
      key: of this call alone.

    Returns:
      Images of the new size and the same dtype, in [0, 1].

    Raises:
      ValueError: an option out of range.

    Source:
      Szegedy et al. 2015, section 6, arXiv:1409.4842; the box is drawn as in
      torchvision's RandomResizedCrop.

    Example:
      >>> images = jnp.ones((2, 6, 8, 3))
      >>> random_resized_crop(images, size=4, key=jax.random.key(0)).shape
      (2, 4, 4, 3)
    """
    num_images, height, width, _ = images.shape
    boxes = draw_crop_boxes(
        num_images,
        image_size=(height, width),
        scale=scale,
        ratio=ratio,
        key=key,
    )
    return crop_and_resize(
        images, boxes, size=size, interpolation=interpolation, antialias=antialias
    )


@functools.partial(jax.jit, static_argnames=("size", "interpolation", "antialias"))
def crop_and_resize(
    images: Float[Array, "batch height width channels"],
    boxes: Int[Array, "batch 4"],
    *,
    size: int | tuple[int, int],
    interpolation: Interpolation = "bicubic",
    antialias: bool = True,
) -> Float[Array, "batch new_height new_width channels"]:
    """Cuts the given box out of each image and resizes it.

    Args:
      images: float32 or bfloat16 in [0, 1]; computed in float32.
      boxes: top, left, height and width of each box in pixels, inside the image.
      size: side of the results in pixels, or their height and width.
      interpolation: `bicubic` (cubic convolution with a = -0.5) or `bilinear`, both
        with Pillow's kernels. No pixel outside the box has a part in the result.
      antialias: where a box shrinks, widen the kernel by as much, as Pillow does;
        otherwise pixels between the taps are left out.

    Returns:
      Images of the new size and the same dtype. What bicubic interpolation throws
      beyond [0, 1] is clipped.

    Raises:
      ValueError: a size below 1 or an unknown interpolation.

    Source:
      Keys 1981, Cubic convolution interpolation for digital image processing.

    Example:
      >>> images = jnp.arange(16.0).reshape(1, 4, 4, 1) / 16
      >>> boxes = jnp.array([[1, 2, 2, 2]])
      >>> 16 * crop_and_resize(images, boxes, size=2)[0, :, :, 0]
      Array([[ 6.,  7.],
             [10., 11.]], dtype=float32)
    """
    new_size = parse_size("crop_and_resize", size)
    check_interpolation("crop_and_resize", interpolation)

    _, height, width, _ = images.shape
    taps = find_taps(
        boxes,
        image_size=(height, width),
        size=new_size,
        interpolation=interpolation,
        antialias=antialias,
    )

    def crop(image, *taps):
        planes = resample(image, Taps(*taps))
        finish = lambda x: stand_up(jnp.clip(x, 0.0, 1.0)).astype(image.dtype)
        return keep_apart(finish, planes, needed=taps[0][0] >= 0)

    return map_images(crop, images, *taps)


@functools.partial(
    jax.jit, static_argnames=("num_images", "image_size", "scale", "ratio")
)
def draw_crop_boxes(
    num_images: int,
    *,
    image_size: tuple[int, int],
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    key: PRNGKey,
) -> Int[Array, "batch 4"]:
    """Boxes of random area and shape, one for each image.

    Of ten pairs of an area and a ratio the first is taken that fits into the image,
    and any place in it is equally likely. Where none fits the box is the largest one
    in the middle whose ratio is within the bounds.

    Args:
      num_images: boxes to draw.
      image_size: height and width of the images in pixels.
      scale: least and greatest share of the image's area, in (0, 1]; uniform.
      ratio: least and greatest width over height; uniform in its logarithm.
      key: of this call alone.

    Returns:
      Top, left, height and width of each box in pixels, int32.

    Raises:
      ValueError: a bound out of range, or the greatest below the least.

    Source:
      torchvision's RandomResizedCrop.

    Example:
      >>> key = jax.random.key(0)
      >>> draw_crop_boxes(1, image_size=(4, 8), scale=(1.0, 1.0), key=key)
      Array([[0, 1, 4, 5]], dtype=int32)
    """
    check_crop("draw_crop_boxes", scale=scale, ratio=ratio)
    height, width = image_size
    # All in one draw: each of its own would take longer to compile than the rest.
    draws = jax.random.uniform(key, (num_images, 2 * _NUM_ATTEMPTS + 2))
    areas, ratios, places = jnp.split(draws, (_NUM_ATTEMPTS, 2 * _NUM_ATTEMPTS), axis=1)
    low, high = scale
    areas = height * width * (low + (high - low) * areas)
    low, high = (math.log(bound) for bound in ratio)
    ratios = jnp.exp(low + (high - low) * ratios)
    widths = jnp.round(jnp.sqrt(areas * ratios)).astype(jnp.int32)
    heights = jnp.round(jnp.sqrt(areas / ratios)).astype(jnp.int32)
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    chosen = jnp.argmax(fits, axis=1, keepdims=True)
    some_fits = fits.any(axis=1)
    middle = _find_middle_box(height, width, ratio)
    sides = []
    for attempts, fallback in ((heights, middle[0]), (widths, middle[1])):
        side = jnp.take_along_axis(attempts, chosen, axis=1)[:, 0]
        sides.append(jnp.where(some_fits, side, fallback))
    origins = []
    for axis, (side, whole) in enumerate(zip(sides, image_size, strict=True)):
        room = whole - side
        drawn = jnp.floor(places[:, axis] * (room + 1).astype(jnp.float32))
        drawn = jnp.minimum(drawn.astype(jnp.int32), room)
        origins.append(jnp.where(some_fits, drawn, room // 2))
    return jnp.stack([*origins, *sides], axis=1)


def _find_middle_box(height, width, ratio) -> tuple[int, int]:
    """Height and width of the largest box whose ratio is within the bounds."""
    if width / height < ratio[0]:
        return max(round(width / ratio[0]), 1), width
    if width / height > ratio[1]:
        return height, max(round(height * ratio[1]), 1)
    return height, width


def parse_size(routine: str, size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width; raises ValueError where one is below 1."""
    height_and_width = (size, size) if isinstance(size, int) else size
    if min(height_and_width) < 1:
        raise ValueError(f"{routine}: size must be at least 1, got {size}")
    return height_and_width


def check_crop(routine: str, **bounds: tuple[float, float]) -> None:
    """Raises ValueError for bounds of a box that are out of range."""
    for name, (low, high) in bounds.items():
        most = 1.0 if name.endswith("scale") else math.inf
        if not 0.0 < low <= high <= most or math.isinf(high):
            raise ValueError(
                f"{routine}: {name} must be two numbers in (0, {most:g}], the least "
                f"first, got {(low, high)}"
            )
