import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import ConfigError
from jaxdl.models import MODELS
from jaxdl.recipes.study_configs import ImagesSection
from jaxdl.recipes.study_inputs import (
    build_images,
    draw_variables,
    settle_statistics,
)
from tests.recipes.tiny_network import TinyNetwork

KEY = jax.random.key(0)


def test_build_images_draws_noise_of_the_size_asked_for():
    section = ImagesSection(image_size=None, batch_size=3)
    images, labels = build_images(section, image_size=40, key=KEY)
    assert images.shape == (3, 40, 40, 3) and labels is None
    np.testing.assert_allclose([images.mean(), images.std()], [0, 1], atol=0.05)


def test_build_images_reads_a_source_and_standardises_it():
    section = ImagesSection(source="digits", image_size=16, batch_size=20)
    images, labels = build_images(section, image_size=40, key=KEY)
    assert images.shape == (20, 16, 16, 1) and labels.shape == (20,)
    np.testing.assert_allclose([images.mean(), images.std()], [0, 1], atol=1e-5)
    other, _ = build_images(section, image_size=40, key=jax.random.key(1))
    assert (images != other).any()


def test_build_images_names_a_source_that_is_too_small():
    section = ImagesSection(source="digits", image_size=None, batch_size=10_000)
    with pytest.raises(ConfigError, match="images.batch_size=10000: digits has only"):
        build_images(section, image_size=8, key=KEY)


def test_draw_variables_equals_init():
    model, images = TinyNetwork(num_classes=3), jnp.ones((2, 8, 8, 1))
    expected = model.init(KEY, images, train=False)
    found = draw_variables(model, images, key=KEY)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_settle_statistics_makes_evaluation_equal_training():
    model = TinyNetwork(num_classes=3)
    images = 5 + 3 * jax.random.normal(KEY, (6, 8, 8, 1))
    variables = model.init(KEY, images, train=False)
    settled = settle_statistics(model, variables, images)
    trained, _ = model.apply(settled, images, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(
        model.apply(settled, images, train=False), trained, rtol=1e-3, atol=1e-4
    )
    assert settled["params"] is variables["params"]


def test_settle_statistics_leaves_a_network_without_any_as_it_is():
    model, variables = TinyNetwork(num_classes=3), {"params": {}}
    assert settle_statistics(model, variables, jnp.ones((1, 8, 8, 1))) is variables


def test_draw_variables_names_images_that_are_too_small():
    model = MODELS["inception_v3"](num_classes=2)
    with pytest.raises(ConfigError, match="images.image_size: .*at least 75"):
        draw_variables(model, jnp.ones((1, 40, 40, 3)), key=KEY)
