"""Robust PCA against planted parts, float64 NumPy and the optimality conditions."""

import sys

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.linalg import robust_pca
from jaxdl.linalg.clipping import clip_spectrum, multiply_finely
from jaxdl.linalg.leading_clipping import clip_leading_spectrum, start_leading_basis


def plant(seed, rows=200, columns=100, rank=5, share=0.05):
    """A matrix of low rank and a sparse one, float64."""
    generator = np.random.default_rng(seed)
    left = generator.normal(size=(rows, rank))
    low_rank = left @ generator.normal(size=(rank, columns))
    is_hit = generator.random((rows, columns)) < share
    return low_rank, np.where(is_hit, generator.uniform(-10, 10, (rows, columns)), 0)


def split_in_numpy(d, num_iterations):
    """The iteration of Lin, Chen, Ma written out with a whole decomposition each."""
    sparsity = 1 / np.sqrt(max(d.shape))
    largest = np.linalg.norm(d, 2)
    penalty = 1.25 / largest
    y = d / max(largest, np.abs(d).max() / sparsity)
    low_rank = np.zeros_like(d)
    for _ in range(num_iterations):
        moved = d - low_rank + y / penalty
        sparse = np.sign(moved) * np.maximum(np.abs(moved) - sparsity / penalty, 0)
        u, s, vt = np.linalg.svd(d - sparse + y / penalty, full_matrices=False)
        low_rank = (u * np.maximum(s - 1 / penalty, 0)) @ vt
        y = y + penalty * (d - low_rank - sparse)
        penalty *= 1.5
    return low_rank, sparse


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_robust_pca_recovers_planted_parts(seed):
    low_rank, sparse = plant(seed)
    found = robust_pca(jnp.float32(low_rank + sparse))
    assert found.converged and found.residual <= 1e-7
    assert found.rank == 5 and found.num_iterations <= 25
    error = np.linalg.norm(found.low_rank - low_rank) / np.linalg.norm(low_rank)
    assert error <= 1e-6
    np.testing.assert_array_equal(np.abs(found.sparse) > 1e-3, np.abs(sparse) > 1e-3)
    rest = np.float32(low_rank + sparse) - np.float64(found.low_rank) - found.sparse
    assert np.linalg.norm(rest) <= 1.1e-7 * np.linalg.norm(low_rank + sparse)


@pytest.mark.parametrize("num_iterations", [1, 4, 9])
def test_robust_pca_takes_the_steps_of_the_authors(num_iterations):
    d = sum(plant(3, rows=30, columns=20, rank=2))
    found = robust_pca(jnp.float32(d), max_iterations=num_iterations)
    assert not found.converged and found.num_iterations == num_iterations
    for part, expected in zip(found, split_in_numpy(d, num_iterations), strict=False):
        np.testing.assert_allclose(part, expected, atol=2e-5)


def test_robust_pca_ends_as_in_numpy_where_nothing_is_of_low_rank():
    d = np.random.default_rng(0).normal(size=(60, 40)) + 3
    found = robust_pca(jnp.float32(d))
    assert found.converged and found.residual <= 1e-7
    low_rank, sparse = split_in_numpy(d, 40)
    s = np.linalg.svd(low_rank, compute_uv=False)
    assert found.rank == np.sum(s > 1e-6 * s[0]) > 1
    np.testing.assert_allclose(found.low_rank, low_rank, atol=1e-3)
    np.testing.assert_allclose(found.sparse, sparse, atol=1e-3)


def test_robust_pca_turns_with_the_matrix_and_keeps_its_scale():
    d = jnp.float32(sum(plant(4, rows=40, columns=25, rank=2)))
    found = robust_pca(d)
    turned = robust_pca(d.T)
    small, huge = robust_pca(d * 2.0**-90), robust_pca(d * 2.0**90)
    np.testing.assert_array_equal(turned.low_rank.T, found.low_rank)
    np.testing.assert_array_equal(small.sparse, found.sparse * 2.0**-90)
    np.testing.assert_array_equal(huge.low_rank, found.low_rank * 2.0**90)
    compiled = jax.jit(robust_pca)(d)
    np.testing.assert_allclose(compiled.low_rank, found.low_rank, atol=1e-5)


