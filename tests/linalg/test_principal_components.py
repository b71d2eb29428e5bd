"""Principal components against scikit-learn in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.decomposition

from jaxdl.linalg import (
    finish_incremental_pca,
    init_incremental_pca,
    inverse_transform,
    pca,
    transform,
    update_incremental_pca,
)

KEY = jax.random.key(0)
SOLVERS = ("auto", "full", "covariance", "randomized")


def make_examples(examples=200, features=12, offset=3.0, seed=0):
    rng = np.random.default_rng(seed)
    spread = 1.0 / np.arange(1, features + 1)
    turn = np.linalg.qr(rng.normal(size=(features, features)))[0]
    return (rng.normal(size=(examples, features)) * spread) @ turn + offset


def check_same(found, expected, rtol=2e-4, components_atol=1e-3):
    np.testing.assert_allclose(found.mean, expected.mean_, rtol=1e-5, atol=1e-6)
    for name in ("explained_variance", "explained_variance_ratio", "singular_values"):
        theirs = getattr(expected, f"{name}_")
        np.testing.assert_allclose(
            getattr(found, name), theirs, rtol=rtol, err_msg=name
        )
    np.testing.assert_allclose(
        found.components, expected.components_, atol=components_atol
    )


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(200, 12), (30, 40)])
def test_pca_equals_scikit_learns(solver, shape, whiten):
    x = make_examples(*shape)
    expected = sklearn.decomposition.PCA(4, whiten=whiten, svd_solver="full").fit(x)
    x32 = jnp.asarray(x, jnp.float32)
    found = pca(x32, 4, whiten=whiten, solver=solver, key=KEY)
    check_same(found, expected)
    assert found.num_examples == shape[0]
    z = transform(found, x32)
    np.testing.assert_allclose(z, expected.transform(x), atol=3e-3)
    back = inverse_transform(found, z)
    np.testing.assert_allclose(
        back, expected.inverse_transform(expected.transform(x)), atol=1e-3
    )


def test_pca_randomized_equals_scikit_learns_on_many_features():
    x = make_examples(300, 250)
    expected = sklearn.decomposition.PCA(3, svd_solver="full").fit(x)
    found = pca(jnp.asarray(x, jnp.float32), 3, solver="randomized", key=KEY)
    check_same(found, expected)


@pytest.mark.parametrize("solver", SOLVERS)
def test_pca_is_accurate_far_from_the_origin(solver):
    # Exact in float32, so that only the routine's own rounding shows.
    x = np.round(make_examples(offset=0.0) * 256) / 256 + 1024.0
    expected = sklearn.decomposition.PCA(4, svd_solver="full").fit(x)
    found = pca(jnp.asarray(x, jnp.float32), 4, solver=solver, key=KEY)
    check_same(found, expected)


def test_pca_auto_keeps_small_variances():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 6)) * 10.0 ** -np.arange(6)
    expected = sklearn.decomposition.PCA(6, svd_solver="full").fit(x)
    found = pca(jnp.asarray(x, jnp.float32), 6)
    np.testing.assert_allclose(
        found.singular_values, expected.singular_values_, rtol=0.05
    )


@pytest.mark.parametrize("scale", [1e-30, 1e18])
def test_pca_keeps_its_components_at_any_scale(scale):
    x = make_examples(offset=0.0)
    for solver in SOLVERS:
        found = pca(jnp.asarray(x * scale, jnp.float32), 4, solver=solver, key=KEY)
        expected = pca(jnp.asarray(x, jnp.float32), 4, solver=solver, key=KEY)
        values = found.singular_values / scale
        np.testing.assert_allclose(values, expected.singular_values, rtol=1e-4)
        np.testing.assert_allclose(found.components, expected.components, atol=1e-3)


def test_pca_of_equal_examples_is_zero_and_whitens_to_zero():
    x = jnp.full((30, 3), 7.0)
    found = pca(x, 2, whiten=True)
    assert (found.explained_variance == 0).all()
    assert (found.explained_variance_ratio == 0).all()
    assert (transform(found, x) == 0).all()
    rows = found.components
    np.testing.assert_allclose(rows @ rows.T, np.eye(2), atol=1e-5)


def test_pca_is_the_same_compiled_and_passes_through_jit():
    x = jnp.asarray(make_examples(), jnp.float32)
    fit = functools.partial(pca, num_components=4, whiten=True)
    eager, compiled = fit(x), jax.jit(fit)(x)
    np.testing.assert_allclose(eager.components, compiled.components, atol=1e-5)
    z = jax.jit(transform)(compiled, x)
    np.testing.assert_allclose(z, transform(eager, x), atol=1e-3)
    assert transform(eager, x[0]).shape == (4,)


def test_pca_names_what_is_wrong():
    x = jnp.ones((5, 3))
    with pytest.raises(ValueError, match=r"num_components within 1..3, got 4"):
        pca(x, 4)
    with pytest.raises(ValueError, match="at least 2 examples, got 1"):
        pca(x[:1], 1)
    with pytest.raises(ValueError, match="needs a key"):
        pca(x, 1, solver="randomized")
    with pytest.raises(ValueError, match="pca: 1 of 15 numbers are NaN"):
        pca(x.at[0, 0].set(jnp.nan), 1)
    found = pca(x, 2)
    with pytest.raises(ValueError, match=r"transform: wanted 3 features.*\(5, 2\)"):
        transform(found, x[:, :2])
    with pytest.raises(ValueError, match=r"wanted 2 components.*\(5, 3\)"):
        inverse_transform(found, x)


@pytest.mark.parametrize("solver", ["auto", "randomized"])
def test_pca_of_traced_nan_is_nan(solver):
    x = jnp.asarray(make_examples(), jnp.float32).at[0, 0].set(jnp.nan)
    found = jax.jit(lambda x: pca(x, 4, solver=solver, key=KEY))(x)
    assert bool(jnp.isnan(found.components).all())
    assert bool(jnp.isnan(found.explained_variance).all())


def fit_batches(x, sizes, num_components):
    state = init_incremental_pca(x.shape[1], num_components)
    for batch in np.split(x, np.cumsum(sizes)[:-1]):
        state = update_incremental_pca(state, jnp.asarray(batch, jnp.float32))
    return finish_incremental_pca(state)


def test_incremental_pca_equals_scikit_learns_on_the_same_batches():
    x = make_examples()
    sizes = (50, 20, 70, 60)
    expected = sklearn.decomposition.IncrementalPCA(5)
    for batch in np.split(x, np.cumsum(sizes)[:-1]):
        expected.partial_fit(batch)
    found = fit_batches(x, sizes, 5)
    check_same(found, expected)
    np.testing.assert_allclose(
        transform(found, jnp.asarray(x, jnp.float32)), expected.transform(x), atol=3e-3
    )


@pytest.mark.parametrize("sizes", [(200,), (1, 1, 98, 100), (100, 100)])
@pytest.mark.parametrize("reverse", [False, True])
def test_incremental_pca_is_exact_for_low_rank_in_any_batches(sizes, reverse):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200, 3)) * [3.0, 2.0, 1.0] @ rng.normal(size=(3, 12)) + 5
    x = x[::-1] if reverse else x
    expected = sklearn.decomposition.PCA(3, svd_solver="full").fit(x)
    found = fit_batches(x, sizes, 4)
    np.testing.assert_allclose(found.components[:3], expected.components_, atol=1e-4)
    np.testing.assert_allclose(
        found.explained_variance[:3], expected.explained_variance_, rtol=1e-4
    )
    assert float(found.singular_values[3]) < 1e-3


def test_incremental_pca_is_stable_over_many_batches_far_from_the_origin():
    x = np.round(make_examples(2000, 6, offset=0.0) * 256) / 256 + 1024.0
    expected = sklearn.decomposition.PCA(6, svd_solver="full").fit(x)
    found = fit_batches(x, [20] * 100, 6)
    np.testing.assert_allclose(found.mean, expected.mean_, rtol=2e-6)
    check_same(found, expected, rtol=3e-3, components_atol=5e-3)


def test_incremental_pca_names_what_is_wrong():
    with pytest.raises(ValueError, match=r"num_components within 1..3, got 4"):
        init_incremental_pca(3, 4)
    state = init_incremental_pca(3, 2)
    with pytest.raises(ValueError, match=r"3 features, got shape \(4, 2\)"):
        update_incremental_pca(state, jnp.ones((4, 2)))
    with pytest.raises(ValueError, match=r"at least 1 example.*\(0, 3\)"):
        update_incremental_pca(state, jnp.ones((0, 3)))
    with pytest.raises(ValueError, match="update_incremental_pca: 1 of 3 numbers"):
        update_incremental_pca(state, jnp.array([[1.0, jnp.inf, 0.0]]))
    assert bool(jnp.isfinite(finish_incremental_pca(state).explained_variance).all())
