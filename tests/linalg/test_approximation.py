"""Polar factors and low ranks against SciPy and NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import polar as scipy_polar

from jaxdl.linalg import low_rank_approximation, polar

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (1, 5), (5, 1)])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_polar_equals_scipy(shape, scale):
    a = scale * GENERATOR.standard_normal(shape)
    unitary, positive = scipy_polar(a)
    found = polar(jnp.float32(a))
    np.testing.assert_allclose(found.unitary, unitary, atol=1e-5)
    np.testing.assert_allclose(found.positive / scale, positive / scale, atol=1e-5)


def test_polar_of_a_singular_matrix_is_still_a_rotation_and_a_stretching():
    a = jnp.float32(np.outer(GENERATOR.standard_normal(5), np.arange(3.0)))
    for matrix in (a, jnp.zeros((5, 3))):
        unitary, positive = polar(matrix)
        np.testing.assert_allclose(unitary.T @ unitary, np.eye(3), atol=1e-6)
        np.testing.assert_array_equal(positive, positive.T)
        assert np.linalg.eigvalsh(positive).min() > -1e-5
        np.testing.assert_allclose(unitary @ positive, matrix, atol=1e-5)


def test_polar_of_a_batch_equals_a_loop_and_jit_equals_eager():
    batch = jnp.float32(GENERATOR.standard_normal((2, 3, 4, 3)))
    found = jax.jit(polar)(batch)
    for index in np.ndindex(2, 3):
        single = polar(batch[index])
        np.testing.assert_allclose(found.unitary[index], single.unitary, atol=1e-5)
        np.testing.assert_allclose(found.positive[index], single.positive, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_low_rank_approximation_leaves_the_smallest_error_there_is(rank):
    a = GENERATOR.standard_normal((2, 8, 5))
    found = low_rank_approximation(jnp.float32(a), rank)
    s = np.linalg.svd(a, compute_uv=False)
    for matrix, approximation, values in zip(a, found, s, strict=True):
        error = np.linalg.norm(matrix - approximation)
        least = np.sqrt((values[rank:] ** 2).sum())
        np.testing.assert_allclose(error, least, rtol=1e-4, atol=1e-5)
        assert np.linalg.matrix_rank(np.float64(approximation), tol=1e-4) == rank


def test_low_rank_approximation_with_a_key_is_nearly_as_good():
    u, _ = np.linalg.qr(GENERATOR.standard_normal((200, 60)))
    v, _ = np.linalg.qr(GENERATOR.standard_normal((60, 60)))
    s = 1 / np.arange(1, 61)
    a = u * s @ v
    found = low_rank_approximation(jnp.float32(a), 5, key=jax.random.key(0))
    least = np.sqrt((s[5:] ** 2).sum())
    assert np.linalg.norm(a - found) <= 1.001 * least


@pytest.mark.parametrize("rank", [0, 4])
def test_low_rank_approximation_names_a_rank_that_is_out_of_range(rank):
    for key in (None, jax.random.key(0)):
        with pytest.raises(ValueError, match=rf"svd: .*rank .*{rank}"):
            low_rank_approximation(jnp.ones((5, 3)), rank, key=key)
