import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import load_digits

from jaxdl.linalg import assign_clusters, choose_centers, kmeans
from jaxdl.parallel import make_mesh

KEY = jax.random.key(0)


def make_blobs(num_rows=400, columns=5, clusters=8, *, spread=1.0, seed=0):
    generator = np.random.default_rng(seed)
    centers = 4 * generator.normal(size=(clusters, columns))
    noise = spread * generator.normal(size=(num_rows, columns))
    x = centers[generator.integers(0, clusters, num_rows)] + noise
    return x.astype(np.float32)


def iterate(x, centers, num_iterations, weights=None):
    """Lloyd's iterations as in a text book, in float64."""
    x, centers = np.array(x, float), np.array(centers, float)
    weights = np.ones(len(x)) if weights is None else weights
    for _ in range(num_iterations):
        nearest = np.square(x[:, None] - centers).sum(-1).argmin(1)
        for cluster in range(len(centers)):
            mine = nearest == cluster
            centers[cluster] = np.average(x[mine], axis=0, weights=weights[mine])
    return centers


def split_rows(*arrays):
    sharding = NamedSharding(make_mesh(data=8), PartitionSpec("data"))
    return [jax.device_put(array, sharding) for array in arrays]


@pytest.mark.parametrize("num_iterations", [1, 3, 12])
def test_kmeans_takes_the_steps_of_the_text_book(num_iterations):
    x = make_blobs(spread=4.0)
    weights = np.random.default_rng(1).uniform(0.2, 3, len(x))
    fit = kmeans(
        jnp.asarray(x),
        8,
        init=jnp.asarray(x[:8]),
        max_iterations=num_iterations,
        tol=0.0,
        sample_weight=jnp.asarray(weights, jnp.float32),
        key=KEY,
    )
    expected = iterate(x, x[:8], num_iterations, weights)
    np.testing.assert_allclose(fit.centers, expected, atol=2e-5)
    squares = np.square(x[:, None] - expected).sum(-1)
    np.testing.assert_array_equal(fit.assignments, squares.argmin(1))
    inertia = np.sum(weights * squares.min(1))
    np.testing.assert_allclose(fit.inertia, inertia, rtol=1e-5)
    assert not fit.converged
    assert fit.num_iterations == num_iterations


def test_kmeans_ends_where_scikit_learn_ends():
    x = load_digits().data.astype(np.float32)
    start = x[:10]
    peer = SklearnKMeans(10, init=start.astype(float), n_init=1, tol=1e-4)
    peer.fit(x.astype(float))
    fit = kmeans(jnp.asarray(x), 10, init=jnp.asarray(start), key=KEY)
    assert fit.converged
    np.testing.assert_allclose(fit.inertia, peer.inertia_, rtol=1e-5)
    np.testing.assert_array_equal(fit.assignments, peer.labels_)
    # One more at most: to make sure of sums that were only corrected.
    assert 0 <= int(fit.num_iterations) - peer.n_iter_ <= 1


@pytest.mark.parametrize(("offset", "scale"), [(1e4, 1.0), (0.0, 1e15), (0.0, 1e-15)])
def test_kmeans_finds_blobs_anywhere_and_of_any_size(offset, scale):
    x = make_blobs(spread=0.1)
    moved = x * np.float32(scale) + np.float32(offset)
    fit = kmeans(jnp.asarray(moved), 8, num_restarts=4, key=KEY)
    expected = SklearnKMeans(8, n_init=10, random_state=0).fit(moved.astype(float))
    np.testing.assert_allclose(fit.inertia, expected.inertia_, rtol=1e-3)


def test_assign_clusters_is_accurate_far_from_zero():
    generator = np.random.default_rng(0)
    x = (1e4 + generator.normal(size=(300, 6))).astype(np.float32)
    centers = x[:20] + np.float32(0.25)
    nearest, squared = assign_clusters(jnp.asarray(x), jnp.asarray(centers))
    squares = np.square(x[:, None].astype(float) - centers).sum(-1)
    np.testing.assert_array_equal(nearest, squares.argmin(1))
    np.testing.assert_allclose(squared, squares.min(1), rtol=1e-5)


