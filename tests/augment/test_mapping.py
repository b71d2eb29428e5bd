import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxdl.augment.mapping import keep_apart, map_images


def scale(image, factor):
    return image * factor


def draw(batch_size):
    images = np.arange(batch_size * 6, dtype=np.float32).reshape(batch_size, 2, 3, 1)
    return jnp.asarray(images), jnp.arange(batch_size, dtype=jnp.float32)


def test_map_images_gives_each_image_its_own_parameter():
    images, factors = draw(4)
    expected = [scale(*pair) for pair in zip(images, factors, strict=True)]
    np.testing.assert_array_equal(map_images(scale, images, factors), expected)


def test_map_images_under_vmap_equals_a_loop():
    images, factors = draw(4)
    factors = jnp.stack([factors, factors + 1])
    together = jax.vmap(lambda row: map_images(scale, images, row))(factors)
    one_by_one = [map_images(scale, images, row) for row in factors]
    np.testing.assert_array_equal(together, one_by_one)


@pytest.mark.parametrize(("batch_size", "is_split"), [(16, True), (12, False)])
def test_map_images_splits_a_batch_that_the_devices_divide(batch_size, is_split):
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    images, factors = draw(batch_size)
    axes = ("data", "model") if is_split else None
    split = NamedSharding(mesh, PartitionSpec(axes))
    operands = jax.device_put((images, factors), split)
    result = jax.jit(lambda *operands: map_images(scale, *operands))(*operands)
    assert result.sharding.is_equivalent_to(split, 4)
    np.testing.assert_array_equal(result, map_images(scale, images, factors))


def test_keep_apart_computes_the_step():
    x = jnp.arange(6.0).reshape(2, 3)
    turned = jax.jit(lambda x: keep_apart(jnp.transpose, x, needed=x[0, 0] == 0))(x)
    np.testing.assert_array_equal(turned, x.T)
