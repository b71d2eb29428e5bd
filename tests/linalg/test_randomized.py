"""Randomised decompositions against float64 NumPy and scikit-learn."""

import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.experimental.sparse import BCOO
from sklearn.utils.extmath import randomized_svd as sklearn_randomized_svd

from jaxdl.linalg import (
    SVD,
    LinearOperator,
    as_operator,
    estimate_residual,
    randomized_range_finder,
    randomized_svd,
    thin_svd,
)

KEY = jax.random.key(0)
ROWS, COLUMNS, RANK = 260, 200, 5


def make_matrix(values, shape=(ROWS, COLUMNS), seed=0):
    """A float64 matrix with given singular values, and zeros beyond."""
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.normal(size=(size, len(values))))[0] for size in shape)
    return (u * values) @ v.T


def excess(a, svd, rank):
    """Frobenius error divided by the smallest possible, minus 1."""
    u, s, vt = (np.asarray(part, np.float64) for part in svd)
    best = np.linalg.norm(np.linalg.svd(a, compute_uv=False)[rank:])
    return np.linalg.norm(a - (u * s) @ vt) / best - 1


def check_orthonormal(svd, atol=1e-5):
    for vectors in (svd.u, svd.vt.T):
        vectors = np.asarray(vectors)
        identity = np.eye(vectors.shape[1])
        np.testing.assert_allclose(vectors.T @ vectors, identity, atol=atol)


@pytest.mark.parametrize("power", [1.0, 0.5])
@pytest.mark.parametrize("shape", [(ROWS, COLUMNS), (COLUMNS, ROWS)])
def test_randomized_svd_is_at_least_as_good_as_scikit_learns_default(power, shape):
    a = make_matrix(np.arange(1, COLUMNS + 1.0) ** -power, shape)
    svd = randomized_svd(jnp.asarray(a, jnp.float32), RANK, key=KEY)
    ours = excess(a, svd, RANK)
    theirs = sklearn_randomized_svd(a.astype(np.float32), RANK, random_state=0)
    assert ours <= max(excess(a, theirs, RANK), 1e-6)
    values = np.linalg.svd(a, compute_uv=False)[:RANK]
    np.testing.assert_allclose(svd.s, values, rtol=1e-5)
    check_orthonormal(svd)
    at = np.abs(svd.vt).argmax(axis=1)
    assert (np.asarray(svd.vt)[np.arange(RANK), at] > 0).all()


@pytest.mark.parametrize(
    "values",
    [
        np.r_[np.ones(RANK), np.full(COLUMNS - RANK, 0.3)],
        np.r_[np.ones(RANK), np.zeros(COLUMNS - RANK)],
        10.0 ** (-np.arange(COLUMNS) * 1.5),
        np.r_[1.0, np.zeros(COLUMNS - 1)],
        np.zeros(COLUMNS),
    ],
    ids=["repeated", "projection", "steep", "rank_one", "zero"],
)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_randomized_svd_holds_for_hard_spectra(values, scale):
    a = make_matrix(values)
    scaled = jnp.asarray(a * scale, jnp.float32)
    svd = randomized_svd(scaled, RANK, key=KEY)
    check_orthonormal(svd)
    s = np.asarray(svd.s, np.float64) / scale
    np.testing.assert_allclose(s, values[:RANK], atol=2e-6)
    u, vt = np.asarray(svd.u, np.float64), np.asarray(svd.vt, np.float64)
    rest = np.linalg.norm(a - (u * s) @ vt, 2)
    assert rest <= 1.01 * values[RANK] + 1e-5


def test_randomized_svd_takes_operators_and_sparse_matrices():
    rng = np.random.default_rng(1)
    a = np.where(
        rng.random((ROWS, COLUMNS)) < 0.05, rng.normal(size=(ROWS, COLUMNS)), 0
    )
    dense = jnp.asarray(a, jnp.float32)
    operator = LinearOperator(
        (ROWS, COLUMNS), lambda x: dense @ x, lambda y: dense.T @ y
    )
    forms = [dense, operator, BCOO.fromdense(dense)]
    find = functools.partial(randomized_svd, power_iterations=1, key=KEY)
    found = [find(form, RANK) for form in forms]
    for svd in found:
        assert excess(a, svd, RANK) < 1e-2
        np.testing.assert_allclose(svd.s, found[0].s, rtol=1e-5)
        np.testing.assert_allclose(
            np.abs(svd.vt @ found[0].vt.T), np.eye(RANK), atol=1e-3
        )
    found_wide = find(operator.T, RANK)
    np.testing.assert_allclose(found_wide.s, found[1].s, rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "rank", "oversampling"),
    [((4, 6), 2, 100), ((70, 3), 3, 10), ((1, 1), 1, 0)],
)
def test_randomized_svd_is_exact_where_the_basis_is_the_space(
    shape, rank, oversampling
):
    a = np.random.default_rng(2).normal(size=shape)
    dense = jnp.asarray(a, jnp.float32)
    for form in (dense, as_operator(dense), BCOO.fromdense(dense)):
        svd = randomized_svd(form, rank, oversampling=oversampling, key=KEY)
        expected = np.linalg.svd(a, compute_uv=False)[:rank]
        np.testing.assert_allclose(svd.s, expected, rtol=1e-5)
        assert svd.u.shape == (shape[0], rank) and svd.vt.shape == (rank, shape[1])


def test_randomized_svd_improves_with_power_iterations():
    a = make_matrix(np.arange(1, COLUMNS + 1.0) ** -0.5)
    dense = jnp.asarray(a, jnp.float32)
    errors = [
        excess(a, randomized_svd(dense, RANK, power_iterations=q, key=KEY), RANK)
        for q in (0, 1)
    ]
    assert errors[0] > 3 * errors[1] > 0


