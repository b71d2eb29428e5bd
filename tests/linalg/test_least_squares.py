"""Pseudo-inverse and least squares against float64 NumPy."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.linalg import lstsq, pinv
from jaxdl.parallel import batch_sharding, make_mesh

GENERATOR = np.random.default_rng(0)


def make_matrix(rows, columns, rank):
    left = GENERATOR.standard_normal((rows, rank))
    return left @ GENERATOR.standard_normal((rank, columns))


MATRICES = {
    "tall": GENERATOR.standard_normal((9, 4)),
    "wide": GENERATOR.standard_normal((4, 9)),
    "square": np.eye(4) + 0.1 * make_matrix(4, 4, 4),
    "tall, deficient": make_matrix(9, 4, 2),
    "wide, deficient": make_matrix(4, 9, 2),
    "equal columns": make_matrix(9, 2, 2)[:, [0, 1, 0, 0]],
    "repeated values": np.eye(6, 4),
    "zero": np.zeros((5, 3)),
}


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
@pytest.mark.parametrize("name", MATRICES)
def test_pinv_equals_numpy(name, scale):
    a = MATRICES[name]
    expected = np.linalg.pinv(a, rcond=1e-10)
    found = pinv(jnp.float32(scale * a)) * scale
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, abs(expected).max()))


def test_pinv_cuts_where_it_is_told_to_and_takes_batches_and_empty_matrices():
    a = jnp.diag(jnp.array([1.0, 0.1, 0.01]))
    np.testing.assert_allclose(pinv(a, rtol=0.05), np.diag([1, 10, 0]), rtol=1e-6)
    found = jax.jit(pinv)(jnp.stack([a, 2 * a]))
    np.testing.assert_allclose(found[1], np.diag([0.5, 5, 50]), rtol=1e-5)
    assert pinv(jnp.zeros((0, 3))).shape == (3, 0)
    with pytest.raises(ValueError, match="pinv: 1 of 2 numbers"):
        pinv(jnp.array([[1.0, jnp.inf]]))
    assert np.isnan(jax.jit(pinv)(jnp.array([[1.0, jnp.nan]]))).all()


def move(a, step):
    """A matrix of the same rank, for any rank: both sides are changed."""
    left = np.sin(np.arange(a.shape[0] ** 2)).reshape(a.shape[0], -1)
    right = np.cos(np.arange(a.shape[1] ** 2)).reshape(a.shape[1], -1)
    return (np.eye(len(a)) + step * left) @ a @ (np.eye(a.shape[1]) + step * right)


DERIVATIVES = ("tall", "wide", "tall, deficient", "wide, deficient", "repeated values")


@pytest.mark.parametrize("name", DERIVATIVES)
def test_pinv_and_lstsq_have_the_derivatives_of_finite_differences(name):
    a, step = MATRICES[name], 1e-6
    ahead, behind = move(a, step), move(a, -step)
    change = (ahead - behind) / (2 * step)
    b = np.cos(np.arange(2.0 * len(a))).reshape(-1, 2)
    inverse = lambda a: np.linalg.pinv(a, rcond=1e-10)
    slope = (inverse(ahead) - inverse(behind)) / (2 * step)

    @jax.jit
    def differentiate(a, change, b):
        results = []
        for f in (pinv, lambda a: lstsq(a, b).solution):
            value, moved = jax.jvp(f, (a,), (change,))
            gradient = jax.grad(lambda a, f=f: (f(a) ** 2).sum())(a)
            results.append(
                (moved, (gradient * change).sum(), 2 * (value * moved).sum())
            )
        _, s_moved = jax.jvp(lambda a: lstsq(a, b).singular_values, (a,), (change,))
        return results, s_moved

    with jax.enable_x64(True):
        results, s_moved = differentiate(*map(jnp.asarray, (a, change, b)))
    for (found, forward, reverse), expected in zip(
        results, (slope, slope @ b), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(forward, reverse, rtol=1e-7)
    if name != "repeated values":
        values = [np.linalg.svd(m, compute_uv=False) for m in (ahead, behind)]
        expected = (values[0] - values[1]) / (2 * step)
        np.testing.assert_allclose(s_moved, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("targets", [(), (3,)])
@pytest.mark.parametrize("name", MATRICES)
def test_lstsq_equals_numpy(name, targets):
    a = MATRICES[name]
    b = GENERATOR.standard_normal((len(a), *targets))
    expected, _, rank, s = np.linalg.lstsq(a, b, rcond=1e-10)
    found = lstsq(jnp.float32(a), jnp.float32(b))
    size = 1 + abs(expected).max()
    np.testing.assert_allclose(found.solution, expected, atol=2e-5 * size)
    residuals = ((a @ expected - b) ** 2).sum(axis=0)
    np.testing.assert_allclose(found.residuals, residuals, rtol=1e-4, atol=1e-5)
    assert found.rank == rank and found.rank.dtype == jnp.int32
    np.testing.assert_allclose(found.singular_values, s, atol=1e-5)


def test_lstsq_gives_the_shortest_solution_of_collinear_columns():
    x = GENERATOR.standard_normal((20, 1))
    found = lstsq(jnp.float32(np.hstack([x, x, x])), jnp.float32(6 * x[:, 0]))
    np.testing.assert_allclose(found.solution, [2, 2, 2], rtol=1e-5)
    assert found.rank == 1


def test_lstsq_of_many_rows_split_over_devices_equals_one_device():
    a = jnp.float32(GENERATOR.standard_normal((12_504, 8)))  # takes the tall road
    b = jnp.float32(GENERATOR.standard_normal(len(a)))
    expected, _, _, _ = np.linalg.lstsq(np.float64(a), np.float64(b))
    np.testing.assert_allclose(lstsq(a, b).solution, expected, atol=1e-6)
    split = jax.device_put((a, b), batch_sharding(make_mesh()))
    np.testing.assert_allclose(jax.jit(lstsq)(*split).solution, expected, atol=1e-6)


def test_lstsq_names_what_does_not_fit(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    a = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"lstsq: .* 3 rows, got shape \(2,\)"):
        lstsq(a, jnp.ones(2))
    with pytest.raises(ValueError, match="lstsq: 1 of 3 numbers"):
        lstsq(a, jnp.array([1.0, jnp.nan, 0.0]))
    with pytest.raises(ValueError, match="lstsq: 1 of 6 numbers"):
        lstsq(a.at[0, 0].set(jnp.inf), jnp.ones(3))
