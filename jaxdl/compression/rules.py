"""How the rank of each layer is chosen."""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxdl.layers import Pair
from jaxdl.linalg.factor import ConvMethod
from jaxdl.typing import Array


@dataclass(frozen=True)
class KeepEnergy:
    """The smallest rank of each layer that keeps a share of its squared norm.

    For Tucker-2 that of input and that of output channels each.

    Attributes:
      share: in (0, 1].

    Raises:
      ValueError: the share is out of range.
    """

    share: float

    def __post_init__(self):
        """Checks the share."""
        if not 0 < self.share <= 1:
            raise ValueError(f"KeepEnergy: share must be in (0, 1], got {self.share}")


@dataclass(frozen=True)
class KeepParameters:
    """Ranks with which the layers together keep a share of their parameters.

    Attributes:
      share: in (0, 1).
      allocation: "global" spends the parameters where they help most, so that the
        product over the layers of the share of squared norm that is kept is nearly as
        large as it can be; "uniform" gives each layer the same share of parameters,
        or rank 1 where that is more.

    Raises:
      ValueError: the share is out of range, or an unknown allocation.

    Source:
      Zhang et al. 2015, section 2.4, arXiv:1505.06798, for the product and its greedy
      maximisation. Differs from it: layers may also stay as they are.
    """

    share: float
    allocation: Literal["global", "uniform"] = "global"

    def __post_init__(self):
        """Checks the numbers."""
        if not 0 < self.share < 1:
            raise ValueError(
                f"KeepParameters: share must be in (0, 1), got {self.share}"
            )
        if self.allocation not in ("global", "uniform"):
            raise ValueError(
                "KeepParameters: allocation must be 'global' or 'uniform', got "
                f"{self.allocation!r}"
            )


RankRule = KeepEnergy | KeepParameters | Mapping[str, Pair] | Callable[..., Pair | None]
"""A rule, ranks by path (exactly those), or
`f(path, kernel, singular_values) -> rank or None`; singular values are a tuple of two
arrays for Tucker-2."""


class Option(NamedTuple):
    """One way to have a layer.

    Attributes:
      rank: None for the layer as it is.
      parameters: of its kernels.
      loss: minus the logarithm of the share of squared norm that is kept.
    """

    rank: Pair | None
    parameters: int
    loss: float


class Candidate(NamedTuple):
    """A layer that may be factored.

    Attributes:
      path: in the parameters.
      method: by which it would be.
      groups: of the convolution.
      kernel: as it multiplies.
      spectra: see `jaxdl.linalg.kernel_spectra`, in float64.
      bias_size: numbers that stay whatever the rank.
    """

    path: str
    method: ConvMethod
    groups: int
    kernel: Array
    spectra: tuple[np.ndarray, ...]
    bias_size: int

    def count(self, rank: Pair) -> int:
        """Parameters of the factored kernels."""
        *window, channels, features = self.kernel.shape
        height, width = window or (1, 1)
        if isinstance(rank, tuple):
            inner, outer = rank
            core = height * width * inner * outer * self.groups
            return channels * inner * self.groups + core + outer * features
        tall = height * width if self.method == "channel" else height
        wide = 1 if self.method == "channel" else width
        return rank * (tall * channels * self.groups + wide * features)

    def list_options(self) -> list[Option]:
        """The layer as it is, then ranks from the largest to 1 that save parameters."""
        as_it_is = Option(None, self.kernel.size, 0.0)
        tails = [_tails(spectrum) for spectrum in self.spectra]
        ranks = self._list_ranks(tails)
        options = [Option(r, self.count(r), _loss(tails, r)) for r in ranks]
        return [as_it_is, *(o for o in options if o.parameters < self.kernel.size)]

    def limit(self, rank: Pair) -> Pair:
        """The rank, or what of it makes sense: Tucker-2 can't use more."""
        if not isinstance(rank, tuple):
            return rank
        window = self.kernel.shape[0] * self.kernel.shape[1]
        inner = min(rank[0], window * rank[1])
        return inner, min(rank[1], window * inner)

    def _list_ranks(self, tails):
        if len(tails) == 1:
            return range(len(self.spectra[0]), 0, -1)
        ranks = [self.limit((len(self.spectra[0]), len(self.spectra[1])))]
        while (best := self._step_down(ranks[-1], tails)) is not None:
            ranks.append(best)
        return ranks

    def _step_down(self, rank, tails):
        """One less of the rank that loses least for each parameter saved."""
        steps = []
        for smaller in ((rank[0] - 1, rank[1]), (rank[0], rank[1] - 1)):
            if min(smaller) >= 1 and self.limit(smaller) == smaller:
                saved = self.count(rank) - self.count(smaller)
                lost = _loss(tails, smaller) - _loss(tails, rank)
                steps.append((lost / saved, smaller))
        return min(steps)[1] if steps else None


