"""Random changes of colour, each image by its own draw."""

import functools

import jax
import jax.numpy as jnp

from jaxdl.augment import pixels
from jaxdl.augment.checks import check_channels, check_probability
from jaxdl.augment.mapping import map_images
from jaxdl.augment.resampling import lay_down, stand_up
from jaxdl.typing import Array, Float, Int, PRNGKey

COLOR_STEPS = ("brightness", "contrast", "saturation", "hue", "grayscale", "nothing")
"""What `change_colors` can do, by number; those of one channel only the first two."""

_GRAYSCALE = COLOR_STEPS.index("grayscale")
_NOTHING = COLOR_STEPS.index("nothing")


@functools.partial(
    jax.jit,
    static_argnames=("brightness", "contrast", "saturation", "hue", "probability"),
)
def color_jitter(
    images: Float[Array, "batch height width channels"],
    *,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.2,
    hue: float = 0.1,
    probability: float = 1.0,
    key: PRNGKey,
) -> Float[Array, "batch height width channels"]:
    """Changes brightness, contrast, saturation and hue of a share of the images.

    Each image has its own factors and its own order of the steps.

    Args:
      images: float32 or bfloat16 in [0, 1].
      brightness: at least 0; the factor is uniform in 1 +- this, and not below 0.
      contrast: the same.
      saturation: the same; 0 for images that have not 3 channels.
      hue: in [0, 0.5]; the hue turns by up to this share of the circle either way. 0
        for images that have not 3 channels.
      probability: that an image is changed, in [0, 1].
      key: of this call alone.

    Returns:
      Images of the same shape and dtype, in [0, 1].

    Raises:
      ValueError: an option out of range, or one that needs 3 channels.

    Source:
      Howard 2013, arXiv:1312.5402; steps and ranges are those of torchvision's
      ColorJitter, without the rounding to bytes after each.

    Example:
      >>> color_jitter(jnp.ones((2, 4, 4, 3)), key=jax.random.key(0)).shape
      (2, 4, 4, 3)
    """
    strengths = (brightness, contrast, saturation, hue)
    check_jitter("color_jitter", **dict(zip(COLOR_STEPS, strengths, strict=False)))
    check_probability("color_jitter", probability=probability)
    num_images, num_channels = images.shape[0], images.shape[-1]
    check_channels("color_jitter", num_channels, saturation=saturation, hue=hue)
    options = {"jitter_probability": probability, "grayscale_probability": 0.0}
    steps, factors = draw_color_steps(num_images, strengths, **options, key=key)
    return change_colors(images, steps, factors)


@functools.partial(jax.jit, static_argnames="probability")
def random_grayscale(
    images: Float[Array, "batch height width 3"], *, probability: float, key: PRNGKey
) -> Float[Array, "batch height width 3"]:
    """Takes the colour out of a share of the images; they keep 3 channels.

    Args:
      images: float32 or bfloat16 in [0, 1].
      probability: that an image loses its colour, in [0, 1].
      key: of this call alone.

    Returns:
      Images of the same shape and dtype. The weights of red, green and blue are those
      of ITU-R BT.601: 0.299, 0.587 and 0.114.

    Raises:
      ValueError: the probability is out of range or there aren't 3 channels.

    Example:
      >>> red = jnp.zeros((1, 1, 1, 3)).at[..., 0].set(1.0)
      >>> random_grayscale(red, probability=1.0, key=jax.random.key(0)).ravel()
      Array([0.299, 0.299, 0.299], dtype=float32)
    """
    check_probability("random_grayscale", probability=probability)
    check_channels("random_grayscale", images.shape[-1], probability=1.0)
    is_gray = jax.random.bernoulli(key, probability, (images.shape[0], 1, 1, 1))
    gray = pixels.remove_color(images.astype(jnp.float32), channel_axis=-1)
    return jnp.where(is_gray, gray.astype(images.dtype), images)


@functools.partial(jax.jit, static_argnames=("probability", "threshold"))
def random_solarize(
    images: Float[Array, "batch height width channels"],
    *,
    probability: float,
    threshold: float = 128 / 255,
    key: PRNGKey,
) -> Float[Array, "batch height width channels"]:
    """Inverts the bright parts of a share of the images, see `solarize`.

    Args:
      images: float32 or bfloat16 in [0, 1].
      probability: that an image is solarized, in [0, 1].
      threshold: what is not below it is inverted.
      key: of this call alone.

    Returns:
      Images of the same shape and dtype.

    Raises:
      ValueError: the probability is out of range.

    Example:
      >>> random_solarize(
      ...     jnp.ones((1, 1, 1, 1)), probability=1.0, key=jax.random.key(0)
      ... ).ravel()
      Array([0.], dtype=float32)
    """
    check_probability("random_solarize", probability=probability)
    is_changed = jax.random.bernoulli(key, probability, (images.shape[0], 1, 1, 1))
    return jnp.where(is_changed, solarize(images, threshold=threshold), images)


