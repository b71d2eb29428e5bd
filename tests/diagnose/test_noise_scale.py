"""The noise scale against per-example gradients of a regression, in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.diagnose import NoiseScale, estimate_noise, measure_noise, noise_scale

SIZE, SIGMA = 5, 0.7
ERROR = np.array([0.3, -0.2, 0.5, 0.1, -0.4])
# Of (x.e - sigma * noise) x with standard normal x: the mean is e, and the fourth
# moments of normal numbers give the rest.
NORM_SQUARED = ERROR @ ERROR
VARIANCE = (SIZE + 1) * NORM_SQUARED + SIZE * SIGMA**2


def draw_gradients(generator, *shape):
    """Gradients of half the squared error of single examples, `ERROR` off the best."""
    x = generator.normal(size=(*shape, SIZE))
    residual = x @ ERROR - SIGMA * generator.normal(size=shape)
    return residual[..., None] * x


def as_tree(gradients):
    return {"a": jnp.asarray(gradients[:, :2]), "b": jnp.asarray(gradients[:, 2:])}


@pytest.mark.parametrize("small_size", [1, 4])
def test_measure_noise_equals_float64_numpy(small_size):
    gradients = draw_gradients(np.random.default_rng(0), 6, small_size).mean(axis=1)
    found = measure_noise(as_tree(gradients.astype(np.float32)), small_size=small_size)
    variance = small_size * gradients.var(axis=0, ddof=1).sum()
    norm_squared = (gradients.mean(axis=0) ** 2).sum() - variance / (6 * small_size)
    np.testing.assert_allclose(found.gradient_variance, variance, rtol=1e-5)
    np.testing.assert_allclose(found.gradient_norm_squared, norm_squared, rtol=1e-5)
    squares = (gradients**2).sum(axis=1).mean(), (gradients.mean(axis=0) ** 2).sum()
    sizes = {"small_size": small_size, "large_size": 6 * small_size}
    np.testing.assert_allclose(
        estimate_noise(*squares, **sizes), (norm_squared, variance), rtol=1e-12
    )


def test_estimate_noise_is_unbiased():
    gradients = draw_gradients(np.random.default_rng(1), 20_000, 8, 2).mean(axis=2)
    small = (gradients**2).sum(axis=2).mean(axis=1)
    large = (gradients.mean(axis=1) ** 2).sum(axis=1)
    found = estimate_noise(small, large, small_size=2, large_size=16)
    for values, expected in zip(found, (NORM_SQUARED, VARIANCE), strict=True):
        deviation = values.std() / len(values) ** 0.5
        assert abs(values.mean() - expected) < 4 * deviation < 0.05 * expected
    # Many of them are of no use alone, and the mean of their ratios is of none at all.
    assert (found.gradient_norm_squared < 0).mean() > 0.05
    means = [values.mean() for values in found]
    assert noise_scale(*means) == pytest.approx(VARIANCE / NORM_SQUARED, rel=0.05)


def test_measure_noise_of_equal_gradients_is_zero():
    found = measure_noise({"a": jnp.full((4, 3), 1.5)}, small_size=2)
    assert [float(value) for value in found] == [3 * 1.5**2, 0.0]
    assert found.noise_scale == 0.0


@pytest.mark.parametrize(
    ("norm_squared", "variance"),
    [(0.0, 1.0), (-1.0, 1.0), (np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, -1.0)],
)
def test_noise_scale_of_what_cannot_be_told_is_none(norm_squared, variance):
    assert noise_scale(norm_squared, variance) is None
    assert NoiseScale(norm_squared, variance).noise_scale is None


def test_noise_needs_two_sizes():
    with pytest.raises(ValueError, match="small_size=4 and large_size=4"):
        measure_noise({"a": jnp.ones((1, 3))}, small_size=4)
    with pytest.raises(ValueError, match="small_size=0 and large_size=2"):
        estimate_noise(1.0, 1.0, small_size=0, large_size=2)
