"""Leading eigenpairs against numpy.linalg.eigh in float64."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from jaxdl.linalg import LinearOperator, top_eigenpairs

KEY = jax.random.key(0)
SIZE = 90


def make_symmetric(values, seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return (q * values) @ q.T


def expected_values(a, count, which):
    values = np.linalg.eigh(a)[0]
    order = np.argsort(np.abs(values) if which == "magnitude" else values)[::-1]
    return values[order][:count]


def check_pairs(a, pairs, which="magnitude", atol=1e-4):
    """Values, and that vectors are orthonormal and eigenvectors."""
    count, scale = len(pairs.values), max(np.abs(a).max(), 1e-30)
    expected = expected_values(a, count, which)
    values = np.asarray(pairs.values, np.float64)
    np.testing.assert_allclose(values, expected, atol=atol * scale)
    v = np.asarray(pairs.vectors, np.float64)
    np.testing.assert_allclose(v.T @ v, np.eye(count), atol=1e-5)
    residuals = np.linalg.norm(a @ v - v * values, axis=0)
    assert residuals.max() <= 1e-3 * scale * len(a) ** 0.5
    assert (residuals <= np.asarray(pairs.residuals) + 1e-5 * scale * len(a)).all()
    at = np.abs(v).argmax(axis=0)
    assert (v[at, np.arange(count)] > 0).all()


SPECTRA = {
    "random": np.random.default_rng(0).normal(size=SIZE),
    "decaying": 1.0 / np.arange(1, SIZE + 1),
    "both_signs": np.r_[5.0, -6.0, 4.0, -3.5, np.linspace(-1, 1, SIZE - 4)],
    "repeated": np.r_[2.0, 2.0, 2.0, np.linspace(-1, 1, SIZE - 3)],
    "identity": np.ones(SIZE),
    "negative": -np.linspace(1, 3, SIZE),
    "zero": np.zeros(SIZE),
}


@pytest.mark.parametrize("which", ["magnitude", "algebraic"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_top_eigenpairs_equals_numpys_by_lanczos(spectrum, which):
    a = make_symmetric(SPECTRA[spectrum])
    pairs = top_eigenpairs(jnp.asarray(a, jnp.float32), 3, which=which, key=KEY)
    assert pairs.has_converged
    check_pairs(a, pairs, which)


@pytest.mark.parametrize("spectrum", ["decaying", "both_signs", "repeated", "zero"])
def test_top_eigenpairs_equals_numpys_by_power_iteration(spectrum):
    a = make_symmetric(SPECTRA[spectrum])
    pairs = top_eigenpairs(jnp.asarray(a, jnp.float32), 3, method="power", key=KEY)
    assert pairs.has_converged
    check_pairs(a, pairs)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("size", [6, SIZE])
def test_top_eigenpairs_holds_at_any_scale(scale, size):
    a = make_symmetric(SPECTRA["both_signs"][:size])
    pairs = top_eigenpairs(jnp.asarray(a * scale, jnp.float32), 3, key=KEY)
    assert pairs.has_converged
    values = np.asarray(pairs.values, np.float64) / scale
    np.testing.assert_allclose(values, expected_values(a, 3, "magnitude"), rtol=1e-4)
    assert (pairs.residuals <= 1e-4 * scale).all()


def test_top_eigenpairs_takes_operators_and_sparse_matrices_of_any_size():
    a = make_symmetric(SPECTRA["both_signs"])
    dense = jnp.asarray(a, jnp.float32)
    operator = LinearOperator((SIZE, SIZE), lambda x: dense @ x, lambda x: dense @ x)
    for form in (operator, BCOO.fromdense(dense)):
        check_pairs(a, top_eigenpairs(form, 3, key=KEY))
    for size in (1, 7):
        small = make_symmetric(SPECTRA["random"][:size])
        pairs = top_eigenpairs(jnp.asarray(small, jnp.float32), size, key=KEY)
        check_pairs(small, pairs)


def test_top_eigenpairs_stops_at_the_maximum_and_says_so():
    a = jnp.asarray(make_symmetric(np.linspace(1, 1.01, SIZE)), jnp.float32)
    few = top_eigenpairs(
        a, 2, method="power", tolerance=1e-7, max_iterations=3, key=KEY
    )
    assert few.num_iterations == 3 and not few.has_converged
    endless = top_eigenpairs(a, 3, tolerance=0.0, max_iterations=5, key=KEY)
    assert endless.num_iterations == 5 and not endless.has_converged
    easy = top_eigenpairs(jnp.diag(jnp.r_[9.0, jnp.zeros(SIZE - 1)]), 3, key=KEY)
    assert easy.num_iterations <= 2 and easy.has_converged


def test_top_eigenpairs_is_the_same_compiled_and_in_float64():
    a = make_symmetric(SPECTRA["both_signs"])
    dense = jnp.asarray(a, jnp.float32)
    eager = top_eigenpairs(dense, 3, key=KEY)
    compiled = jax.jit(lambda a: top_eigenpairs(a, 3, key=KEY))(dense)
    np.testing.assert_allclose(eager.values, compiled.values, rtol=1e-5)
    np.testing.assert_allclose(eager.vectors, compiled.vectors, atol=1e-3)
    with jax.enable_x64(True):
        pairs = top_eigenpairs(jnp.asarray(a), 3, tolerance=1e-12, key=KEY)
        expected = expected_values(a, 3, "magnitude")
        np.testing.assert_allclose(pairs.values, expected, rtol=1e-12)


@pytest.mark.parametrize(("method", "size"), [("lanczos", SIZE), ("power", 5)])
def test_top_eigenpairs_of_what_is_not_finite_ends(method, size):
    a = jnp.eye(size).at[1, 1].set(jnp.nan)
    with pytest.raises(ValueError, match="top_eigenpairs: 1 of"):
        top_eigenpairs(a, 3, method=method, key=KEY)
    pairs = jax.jit(lambda a: top_eigenpairs(a, 3, method=method, key=KEY))(a)
    assert bool(jnp.isnan(pairs.values).all() & jnp.isnan(pairs.vectors).all())
    assert not pairs.has_converged


def test_top_eigenpairs_names_what_is_wrong(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    a = jnp.eye(4)
    cases = [
        (jnp.ones((3, 2)), {}, r"square matrix, got shape \(3, 2\)"),
        (jnp.triu(jnp.ones((3, 3))), {}, "symmetric matrix, got one that differs by 1"),
        (a, {"num_pairs": 5}, "num_pairs within 1..4, got 5"),
        (a, {"method": "jacobi"}, "method .*'jacobi'"),
        (a, {"which": "smallest"}, "which .*'smallest'"),
        (a, {"method": "power", "which": "algebraic"}, '"power" finds magnitudes'),
        (a, {"max_iterations": 0}, "max_iterations of at least 1, got 0"),
        (a, {"tolerance": -1.0}, "tolerance of at least 0, got -1.0"),
    ]
    for matrix, options, message in cases:
        with pytest.raises(ValueError, match=message):
            top_eigenpairs(matrix, **{"num_pairs": 1, **options}, key=KEY)