def test_randomized_svd_is_the_same_compiled_and_depends_on_its_key():
    dense = jnp.asarray(make_matrix(np.arange(1, COLUMNS + 1.0) ** -0.5), jnp.float32)
    run = functools.partial(randomized_svd, rank=RANK, power_iterations=1)
    eager, compiled = run(dense, key=KEY), jax.jit(run)(dense, key=KEY)
    for left, right in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)
    assert (run(dense, key=KEY).u == eager.u).all()
    assert (run(dense, key=jax.random.key(1)).u != eager.u).any()


def test_randomized_svd_keeps_float64():
    with jax.enable_x64(True):
        values = np.arange(1, COLUMNS + 1.0) ** -2
        svd = randomized_svd(jnp.asarray(make_matrix(values)), RANK, key=KEY)
        np.testing.assert_allclose(svd.s, values[:RANK], rtol=1e-12)
        check_orthonormal(svd, atol=1e-13)


@pytest.mark.parametrize(("bad", "columns"), [(np.nan, 3), (np.inf, COLUMNS)])
def test_randomized_svd_refuses_what_is_not_finite(bad, columns):
    a = jnp.ones((ROWS, columns)).at[3, 1].set(bad)
    find = functools.partial(
        randomized_svd, rank=RANK if columns > RANK else 2, power_iterations=1, key=KEY
    )
    with pytest.raises(ValueError, match="randomized_svd: 1 of"):
        find(a)
    svd = jax.jit(find)(a)
    assert all(bool(jnp.isnan(part).all()) for part in svd)
    sparse = BCOO.fromdense(jnp.eye(3).at[1, 1].set(bad))
    with pytest.raises(ValueError, match="randomized_svd: 1 of"):
        find(sparse)


def test_randomized_svd_names_what_is_out_of_range(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    a = jnp.ones((6, 4))
    with pytest.raises(ValueError, match=r"wanted a rank within 1..4 .* got 5"):
        randomized_svd(a, 5, key=KEY)
    with pytest.raises(ValueError, match="oversampling of at least 0, got -1"):
        randomized_svd(a, 1, oversampling=-1, key=KEY)
    for steps in (-1, "many"):
        with pytest.raises(ValueError, match=f"power_iterations.*{steps}"):
            randomized_svd(a, 1, power_iterations=steps, key=KEY)
    with pytest.raises(ValueError, match=r"wanted a matrix, got shape \(3,\)"):
        randomized_svd(jnp.ones(3), 1, key=KEY)
    with pytest.raises(ValueError, match=r"at least one row and column.*\(0, 3\)"):
        as_operator(LinearOperator((0, 3), lambda x: x, lambda x: x))
    with pytest.raises(ValueError, match="float32 or float64, got"):
        as_operator(LinearOperator((3, 3), lambda x: x, lambda x: x, jnp.int32))
    with pytest.raises(ValueError, match="n_batch=1"):
        as_operator(BCOO.fromdense(jnp.ones((2, 3)), n_batch=1))
    with pytest.raises(ValueError, match=r"wanted a size within 1..4 .* got 0"):
        randomized_range_finder(a, 0, key=KEY)


def test_randomized_range_finder_is_near_the_best_basis():
    values = np.arange(1, COLUMNS + 1.0) ** -0.5
    a = make_matrix(values)
    q = randomized_range_finder(jnp.asarray(a, jnp.float32), RANK, key=KEY)
    q = np.asarray(q, np.float64)
    np.testing.assert_allclose(q.T @ q, np.eye(RANK), atol=1e-5)
    rest = np.linalg.norm(a - q @ (q.T @ a))
    assert rest <= 1.001 * np.linalg.norm(values[RANK:])


def test_estimate_residual_bounds_the_error_and_fails_as_often_as_it_says():
    values = np.arange(1, COLUMNS + 1.0) ** -1.0
    a = jnp.asarray(make_matrix(values), jnp.float32)
    svd = thin_svd(a)
    svd = SVD(svd.u[:, :RANK], svd.s[:RANK], svd.vt[:RANK])
    for form in (a, as_operator(a)):
        bound = float(estimate_residual(form, svd, key=KEY))
        assert values[RANK] <= bound <= 60 * values[RANK]
    # The worst case, rank one, |bound| is 8 |g|: it fails for |g| < 0.125, in 10 %.
    one = jnp.zeros((4, 4)).at[0, 0].set(1e30)
    none = SVD(jnp.zeros((4, 1)), jnp.zeros(1), jnp.zeros((1, 4)))
    keys = jax.random.split(KEY, 4000)
    bounds = jax.vmap(lambda k: estimate_residual(one, none, num_probes=1, key=k))(keys)
    failures = float((bounds < 1e30).mean())
    assert 0.08 < failures <= 0.115  # 0.0997 +- 4 standard errors of 0.0047 below 0.1
    keys = keys[:1000]
    bounds = jax.vmap(lambda k: estimate_residual(one, none, num_probes=3, key=k))(keys)
    assert float((bounds < 1e30).mean()) <= 0.005


def test_estimate_residual_names_what_does_not_fit():
    svd = thin_svd(jnp.ones((3, 2)))
    with pytest.raises(ValueError, match="num_probes of at least 1, got 0"):
        estimate_residual(jnp.ones((3, 2)), svd, num_probes=0, key=KEY)
    with pytest.raises(ValueError, match=r"shape \(3, 2\), the matrix of \(2, 3\)"):
        estimate_residual(jnp.ones((2, 3)), svd, key=KEY)