def test_assign_clusters_of_no_rows_is_empty():
    nearest, squared = assign_clusters(jnp.zeros((0, 3)), jnp.ones((2, 3)))
    assert nearest.shape == squared.shape == (0,)


def test_kmeans_zero_weight_is_the_same_as_leaving_out():
    x = make_blobs()
    weights = np.where(np.arange(400) < 300, 1, 0).astype(np.float32)
    fits = []
    for filler in (0.0, 1e3):
        padded = np.where(weights[:, None] > 0, x, np.float32(filler))
        run = functools.partial(kmeans, jnp.asarray(padded), 8, key=KEY)
        fits.append(run(sample_weight=jnp.asarray(weights)))
    np.testing.assert_array_equal(fits[0].centers, fits[1].centers)
    init = run(init=jnp.asarray(x[:8]), sample_weight=jnp.asarray(weights), tol=0.0)
    chosen = iterate(x[:300], x[:8], 100)
    np.testing.assert_allclose(init.centers, chosen, atol=1e-5)
    squares = np.square(x[:300, None] - chosen).sum(-1).min(1)
    np.testing.assert_allclose(init.inertia, squares.sum(), rtol=1e-5)
    for i in range(5):
        rows = choose_centers(
            jnp.asarray(padded),
            8,
            sample_weight=jnp.asarray(weights),
            key=jax.random.key(i),
        )
        assert int(rows.max()) < 300


def test_kmeans_whole_weights_are_repetitions():
    x = make_blobs()
    counts = np.arange(400) % 3
    weights = jnp.asarray(counts, jnp.float32)
    fit = kmeans(
        jnp.asarray(x), 8, init=jnp.asarray(x[:8]), sample_weight=weights, key=KEY
    )
    repeated = np.repeat(x, counts, axis=0).astype(float)
    peer = SklearnKMeans(8, init=x[:8].astype(float), n_init=1).fit(repeated)
    np.testing.assert_allclose(fit.centers, peer.cluster_centers_, atol=1e-4)
    np.testing.assert_allclose(fit.inertia, peer.inertia_, rtol=1e-5)


def test_kmeans_gives_an_empty_cluster_the_farthest_point():
    x = jnp.asarray([[0.0], [1.0], [2.0], [3.0], [50.0], [90.0]])
    init = jnp.asarray([[1.0], [1e6], [1e7]])
    fit = kmeans(x, 3, init=init, max_iterations=50, key=KEY)
    np.testing.assert_allclose(np.sort(fit.centers.ravel()), [1.5, 50, 90], atol=1e-4)
    assert fit.converged


def test_kmeans_of_one_cluster_is_the_mean():
    x = make_blobs(50)
    fit = kmeans(jnp.asarray(x), 1, key=KEY)
    np.testing.assert_allclose(fit.centers[0], x.mean(0), atol=1e-5)
    np.testing.assert_allclose(fit.inertia, 50 * x.var(0).sum(), rtol=1e-5)


def test_kmeans_of_as_many_clusters_as_rows_is_exact():
    x = make_blobs(12)
    fit = kmeans(jnp.asarray(x), 12, init="plain k-means++", key=KEY)
    assert sorted(fit.assignments.tolist()) == list(range(12))
    np.testing.assert_allclose(fit.inertia, 0, atol=1e-8)
    assert fit.converged


def test_kmeans_of_more_clusters_than_distinct_rows_repeats():
    x = np.repeat(make_blobs(3), 4, axis=0)
    fit = kmeans(jnp.asarray(x), 12, init="plain k-means++", key=KEY)
    assert fit.converged
    np.testing.assert_allclose(fit.inertia, 0, atol=1e-8)
    assert len(set(fit.assignments.tolist())) == 3
    distances = np.square(np.asarray(fit.centers)[:, None] - x[::4]).sum(-1).min(1)
    np.testing.assert_allclose(distances, 0, atol=1e-8)
    same = kmeans(jnp.ones((12, 5)), 12, init="plain k-means++", key=KEY)
    assert same.converged
    assert float(same.inertia) == 0.0


