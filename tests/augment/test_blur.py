import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage, stats

from jaxdl.augment import blur_images, gaussian_blur
from jaxdl.augment.blur import draw_blur_sigmas, find_blur_radius

KEY = jax.random.key


def blur_plainly(image, sigma, **options):
    options = {"mode": "nearest", "axes": (0, 1), **options}
    return ndimage.gaussian_filter(image.astype(float), sigma, **options)


def draw_images(batch_size=4):
    generator = np.random.default_rng(0)
    return generator.random((batch_size, 24, 21, 2), np.float32)


def test_blur_images_equals_scipy_with_the_same_taps():
    images, sigmas = draw_images(), np.array([0.1, 0.7, 1.3, 2.0], np.float32)
    result = blur_images(jnp.asarray(images), jnp.asarray(sigmas), radius=6)
    for image, sigma, ours in zip(images, sigmas, result, strict=True):
        expected = blur_plainly(image, sigma, radius=6)
        np.testing.assert_allclose(ours, expected, atol=1e-6)
        # The whole Gaussian, of which the taps leave out less than 0.3 % each way.
        full = blur_plainly(image, sigma, truncate=10.0)
        np.testing.assert_allclose(ours, full, atol=3e-3)


def test_blur_images_is_within_two_levels_of_pillow_inside():
    # Pillow approximates the Gaussian by three box filters, rounds after each, and
    # near the border repeats the last pixel of what the one before gave.
    wave = np.sin(np.arange(40)[:, None] / 3 + np.arange(40)[None, :] / 4)
    image = np.round(127 + 120 * wave).astype(np.uint8)
    images = jnp.asarray(image[None, :, :, None] / 255, jnp.float32)
    for sigma in (0.5, 1.0, 2.0):
        pillow = Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma))
        ours = 255 * blur_images(images, jnp.array([sigma]), radius=6)[0, :, :, 0]
        difference = np.abs(ours - np.asarray(pillow, float))
        assert difference[8:-8, 8:-8].max() <= 2.0


def test_blur_images_keeps_images_of_width_0_and_the_dtype():
    images = jnp.asarray(draw_images(2)).astype(jnp.bfloat16)
    result = blur_images(images, jnp.array([0.0, 1.0]), radius=3)
    assert result.dtype == jnp.bfloat16
    np.testing.assert_array_equal(result[0], images[0])
    assert (result[1] != images[1]).any()


def test_draw_blur_sigmas_is_uniform_for_its_share_of_the_images():
    options = {"sigma": (0.1, 2.0), "probability": 0.3}
    sigmas = np.asarray(draw_blur_sigmas(8000, **options, key=KEY(0)))
    drawn = sigmas[sigmas > 0]
    assert abs(len(drawn) / 8000 - 0.3) < 0.021  # four standard deviations
    assert stats.kstest(drawn, stats.uniform(0.1, 1.9).cdf).pvalue > 0.01


def test_gaussian_blur_blurs_by_the_widths_that_it_draws():
    images = jnp.asarray(draw_images())
    result = gaussian_blur(images, sigma=(0.5, 1.0), probability=0.5, key=KEY(3))
    options = {"sigma": (0.5, 1.0), "probability": 0.5}
    sigmas = draw_blur_sigmas(4, **options, key=KEY(3))
    assert find_blur_radius(1.0) == 3
    np.testing.assert_array_equal(result, blur_images(images, sigmas, radius=3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": (0.0, 1.0)}, r"sigma must be two numbers above 0.*\(0.0, 1.0\)"),
        ({"sigma": (2.0, 1.0)}, r"the least first.*\(2.0, 1.0\)"),
        ({"probability": 2.0}, r"probability must be in \[0, 1\], got 2.0"),
    ],
)
def test_gaussian_blur_names_a_bad_option(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    images = jnp.zeros((1, 4, 4, 1))
    with pytest.raises(ValueError, match=message):
        gaussian_blur(images, **options, key=KEY(0))
    with pytest.raises(ValueError, match="radius must be at least 0, got -1"):
        blur_images(images, jnp.ones(1), radius=-1)
