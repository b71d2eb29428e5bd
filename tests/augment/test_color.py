import colorsys
import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from jaxdl.augment import (
    COLOR_STEPS,
    change_colors,
    color_jitter,
    random_grayscale,
    random_solarize,
    solarize,
)
from jaxdl.augment.color import draw_color_steps

KEY = jax.random.key
draw = jax.jit(
    draw_color_steps,
    static_argnames=(
        "num_images",
        "strengths",
        "jitter_probability",
        "grayscale_probability",
    ),
)
STEP = {name: number for number, name in enumerate(COLOR_STEPS)}
FACTORS = (1.3, 0.7, 1.4, 0.07)


def draw_bytes(seed=0):
    """Noise, with gray, black, white and fully saturated pixels among it."""
    image = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), np.uint8)
    corners = list(itertools.product((0, 255), repeat=3))
    image[0, :6] = corners[1:7]
    image[1, :3] = [[0, 0, 0], [255, 255, 255], [90, 90, 90]]
    return image


def change_one(image, names, factors=FACTORS):
    """One float image by named steps, as bytes' levels."""
    result = change_colors(
        jnp.asarray(image, jnp.float32)[None] / 255,
        jnp.array([[STEP[name] for name in names]]),
        jnp.array([factors], jnp.float32),
    )
    return 255 * np.asarray(result[0], float)


def blend_plainly(image, other, factor):
    return np.clip(factor * image + (1 - factor) * other, 0, 1)


def turn_plainly(image, turn):
    def turn_pixel(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        return colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)

    return np.apply_along_axis(turn_pixel, -1, image)


def change_plainly(image, names, factors=FACTORS):
    """Float64 NumPy and the standard library's `colorsys`."""
    image = image / 255
    for name in names:
        gray = (image @ [0.299, 0.587, 0.114])[..., None]
        if name == "hue":
            image = turn_plainly(image, factors[3])
        elif name != "nothing":
            number = STEP["saturation"] if name == "grayscale" else STEP[name]
            factor = 0.0 if name == "grayscale" else factors[number]
            others = (np.zeros_like(image), gray.mean(), gray)
            image = blend_plainly(image, others[number], factor)
    return 255 * image


@pytest.mark.parametrize("factors", [FACTORS, (0.6, 1.4, 0.8, -0.1), (1, 1, 1, 0)])
def test_change_colors_equals_numpy_in_every_order(factors):
    image = draw_bytes()
    orders = list(itertools.permutations(COLOR_STEPS[:4]))
    names = [
        [*order, "grayscale"] if i % 5 == 0 else [*order, "nothing"]
        for i, order in enumerate(orders)
    ]
    results = change_colors(
        jnp.asarray(np.stack([image] * 24), jnp.float32) / 255,
        jnp.array([[STEP[name] for name in row] for row in names]),
        jnp.array([factors] * 24, jnp.float32),
    )
    expected = [change_plainly(image, row, factors) for row in names]
    np.testing.assert_allclose(255 * results, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "enhance", "levels"),
    [
        ("brightness", ImageEnhance.Brightness, 1.01),
        ("contrast", ImageEnhance.Contrast, 1.5),  # its mean is rounded
        ("saturation", ImageEnhance.Color, 1.5),  # its grayscale is rounded
    ],
)
def test_change_colors_is_within_rounding_of_pillow(name, enhance, levels):
    image = draw_bytes()
    factors = FACTORS
    pillow = enhance(Image.fromarray(image)).enhance(factors[STEP[name]])
    difference = change_one(image, [name, "nothing"]) - np.asarray(pillow, float)
    assert np.abs(difference).max() <= levels


def test_change_colors_turns_hue_as_pillow_up_to_bytes_of_hue():
    # Pillow's hue has 256 steps and is cut, not rounded: up to 6/256 of a channel's
    # range either way, there and back.
    image = draw_bytes()
    hue, saturation, value = Image.fromarray(image).convert("HSV").split()
    turned = np.asarray(hue) + np.uint8(18)
    planes = (Image.fromarray(turned), saturation, value)
    pillow = Image.merge("HSV", planes).convert("RGB")
    factors = (1.0, 1.0, 1.0, 18 / 255)
    difference = change_one(image, ["hue", "nothing"], factors) - np.asarray(pillow)
    assert np.abs(difference).max() <= 12
    assert np.abs(difference).mean() <= 2.5


def test_change_colors_of_one_channel_changes_brightness_and_contrast_only():
    image = np.random.default_rng(1).integers(0, 256, (5, 4, 1))
    result = change_one(image, COLOR_STEPS[:2])
    bright = np.clip(image / 255 * FACTORS[0], 0, 1)
    expected = blend_plainly(bright, bright.mean(), FACTORS[1])
    np.testing.assert_allclose(result, 255 * expected, atol=1e-3)
    rest = ["saturation", "hue"]
    np.testing.assert_allclose(change_one(image, rest), image, atol=1e-3)