def test_kmeans_under_jit_is_the_same_and_gives_nan_for_nan():
    x = jnp.asarray(make_blobs())
    run = jax.jit(functools.partial(kmeans, num_clusters=8))
    fit, compiled = kmeans(x, 8, key=KEY), run(x, key=KEY)
    np.testing.assert_allclose(compiled.centers, fit.centers, atol=1e-5)
    np.testing.assert_array_equal(compiled.assignments, fit.assignments)
    broken = run(x.at[3, 1].set(jnp.nan), key=KEY)
    assert jnp.isnan(broken.inertia)
    assert jnp.isnan(broken.centers[:, 1]).all()
    assert not broken.converged
    assert int(broken.assignments.max()) < 8


def test_kmeans_is_the_same_on_eight_devices():
    x = make_blobs(spread=3.0)
    weights = np.where(np.arange(400) < 390, 1, 0).astype(np.float32)
    run = functools.partial(kmeans, num_clusters=8, num_restarts=4, tol=0.0, key=KEY)
    one = run(jnp.asarray(x), sample_weight=jnp.asarray(weights))
    x, weights = split_rows(x, weights)
    eight = run(x, sample_weight=weights)
    np.testing.assert_allclose(eight.centers, one.centers, atol=1e-5)
    np.testing.assert_array_equal(eight.assignments, one.assignments)
    np.testing.assert_allclose(eight.inertia, one.inertia, rtol=1e-5)
    assert eight.converged
    assert eight.assignments.sharding.is_equivalent_to(weights.sharding, 1)
    assert eight.centers.sharding.is_fully_replicated


def test_kmeans_rescues_empty_clusters_on_eight_devices():
    x = make_blobs()
    init = jnp.asarray(np.concatenate([x[:4], np.full((4, 5), 1e3, np.float32)]))
    one = kmeans(jnp.asarray(x), 8, init=init, key=KEY)
    eight = kmeans(split_rows(x)[0], 8, init=init, key=KEY)
    assert len(set(one.assignments.tolist())) == 8
    np.testing.assert_array_equal(eight.assignments, one.assignments)


def test_choose_and_assign_are_the_same_on_eight_devices():
    x = make_blobs()
    (split,) = split_rows(x)
    chosen = choose_centers(jnp.asarray(x), 8, key=KEY)
    np.testing.assert_array_equal(choose_centers(split, 8, key=KEY), chosen)
    centers = jnp.asarray(x)[chosen]
    for one, eight in zip(
        assign_clusters(jnp.asarray(x), centers),
        assign_clusters(split, centers),
        strict=True,
    ):
        np.testing.assert_allclose(eight, one, atol=1e-5)


def test_kmeans_of_small_batches_comes_close_and_is_the_same_on_eight_devices():
    x = make_blobs(clusters=4, spread=1.5)
    whole = kmeans(jnp.asarray(x), 8, num_restarts=4, key=KEY)
    run = functools.partial(kmeans, num_clusters=8, batch_size=64, key=KEY)
    one = run(jnp.asarray(x))
    assert one.converged
    assert float(one.inertia) < 1.05 * float(whole.inertia)
    eight = run(split_rows(x)[0])
    np.testing.assert_allclose(eight.centers, one.centers, atol=1e-4)


def test_kmeans_keeps_the_best_restart():
    run = functools.partial(kmeans, jnp.asarray(make_blobs(spread=4.0)), 8)
    keys = jax.random.split(KEY, 5)
    alone = [float(run(key=key).inertia) for key in keys]
    best = [float(run(num_restarts=4, key=key).inertia) for key in keys]
    assert np.mean(best) < np.mean(alone)
    assert max(best) < max(alone)


