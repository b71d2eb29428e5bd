"""Federated training of a classifier by several algorithms, beside a central one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from jaxdl.federated import count_classes
from jaxdl.recipes.federated_config import FederatedConfig
from jaxdl.recipes.federated_setup import Setup, build_setup, split_data
from jaxdl.recipes.federated_training import (
    CENTRAL,
    prepare,
    prepare_central,
    train_rounds,
)
from jaxdl.recipes.study import Row, finish_study, write_table
from jaxdl.report import ClientMixture, FederatedCurve, plot_clients, plot_federated
from jaxdl.train import RunFolder, StopRequest
from jaxdl.trees import count_parameters

NOTE = (
    "Training where the data is does not by itself save energy. Qiu et al. "
    "(arXiv:2102.07627) find up to two orders of magnitude more CO2 than in a data "
    "centre, and about as much only in some settings: more examples are trained on "
    "to get as far, and parameters are sent every round. These numbers rest on the "
    "assumptions of the config's section energy."
)


def study_federated(config: FederatedConfig, run: RunFolder, stop: StopRequest) -> int:
    """Trains on pooled data and by every algorithm on every split; compares them.

    Args:
      config: the resolved config.
      run: its folder, locked.
      stop: asked after every round.

    Returns:
      The exit status: 0, or 128 + signal after a requested stop. `table.csv` and the
      figures are written after each training, `summary.json` with the last.
    """
    console = Console()
    setup = build_setup(config)
    splits = {_name_split(alpha): alpha for alpha in config.federated.alphas}
    parts = {name: split_data(setup, alpha) for name, alpha in splits.items()}
    _draw_clients(setup, parts, run)
    trainings = [prepare_central(setup)]
    for name, alpha in splits.items():
        trainings += [
            prepare(setup, name, alpha, parts[name], algorithm)
            for algorithm in config.federated.algorithms
        ]
    rows: list[Row] = []
    for number, training in enumerate(trainings, start=1):
        rows += train_rounds(setup, training, stop, console)
        write_table(rows, run.path / "table.csv")
        _draw_curves(rows, run)
        if stop.requested:
            text = (
                f"stopped in training {number} of {len(trainings)}; table.csv and "
                f"curves.png have what was done: {run.path}"
            )
            console.print(text, highlight=False, markup=False, soft_wrap=True)
            return stop.exit_status
    summary, shown = summarise(rows, setup)
    finish_study(
        run,
        table=rows,
        shown=shown,
        summary=summary,
        title="Test accuracy and carbon dioxide; in how many rounds "
        f"{summary['target_accuracy']:.3g} was reached",
        console=console,
    )
    return 0


def summarise(rows: Sequence[Row], setup: Setup) -> tuple[dict[str, Any], list[Row]]:
    """What came out, and what it took to get near the centralised accuracy.

    Args:
      rows: the table of all trainings.
      setup: what they share.

    Returns:
      The summary, and a row for the screen for each training.
    """
    grouped = _group(rows)
    goal = setup.config.energy.target
    target = goal * grouped["pooled", CENTRAL][-1]["test_accuracy"]
    results = [
        {**_describe(same, target), "split": split, "algorithm": algorithm}
        for (split, algorithm), same in grouped.items()
    ]
    base = results[0]["kg_to_target"]
    for result in results:
        kg = result["kg_to_target"]
        # Free energy, by the config, leaves nothing to compare.
        result["times_central"] = kg / base if kg is not None and base else None
    summary = {
        "target_accuracy": target,
        "results": results,
        "parameters": count_parameters(setup.params),
        "num_examples": len(setup.labels),
        "device_seconds_per_example": setup.rates.device_seconds,
        "server_seconds_per_example": setup.rates.server_seconds,
        "kg_per_kwh": setup.rates.intensity,
        "note": NOTE,
    }
    return summary, [_shorten(result) for result in results]


def _name_split(alpha: float | None) -> str:
    return "even" if alpha is None else f"Dirichlet {alpha:g}"


def _group(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row["split"], row["algorithm"]), []).append(row)
    return grouped


def _describe(rows: Sequence[Row], target: float) -> dict[str, Any]:
    last = rows[-1]
    reached = [row for row in rows if row["test_accuracy"] >= target]
    first: Mapping[str, Any] = reached[0] if reached else {}
    return {
        "rounds": last["round"],
        "test_accuracy": last["test_accuracy"],
        "best_test_accuracy": max(row["test_accuracy"] for row in rows),
        "examples": last["examples"],
        "bytes": last["bytes"],
        "kwh": last["kwh"],
        "kg_co2e": last["kg_co2e"],
        "rounds_to_target": first.get("round"),
        "kwh_to_target": first.get("kwh"),
        "kg_to_target": first.get("kg_co2e"),
    }


def _shorten(result: Mapping[str, Any]) -> Row:
    """The columns for the screen."""
    kg = result["kg_to_target"]
    return {
        "split": result["split"],
        "algorithm": result["algorithm"],
        "accuracy": result["test_accuracy"],
        "g CO2e": 1000 * result["kg_co2e"],
        "reached in": result["rounds_to_target"],
        "g by then": None if kg is None else 1000 * kg,
        "x central": result["times_central"],
    }


def _draw_clients(
    setup: Setup, parts: Mapping[str, Sequence[np.ndarray]], run: RunFolder
) -> None:
    names = setup.class_names
    count = lambda dealt: count_classes(setup.labels, dealt, num_classes=len(names))
    mixtures = [ClientMixture(name, count(dealt)) for name, dealt in parts.items()]
    plot_clients(mixtures, run.path / "clients.png", class_names=names)


def _draw_curves(rows: Sequence[Row], run: RunFolder) -> None:
    curves = [
        FederatedCurve(
            panel=split,
            label=algorithm,
            rounds=np.array([row["round"] for row in same], np.float64),
            accuracies=np.array([row["test_accuracy"] for row in same], np.float64),
            grams=np.array([1000 * row["kg_co2e"] for row in same], np.float64),
        )
        for (split, algorithm), same in _group(rows).items()
    ]
    plot_federated(
        [c for c in curves if c.label != CENTRAL],
        run.path / "curves.png",
        central=next((c for c in curves if c.label == CENTRAL), None),
    )
