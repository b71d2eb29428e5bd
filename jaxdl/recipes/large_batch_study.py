"""Training to a target at several batch sizes, and telling where returns diminish."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.diagnose import BatchTradeoff, fit_batch_tradeoff, noise_scale
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.classifier import train_classifier
from jaxdl.recipes.comparison import Results
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.fit import Fit, scalars
from jaxdl.recipes.large_batch_config import LargeBatchConfig, LargeBatchSection
from jaxdl.recipes.large_batch_words import describe_batches
from jaxdl.recipes.study import Row
from jaxdl.recipes.targets import Target, find_steps, make_reached
from jaxdl.report import BatchSeries, NoiseCurve, plot_batch_tradeoff, plot_noise_scales
from jaxdl.train import RunFolder, StopRequest, TrainState, read_rows, write_json
from jaxdl.trees import count_parameters

SHOWN = (
    "steps_to_target",
    "examples_to_target",
    "seconds_to_target",
    "noise_scale_late",
)
"""Columns whose mean and deviation over the seeds are told."""

_KEPT = 0.5
"""Share of the running means of noise that a row keeps, in the figure."""


def build_target(section: LargeBatchSection) -> Target:
    """What the runs of a study are to reach.

    Args:
      section: has one of both targets.

    Returns:
      A loss of the training split or an accuracy of the validation split.
    """
    if section.target_loss is not None:
        return Target("train", "loss", section.target_loss)
    assert section.target_accuracy is not None
    return Target("validation", "accuracy", section.target_accuracy)


def make_training(target: Target) -> Callable[..., int]:
    """Trains one variant until it has reached the target, or to its end.

    Args:
      target: where to stop.

    Returns:
      `train(config, run, stop, *, resume_name=None)` for `compare_classifiers`.
    """

    def train(
        config: ClassifierConfig,
        run: RunFolder,
        stop: StopRequest,
        *,
        resume_name: str | None = None,
    ) -> int:
        return train_classifier(
            config,
            run,
            stop,
            resume_name=resume_name,
            summarise=_write_scores,
            reached=make_reached(run.metrics, target),
        )

    return train


def _write_scores(
    fit: Fit,
    config: ClassifierConfig,
    classifier: Classifier,
    card: DatasetCard,
    state: TrainState,
) -> bool:
    """Writes a summary of the last state; False when a stop came before it was done."""
    del classifier, card
    params, model_state = fit.load_weights(int(state.step))
    names = {"validation": "validation", "test": "test"}
    if config.run.score_train:
        names["train_scored"] = "train"
    scores = {}
    for name, split in names.items():
        scored = fit.score(split, params=params, model_state=model_state)
        if scored is None:
            return False
        scores[name] = dict(scored[0])
    rows = [row for row in read_rows(fit.folder.metrics) if row["split"] == "train"]
    logged = fit.results_at(int(state.step), scores["test"])
    final = {**logged, "train": scalars(rows[-1]), **scores}
    summary = {
        "final": final,
        "best": final,
        "images_per_second": fit.speed(),
        "parameters": count_parameters(state.params),
        "num_steps": int(state.step),
    }
    write_json(fit.folder.summary, summary)
    fit.display.show(int(state.step), "test", scalars(scores["test"]))
    return True


def add_targets(results: Results, *, folder: Path, target: Target) -> Results:
    """Adds when each run reached the target, and how noisy its gradients were.

    Args:
      results: from `compare_classifiers`.
      folder: of the runs.
      target: what they were to reach.

    Returns:
      With `reached`, `steps_to_target`, `examples_to_target`, `seconds_to_target`
      (without compiling, at the usual speed of the run) and the noise scale in the
      first and second half of the way; None for what a run doesn't tell.
    """

    def extend(name: str, row: Row) -> Row:
        run = RunFolder(folder / f"{name}-seed{row['seed']}")
        rows = read_rows(run.metrics)
        steps = find_steps(rows, target)
        examples = None if steps is None else steps * row["batch_size"]
        speeds = [timing["images_per_second"] for timing in read_rows(run.timing)]
        speeds = sorted(speeds[1:] or speeds)
        seconds = None
        if examples is not None and speeds:
            seconds = examples / speeds[len(speeds) // 2]
        train = [r for r in rows if r["split"] == "train"]
        middle = (len(train) + 1) // 2
        return {
            **row,
            "reached": steps is not None,
            "steps_to_target": steps,
            "examples_to_target": examples,
            "seconds_to_target": seconds,
            "noise_scale_early": average_noise(train[:middle]),
            "noise_scale_late": average_noise(train[middle:]),
        }

    return {name: [extend(name, row) for row in rows] for name, rows in results.items()}


def average_noise(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The noise scale over several rows: the ratio of means, not a mean of ratios.

    Args:
      rows: of the training split, each over as many steps.

    Returns:
      Examples; None where the rows don't tell.

    Example:
      >>> names = "gradient_norm_squared", "gradient_variance"
      >>> average_noise([dict(zip(names, pair)) for pair in [(1.0, 4.0), (3.0, 4.0)]])
      2.0
    """
    pairs = [
        (row["gradient_norm_squared"], row["gradient_variance"])
        for row in rows
        if row.get("gradient_norm_squared") is not None
        and row.get("gradient_variance") is not None
    ]
    return noise_scale(*map(sum, zip(*pairs, strict=True))) if pairs else None


