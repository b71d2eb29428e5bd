"""The trainings of the study of regularisers, and what is compared of them."""

from collections.abc import Mapping
from pathlib import Path

from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.classifier import train_classifier
from jaxdl.recipes.comparison import Results
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.fit import Fit, scalars
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.rbf_start import count_warm_steps
from jaxdl.recipes.rbf_study_config import BASELINE, PLAIN
from jaxdl.recipes.rbf_training import train_rbf
from jaxdl.recipes.study import Row
from jaxdl.report import plot_gaps, plot_head_gaps
from jaxdl.train import RunFolder, StopRequest, TrainState, write_json
from jaxdl.trees import count_parameters

SHOWN = ("test_accuracy", "gap", "difference_to_softmax", "difference_to_rbf")
"""Columns whose mean and deviation over the seeds are told."""


def train_head(
    config: ClassifierConfig | RBFConfig,
    run: RunFolder,
    stop: StopRequest,
    *,
    resume_name: str | None = None,
) -> int:
    """Trains or resumes one head of the study.

    Args:
      config: that of a classifier has a softmax head.
      run: its folder, locked.
      stop: asked after every step.
      resume_name: see `run_training`.

    Returns:
      The exit status: 0, or 128 + signal after a requested stop.
    """
    if isinstance(config, ClassifierConfig):
        return train_classifier(config, run, stop, resume_name=resume_name)
    return train_rbf(config, run, stop, resume_name=resume_name, summarise=write_scores)


def write_scores(
    fit: Fit,
    config: RBFConfig,
    classifier: Classifier,
    card: DatasetCard,
    state: TrainState,
) -> bool:
    """Writes a summary with the scores of an RBF head, and draws nothing.

    Args:
      fit: the finished run.
      config: the resolved config.
      classifier: the network.
      card: of the dataset.
      state: the last state.

    Returns:
      False when a stop was asked for before it was done.
    """
    del classifier
    last_step, best_step = int(state.step), fit.store.best_step()
    steps = {"best": last_step if best_step is None else best_step, "final": last_step}
    splits = {"best": ["test"], "final": ["test", *["train"] * config.run.score_train]}
    results = {}
    for name, step in steps.items():
        params, model_state = fit.load_weights(step)
        found = {
            split: fit.score(split, params=params, model_state=model_state)
            for split in splits[name]
        }
        numbers = {split: dict(pair[0]) for split, pair in found.items() if pair}
        if len(numbers) < len(found) or fit.stop.requested:
            return False
        results[name] = fit.results_at(step, numbers["test"])
        if "train" in numbers:
            results[name]["train_scored"] = numbers["train"]
    write_json(
        fit.folder.summary,
        {
            **results,
            "images_per_second": fit.speed(),
            "parameters": count_parameters(state.params),
            "warm_start_steps": count_warm_steps(config, card.num_examples["train"]),
            "num_steps": last_step,
            "num_examples": card.num_examples,
        },
    )
    fit.display.show(last_step, "test", scalars(results["final"]["test"]))
    return True


def compare_seeds(results: Results) -> Results:
    """Adds what test accuracies of the same seed differ by.

    Args:
      results: from `compare_classifiers`; rows of runs that finished have
        `test_accuracy` and maybe `scored_train_accuracy`.

    Returns:
      With `gap`, training less test accuracy, and `difference_to_softmax` and
      `difference_to_rbf`, for other heads, where that one finished with the same seed
      too; all in [-1, 1].

    Example:
      >>> done = {"status": "finished", "seed": 0}
      >>> rows = {"softmax": [{**done, "test_accuracy": 0.75}],
      ...         "rbf": [{**done, "test_accuracy": 0.5}]}
      >>> compare_seeds(rows)["rbf"][0]["difference_to_softmax"]
      -0.25
    """
    by_seed = {
        name: {
            r["seed"]: r["test_accuracy"] for r in results.get(name, ()) if _is_done(r)
        }
        for name in (BASELINE, PLAIN)
    }

    def extend(name: str, row: Row) -> Row:
        if not _is_done(row):
            return row
        extended, accuracy, seed = dict(row), row["test_accuracy"], row["seed"]
        if "scored_train_accuracy" in row:
            extended["gap"] = row["scored_train_accuracy"] - accuracy
        return extended | {
            f"difference_to_{other}": accuracy - accuracies[seed]
            for other, accuracies in by_seed.items()
            if other != name and seed in accuracies
        }

    return {name: [extend(name, row) for row in rows] for name, rows in results.items()}


def draw_heads(results: Results, labels: Mapping[str, str], folder: Path) -> None:
    """Draws `heads.png`, test accuracies next to softmax, and `gaps.png`.

    Args:
      results: from `compare_seeds`.
      labels: what each variant is called.
      folder: where to; `heads.png` is left out where no softmax head finished.
    """
    named = {labels[name]: rows for name, rows in results.items()}
    plot_gaps(named, folder / "gaps.png")
    accuracies = {
        label: [r["test_accuracy"] for r in rows if _is_done(r)]
        for label, rows in named.items()
    }
    accuracies = {label: values for label, values in accuracies.items() if values}
    if labels[BASELINE] not in accuracies:
        return
    plot_head_gaps(
        accuracies,
        folder / "heads.png",
        baseline=labels[BASELINE],
        title="test accuracy after the last step, and points from softmax",
    )


def _is_done(row: Row) -> bool:
    return row["status"] == "finished"