def choose_ranks(
    rule: RankRule, candidates: Sequence[Candidate]
) -> dict[str, Pair | None]:
    """The rank of each layer, None for those that stay as they are.

    Args:
      rule: see `RankRule`.
      candidates: the layers.

    Returns:
      Ranks by path. A layer that would not get smaller stays as it is, unless its
      rank is given by path.

    Raises:
      ValueError: the rule names a layer that is none of them, gives something that is
        no rank, or the share of parameters can't be reached with rank 1.
    """
    if isinstance(rule, KeepParameters):
        return _keep_parameters(rule, candidates)
    if isinstance(rule, Mapping):
        known = [candidate.path for candidate in candidates]
        unknown = sorted(set(rule) - set(known))
        if unknown:
            raise ValueError(
                f"compress: no layer to factor at {', '.join(unknown)}; there are "
                f"{', '.join(known)}"
            )
        return {c.path: _check_rank(c, rule.get(c.path)) for c in candidates}
    ranks: dict[str, Pair | None] = {}
    for candidate in candidates:
        if isinstance(rule, KeepEnergy):
            parts = tuple(_rank_for_energy(s, rule.share) for s in candidate.spectra)
            rank: Any = candidate.limit(parts if len(parts) == 2 else parts[0])
        elif callable(rule):
            values = candidate.spectra
            shown = values if len(values) == 2 else values[0]
            rank = rule(candidate.path, candidate.kernel, shown)
        else:
            raise ValueError(
                "compress: rank_rule must be KeepEnergy, KeepParameters, ranks by path "
                f"or a function, got {rule!r}"
            )
        rank = _check_rank(candidate, rank)
        saves = rank is not None and candidate.count(rank) < candidate.kernel.size
        ranks[candidate.path] = rank if saves else None
    return ranks


def _check_rank(candidate, rank):
    """The rank as plain integers, or an error that names the layer."""
    if rank is None:
        return None
    limits = [len(spectrum) for spectrum in candidate.spectra]
    parts = np.atleast_1d(np.asarray(rank))
    if len(limits) == 2 and parts.size == 1:
        parts = np.repeat(parts, 2)
    fits = (
        parts.shape == (len(limits),)
        and np.issubdtype(parts.dtype, np.integer)
        and all(1 <= p <= limit for p, limit in zip(parts, limits, strict=True))
    )
    if not fits:
        wanted = " and ".join(f"an integer in [1, {limit}]" for limit in limits)
        raise ValueError(
            f"compress: the rank of {candidate.path} must be {wanted}, got {rank!r}"
        )
    ranks = tuple(int(p) for p in parts)
    return candidate.limit(ranks) if len(ranks) == 2 else ranks[0]


def _tails(spectrum):
    """Share of the squares beyond each rank from 0 on."""
    squares = np.asarray(spectrum, np.float64) ** 2
    beyond = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
    return beyond / (beyond[0] or 1.0)


def _loss(tails, rank):
    ranks = rank if isinstance(rank, tuple) else (rank,)
    tails_here = (tail[r] for tail, r in zip(tails, ranks, strict=True))
    return -sum(math.log1p(-tail) for tail in tails_here)


def _rank_for_energy(spectrum, share):
    # A sum of many squares ends a rounding error below the whole.
    enough = np.flatnonzero(_tails(spectrum) <= 1 - share + 1e-12)
    return max(1, int(enough[0]))


def _keep_parameters(rule, candidates):
    options = {c.path: c.list_options() for c in candidates}
    biases = {c.path: c.bias_size for c in candidates}
    if rule.allocation == "uniform":
        chosen = {}
        for path, choices in options.items():
            whole = choices[0].parameters + biases[path]
            budget = rule.share * whole - biases[path]
            fitting = [o for o in choices if o.parameters <= budget]
            chosen[path] = (fitting or choices[-1:])[0]
        return {path: option.rank for path, option in chosen.items()}
    whole = sum(choices[0].parameters for choices in options.values())
    constant = sum(biases.values())
    budget = rule.share * (whole + constant) - constant
    least = sum(choices[-1].parameters for choices in options.values())
    if least > budget:
        share = (least + constant) / (whole + constant)
        raise ValueError(
            f"compress: KeepParameters({rule.share}) is below the {share:.4f} that is "
            "left with rank 1 in every layer"
        )
    return {path: option.rank for path, option in _allocate(options, budget).items()}


def _allocate(options, budget):
    """Goes down where a parameter saved loses least until the budget is met."""
    hulls = {path: _lower_hull(choices) for path, choices in options.items()}
    current = {path: 0 for path in options}
    total = sum(hull[0].parameters for hull in hulls.values())
    steps = [(_slope(h[0], h[1]), path) for path, h in hulls.items() if len(h) > 1]
    heapq.heapify(steps)
    while total > budget:
        _, path = heapq.heappop(steps)
        hull, index = hulls[path], current[path]
        total -= hull[index].parameters - hull[index + 1].parameters
        current[path] = index + 1
        if index + 2 < len(hull):
            step = _slope(hull[index + 1], hull[index + 2])
            heapq.heappush(steps, (step, path))
    chosen = {path: hulls[path][index] for path, index in current.items()}
    # Steps are of whole ranks, or from none to the first that pays: what is left over
    # buys a little more, for the layers that it helps most.
    gains = sorted(options, key=lambda path: -chosen[path].loss)
    for path in gains:
        room = budget - total + chosen[path].parameters
        better = next(o for o in options[path] if o.parameters <= room)
        total += better.parameters - chosen[path].parameters
        chosen[path] = better
    return chosen


def _slope(old, new):
    """Loss for each parameter saved."""
    return (new.loss - old.loss) / (old.parameters - new.parameters)


def _lower_hull(options):
    """The options that are best for some price of a parameter."""
    hull = []
    for option in sorted(options, key=lambda o: (-o.parameters, o.loss)):
        if hull and option.parameters == hull[-1].parameters:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) >= _slope(hull[-1], option):
            hull.pop()
        hull.append(option)
    return hull
