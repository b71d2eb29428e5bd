"""How much of the differences between trials each hyper-parameter accounts for."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxdl.recipes.search_space import Dimension, sample_trials

_LEAST_TRIALS = 4
_NUM_TREES = 300
_NUM_POINTS = 1024
_SEED = 0


class Importance(NamedTuple):
    """What a forest makes of the trials.

    Attributes:
      shares: by key, how much of the variance of the forest's prediction over the
        space needs this key, alone or with others; they add up to 1 or more.
      explained: share of the variance of the ranks that the forest predicts for trials
        that a tree has not seen, at most 1. Near 0 or below, the shares mean nothing.
    """

    shares: dict[str, float]
    explained: float


def measure_importance(
    space: Mapping[str, Dimension],
    trials: Sequence[Mapping[str, Any]],
    scores: Float[np.ndarray, " trials"],
) -> Importance | None:
    """Measures how much of the scores' order each key accounts for.

    A random forest learns the ranks of the scores: single scores of a failing training
    would outweigh all others. Its predictions all over the space are then compared to
    those with the values of one key exchanged at random.

    Args:
      space: the dimensions by key.
      trials: the values by key.
      scores: of the trials; those that are not finite are left out.

    Returns:
      The importance; None of fewer than 4 scores, or of equal ones.

    Source:
      M. Jansen, Analysis of variance designs for model output, Computer Physics
      Communications 117, 1999 (total effects); F. Hutter et al., An efficient approach
      for assessing hyperparameter importance, ICML 2014, uses a forest likewise but
      leaves out what keys do together.

    Example:
      >>> space = {"a": Dimension(low=0, high=1), "b": Dimension(low=0, high=1)}
      >>> trials = sample_trials(space, num_trials=30, seed=0)
      >>> scores = np.array([trial["a"] for trial in trials])
      >>> shares = measure_importance(space, trials, scores).shares
      >>> shares["a"] > 0.9 > 0.1 > shares["b"]
      True
    """
    # Takes a second to import, which those who only run a trial need not wait for.
    from sklearn.ensemble import RandomForestRegressor

    is_finite = np.isfinite(scores)
    levels, ranks = np.unique(scores[is_finite], return_inverse=True)
    if is_finite.sum() < _LEAST_TRIALS or len(levels) == 1:
        return None
    forest = RandomForestRegressor(_NUM_TREES, oob_score=True, random_state=_SEED)
    forest.fit(to_numbers(space, trials)[is_finite], ranks)
    points = to_numbers(space, sample_trials(space, num_trials=_NUM_POINTS, seed=_SEED))
    predicted = forest.predict(points)
    variance = predicted.var()
    order = np.random.default_rng(_SEED).permutation(_NUM_POINTS)
    shares = {}
    for column, key in enumerate(space):
        exchanged = points.copy()
        exchanged[:, column] = points[order, column]
        change = np.mean((forest.predict(exchanged) - predicted) ** 2)
        # With so many points, it may come out a few hundredths above 1.
        shares[key] = min(float(change / (2 * variance)), 1.0) if variance else 0.0
    return Importance(shares, float(forest.oob_score_))


def to_numbers(
    space: Mapping[str, Dimension], trials: Sequence[Mapping[str, Any]]
) -> Float[np.ndarray, "trials keys"]:
    """The values of trials as numbers; those of a list by their place there.

    Args:
      space: the dimensions by key.
      trials: the values by key.

    Returns:
      Float64, in the order of the trials and of the space.

    Example:
      >>> to_numbers({"a": Dimension(values=("x", "y"))}, [{"a": "y"}])
      array([[1.]])
    """
    rows = [[space[key].to_number(trial[key]) for key in space] for trial in trials]
    return np.array(rows, np.float64).reshape(len(trials), len(space))
