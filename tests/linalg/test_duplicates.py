"""Near-duplicates against dense float64 correlations, and planted ones."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxdl.linalg import find_correlated_rows, find_near_duplicates, group_pairs


def list_pairs(z, threshold):
    """All pairs above a threshold by NumPy's dense float64 correlation."""
    dense = np.corrcoef(np.asarray(z, np.float64))
    pairs = np.argwhere(np.triu(dense > threshold, 1))
    return pairs, dense[pairs[:, 0], pairs[:, 1]]


def draw_images(count, *, seed=0):
    """Smooth random images, 16 x 16, in [0, 1]."""
    generator = np.random.default_rng(seed)
    waves = np.cos(np.outer(np.arange(16) + 0.5, np.arange(6)) * np.pi / 16)
    images = waves @ generator.normal(size=(count, 6, 6)) @ waves.T
    images -= images.min((1, 2), keepdims=True)
    images /= images.max((1, 2), keepdims=True)
    return images.reshape(count, -1)


def plant(images):
    """Copies of images, brighter, flatter, noisy; and which group each belongs to."""
    generator = np.random.default_rng(1)
    noise = generator.normal(size=images[:3].shape)
    copies = [
        0.5 * images[:3] + 0.4,
        2.0 * images[:2] - 0.7,
        images[:3] + 0.01 * noise,
        images[5:6],
    ]
    groups = [(i, 40 + i, 45 + i) for i in range(3)]
    groups[0], groups[1] = (0, 40, 43, 45), (1, 41, 44, 46)
    return np.concatenate([images, *copies]), (*groups, (5, 48))


@pytest.mark.parametrize("block_size", [7, 64, 4096])
def test_find_correlated_rows_equals_the_dense_correlation(block_size):
    generator = np.random.default_rng(0)
    z = generator.normal(size=(60, 4)).astype(np.float32)
    z[:, 0] += 100.0  # an offset that float32 must not stumble over
    pairs, correlations = find_correlated_rows(
        jnp.asarray(z), threshold=0.6, block_size=block_size
    )
    expected, values = list_pairs(z, 0.6)
    assert len(expected) > 20
    np.testing.assert_array_equal(pairs, expected)
    np.testing.assert_allclose(correlations, values, atol=1e-12)


def test_find_correlated_rows_decides_close_calls_in_float64():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(40, 5)).astype(np.float32)
    dense = np.corrcoef(np.asarray(z, np.float64))
    for value in np.sort(dense[np.triu_indices(40, 1)])[-20:]:
        for threshold in (value - 1e-9, value + 1e-9):
            pairs, _ = find_correlated_rows(jnp.asarray(z), threshold=threshold)
            np.testing.assert_array_equal(pairs, list_pairs(z, threshold)[0])


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_find_correlated_rows_takes_any_scale(scale):
    z = np.random.default_rng(0).normal(size=(30, 3)) * scale
    pairs, correlations = find_correlated_rows(
        jnp.asarray(z, jnp.float32), threshold=0.9, block_size=16
    )
    expected, values = list_pairs(z / scale, 0.9)
    np.testing.assert_array_equal(pairs, expected)
    np.testing.assert_allclose(correlations, values, atol=1e-6)


def test_find_correlated_rows_leaves_constant_rows_alone():
    z = np.random.default_rng(0).normal(size=(8, 11)).astype(np.float32)
    # The mean of eleven equal numbers need not be that number.
    z[1:5], z[7] = np.array([[0.1], [0.3], [0.7], [1.1]]), z[0]
    pairs, _ = find_correlated_rows(jnp.asarray(z), threshold=0.9)
    assert pairs.tolist() == [[0, 7]]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 3), (3, 1)])
