"""The choice of ranks against an exhaustive search, by numbers alone."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.compression import KeepEnergy, KeepParameters
from jaxdl.compression.rules import Candidate, choose_ranks


def make_candidate(path, *, shape=(3, 3, 3, 5), method="channel", groups=1, seed=0):
    """A layer of random singular values, with a bias."""
    height, width, channels, features = shape
    sizes = {
        "channel": [min(height * width * channels, features // groups)],
        "spatial": [min(height * channels, width * features // groups)],
        "tucker2": [channels, features // groups],
    }[method]
    generator = np.random.default_rng(seed)
    spectra = tuple(np.sort(generator.exponential(size=n))[::-1] for n in sizes)
    kernel = jnp.zeros(shape)
    return Candidate(path, method, groups, kernel, spectra, shape[-1])


def measure(candidates, ranks):
    """Parameters with biases, and the product of what is kept, written out."""
    total, kept = 0, 1.0
    for candidate in candidates:
        rank = ranks[candidate.path]
        total += candidate.kernel.shape[-1]
        if rank is None:
            total += candidate.kernel.size
            continue
        height, width, channels, features = candidate.kernel.shape
        groups = candidate.groups
        pair = rank if isinstance(rank, tuple) else (rank, rank)
        total += {
            "channel": pair[0] * (height * width * channels * groups + features),
            "spatial": pair[0] * (height * channels * groups + width * features),
            "tucker2": pair[0] * channels * groups
            + pair[0] * pair[1] * height * width * groups
            + pair[1] * features,
        }[candidate.method]
        for spectrum, r in zip(candidate.spectra, pair, strict=False):
            kept *= np.sum(spectrum[:r] ** 2) / np.sum(spectrum**2)
    return total, kept


def list_choices(candidate):
    sizes = [range(1, len(spectrum) + 1) for spectrum in candidate.spectra]
    ranks = list(itertools.product(*sizes))
    return [None, *(r if len(r) == 2 else r[0] for r in ranks)]


@pytest.mark.parametrize("share", [0.35, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("method", ["channel", "spatial", "tucker2"])
def test_keep_parameters_is_close_to_the_best_of_all_choices(method, share):
    shapes = [(3, 3, 3, 5), (1, 3, 4, 4), (3, 3, 4, 6)]
    groups = [1, 1, 2]
    candidates = [
        make_candidate(f"layer{i}", shape=s, method=method, groups=g, seed=i)
        for i, (s, g) in enumerate(zip(shapes, groups, strict=True))
    ]
    paths = [candidate.path for candidate in candidates]
    whole, _ = measure(candidates, dict.fromkeys(paths))
    ranks = choose_ranks(KeepParameters(share), candidates)
    total, kept = measure(candidates, ranks)
    assert total <= share * whole
    tried = []
    for combination in itertools.product(*map(list_choices, candidates)):
        ranks = dict(zip(paths, combination, strict=True))
        tried.append(measure(candidates, ranks))
    best = max(kept for total, kept in tried if total <= share * whole)
    assert 0.9 * best <= kept <= best + 1e-9
    uniform = choose_ranks(KeepParameters(share, "uniform"), candidates)
    assert measure(candidates, uniform)[1] <= best + 1e-9


def test_keep_parameters_spends_on_what_needs_it():
    easy, hard = make_candidate("easy"), make_candidate("hard")
    easy = easy._replace(spectra=(np.array([1.0, 0, 0, 0, 0]),))
    hard = hard._replace(spectra=(np.ones(5),))
    assert choose_ranks(KeepParameters(0.65), [easy, hard]) == {"easy": 1, "hard": None}
    uniform = choose_ranks(KeepParameters(0.65, "uniform"), [easy, hard])
    assert uniform == {"easy": 2, "hard": 2}


def test_keep_parameters_uniform_keeps_at_least_rank_one_and_what_cannot_shrink():
    small = make_candidate("small", shape=(1, 1, 2, 2))
    depthwise = make_candidate("depthwise", shape=(3, 3, 1, 4), groups=4)
    rule = KeepParameters(0.1, "uniform")
    ranks = choose_ranks(rule, [small, depthwise, make_candidate("large")])
    assert ranks == {"small": None, "depthwise": None, "large": 1}


def test_keep_energy_takes_the_first_rank_that_is_enough():
    candidate = make_candidate("layer", shape=(3, 3, 8, 8))
    candidate = candidate._replace(spectra=(np.sqrt([5.0, 3, 1, 1, 0, 0, 0, 0]),))
    for share, rank in ((0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.9, 3), (1.0, 4)):
        assert choose_ranks(KeepEnergy(share), [candidate]) == {"layer": rank}


def test_keep_energy_gives_tucker_no_more_than_it_can_use():
    candidate = make_candidate("layer", shape=(1, 2, 8, 8), method="tucker2")
    flat, steep = np.ones(8), np.array([1.0, 0, 0, 0, 0, 0, 0, 0])
    candidate = candidate._replace(spectra=(flat, steep))
    assert choose_ranks(KeepEnergy(0.9), [candidate]) == {"layer": (2, 1)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KeepEnergy(0.0), r"share must be in \(0, 1\], got 0.0"),
        (lambda: KeepParameters(1.0), r"share must be in \(0, 1\), got 1.0"),
        (lambda: KeepParameters(0.5, "best"), "allocation must be .* got 'best'"),
    ],
)
def test_rules_name_what_does_not_fit(monkeypatch, make, message):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        make()
