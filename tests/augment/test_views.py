import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxdl.augment import (
    BARLOW_TWINS_VIEWS,
    CIFAR_VIEWS,
    GRAYSCALE_VIEWS,
    View,
    blur_images,
    change_colors,
    crop_and_resize,
    make_two_views,
    make_view,
    solarize,
)
from jaxdl.augment.views import draw_view

KEY = jax.random.key
draw = jax.jit(draw_view, static_argnames=("view", "num_images", "image_size"))
EVERYTHING = View(blur_probability=0.5, blur_sigma=(0.1, 1.0), solarize_probability=0.5)


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(KEY(0), (16, 12, 11, 3))


@pytest.fixture(scope="module")
def augment():
    return make_view(EVERYTHING, size=8)


def test_view_is_its_steps_one_after_the_other(augment, images):
    draws = draw(EVERYTHING, 16, image_size=(12, 11), key=KEY(1))
    views = crop_and_resize(images, draws.boxes, size=8)
    flips, inversions = (
        flag[:, None, None, None] for flag in (draws.is_mirrored, draws.is_solarized)
    )
    views = jnp.where(flips, views[:, :, ::-1], views)
    views = change_colors(views, draws.steps, draws.factors)
    views = blur_images(views, draws.sigmas, radius=3)
    views = np.where(inversions, solarize(views), views)
    ours = np.asarray(augment(images, key=KEY(1)))
    # At the threshold of the inversion the last bit decides.
    assert (np.abs(ours - views) < 1e-5).mean() > 0.999
    for flag in (draws.is_mirrored, draws.is_solarized, draws.sigmas > 0):
        assert 0 < flag.sum() < 16


def test_view_of_bytes_is_that_of_floats(augment):
    stored = jax.random.randint(KEY(7), (16, 12, 11, 3), 0, 256).astype(jnp.uint8)
    views = np.asarray(augment(stored, key=KEY(1)))
    assert views.dtype == np.float32
    expected = augment(stored.astype(jnp.float32) / 255, key=KEY(1))
    assert (np.abs(views - expected) < 1e-5).mean() > 0.999  # see above


def test_view_draws_with_the_probabilities_of_its_fields():
    view = View(flip_probability=0.3, solarize_probability=0.1, blur_probability=0.6)
    draws = draw(view, 8000, image_size=(32, 32), key=KEY(0))
    shares = [draws.is_mirrored, draws.is_solarized, draws.sigmas > 0]
    # Four standard deviations.
    np.testing.assert_allclose(np.mean(shares, axis=1), [0.3, 0.1, 0.6], atol=0.023)
    assert (np.abs(np.corrcoef(shares) - np.eye(3)) < 0.05).all()


def test_view_is_the_same_on_eight_devices_without_a_collective(augment, images):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    on_eight = jax.jit(
        functools.partial(augment, key=KEY(1)), in_shardings=split, out_shardings=split
    )
    split_images = jax.device_put(images, split)
    result = on_eight(split_images)
    assert result.sharding.is_equivalent_to(split, 4)
    np.testing.assert_array_equal(result, augment(images, key=KEY(1)))
    compiled = on_eight.lower(split_images).compile().as_text()
    assert "num_partitions=8" in compiled
    collectives = "all-gather|all-reduce|all-to-all|collective-permute"
    assert not re.search(collectives, compiled)


def test_view_of_all_images_at_once_equals_one_by_one(augment, images, monkeypatch):
    one_by_one = augment(images, key=KEY(1))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    together = make_view(EVERYTHING, size=8)(images, key=KEY(1))
    close = np.abs(np.asarray(together - one_by_one)) < 1e-5
    assert close.mean() > 0.999  # see above


