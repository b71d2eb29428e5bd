"""Ridge paths against scikit-learn, and against a loop that leaves examples out."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from jaxdl.linalg import ridge

GENERATOR = np.random.default_rng(0)
STRENGTHS = np.array([1e-3, 0.1, 3.0, 100.0])


def make_data(rows, columns, targets=()):
    x = 2 + GENERATOR.standard_normal((rows, columns)) * np.geomspace(1, 0.1, columns)
    weights = GENERATOR.standard_normal((columns, *targets))
    return x, 5 + x @ weights + GENERATOR.standard_normal((rows, *targets))


def fit_float32(x, y, strengths=STRENGTHS, **options):
    return ridge(jnp.float32(x), jnp.float32(y), jnp.float32(strengths), **options)


def leave_out(x, y, strength, fit_intercept):
    """Mean squared error over fits that each lack one example."""
    squares = []
    for index in range(len(x)):
        rest = np.arange(len(x)) != index
        model = Ridge(alpha=strength, fit_intercept=fit_intercept, solver="svd")
        model.fit(x[rest], y[rest])
        squares.append((model.predict(x[index : index + 1])[0] - y[index]) ** 2)
    return np.mean(squares, axis=0)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("rows", "columns", "targets"), [(30, 5, ()), (30, 5, (2,)), (8, 12, ())]
)
def test_ridge_equals_scikit_learn_and_a_loop_that_leaves_out(
    rows, columns, targets, fit_intercept
):
    x, y = make_data(rows, columns, targets)
    found = fit_float32(x, y, fit_intercept=fit_intercept)
    for index, strength in enumerate(STRENGTHS):
        model = Ridge(alpha=strength, fit_intercept=fit_intercept, solver="svd")
        model.fit(x, y)
        expected = (model.coef_.T, model.intercept_)
        for name, value in zip(("coefficients", "intercepts"), expected, strict=True):
            value = np.broadcast_to(value, getattr(found, name)[index].shape)
            np.testing.assert_allclose(
                getattr(found, name)[index], value, rtol=1e-3, atol=2e-4
            )
        expected = leave_out(x, y, strength, fit_intercept)
        np.testing.assert_allclose(found.leave_one_out[index], expected, rtol=2e-3)
        # The map from targets to fitted values, written out.
        centred = x - x.mean(axis=0) * fit_intercept
        gram = centred.T @ centred + strength * np.eye(columns)
        hat = centred @ np.linalg.solve(gram, centred.T) + fit_intercept / rows
        freedom = np.trace(hat)
        np.testing.assert_allclose(found.degrees_of_freedom[index], freedom, rtol=1e-4)
        errors = ((y - model.predict(x)) ** 2).sum(axis=0)
        expected = rows * errors / (rows - freedom) ** 2
        np.testing.assert_allclose(found.generalized[index], expected, rtol=5e-3)


@pytest.mark.parametrize("targets", [(), (2,)])
def test_ridge_chooses_the_strength_that_scikit_learn_chooses(targets):
    x, y = make_data(40, 10, targets)
    strengths = np.geomspace(1e-3, 1e3, 25)
    found = fit_float32(x, y, strengths)
    expected = RidgeCV(alphas=strengths, store_cv_results=True).fit(x, y)
    assert strengths[int(found.best)] == expected.alpha_
    errors = expected.cv_results_.mean(axis=0).T
    np.testing.assert_allclose(found.leave_one_out, errors, rtol=1e-3)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_ridge_of_strength_zero_is_the_shortest_least_squares_fit(fit_intercept):
    x, y = make_data(20, 3)
    x = np.hstack([x, x])  # each coefficient is shared by two equal columns
    found = fit_float32(x, y, [0.0], fit_intercept=fit_intercept)
    means = (x.mean(axis=0), y.mean()) if fit_intercept else (0, 0)
    expected = np.linalg.pinv(x - means[0], rcond=1e-8) @ (y - means[1])
    np.testing.assert_allclose(found.coefficients[0], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.degrees_of_freedom, 3 + fit_intercept, rtol=1e-5)


def test_ridge_says_where_examples_decide_their_own_prediction():
    x, y = make_data(5, 9)
    found = fit_float32(x, y, [0.0, 1.0])
    assert np.isinf(found.leave_one_out[0]) and np.isinf(found.generalized[0])
    assert np.isfinite(found.leave_one_out[1]) and found.best == 1


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_ridge_follows_the_scale_of_the_features(scale):
    x, y = make_data(30, 4)
    expected = fit_float32(x, y, [0.0])
    found = fit_float32(scale * x, y, [0.0])
    for name in ("leave_one_out", "intercepts", "degrees_of_freedom"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-4
        )
    np.testing.assert_allclose(
        found.coefficients * scale, expected.coefficients, rtol=1e-3
    )


def test_ridge_is_the_same_under_jit_and_passes_nan_on():
    x, y = (jnp.float32(each) for each in make_data(12, 3))
    strengths = jnp.float32(STRENGTHS)
    for one, other in zip(
        ridge(x, y, strengths), jax.jit(ridge)(x, y, strengths), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    fit = jax.jit(ridge)(x.at[0, 0].set(jnp.nan), y, strengths)
    assert np.isnan(fit.coefficients).any()


def test_ridge_names_what_does_not_fit(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    x, y, strengths = jnp.ones((3, 2)), jnp.ones(3), jnp.ones(2)
    for arguments, message in [
        ((x, jnp.ones(2), strengths), r"3 rows, got shape \(2,\)"),
        ((x, y, jnp.ones((2, 2))), r"list of strengths, got shape \(2, 2\)"),
        ((x, y, jnp.ones(0)), r"list of strengths, got shape \(0,\)"),
        ((x, y, jnp.array([1.0, -2.0])), "strength -2.0 is negative"),
        ((x.at[0, 0].set(jnp.nan), y, strengths), "1 of 6 numbers"),
        ((x[:0], y[:0], strengths), "there is no example"),
    ]:
        with pytest.raises(ValueError, match=f"ridge: .*{message}"):
            ridge(*arguments)
