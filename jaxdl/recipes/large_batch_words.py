"""The study of large batches in plain words."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from jaxdl.diagnose import BatchTradeoff

Row = Mapping[str, Any]

_ROUGH = 0.25
"""Error of the fit, of natural logarithms, from which on it is called rough."""


def describe_batches(
    rows: Mapping[str, Sequence[Row]],
    fits: Mapping[str, BatchTradeoff | None],
    *,
    target: str,
) -> list[str]:
    """What larger batches bought each optimizer.

    Args:
      rows: of each optimizer: `batch_size`, `reached`, `steps`, `steps_to_target` and
        the two noise scales.
      fits: of each optimizer.
      target: what the runs were to reach, in words.

    Returns:
      Sentences, those of an optimizer one after another.
    """
    sentences = []
    for name, runs in rows.items():
        sentences += _count_runs(name, runs, target)
        sentences += _describe_steps(runs)
        fit = fits[name]
        if fit is not None:
            sentences += _describe_fit(fit, runs)
            sentences += _describe_noise(fit, runs)
    return sentences


def _count_runs(name: str, runs: Sequence[Row], target: str) -> list[str]:
    reached = [row for row in runs if row["reached"]]
    found = [f"{name}: {len(reached)} of {len(runs)} runs reached {target}."]
    missed = [row for row in runs if not row["reached"]]
    if missed:
        words = [f"{r['batch_size']} (ended at step {r['steps']})" for r in missed]
        found.append(f"Not reached at batch sizes {', '.join(words)}.")
    return found


def _describe_steps(runs: Sequence[Row]) -> list[str]:
    """What the first and the last of the steps between batch sizes bought."""
    by_size: dict[int, list[float]] = {}
    for row in runs:
        if row["reached"]:
            by_size.setdefault(row["batch_size"], []).append(row["steps_to_target"])
    sizes = sorted(by_size)
    pairs = list(zip(sizes, sizes[1:], strict=False))
    return [
        f"From {a} to {b} examples per step, {b / a:.3g} times as many, the steps fell "
        f"from {fmean(by_size[a]):,.0f} to {fmean(by_size[b]):,.0f}, "
        f"{fmean(by_size[a]) / fmean(by_size[b]):.1f}-fold."
        for a, b in dict.fromkeys([*pairs[:1], *pairs[-1:]])
    ]


def _describe_fit(fit: BatchTradeoff, runs: Sequence[Row]) -> list[str]:
    critical = fit.critical_batch_size
    if not fit.is_bounded:
        if critical > max(row["batch_size"] for row in runs):
            return ["The steps fell as the batch grew: returns don't diminish yet."]
        return ["The steps hardly fell: all these batches are beyond the useful ones."]
    found = [
        f"The fit has at least {_round(fit.min_steps)} steps and at least "
        f"{_round(fit.min_examples)} examples; returns diminish from batches of about "
        f"{_round(critical)} on, which take twice the fewest of both."
    ]
    largest = max(row["batch_size"] for row in runs if row["reached"])
    smallest = min(row["batch_size"] for row in runs if row["reached"])
    if not smallest <= critical <= largest:
        found.append("That lies outside of the sizes that reached it: a guess.")
    if fit.error > _ROUGH:
        found.append(
            f"The points follow the curve roughly, {100 * fit.error:.0f} % off: rates "
            "given by a rule are not the best ones for each batch."
        )
    return found


def _describe_noise(fit: BatchTradeoff, runs: Sequence[Row]) -> list[str]:
    ends = []
    for name in ("noise_scale_early", "noise_scale_late"):
        values = [row[name] for row in runs if row["reached"] and row[name] is not None]
        if not values:
            return []
        ends.append(sorted(values)[len(values) // 2])
    sentence = (
        f"The gradient noise scale measured was {_round(ends[0])} examples in the "
        f"first half of the way and {_round(ends[1])} in the second"
    )
    if not fit.is_bounded or not ends[1]:
        return [f"{sentence}."]
    # Noise grows on the way, and most steps of small batches are late ones.
    ratio = fit.critical_batch_size / ends[1]
    if 1 / 3 <= ratio <= 3:
        return [f"{sentence}, the size of the critical batch."]
    times = f"{max(ratio, 1 / ratio):.1f} times"
    where = "above" if ratio > 1 else "below"
    return [f"{sentence}; the critical batch is {times} {where} that."]


def _round(number: float) -> str:
    """Two digits are more than such numbers are good for."""
    return f"{float(f'{number:.2g}'):,g}"
