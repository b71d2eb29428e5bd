"""Ranks and condition numbers against float64 NumPy and published factors."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from jaxdl.linalg import choose_rank, condition_number, numerical_rank

GENERATOR = np.random.default_rng(0)


def make_low_rank(rows, columns, rank):
    left = GENERATOR.standard_normal((rows, rank))
    return left @ GENERATOR.standard_normal((rank, columns))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_numerical_rank_equals_numpy(rank, scale):
    a = scale * make_low_rank(9, 5, rank)
    assert np.linalg.matrix_rank(a) == rank
    for matrix in (a, a.T):
        assert numerical_rank(jnp.float32(matrix)) == rank


def test_numerical_rank_takes_batches_a_tolerance_and_empty_matrices():
    a = jnp.stack([jnp.diag(jnp.array([1.0, 0.1, 0.01])), jnp.zeros((3, 3))])
    np.testing.assert_array_equal(numerical_rank(a), [3, 0])
    np.testing.assert_array_equal(jax.jit(numerical_rank)(a), [3, 0])
    np.testing.assert_array_equal(numerical_rank(a, rtol=0.05), [2, 0])
    assert numerical_rank(jnp.zeros((0, 4))) == 0
    assert numerical_rank(jnp.ones((2, 2), jnp.int32)) == 1


def test_condition_number_equals_numpy():
    a = GENERATOR.standard_normal((2, 7, 4))
    found = condition_number(jnp.float32(a))
    np.testing.assert_allclose(found, np.linalg.cond(a), rtol=1e-5)
    assert condition_number(jnp.eye(3) * 1e-30) == pytest.approx(1)
    assert condition_number(jnp.zeros((3, 2))) == np.inf
    with pytest.raises(ValueError, match=r"empty, of shape \(0, 3\)"):
        condition_number(jnp.zeros((0, 3)))


def test_condition_number_has_the_derivative_of_finite_differences():
    a = GENERATOR.standard_normal((4, 3))
    with jax.enable_x64(True):
        found = jax.grad(lambda a: condition_number(a))(jnp.asarray(a))
    step = np.zeros_like(a)
    step[1, 2] = 1e-6
    slope = (np.linalg.cond(a + step) - np.linalg.cond(a - step)) / 2e-6
    np.testing.assert_allclose(found[1, 2], slope, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
@pytest.mark.parametrize("energy", [0.3, 0.9, 0.95, 0.99, 1.0])
def test_choose_rank_by_energy_keeps_the_share(energy, scale):
    a = scale * GENERATOR.standard_normal((8, 6))
    s = np.linalg.svd(a, compute_uv=False)
    shares = np.cumsum(s**2) / (s**2).sum()
    expected = 6 if energy == 1 else np.argmax(shares >= energy) + 1
    assert choose_rank(jnp.float32(a), energy=energy) == expected
    assert choose_rank(jnp.float32(s), energy=energy) == expected


@pytest.mark.parametrize("psnr", [5.0, 15.0, 25.0, 60.0])
def test_choose_rank_by_psnr_reaches_it_and_no_more(psnr):
    a = GENERATOR.uniform(0, 255, (12, 9))
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    ratios = []
    for rank in range(10):
        error = a - (u[:, :rank] * s[:rank]) @ vt[:rank]
        mean = (error**2).mean()
        ratios.append(10 * np.log10(255**2 / mean) if rank < 9 else np.inf)
    expected = np.argmax(np.array(ratios) >= psnr)
    assert choose_rank(jnp.float32(a), psnr=psnr, peak=255.0) == expected
    values = jnp.float32(s)
    assert choose_rank(values, psnr=psnr, peak=255.0, shape=(9, 12)) == expected


def find_threshold(beta):
    """Known noise: where the shrunk error of a singular value equals its square."""

    def gain(value):  # a value of the noisy matrix against the one it came from
        clean2 = (
            value**2 - beta - 1 + np.sqrt((value**2 - beta - 1) ** 2 - 4 * beta)
        ) / 2
        left = (clean2**2 - beta) / (clean2**2 + beta * clean2)
        right = (clean2**2 - beta) / (clean2**2 + clean2)
        kept = value**2 + clean2 - 2 * value * np.sqrt(clean2 * left * right)
        return kept - clean2

    return brentq(gain, 1 + np.sqrt(beta) + 1e-9, 4)


def find_median(beta):
    """Of the Marchenko-Pastur distribution."""
    low, high = (1 - np.sqrt(beta)) ** 2, (1 + np.sqrt(beta)) ** 2
    density = lambda t: np.sqrt((high - t) * (t - low)) / (2 * np.pi * beta * t)
    return brentq(lambda t: quad(density, low, t)[0] - 0.5, low + 1e-9, high - 1e-9)


@pytest.mark.parametrize(("rows", "columns"), [(100, 100), (100, 50), (20, 100)])
def test_choose_rank_by_noise_cuts_at_the_optimal_threshold(rows, columns):
    beta, size = min(rows, columns) / max(rows, columns), max(rows, columns)
    factor, noise = find_threshold(beta), 0.3
    cut = factor * np.sqrt(size) * noise
    s = np.full(min(rows, columns), 0.01)
    s[:3] = cut * np.array([2, 1.001, 0.999])
    shape = (rows, columns)
    assert choose_rank(jnp.float32(s), noise=noise, shape=shape) == 2
    # Unknown noise: the factor is relative to the root of the median eigenvalue.
    omega = factor / np.sqrt(find_median(beta))
    s = np.r_[omega + 0.03, omega - 0.03, np.ones(len(s) - 2)]
    assert choose_rank(jnp.float32(s), noise="unknown", shape=shape) == 1


def test_choose_rank_finds_the_rank_under_noise():
    a = 20 * make_low_rank(120, 80, 4) + 3 * GENERATOR.standard_normal((120, 80))
    for noise in (3.0, "unknown"):
        assert choose_rank(jnp.float32(a), noise=noise) == 4
    assert choose_rank(jnp.zeros((4, 3)), noise="unknown") == 0


def test_choose_rank_of_nothing_is_zero_and_jit_equals_eager():
    assert choose_rank(jnp.zeros((3, 2)), energy=0.9) == 0
    assert choose_rank(jnp.zeros((0, 2)), energy=0.9) == 0
    assert choose_rank(jnp.zeros((0, 2)), noise=1.0) == 0
    s = jnp.array([3.0, 2.0, 1.0])
    assert jax.jit(lambda s: choose_rank(s, energy=0.9))(s) == 2
    assert choose_rank(jnp.array([3, 2, 1]), energy=0.9) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "wanted one of energy, psnr and noise, got none"),
        ({"energy": 0.9, "psnr": 20.0}, "got energy and psnr"),
        ({"energy": 0.0}, r"energy 0.0 is not in \(0, 1\]"),
        ({"energy": 1.5}, r"energy 1.5 is not in \(0, 1\]"),
        ({"psnr": np.inf, "shape": (2, 5)}, "got inf dB and 1.0"),
        ({"psnr": 20.0, "peak": 0.0, "shape": (2, 5)}, "got 20.0 dB and 0.0"),
        ({"psnr": 20.0}, "2 singular values, got shape=None"),
        ({"noise": 1.0, "shape": (3, 4)}, r"got shape=\(3, 4\)"),
        ({"noise": -1.0, "shape": (2, 5)}, "noise -1.0 is not above 0"),
        ({"noise": "known", "shape": (2, 5)}, "noise 'known' is no number"),
    ],
)
def test_choose_rank_names_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=f"choose_rank: .*{message}"):
        choose_rank(jnp.array([2.0, 1.0]), **arguments)


def test_rank_routines_refuse_what_is_not_finite(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    bad = jnp.array([[1.0, jnp.nan]])
    for routine in (numerical_rank, condition_number):
        with pytest.raises(ValueError, match=f"{routine.__name__}: 1 of 2 numbers"):
            routine(bad)
    for values in (bad, bad[0]):
        with pytest.raises(ValueError, match="choose_rank: 1 of 2 numbers"):
            choose_rank(values, energy=0.5)