def test_find_correlated_rows_finds_nothing_in_nothing(shape):
    pairs, correlations = find_correlated_rows(jnp.ones(shape), threshold=0.5)
    assert pairs.shape == (0, 2) and correlations.shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_group_pairs_finds_connected_components(seed):
    generator = np.random.default_rng(seed)
    pairs = np.sort(generator.integers(0, 50, (30, 2)), axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(50, 50))
    _, labels = connected_components(graph, directed=False)
    expected = [
        tuple(np.flatnonzero(labels == label).tolist()) for label in set(labels)
    ]
    assert group_pairs(pairs) == tuple(sorted(g for g in expected if len(g) > 1))


def test_group_pairs_survives_a_long_chain():
    order = np.random.default_rng(0).permutation(5000)
    chain = np.stack([order[:-1], order[1:]], axis=1)
    assert group_pairs(chain) == (tuple(range(5000)),)
    assert group_pairs(np.empty((0, 2), np.int64)) == ()


def test_find_near_duplicates_finds_planted_copies():
    images, groups = plant(draw_images(40))
    found = find_near_duplicates(jnp.asarray(images, jnp.float32), num_components=30)
    assert found.groups == groups
    assert (found.correlations > 0.97).all()
    again = find_near_duplicates(
        jnp.asarray(images, jnp.float32), num_components=30, block_size=16
    )
    np.testing.assert_array_equal(found.pairs, again.pairs)
    np.testing.assert_array_equal(found.correlations, again.correlations)


def test_find_near_duplicates_correlates_scores_of_standardised_rows():
    images, _ = plant(draw_images(40))
    found = find_near_duplicates(
        jnp.asarray(images, jnp.float32), num_components=8, threshold=0.9
    )
    rows = images - images.mean(1, keepdims=True)
    rows /= rows.std(1, keepdims=True)
    rows -= rows.mean(0)
    vt = np.linalg.svd(rows, full_matrices=False)[2][:8]
    # The sign rule: a component's largest entry is positive.
    vt *= np.sign(vt[np.arange(8), np.abs(vt).argmax(1)])[:, None]
    pairs, correlations = list_pairs(rows @ vt.T, 0.9)
    np.testing.assert_array_equal(found.pairs, pairs)
    np.testing.assert_allclose(found.correlations, correlations, atol=2e-5)


def test_find_near_duplicates_can_mind_brightness():
    images = draw_images(12)
    images[8], images[11] = images[3], 0.2 * images[7] + 0.8
    x = jnp.asarray(images, jnp.float32)
    strict = find_near_duplicates(x, num_components=8, standardize=False)
    assert strict.groups == ((3, 8),)
    assert find_near_duplicates(x, num_components=8).groups == ((3, 8), (7, 11))


def test_find_near_duplicates_groups_images_of_one_grey():
    images = draw_images(12)
    images[2], images[6] = 0.1, 0.7
    found = find_near_duplicates(jnp.asarray(images, jnp.float32), num_components=8)
    assert found.groups == ((2, 6),)
    # Equal to the mean of all: nothing is left to compare.
    same = find_near_duplicates(jnp.ones((12, 256)), num_components=8)
    assert same.groups == () and len(same.pairs) == 0


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (3, 0)])
def test_find_near_duplicates_finds_nothing_in_nothing(shape):
    assert find_near_duplicates(jnp.ones(shape)).groups == ()


def test_find_near_duplicates_refuses_arguments_out_of_range():
    x = jnp.asarray(draw_images(12), jnp.float32)
    with pytest.raises(ValueError, match="num_components 1 is below 2"):
        find_near_duplicates(x, num_components=1)
    with pytest.raises(ValueError, match=r"threshold 1.5 is not in \(0, 1\)"):
        find_near_duplicates(x, threshold=1.5)
    with pytest.raises(ValueError, match="block_size 0 is below 1"):
        find_near_duplicates(x, block_size=0)
    with pytest.raises(ValueError, match="find_near_duplicates: 1 of 3072 numbers"):
        find_near_duplicates(x.at[0, 0].set(jnp.inf))
    twins = jnp.asarray(np.repeat(draw_images(2), 6, axis=0), jnp.float32)
    with pytest.raises(ValueError, match="more than 20 pairs of 12 rows.*raise the"):
        find_near_duplicates(twins, num_components=8, max_pairs=20)