def test_two_views_differ_and_are_a_function_of_the_key():
    images = jax.random.uniform(KEY(0), (4, 9, 9, 1)).astype(jnp.bfloat16)
    two_views = make_two_views(GRAYSCALE_VIEWS, size=(6, 7))
    first, second = two_views(images, key=KEY(3))
    again, _ = two_views(images, key=KEY(3))
    other, _ = two_views(images, key=KEY(4))
    assert first.dtype == second.dtype == jnp.bfloat16
    assert first.shape == second.shape == (4, 6, 7, 1)
    np.testing.assert_array_equal(first, again)
    for different in (second, other):
        assert (first != different).any((1, 2, 3)).all()
    key_first, key_second = jax.random.split(KEY(3))
    view = make_view(GRAYSCALE_VIEWS[1], size=(6, 7))
    np.testing.assert_array_equal(second, view(images, key=key_second))


@pytest.mark.parametrize(
    ("views", "blur", "solarize"),
    [(BARLOW_TWINS_VIEWS, (1.0, 0.1), (0, 0.2)), (CIFAR_VIEWS, (0, 0), (0, 0.2))],
)
def test_views_have_the_published_settings(views, blur, solarize):
    assert tuple(view.blur_probability for view in views) == blur
    assert tuple(view.solarize_probability for view in views) == solarize
    for view in views:
        assert view.crop_scale == (0.08, 1.0)
        assert view.crop_ratio == (3 / 4, 4 / 3)
        assert view.interpolation == "bicubic"
        assert view.blur_sigma == (0.1, 2.0)
        assert view.solarize_threshold == 128 / 255
        strengths = (view.brightness, view.contrast, view.saturation, view.hue)
        assert strengths == (0.4, 0.4, 0.2, 0.1)
        probabilities = (view.jitter_probability, view.grayscale_probability)
        assert (view.flip_probability, *probabilities) == (0.5, 0.8, 0.2)


def test_view_reads_every_field():
    read = set()

    class Recorded(View):
        def __getattribute__(self, name):
            read.add(name)
            return super().__getattribute__(name)

    view = Recorded(blur_probability=1.0, solarize_probability=1.0)
    read.clear()
    shape = jax.ShapeDtypeStruct((2, 9, 9, 3), jnp.float32)
    jax.eval_shape(functools.partial(make_view(view, size=4), key=KEY(0)), shape)
    assert {field.name for field in dataclasses.fields(View)} <= read


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_scale": (0.0, 1.0)}, r"View: crop_scale must.*\(0.0, 1.0\)"),
        ({"crop_ratio": (2.0, 1.0)}, r"View: crop_ratio must.*\(2.0, 1.0\)"),
        ({"interpolation": "lanczos"}, "View: interpolation must.*'lanczos'"),
        ({"flip_probability": 1.1}, "View: flip_probability must.*1.1"),
        ({"solarize_probability": -0.5}, "View: solarize_probability must.*-0.5"),
        ({"contrast": -1.0}, "View: contrast must.*-1.0"),
        ({"hue": 0.7}, "View: hue must.*0.7"),
        ({"blur_sigma": (0.0, 2.0)}, r"View: blur_sigma must.*\(0.0, 2.0\)"),
    ],
)
def test_view_names_a_bad_field(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        View(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"saturation": 0.3}, "saturation=0.3 needs images of 3 channels, got 1"),
        ({"hue": 0.1}, "hue=0.1 needs images of 3 channels, got 1"),
        ({"grayscale_probability": 0.2}, "grayscale_probability=0.2 needs .* got 1"),
    ],
)
def test_view_refuses_colour_of_one_channel(options, message):
    view = dataclasses.replace(GRAYSCALE_VIEWS[0], **options)
    with pytest.raises(ValueError, match=message):
        make_view(view, size=4)(jnp.zeros((1, 4, 4, 1)), key=KEY(0))


def test_make_two_views_names_a_bad_size_and_a_lone_view(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match="make_view: size must be at least 1, got 0"):
        make_two_views(CIFAR_VIEWS, size=0)
    with pytest.raises(ValueError, match="views must be 2, got 1"):
        make_two_views(CIFAR_VIEWS[:1], size=4)
