"""What factoring its layers does to a trained network, with and without fine-tuning."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from jaxdl.compression import CompressionReport, KeepParameters, compress
from jaxdl.data import ArraySplit
from jaxdl.errors import ConfigError
from jaxdl.linalg import ConvMethod
from jaxdl.parallel import make_mesh
from jaxdl.recipes.build import build_dataset
from jaxdl.recipes.classification import Classifier, Teacher
from jaxdl.recipes.study import finish_study, write_table
from jaxdl.recipes.svd_compress_network_config import CompressNetworkConfig
from jaxdl.recipes.svd_compress_network_training import (
    Bench,
    limit_train,
    prepare_network,
    score_network,
    train_network,
)
from jaxdl.report import CompressionCurve, plot_compression
from jaxdl.train import RunFolder
from jaxdl.trees import count_parameters

_NAMES = {
    "channel": "channel",
    "spatial": "spatial",
    "tucker2": "Tucker-2",
    "channel_aware": "channel, activation-aware",
    "spatial_aware": "spatial, activation-aware",
}
"""How figures name the ways to factor."""

_FORMS: dict[str, ConvMethod] = {
    "channel": "channel",
    "spatial": "spatial",
    "tucker2": "tucker2",
    "channel_aware": "channel",
    "spatial_aware": "spatial",
}


def study_network_compression(config: CompressNetworkConfig, run: RunFolder) -> int:
    """Compresses a network by each method to each share; writes tables and a plot.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.

    Raises:
      ConfigError: a share is out of reach, no layer is left to factor, or the network
        does not take the images.
      DataError: the data or the weights can't be found.
      NonFiniteError: a training diverged.
    """
    start = time.perf_counter()
    console = Console()
    mesh = make_mesh(data=1)
    key = jax.random.key(config.run.seed)
    bench = Bench(config, build_dataset(config.data), mesh, key)
    classifier, variables = prepare_network(bench)
    split = limit_train(bench)
    weight, teacher = config.finetuning.distillation, None
    if weight:
        teacher = Teacher(classifier.model, variables, weight)
    original = {
        "method": "original",
        "share": 1.0,
        "parameters": count_parameters(variables["params"]),
        **_score_and_tune(bench, classifier, variables, split, teacher),
    }
    table, layers = [original], []
    console.print(_describe(original), highlight=False, markup=False)
    for row, report in _compress_all(bench, classifier, variables, split, teacher):
        table.append(row)
        named = {"method": row["method"], "share": row["share"]}
        layers += [{**named, **layer} for layer in report.list_rows()]
        console.print(_describe(row), highlight=False, markup=False, soft_wrap=True)
    write_table(layers, run.path / "layers.csv")
    _plot(table, run.path / "accuracy.png")
    seconds = time.perf_counter() - start
    finish_study(
        run,
        table=table,
        shown=[_shorten(row) for row in table],
        summary={
            "original": original,
            "results": table[1:],
            "half_of_factored_layers": _find_least_loss(table, "factored_share"),
            "half_of_all_layers": _find_least_loss(table, "share"),
            "num_test_images": len(bench.dataset.splits["test"]),
            "seconds": seconds,
        },
        title=f"{config.model.name} on {bench.dataset.name}, test accuracy",
        console=console,
    )
    return 0


def _compress_all(
    bench: Bench,
    classifier: Classifier,
    variables: dict[str, Any],
    split: ArraySplit,
    teacher: Teacher | None,
) -> Iterator[tuple[dict[str, Any], CompressionReport]]:
    """A row of the table and the report of each method and share."""
    compression = bench.config.compression
    count = min(compression.calibration_images, len(split))
    inputs = classifier.prepare(jnp.asarray(split.read(np.arange(count))["images"]))
    for method in compression.methods:
        for share in compression.shares:
            try:
                small = compress(
                    variables,
                    classifier.model,
                    KeepParameters(share, compression.allocation),
                    method=_FORMS[method],
                    inputs=inputs,
                    activation_aware=method.endswith("_aware"),
                    include=compression.include,
                    exclude=compression.exclude,
                )
            except ValueError as error:
                raise ConfigError(f"compression: {method}, {share}: {error}") from None
            changed = dataclasses.replace(classifier, model=small.model)
            row = {
                "method": method,
                **_measure(small.report),
                **_score_and_tune(bench, changed, small.variables, split, teacher),
            }
            yield row, small.report


def _measure(report: CompressionReport) -> dict[str, Any]:
    """The sizes; `share` is of all layers looked at, some of which stay as they are."""
    factored = [layer for layer in report.layers if layer.rank is not None]
    before = sum(layer.parameters_before for layer in factored)
    after = sum(layer.parameters_after for layer in factored)
    return {
        "share": report.parameters_after / report.parameters_before,
        "factored_share": after / before if factored else 1.0,
        "factored_layers": len(factored),
        "layers": len(report.layers),
        "parameters": report.network_parameters_after,
        "macs_before": report.network_macs_before,
        "macs_after": report.network_macs_after,
        "largest_relative_error": max(layer.relative_error for layer in report.layers),
    }


def _score_and_tune(
    bench: Bench,
    classifier: Classifier,
    variables: dict[str, Any],
    split: ArraySplit,
    teacher: Teacher | None,
) -> dict[str, Any]:
    """Accuracy before and after a fine-tuning, and the seconds that it took."""
    accuracy = score_network(bench, classifier, variables)
    start = time.perf_counter()
    config = bench.config
    tuned = train_network(
        bench,
        classifier,
        variables,
        split,
        name="finetuning",
        duration=config.finetuning.duration,
        learning_rate=config.finetuning.learning_rate,
        weight_decay=config.finetuning.weight_decay,
        schedule="cosine",
        teacher=teacher,
    )
    seconds = time.perf_counter() - start
    return {
        "accuracy": accuracy,
        "finetuned_accuracy": score_network(bench, classifier, tuned),
        "finetuning_seconds": seconds,
    }


def _find_least_loss(table: list[dict[str, Any]], column: str) -> dict | None:
    """The network that is best after fine-tuning among those of a share up to half."""
    halved = [row for row in table[1:] if row[column] <= 0.5]
    if not halved:
        return None
    best = max(halved, key=lambda row: row["finetuned_accuracy"])
    return {
        "method": best["method"],
        "share": best["share"],
        "factored_share": best["factored_share"],
        "accuracy": best["finetuned_accuracy"],
        "points_lost": 100 * (table[0]["accuracy"] - best["finetuned_accuracy"]),
    }


def _plot(table: list[dict[str, Any]], path: Path) -> None:
    original, curves = table[0], []
    for method, name in _NAMES.items():
        rows = [row for row in table[1:] if row["method"] == method]
        if rows:
            columns = ("share", "accuracy", "finetuned_accuracy")
            curves.append(
                CompressionCurve(name, *([r[c] for r in rows] for c in columns))
            )
    plot_compression(curves, path, original=original["accuracy"])


def _shorten(row: dict[str, Any]) -> dict[str, Any]:
    """The columns for the screen."""
    short = {"method": row["method"], "share": row["share"]}
    short["parameters"] = row["parameters"]
    if "macs_after" in row:
        short["factored layers"] = f"{row['factored_layers']} of {row['layers']}"
        short["their share"] = row["factored_share"]
        short["MACs"] = row["macs_after"] / row["macs_before"]
    return short | {
        "accuracy": f"{row['accuracy']:.4f}",
        "fine-tuned": f"{row['finetuned_accuracy']:.4f}",
    }


def _describe(row: dict[str, Any]) -> str:
    return (
        f"{row['method']}, {row['share']:.3f} of the parameters: accuracy "
        f"{row['accuracy']:.4f}, fine-tuned {row['finetuned_accuracy']:.4f}"
    )
