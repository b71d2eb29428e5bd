import numpy as np
import pytest

from jaxdl.recipes.search_importance import measure_importance, to_numbers
from jaxdl.recipes.search_space import Dimension, sample_trials

SPACE = {
    "rate": Dimension(low=1e-4, high=1.0, scale="log"),
    "kind": Dimension(values=("a", "b", "c")),
    "noise": Dimension(low=1, high=9, integer=True),
}


def score(trials, *, rate, kind):
    """A sum of two terms, of standard deviation 1 times the weight each."""
    logs = np.array([np.log10(trial["rate"]) / 4 + 0.5 for trial in trials])
    places = np.array(["abc".index(trial["kind"]) - 1 for trial in trials])
    return rate * logs * np.sqrt(12) + kind * places * np.sqrt(1.5)


# In a sum of independent terms the share of a term is its part of the variance.
@pytest.mark.parametrize(("rate", "kind"), [(3.0, 1.0), (1.0, 1.0), (0.0, 1.0)])
def test_measure_importance_gives_each_term_its_share_of_the_variance(rate, kind):
    trials = sample_trials(SPACE, num_trials=150, seed=1)
    importance = measure_importance(SPACE, trials, score(trials, rate=rate, kind=kind))
    total = rate**2 + kind**2
    assert importance.shares["rate"] == pytest.approx(rate**2 / total, abs=0.08)
    assert importance.shares["kind"] == pytest.approx(kind**2 / total, abs=0.08)
    assert importance.shares["noise"] < 0.03
    assert importance.explained > 0.9


def test_measure_importance_sees_what_keys_do_together():
    trials = sample_trials(SPACE, num_trials=200, seed=2)
    signs = np.array([1.0 if trial["noise"] > 4 else -1.0 for trial in trials])
    shares = measure_importance(SPACE, trials, signs * score(trials, rate=1, kind=0))
    assert shares.shares["rate"] > 0.8 and shares.shares["noise"] > 0.8


def test_measure_importance_leaves_out_failed_trials_and_ignores_outliers():
    trials = sample_trials(SPACE, num_trials=60, seed=3)
    scores = score(trials, rate=1, kind=0)
    shares = measure_importance(SPACE, trials, scores).shares
    # A monotone function keeps the ranks.
    assert measure_importance(SPACE, trials, np.exp(9 * scores)).shares == shares
    kept = np.arange(60) < 50
    found = measure_importance(SPACE, trials, np.where(kept, scores, np.nan))
    assert found == measure_importance(SPACE, trials[:50], scores[:50])


def test_measure_importance_admits_that_it_knows_nothing():
    trials = sample_trials(SPACE, num_trials=40, seed=4)
    noise = np.random.default_rng(0).normal(size=40)
    assert measure_importance(SPACE, trials, noise).explained < 0.2
    assert measure_importance(SPACE, trials, np.ones(40)) is None
    few = np.array([1.0, 2.0, 3.0, *[np.nan] * 37])
    assert measure_importance(SPACE, trials, few) is None
    assert measure_importance(SPACE, [], np.zeros(0)) is None


def test_to_numbers_keeps_the_order_of_trials_and_keys():
    trials = [{"noise": 3, "rate": 0.5, "kind": "c"}]
    np.testing.assert_array_equal(to_numbers(SPACE, trials), [[0.5, 2, 3]])