def test_solarize_and_grayscale_equal_pillow():
    image = draw_bytes()
    image[2, :4, 0] = [127, 128, 129, 255]
    images = jnp.asarray(image / 255, jnp.float32)[None]
    pillow = np.asarray(ImageOps.solarize(Image.fromarray(image), 128))
    for result in (
        solarize(images),
        random_solarize(images, probability=1.0, key=KEY(0)),
    ):
        np.testing.assert_allclose(255 * result[0], pillow, atol=1e-4)
    gray = random_grayscale(images, probability=1.0, key=KEY(0))
    pillow = np.asarray(Image.fromarray(image).convert("L"), float)
    assert np.abs(255 * gray[0] - pillow[..., None]).max() <= 0.51


def test_random_grayscale_and_solarize_change_their_share_of_the_images():
    images = jnp.tile(jnp.array([0.1, 0.2, 0.7]), (4000, 1, 1, 1))
    for change in (random_grayscale, random_solarize):
        result = change(images, probability=0.2, key=KEY(0))
        share = float((result != images).any((1, 2, 3)).mean())
        assert abs(share - 0.2) < 0.025  # four standard deviations
        kept = change(images[:8], probability=0.0, key=KEY(0))
        np.testing.assert_array_equal(kept, images[:8])


def test_draw_color_steps_draws_uniform_factors_and_orders():
    strengths = (0.4, 1.5, 0.2, 0.1)
    options = {"jitter_probability": 0.8, "grayscale_probability": 0.2}
    steps, factors = draw(20_000, strengths, **options, key=KEY(0))
    steps, factors = np.asarray(steps), np.asarray(factors, float)
    bounds = [(0.6, 1.4), (0.0, 2.5), (0.8, 1.2), (-0.1, 0.1)]
    for column, (low, high) in zip(factors.T, bounds, strict=True):
        assert low - 1e-6 <= column.min() and column.max() <= high + 1e-6
        assert stats.kstest(column, stats.uniform(low, high - low).cdf).pvalue > 0.01
    is_jittered = (steps < 4).any(axis=1)
    orders, counts = np.unique(steps[is_jittered, :4], axis=0, return_counts=True)
    assert (np.sort(orders, axis=1) == np.arange(4)).all() and len(orders) == 24
    assert stats.chisquare(counts).pvalue > 0.01
    is_gray = (steps == STEP["grayscale"]).any(axis=1)
    assert abs(is_jittered.mean() - 0.8) < 0.012  # four standard deviations
    assert abs(is_gray.mean() - 0.2) < 0.012
    both = (is_jittered & is_gray).mean()
    assert abs(both - is_jittered.mean() * is_gray.mean()) < 0.012
    is_nothing = steps == STEP["nothing"]
    assert (np.diff(is_nothing.astype(int), axis=1) >= 0).all()
    is_last = steps[is_gray & is_jittered, 4] == STEP["grayscale"]
    assert is_last.all()


def test_draw_color_steps_leaves_out_steps_of_no_strength():
    options = {"jitter_probability": 1.0, "grayscale_probability": 0.0}
    steps, _ = draw(50, (0.4, 0.4, 0.0, 0.0), **options, key=KEY(0))
    assert steps.shape == (50, 3)
    np.testing.assert_array_equal(np.unique(steps[:, :2]), [0, 1])
    assert (steps[:, 2] == STEP["nothing"]).all()


def test_color_jitter_changes_its_share_of_the_images_in_their_dtype():
    images = jnp.full((64, 1, 2, 3), 0.5, jnp.bfloat16).at[..., 0].set(0.25)
    result = color_jitter(images, probability=0.5, key=KEY(1))
    assert result.dtype == jnp.bfloat16
    changed = int((result != images).any((1, 2, 3)).sum())
    assert 16 < changed < 48  # four standard deviations


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"brightness": -0.1}, "brightness must be at least 0.*-0.1"),
        ({"hue": 0.6}, r"hue must be in \[0, 0.5\].*0.6"),
        ({"probability": 1.5}, r"probability must be in \[0, 1\].*1.5"),
        ({"saturation": 0.2, "hue": 0.0}, "saturation=0.2 needs images of 3.*got 1"),
        ({"saturation": 0.0, "hue": 0.1}, "hue=0.1 needs images of 3.*got 1"),
    ],
)
def test_color_jitter_names_a_bad_option(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        color_jitter(jnp.zeros((1, 2, 2, 1)), **options, key=KEY(0))


def test_random_grayscale_and_solarize_name_a_bad_option(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    images = jnp.zeros((1, 2, 2, 1))
    with pytest.raises(ValueError, match="random_grayscale.*3 channels, got 1"):
        random_grayscale(images, probability=0.2, key=KEY(0))
    for change in (random_grayscale, random_solarize):
        with pytest.raises(ValueError, match=r"probability must be in.*-1"):
            change(images, probability=-1.0, key=KEY(0))
