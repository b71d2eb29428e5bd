import math

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from jaxdl.augment import crop_and_resize, draw_crop_boxes, random_resized_crop

KEY = jax.random.key
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}


def draw_images(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def crop_with_pillow(image, box, size, interpolation):
    """Each channel apart, as floats, so that nothing is rounded on the way."""
    top, left, height, width = map(int, box)
    channels = []
    for channel in np.moveaxis(image, -1, 0):
        part = Image.fromarray(channel).crop((left, top, left + width, top + height))
        channels.append(part.resize(size[::-1], FILTERS[interpolation]))
    return np.clip(np.stack([np.asarray(c) for c in channels], axis=-1), 0, 1)


@pytest.mark.parametrize(
    ("side", "size", "interpolation"),
    [
        ((20, 17), (7, 9), "bicubic"),
        ((20, 17), (7, 9), "bilinear"),
        ((256, 256), (224, 224), "bicubic"),
        ((32, 32), (32, 32), "bicubic"),
    ],
)
def test_crop_and_resize_equals_pillow(side, size, interpolation):
    height, width = side
    boxes = np.array(
        [[0, 0, height, width], [2, 3, 5, 4], [height - 9, 1, 9, 13], [4, 5, 1, 1]]
    )
    images = draw_images(4, *side, 3)
    result = crop_and_resize(
        jnp.asarray(images), jnp.asarray(boxes), size=size, interpolation=interpolation
    )
    expected = [
        crop_with_pillow(image, box, size, interpolation)
        for image, box in zip(images, boxes, strict=True)
    ]
    np.testing.assert_allclose(result, expected, atol=3e-6)


def test_crop_and_resize_is_within_a_level_of_pillow_on_bytes():
    # Pillow rounds and clips after each of its passes; a smooth image isn't clipped.
    wave = np.sin(np.arange(40)[:, None] / 5 + np.arange(40)[None, :] / 7)
    image = np.round(127 + 90 * wave).astype(np.uint8)
    resized = Image.fromarray(image).crop((3, 2, 38, 35)).resize((24, 24), 3)
    images = jnp.asarray(image[None, :, :, None] / 255, jnp.float32)
    result = crop_and_resize(images, jnp.array([[2, 3, 33, 35]]), size=24)
    assert np.abs(255 * result[0, :, :, 0] - np.asarray(resized, float)).max() <= 1.1


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_crop_and_resize_without_antialias_leaves_pixels_out(interpolation):
    def kernel(x):
        x = abs(x)
        if interpolation == "bilinear":
            return max(1 - x, 0)
        if x < 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0

    def matrix(length, size):
        rows = [
            [
                kernel(pixel + 0.5 - (new + 0.5) * length / size)
                for pixel in range(length)
            ]
            for new in range(size)
        ]
        return np.array(rows) / np.sum(rows, axis=1, keepdims=True)

    images = draw_images(1, 13, 12, 1)
    part = images[0, 1:12, 2:12, 0].astype(float)
    expected = np.clip(matrix(11, 4) @ part @ matrix(10, 5).T, 0, 1)
    result = crop_and_resize(
        jnp.asarray(images),
        jnp.array([[1, 2, 11, 10]]),
        size=(4, 5),
        interpolation=interpolation,
        antialias=False,
    )
    np.testing.assert_allclose(result[0, :, :, 0], expected, atol=1e-6)


def draw_box_plainly(generator, height, width, scale, ratio):
    for _ in range(10):
        area = generator.uniform(*scale) * height * width
        aspect = math.exp(generator.uniform(*np.log(ratio)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = generator.integers(0, height - h + 1)
            return top, generator.integers(0, width - w + 1), h, w
    raise AssertionError("no box fits")


def test_draw_crop_boxes_has_the_distribution_of_the_plain_loop():
    size, scale, ratio = (48, 64), (0.08, 1.0), (3 / 4, 4 / 3)
    boxes = np.asarray(draw_crop_boxes(4000, image_size=size, key=KEY(0)))
    generator = np.random.default_rng(0)
    plain = [draw_box_plainly(generator, *size, scale, ratio) for _ in range(4000)]
    for ours, theirs in zip(boxes.T, np.transpose(plain), strict=True):
        assert stats.ks_2samp(ours, theirs).pvalue > 0.01
    top, left, height, width = boxes.T
    assert (boxes[:, :2] >= 0).all()
    assert (top + height <= 48).all() and (left + width <= 64).all()
    share = height * width / (48 * 64)
    assert 0.07 < share.min() < 0.1 and 0.9 < share.max() <= 1
    assert 0.65 < (width / height).min() and (width / height).max() < 1.5


@pytest.mark.parametrize(
    ("size", "box"), [((6, 40), [0, 16, 6, 8]), ((40, 6), [16, 0, 8, 6])]
)
def test_draw_crop_boxes_falls_back_to_the_middle(size, box):
    boxes = draw_crop_boxes(3, image_size=size, scale=(1.0, 1.0), key=KEY(0))
    np.testing.assert_array_equal(boxes, [box] * 3)


def test_draw_crop_boxes_falls_back_to_all_of_an_image_within_the_bounds():
    sharp = {"scale": (1.0, 1.0), "ratio": (1.0, 1.01)}
    boxes = draw_crop_boxes(2, image_size=(1000, 1005), **sharp, key=KEY(1))
    fallback = [0, 0, 1000, 1005]
    assert (np.asarray(boxes) == fallback).all() or (boxes[:, 2:] <= 1005).all()


def test_random_resized_crop_crops_the_boxes_that_it_draws():
    images = jnp.asarray(draw_images(4, 9, 8, 2)).astype(jnp.bfloat16)
    result = random_resized_crop(images, size=5, key=KEY(2))
    boxes = draw_crop_boxes(4, image_size=(9, 8), key=KEY(2))
    assert result.dtype == jnp.bfloat16
    exact = crop_and_resize(images.astype(jnp.float32), boxes, size=5)
    np.testing.assert_allclose(result.astype(jnp.float32), exact, atol=2**-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "crop_and_resize: size.*0"),
        ({"size": 4, "interpolation": "cubic"}, "interpolation must.*'cubic'"),
        ({"size": 4, "scale": (0.0, 1.0)}, r"scale must.*\(0, 1\].*\(0.0, 1.0\)"),
        ({"size": 4, "scale": (0.5, 1.5)}, r"scale must.*\(0.5, 1.5\)"),
        ({"size": 4, "ratio": (2.0, 1.0)}, r"ratio must.*\(2.0, 1.0\)"),
    ],
)
def test_random_resized_crop_names_a_bad_option(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        random_resized_crop(jnp.zeros((1, 4, 4, 1)), **options, key=KEY(0))