def test_robust_pca_weighs_the_parts_by_sparsity():
    d = jnp.float32(sum(plant(5, rows=40, columns=25, rank=2)))
    ranks = [int(robust_pca(d, sparsity=s).rank) for s in (0.02, 0.16, 10.0)]
    assert ranks[0] == 0 and ranks[1] == 2 and ranks[2] == 25
    assert not robust_pca(d, sparsity=10.0).sparse.any()


@pytest.mark.parametrize(
    ("d", "rank"),
    [
        (np.zeros((5, 3)), 0),
        (np.ones((7, 4)), 1),
        (np.pad(np.ones((9, 4)), ((0, 0), (0, 4))), 1),
        (np.zeros((0, 3)), 0),
        (np.ones((7, 4), np.int32), 1),
    ],
)
def test_robust_pca_of_degenerate_matrices(d, rank):
    found = robust_pca(jnp.asarray(d, jnp.int32 if d.dtype == np.int32 else None))
    assert found.converged and found.rank == rank
    np.testing.assert_allclose(found.low_rank, d, atol=1e-6)


def test_robust_pca_refuses_what_is_not_finite(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    bad = jnp.ones((3, 3)).at[0, 1].set(jnp.nan)
    with pytest.raises(ValueError, match="robust_pca: 1 of 9 numbers are NaN"):
        robust_pca(bad)
    found = jax.jit(robust_pca)(bad)
    assert not found.converged and jnp.isnan(found.low_rank).all()
    with pytest.raises(ValueError, match=r"a matrix, got shape \(3,\)"):
        robust_pca(jnp.ones(3))


@pytest.mark.parametrize(
    "arguments", [{"sparsity": 0.0}, {"tol": 0.0}, {"max_iterations": 0}]
)
def test_robust_pca_names_an_argument_out_of_range(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"robust_pca: {name} must be .*, got 0"):
        robust_pca(jnp.ones((2, 2)), **arguments)


def test_clip_spectrum_finds_small_values_beside_large_ones():
    generator = np.random.default_rng(0)
    u = np.linalg.qr(generator.normal(size=(50, 8)))[0]
    v = np.linalg.qr(generator.normal(size=(8, 8)))[0]
    s = np.array([1e5, 9e4, 10, 5, 1, 0.5, 0.3, 0.1])
    x = jnp.float32((u * s) @ v.T)
    basis, above = jnp.eye(8), jnp.zeros(8, bool)
    part = x
    for is_fine in (False, False, True, True):
        part, basis, above = clip_spectrum(
            x, jnp.float32(0.4), basis, above, is_fine=jnp.asarray(is_fine)
        )
    assert above.sum() == 6
    # An error of eps times the largest value would be 1e-2.
    u, s, vt = np.linalg.svd(np.float64(x), full_matrices=False)
    np.testing.assert_allclose(part, (u * np.minimum(s, 0.4)) @ vt, atol=1e-3)


@pytest.mark.parametrize("inner", [1, 7, 200, 5000])
def test_multiply_finely_is_nearly_exact(inner):
    generator = np.random.default_rng(0)
    x = np.float32(generator.normal(size=(3, inner)) * [[1e-20], [1.0], [1e20]])
    y = np.float32(generator.normal(size=(inner, 4)))
    expected = np.float64(x) @ np.float64(y)
    size = np.abs(np.float64(x)) @ np.abs(np.float64(y))
    errors = np.abs(multiply_finely(*map(jnp.asarray, (x, y))) - expected) / size
    assert errors.max() < (1e-7 if inner < 9 else 2e-8)


@pytest.fixture
def few_are_large(monkeypatch):
    """Makes sides of 32 large: a side of 48 then has blocks of 3 + 16 vectors."""
    monkeypatch.setattr(sys.modules["jaxdl.linalg.robust_pca"], "_LARGE", 32)


@pytest.mark.usefixtures("few_are_large")
def test_robust_pca_recovers_planted_parts_by_leading_vectors():
    low_rank, sparse = plant(6, rows=90, columns=48, rank=2)
    d = jnp.float32(low_rank + sparse)
    found, whole = robust_pca(d, key=jax.random.key(0)), robust_pca(d)
    assert found.converged and found.residual <= 1e-7 and found.rank == 2
    assert found.num_iterations <= whole.num_iterations + 1
    error = np.linalg.norm(found.low_rank - low_rank) / np.linalg.norm(low_rank)
    assert error <= 1e-6
    np.testing.assert_array_equal(np.abs(found.sparse) > 1e-3, np.abs(sparse) > 1e-3)
    # Not by chance the whole decomposition, whose rounding errors are others.
    assert np.any(found.low_rank != whole.low_rank)


@pytest.mark.usefixtures("few_are_large")
def test_robust_pca_decomposes_the_whole_where_the_rank_is_above_the_block():
    d = np.random.default_rng(0).normal(size=(90, 48)) + 3
    found = robust_pca(jnp.float32(d), key=jax.random.key(0))
    assert found.converged and found.residual <= 1e-7
    low_rank, sparse = split_in_numpy(d, 40)
    s = np.linalg.svd(low_rank, compute_uv=False)
    assert found.rank == np.sum(s > 1e-6 * s[0]) > 10
    np.testing.assert_allclose(found.low_rank, low_rank, atol=1e-3)
    np.testing.assert_allclose(found.sparse, sparse, atol=1e-3)


@pytest.mark.usefixtures("few_are_large")
def test_robust_pca_with_a_key_takes_degenerate_matrices():
    key = jax.random.key(0)
    for value in (0, 1):
        found = robust_pca(jnp.full((90, 48), float(value)), key=key)
        assert found.converged and found.rank == value
        np.testing.assert_allclose(found.low_rank, np.full((90, 48), value), atol=1e-6)
    bad = jnp.ones((48, 90)).at[0, 1].set(jnp.nan)
    found = jax.jit(lambda d, key: robust_pca(d, key=key))(bad, key)
    assert not found.converged and jnp.isnan(found.low_rank).all()


def test_robust_pca_reads_no_key_for_a_small_matrix():
    d = jnp.float32(sum(plant(4, rows=40, columns=25, rank=2)))
    whole, found = robust_pca(d), robust_pca(d, key=jax.random.key(0))
    for part, expected in zip(found, whole, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_clip_leading_spectrum_equals_numpy_to_rounding_of_the_small():
    generator = np.random.default_rng(0)
    u = np.linalg.qr(generator.normal(size=(60, 30)))[0]
    v = np.linalg.qr(generator.normal(size=(30, 30)))[0]
    s = np.array([1e5, 9e4, 2, 1, *np.geomspace(0.3, 0.01, 26)])
    x, limit = jnp.float32((u * s) @ v.T), jnp.float32(0.4)
    key = jax.random.key(0)
    basis, largest = start_leading_basis(x, 12, key=key)
    assert largest == pytest.approx(1e5, rel=1e-6)
    above = jnp.zeros(12, bool)
    clip = jax.jit(clip_leading_spectrum)
    for is_fine in (False, False, True, True):
        found = clip(x, limit, basis, above, is_fine=jnp.asarray(is_fine), key=key)
        _, basis, above = found
    assert above.sum() == 4
    np.testing.assert_allclose(basis.T @ basis, np.eye(12), atol=2e-6)
    # An error of eps times the largest value would be 1e-2.
    u, s, vt = np.linalg.svd(np.float64(x), full_matrices=False)
    np.testing.assert_allclose(found.part, (u * np.minimum(s, 0.4)) @ vt, atol=1e-3)


@pytest.mark.slow
def test_robust_pca_of_a_large_matrix_by_leading_vectors():
    low_rank, sparse = plant(7, rows=600, columns=500, rank=5)
    d = jnp.float32(low_rank + sparse)
    found = robust_pca(d, key=jax.random.key(0))
    assert found.converged and found.rank == 5
    error = np.linalg.norm(found.low_rank - low_rank) / np.linalg.norm(low_rank)
    assert error <= 1e-6


@pytest.mark.slow
def test_robust_pca_converges_on_a_real_clip(find_data):
    path = find_data("rpca_escalator/escalator.npz")
    frames = np.load(path)["frames"]
    found = robust_pca(jnp.float32(frames.reshape(len(frames), -1)))
    assert found.converged and found.residual <= 1e-7
    assert 95 <= found.rank <= 115  # NumPy's iteration in float64 ends at 105