def fit_results(results: Results) -> dict[str, BatchTradeoff | None]:
    """The trade-off of each optimizer, from its runs that reached the target.

    Args:
      results: from `add_targets`.

    Returns:
      By optimizer; None where fewer than two batch sizes reached it.
    """
    fits: dict[str, BatchTradeoff | None] = {}
    for name, rows in _group(results).items():
        reached = [row for row in rows if row["reached"]]
        sizes = [row["batch_size"] for row in reached]
        steps = [row["steps_to_target"] for row in reached]
        enough = len(set(sizes)) > 1
        fits[name] = fit_batch_tradeoff(sizes, steps) if enough else None
    return fits


def conclude(
    results: Results, *, target: Target
) -> tuple[dict[str, Any], Sequence[str]]:
    """What came out, as numbers for the summary and in plain words.

    Args:
      results: from `add_targets`.
      target: what the runs were to reach.

    Returns:
      Entries of the summary, and sentences.
    """
    fits = fit_results(results)
    sentences = describe_batches(_group(results), fits, target=target.describe())
    numbers = {
        name: fit
        and {
            **fit._asdict(),
            "critical_batch_size": fit.critical_batch_size,
        }
        for name, fit in fits.items()
    }
    return {"tradeoff": numbers, "paragraph": " ".join(sentences)}, sentences


def draw_batches(results: Results, folder: Path, *, target: Target) -> None:
    """Draws `tradeoff.png` and, where noise was measured, `noise_scale.png`.

    Args:
      results: from `add_targets`.
      folder: where to; has the runs in `variants`.
      target: what they were to reach.
    """
    fits = fit_results(results)
    series = [
        BatchSeries(name, *_list_points(rows), fit=fits[name])
        for name, rows in _group(results).items()
    ]
    plot_batch_tradeoff(series, folder / "tradeoff.png", target=target.describe())
    curves = []
    for name, rows in results.items():
        for row in rows:
            run = RunFolder(RunFolder(folder).variants / f"{name}-seed{row['seed']}")
            label, size = f"batch {row['batch_size']}", row["batch_size"]
            points = _smooth(read_rows(run.metrics), batch_size=size)
            curves.append(NoiseCurve(row["optimizer"], label, *points))
    if any(curve.noise_scales for curve in curves):
        bounded = {
            n: f.critical_batch_size for n, f in fits.items() if f and f.is_bounded
        }
        plot_noise_scales(curves, folder / "noise_scale.png", critical=bounded)


def study_options(config: LargeBatchConfig, run: RunFolder) -> dict[str, Any]:
    """What makes a comparison this study.

    Args:
      config: the resolved config.
      run: the folder of the study.

    Returns:
      Arguments for `compare_classifiers`.
    """
    target = build_target(config.study)
    metrics = [("train", "loss")]
    if target.split == "validation":
        # Else a run is scored but once, at its end.
        metrics.append(("validation", "error"))
    return {
        "metrics": metrics,
        "draw": functools.partial(draw_batches, target=target),
        "train": make_training(target),
        "extend": functools.partial(add_targets, folder=run.variants, target=target),
        "conclude": functools.partial(conclude, target=target),
        "shown": SHOWN,
    }


def _group(results: Results) -> dict[str, list[Row]]:
    """All rows of each optimizer."""
    grouped: dict[str, list[Row]] = {}
    for row in (row for rows in results.values() for row in rows):
        grouped.setdefault(row["optimizer"], []).append(row)
    return grouped


def _list_points(rows: Sequence[Row]) -> tuple[list[int], list[float], list[bool]]:
    """Batch sizes, steps to the target or to the end, and which of both it was."""
    return (
        [row["batch_size"] for row in rows],
        [float(row["steps_to_target"] or row["steps"] or 1) for row in rows],
        [row["reached"] for row in rows],
    )


def _smooth(
    rows: Sequence[Mapping[str, Any]], *, batch_size: int
) -> tuple[list[float], list[float]]:
    """Examples seen, and the ratio of the running means of both estimates."""
    examples, scales = [], []
    means: np.ndarray | None = None
    for row in rows:
        names = ("gradient_norm_squared", "gradient_variance")
        now = [row.get(name) for name in names]
        if None in now:
            continue
        values = np.array(now, float)
        means = values if means is None else _KEPT * means + (1 - _KEPT) * values
        scale = noise_scale(*means)
        if scale:
            examples.append(float(row["step"] * batch_size))
            scales.append(scale)
    return examples, scales
