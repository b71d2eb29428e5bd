import functools
import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxdl.augment import make_augment, random_crop, random_flip

KEY = jax.random.key


def make_images(batch_size=64, height=6, width=5, channels=2):
    """Images whose pixels are all different, so that a window has one origin."""
    size = batch_size * height * width * channels
    return np.arange(1, size + 1, dtype=np.float32).reshape(
        batch_size, height, width, channels
    )


def find_window(padded, window):
    """The offset at which a window was cut out of an image, by trying them all."""
    height, width, _ = window.shape
    rows = range(padded.shape[0] - height + 1)
    columns = range(padded.shape[1] - width + 1)
    offsets = [
        (row, column)
        for row in rows
        for column in columns
        if (padded[row : row + height, column : column + width] == window).all()
    ]
    assert len(offsets) == 1
    return offsets[0]


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_random_crop_cuts_one_window_of_each_padded_image(mode):
    images = make_images(batch_size=256)
    crops = np.asarray(
        random_crop(jnp.asarray(images), padding=2, mode=mode, key=KEY(0))
    )
    sides = (2, 2)
    padded = np.pad(images, ((0, 0), sides, sides, (0, 0)), mode=mode)
    offsets = [find_window(*pair) for pair in zip(padded, crops, strict=True)]
    # 25 windows, 256 draws: each is missed with probability 256 * log(25 / 24) < 3e-5.
    assert set(offsets) == {(row, column) for row in range(5) for column in range(5)}
    rows, columns = np.transpose(offsets)
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.2


def test_random_flip_mirrors_about_half_of_the_images_and_keeps_the_others():
    images = make_images(batch_size=256)
    flipped = np.asarray(random_flip(jnp.asarray(images), key=KEY(0)))
    kept = (flipped == images).all((1, 2, 3))
    mirrored = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    np.testing.assert_array_equal(kept, ~mirrored)
    assert 96 < mirrored.sum() < 160  # four standard deviations


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_augment_keeps_dtype_and_is_a_function_of_the_key(dtype):
    augment = make_augment(crop_padding=1, flip=True)
    images = jnp.asarray(make_images(8)).astype(dtype)
    once, again = augment(images, key=KEY(3)), augment(images, key=KEY(3))
    other = augment(images, key=KEY(4))
    assert once.dtype == dtype
    assert once.shape == images.shape
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_augment_draws_crop_and_flip_apart():
    images = jnp.asarray(make_images(8))
    key_crop, key_flip = jax.random.split(KEY(5))
    shifted = random_crop(images, padding=2, mode="reflect", key=key_crop)
    expected = random_flip(shifted, key=key_flip)
    augment = make_augment(crop_padding=2, crop_mode="reflect", flip=True)
    np.testing.assert_array_equal(augment(images, key=KEY(5)), expected)


def test_augment_of_nothing_gives_the_images():
    images = jnp.asarray(make_images(2))
    np.testing.assert_array_equal(make_augment()(images, key=KEY(0)), images)
    np.testing.assert_array_equal(random_crop(images, padding=0, key=KEY(0)), images)


def test_augment_under_vmap_equals_a_loop_over_keys():
    images = jnp.asarray(make_images(4))
    augment = make_augment(crop_padding=1, flip=True)
    keys = jax.random.split(KEY(0), 3)
    together = jax.vmap(lambda key: augment(images, key=key))(keys)
    one_by_one = jnp.stack([augment(images, key=key) for key in keys])
    np.testing.assert_array_equal(together, one_by_one)


def test_augment_is_the_same_on_eight_devices_without_a_collective():
    images = jnp.asarray(make_images(16))
    augment = make_augment(crop_padding=2, flip=True)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    on_eight = jax.jit(
        functools.partial(augment, key=KEY(1)), in_shardings=split, out_shardings=split
    )
    split_images = jax.device_put(images, split)
    np.testing.assert_array_equal(on_eight(split_images), augment(images, key=KEY(1)))
    compiled = on_eight.lower(split_images).compile().as_text()
    collectives = "all-gather|all-reduce|all-to-all|collective-permute"
    assert "num_partitions=8" in compiled
    assert not re.search(collectives, compiled)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": -1}, "padding.*-1"),
        ({"padding": 5, "mode": "reflect"}, "padding.*below the image side 5.*5"),
        ({"padding": 1, "mode": "wrap"}, "mode.*'wrap'"),
    ],
)
def test_random_crop_names_a_bad_option(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        random_crop(jnp.asarray(make_images(1)), **options, key=KEY(0))


def test_make_augment_names_a_bad_option_before_it_sees_images(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match="padding.*-1"):
        make_augment(crop_padding=-1)
    with pytest.raises(ValueError, match="mode.*'wrap'"):
        make_augment(crop_mode="wrap")