def solarize(
    images: Float[Array, "batch height width channels"], *, threshold: float = 128 / 255
) -> Float[Array, "batch height width channels"]:
    """Inverts what is not below a threshold.

    Args:
      images: float32 or bfloat16 in [0, 1].
      threshold: in the unit of the images.

    Returns:
      Images of the same shape and dtype.

    Example:
      >>> solarize(jnp.array([0.25, 0.75]).reshape(1, 1, 2, 1)).ravel()
      Array([0.25, 0.25], dtype=float32)
    """
    changed = pixels.invert_bright(images.astype(jnp.float32), threshold=threshold)
    return changed.astype(images.dtype)


@jax.jit
def change_colors(
    images: Float[Array, "batch height width channels"],
    steps: Int[Array, "batch steps"],
    factors: Float[Array, "batch 4"],
) -> Float[Array, "batch height width channels"]:
    """Changes the colours of each image by given steps, one after the other.

    Args:
      images: float32 or bfloat16 in [0, 1]; computed in float32.
      steps: for each image numbers of `COLOR_STEPS`, in the order in which they are
        taken; after the first `nothing` there may be no other.
      factors: float32; of brightness, contrast (away from the mean of the grayscale
        image) and saturation (away from the grayscale image), 1 changing nothing; and
        the turn of the hue, a full circle being 1.

    Returns:
      Images of the same shape and dtype, clipped to [0, 1] after every step. Without
      3 channels only brightness and contrast change anything.

    Source:
      Smith 1978, Color gamut transform pairs (the hexagon of hue, at the same
      saturation and value); the rest as in Pillow's ImageEnhance.

    Example:
      >>> images = jnp.array([0.25, 0.5]).reshape(1, 1, 2, 1)
      >>> steps, factors = jnp.array([[0, 1]]), jnp.array([[2.0, 0.5, 1.0, 0.0]])
      >>> change_colors(images, steps, factors).ravel()
      Array([0.625, 0.875], dtype=float32)
    """

    def change(image, steps, factors):
        planes = take_color_steps(lay_down(image), steps, factors)
        return stand_up(planes).astype(image.dtype)

    return map_images(change, images, steps, factors)


def take_color_steps(planes: Array, steps: Array, factors: Array) -> Array:
    """Changes the colours of one image that is laid down, see `change_colors`."""
    changes = {"brightness": lambda x: pixels.change_brightness(x, factors[0])}
    options = {"channel_axis": 1}
    changes["contrast"] = lambda x: pixels.change_contrast(x, factors[1], **options)
    if planes.shape[1] == 3:
        changes |= {
            "saturation": lambda x: pixels.change_saturation(x, factors[2], **options),
            "hue": lambda x: pixels.change_hue(x, factors[3], **options),
            "grayscale": lambda x: pixels.remove_color(x, **options),
        }
    branches = [changes.get(name, lambda x: x) for name in COLOR_STEPS]
    count = steps.shape[0]
    if jax.default_backend() == "cpu":
        # Elsewhere images go together, and a known number of steps is taken without
        # asking the host after each.
        count = (steps != _NOTHING).sum()
    take = lambda i, x: jax.lax.switch(steps[i], branches, x)
    return jax.lax.fori_loop(0, count, take, planes)


def draw_color_steps(
    num_images: int,
    strengths: tuple[float, float, float, float],
    *,
    jitter_probability: float,
    grayscale_probability: float,
    key: PRNGKey,
) -> tuple[Int[Array, "batch steps"], Float[Array, "batch 4"]]:
    """Steps and factors for `change_colors`; steps of no strength are never taken."""
    used = [number for number, strength in enumerate(strengths) if strength > 0]
    # All in one draw: each of its own would take longer to compile than the rest.
    draws = jax.random.uniform(key, (num_images, 6 + len(used)))
    lowest = [max(0.0, 1.0 - strength) for strength in strengths[:3]]
    lowest = jnp.array([[*lowest, -strengths[3]]])
    highest = [1.0 + strength for strength in strengths[:3]]
    highest = jnp.array([[*highest, strengths[3]]])
    factors = lowest + (highest - lowest) * draws[:, :4]
    jitter = jnp.array(used, jnp.int32)[jnp.argsort(draws[:, 6:], axis=1)]
    last = jnp.where(draws[:, 4:5] < grayscale_probability, _GRAYSCALE, _NOTHING)
    is_jittered = draws[:, 5:6] < jitter_probability
    nothing = jnp.full_like(jitter, _NOTHING)
    with_jitter = jnp.concatenate([jitter, last], axis=1)
    without = jnp.concatenate([last, nothing], axis=1)
    return jnp.where(is_jittered, with_jitter, without), factors


def check_jitter(routine: str, **strengths: float) -> None:
    """Raises ValueError for strengths that are out of range."""
    for name, strength in strengths.items():
        most = 0.5 if name == "hue" else float("inf")
        if not 0.0 <= strength <= most or strength == float("inf"):
            limits = "in [0, 0.5]" if name == "hue" else "at least 0 and finite"
            raise ValueError(f"{routine}: {name} must be {limits}, got {strength}")