def test_choose_centers_draws_by_squared_distance():
    x = jnp.asarray([[0.0]] * 60 + [[1.0]] * 4 + [[3.0]] * 4)
    keys = jax.random.split(KEY, 1000)
    choose = lambda key: choose_centers(x, 2, num_trials=1, key=key)
    chosen = np.asarray(x)[np.asarray(jax.vmap(choose)(keys)), 0]
    second = chosen[chosen[:, 0] == 0, 1]
    np.testing.assert_allclose(np.mean(chosen[:, 0] == 0), 60 / 68, atol=0.04)
    np.testing.assert_allclose(np.mean(second == 3), 0.9, atol=0.04)
    assert not np.any(second == 0)


def test_choose_centers_greedily_leaves_less():
    x = jnp.asarray(make_blobs(spread=0.5))

    def leave(num_trials):
        choose = functools.partial(choose_centers, x, 8, num_trials=num_trials)
        chosen = [choose(key=key) for key in jax.random.split(KEY, 20)]
        return np.mean([assign_clusters(x, x[rows])[1].sum() for rows in chosen])

    assert leave(None) < 0.9 * leave(1)


def test_kmeans_memory_does_not_grow_with_rows_times_clusters():
    x, key = jax.ShapeDtypeStruct((100_000, 2), jnp.float32), KEY
    run = jax.jit(functools.partial(kmeans, num_clusters=500))
    memory = run.lower(x, key=key).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 100_000 * 500 * 4 / 8


def test_kmeans_keeps_float64():
    with jax.enable_x64(True):
        x = make_blobs(spread=4.0).astype(float)
        init = jnp.asarray(x[:8])
        fit = kmeans(jnp.asarray(x), 8, init=init, max_iterations=12, tol=0.0, key=KEY)
        assert fit.centers.dtype == jnp.float64
        np.testing.assert_allclose(fit.centers, iterate(x, x[:8], 12), atol=1e-12)


ONES = jnp.ones((4, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_clusters": 5}, "num_clusters=5, wanted 1 to the 4 rows"),
        ({"num_clusters": 0}, "num_clusters=0"),
        ({"x": jnp.ones((0, 2))}, "num_clusters=2, wanted 1 to the 0 rows"),
        ({"x": ONES.at[0, 0].set(jnp.nan)}, "1 of 8 numbers are NaN"),
        ({"num_restarts": 0}, "num_restarts=0, wanted 1 or more"),
        ({"max_iterations": 0}, "max_iterations=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"tol": -1.0}, "tol=-1.0, wanted 0 or more"),
        ({"init": "random"}, "init='random', wanted"),
        ({"init": jnp.ones((3, 2))}, r"init has shape \(3, 2\), wanted \(2, 2\)"),
        ({"init": ONES[:2], "num_restarts": 2}, "num_restarts=2 fits from the same"),
        ({"sample_weight": jnp.ones(3)}, r"shape \(3,\), wanted \(4,\)"),
        ({"sample_weight": -jnp.ones(4)}, "from -1.0 to -1.0, wanted 0 or more"),
        ({"sample_weight": jnp.zeros(4)}, "some above 0"),
        ({"sample_weight": jnp.full(4, jnp.inf)}, "sample_weight: 4 of 4"),
    ],
)
def test_kmeans_names_bad_arguments(monkeypatch, arguments, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        kmeans(**{"x": ONES, "num_clusters": 2, "key": KEY, **arguments})


def test_choose_and_assign_name_bad_arguments(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="choose_centers: num_trials=0, wanted 1"):
        choose_centers(ONES, 2, num_trials=0, key=KEY)
    with pytest.raises(ValueError, match="choose_centers: num_clusters=9"):
        choose_centers(ONES, 9, key=KEY)
    with pytest.raises(ValueError, match="wanted one or more rows of 2 columns"):
        assign_clusters(ONES, jnp.ones((3, 5)))
