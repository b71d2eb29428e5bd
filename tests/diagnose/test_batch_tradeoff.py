"""The trade-off fitted to points whose fewest steps and examples are known."""

import numpy as np
import pytest

from jaxdl.diagnose import fit_batch_tradeoff

SIZES = [8, 32, 128, 512, 2048]


def make_steps(sizes, *, min_steps, min_examples):
    """Steps that solve (S / min_steps - 1) (S B / min_examples - 1) = 1."""
    roots = []
    for size in sizes:
        # S^2 B - S (min_examples + B min_steps) = 0, divided by S.
        roots.append((min_examples + size * min_steps) / size)
    steps = np.array(roots)
    examples = steps * np.array(sizes)
    product = (steps / min_steps - 1) * (examples / min_examples - 1)
    np.testing.assert_allclose(product, 1)
    return steps


@pytest.mark.parametrize("critical", [3.0, 100.0, 9000.0])
def test_fit_batch_tradeoff_finds_what_points_were_made_with(critical):
    steps = make_steps(SIZES, min_steps=70.0, min_examples=70.0 * critical)
    found = fit_batch_tradeoff(SIZES, steps.tolist())
    assert found.min_steps == pytest.approx(70.0, rel=1e-4)
    assert found.min_examples == pytest.approx(70.0 * critical, rel=1e-4)
    assert found.critical_batch_size == pytest.approx(critical, rel=1e-4)
    assert found.is_bounded and found.error < 1e-5
    np.testing.assert_allclose([found.steps(size) for size in SIZES], steps, rtol=1e-4)
    assert found.steps(critical) == pytest.approx(140.0, rel=1e-3)


def test_fit_batch_tradeoff_is_the_least_squares_of_logarithms():
    generator = np.random.default_rng(0)
    noise = np.exp(0.1 * generator.normal(size=len(SIZES)))
    steps = make_steps(SIZES, min_steps=50.0, min_examples=6400.0) * noise
    found = fit_batch_tradeoff(SIZES, steps.tolist())

    def error(min_steps, critical):
        fitted = min_steps * (1 + critical / np.array(SIZES))
        return np.sqrt(np.mean(np.log(steps / fitted) ** 2))

    best = error(found.min_steps, found.critical_batch_size)
    assert found.error == pytest.approx(best)
    for a in (0.98, 1, 1.02):
        for b in (0.98, 1, 1.02):
            assert best <= error(a * found.min_steps, b * found.critical_batch_size)
    assert found.critical_batch_size == pytest.approx(128, rel=0.3)


@pytest.mark.parametrize("power", [-1, 0])
def test_fit_batch_tradeoff_says_when_points_do_not_tell(power):
    steps = 1000.0 * np.array(SIZES, float) ** power
    assert not fit_batch_tradeoff(SIZES, steps.tolist()).is_bounded


@pytest.mark.parametrize(
    ("sizes", "steps", "words"),
    [
        ([8, 8], [1, 2], r"two different batch_sizes or more .* \[8, 8\]"),
        ([8, 16], [1], r"steps for each, got \[8, 16\] and \[1\]"),
        ([8, 16], [0, 1], r"above 0 and finite, got .* \[0, 1\]"),
        ([8, 16], [1, float("inf")], "above 0 and finite"),
    ],
)
def test_fit_batch_tradeoff_names_bad_points(sizes, steps, words):
    with pytest.raises(ValueError, match=words):
        fit_batch_tradeoff(sizes, steps)
