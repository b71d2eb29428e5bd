import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.augment import normalize, to_float


def test_to_float_maps_every_byte_to_the_unit_interval():
    images = jnp.arange(256, dtype=jnp.uint8).reshape(1, 16, 16, 1)
    floats = to_float(images)
    assert floats.dtype == jnp.float32
    np.testing.assert_allclose(floats.ravel(), np.arange(256) / 255, rtol=1e-7)


def test_to_float_names_a_dtype_of_unknown_range(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match="uint8, got int32"):
        to_float(jnp.zeros((1, 2, 2, 1), jnp.int32))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_normalize_equals_numpy(dtype):
    images = jax.random.uniform(jax.random.key(0), (2, 3, 4, 3)).astype(dtype)
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])
    normalized = jax.jit(lambda x: normalize(x, mean=list(mean), std=tuple(std)))(
        images
    )
    assert normalized.dtype == dtype
    expected = (np.asarray(images, np.float64) - mean) / std
    tolerance = 1e-6 if dtype == jnp.float32 else 1e-2
    np.testing.assert_allclose(
        normalized.astype(jnp.float32), expected, rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5,), (1.0, 1.0, 1.0), r"mean must have 3 numbers.*\(0.5,\)"),
        ((0.0, 0.0, 0.0), (1.0,), r"std must have 3 numbers.*\(1.0,\)"),
        ((0.0, 0.0, 0.0), (1.0, 0.0, 1.0), r"std must be above 0.*0.0"),
        ((0.0, 0.0, 0.0), (1.0, float("nan"), 1.0), "std must be above 0.*nan"),
    ],
)
def test_normalize_names_bad_statistics(mean, std, message):
    with pytest.raises(ValueError, match=message):
        normalize(jnp.zeros((1, 2, 2, 3)), mean=mean, std=std)
