"""The study of a network by linear classifiers of its frozen features."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from jaxdl.errors import NonFiniteError
from jaxdl.recipes.encoders import FrozenEncoder
from jaxdl.recipes.linear_classifiers import descend, fit_ridge, score_linear
from jaxdl.recipes.probe_subject import Examples, ProbeSubject
from jaxdl.recipes.probes_config import LinearProbeConfig
from jaxdl.recipes.study import Row, finish_study
from jaxdl.report import plot_accuracy_bars, plot_curves
from jaxdl.train import RunFolder

_NAMES = {"descent": "gradient descent", "ridge": "ridge regression"}
_ACCURACY = "test_accuracy"


def study_linear_probe(
    config: LinearProbeConfig, subject: ProbeSubject, run: RunFolder
) -> int:
    """Probes a network, and the same one before its training; writes a table and plots.

    Args:
      config: the resolved config.
      subject: the network and the data.
      run: the folder of the probe, locked.

    Returns:
      The exit status, 0.

    Raises:
      ConfigError: the batch does not divide over the devices.
      NonFiniteError: a feature is not finite, or the training of the probe of the
        trained network diverged.
    """
    start = time.perf_counter()
    console = Console()
    encoders = [subject.encoder]
    if config.untrained:
        encoders.append(subject.load_untrained())
    table: list[Row] = []
    for encoder in encoders:
        examples = subject.compute(encoder)
        for probe in config.probes:
            row, curve = _probe(config, subject, encoder, examples, probe)
            table.append(row)
            text = _describe(row)
            console.print(text, highlight=False, markup=False, soft_wrap=True)
            if curve and encoder is subject.encoder:
                plot_curves(curve, run.path / "curves.png")
    _plot(table, subject, run.path / "accuracy.png")
    finish_study(
        run,
        table=table,
        shown=[_shorten(row) for row in table],
        summary={
            **subject.summarise(),
            "results": table,
            "points_above_untrained": _compare(table),
            "seconds": time.perf_counter() - start,
        },
        title=f"linear probes of {subject.title}",
        console=console,
    )
    return 0


def _probe(
    config: LinearProbeConfig,
    subject: ProbeSubject,
    encoder: FrozenEncoder,
    examples: Mapping[str, Examples],
    probe: str,
) -> tuple[Row, list[dict[str, Any]]]:
    """A row of the table, and the curve of a descent."""
    num_classes, curve, strength = subject.dataset.num_classes, [], None
    row: dict[str, Any] = {
        "network": encoder.name,
        "step": encoder.step,
        "probe": probe,
        "features": examples["train"].features.shape[1],
    }
    if probe == "ridge":
        params, strength = fit_ridge(
            config.ridge,
            examples["train"],
            examples["validation"],
            num_classes=num_classes,
        )
    else:
        key = jax.random.key(config.run.seed)
        try:
            params, curve = descend(config, subject, encoder, examples, key=key)
        except NonFiniteError as error:
            if encoder.step is not None:
                raise
            return row | {"note": f"diverged: {error}"}, []
    for name in ("train", "validation", "test"):
        numbers = score_linear(params, examples[name], num_classes=num_classes)
        row[f"{name}_accuracy"] = numbers["accuracy"]
    return row | {"test_top5": numbers["top5"], "strength": strength}, curve


def _describe(row: Row) -> str:
    start = f"{row['network']}, {_NAMES[row['probe']]}: "
    if _ACCURACY not in row:
        return f"{start}{row['note']}"
    return (
        f"{start}test accuracy {row[_ACCURACY]:.4f}, validation "
        f"{row['validation_accuracy']:.4f}"
    )


def _shorten(row: Row) -> Row:
    """The columns for the screen."""
    short = {"network": row["network"], "probe": _NAMES[row["probe"]]}
    for name in ("train", "validation", "test"):
        accuracy = row.get(f"{name}_accuracy")
        short[name] = "diverged" if accuracy is None else f"{accuracy:.4f}"
    return short


def _compare(table: Sequence[Row]) -> dict[str, float]:
    """By how many points training has raised the accuracy, by probe."""
    found = {(row["network"], row["probe"]): row.get(_ACCURACY) for row in table}
    gains = {}
    for (network, probe), accuracy in found.items():
        start = found.get(("untrained", probe))
        if network == "trained" and accuracy is not None and start is not None:
            gains[probe] = 100 * (accuracy - start)
    return gains


def _plot(table: Sequence[Row], subject: ProbeSubject, path: Path) -> None:
    bars: dict[str, dict[str, float | None]] = {}
    for row in table:
        group = bars.setdefault(_NAMES[row["probe"]], {})
        group[row["network"]] = row.get(_ACCURACY)
    chance = 1 / subject.dataset.num_classes
    plot_accuracy_bars(bars, path, title=subject.title, chance=chance)
