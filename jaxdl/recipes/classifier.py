"""The classifier run: built from a config, trained, summarised."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxdl.data import Split
from jaxdl.metrics import compute_classification, init_classification
from jaxdl.models import list_splits
from jaxdl.recipes.build import (
    build_augment,
    build_optimizer,
    check_image_size,
)
from jaxdl.recipes.classification import (
    Classifier,
    count_flops,
    make_activations,
    make_classification_evaluation,
    make_classification_loss,
)
from jaxdl.recipes.classifier_building import build_classifier
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.fit import Fit, collect_outputs, scalars
from jaxdl.recipes.start_weights import load_start_weights
from jaxdl.recipes.task import Task
from jaxdl.recipes.training import (
    build_plan,
    build_surroundings,
    build_training,
    describe_data,
    run_training,
)
from jaxdl.report import plot_confusion, plot_curves, plot_mistakes
from jaxdl.train import (
    RunFolder,
    StopRequest,
    TrainState,
    init_variables,
    make_evaluation_step,
    read_rows,
    write_environment,
    write_json,
)
from jaxdl.trees import count_parameters
from jaxdl.typing import PRNGKey

Summarise = Callable[[Fit, ClassifierConfig, Classifier, DatasetCard, TrainState], bool]
"""Writes the results of a finished run; False when a stop came before it was done."""


def train_classifier(
    config: ClassifierConfig,
    run: RunFolder,
    stop: StopRequest,
    *,
    resume_name: str | None = None,
    summarise: Summarise | None = None,
    reached: Callable[[], bool] | None = None,
) -> int:
    """Trains or resumes the classifier of a config.

    Args:
      config: the resolved config.
      run: its folder, locked.
      stop: asked after every step.
      resume_name: the `run.name` by which a stopped run is resumed, if it is not the
        name of its folder.
      summarise: writes the results of a finished run, instead of scores and figures.
      reached: see `run_training`.

    Returns:
      The exit status: 0, or 128 + signal after a requested stop.
    """
    mesh, dataset, card = build_surroundings(config, config.augment)
    classifier = build_classifier(config, card)
    plan = build_plan(config, len(dataset.splits["train"]))
    keys = jax.random.split(jax.random.key(config.run.seed))
    variables, origin = _build_variables(config, run, classifier, card, key=keys[0])
    task = build_task(config, classifier, card, separable=set(variables) == {"params"})
    optimizer = build_optimizer(config.optimizer, plan.schedule)
    training = build_training(
        config, plan, task, variables, optimizer, dataset, mesh, key=keys[1]
    )
    if run.is_writer:
        write_json(run.dataset, dataclasses.asdict(card))
        write_environment(run)
        _write_model_table(run, classifier, card)
    count = count_parameters(variables["params"])
    name = f"{config.model.name}: {count:,} parameters ({run.path / 'model.txt'})"
    return run_training(
        config,
        run,
        stop,
        task,
        plan,
        dataset,
        mesh,
        training,
        logged_config=dataclasses.asdict(config),  # pyright: ignore[reportArgumentType]
        notes=[name, describe_data(card), *origin],
        summarise=lambda fit, state: (summarise or _summarise)(
            fit, config, classifier, card, state
        ),
        resume_name=resume_name,
        reached=reached,
    )


def build_task(
    config: ClassifierConfig,
    classifier: Classifier,
    card: DatasetCard,
    *,
    separable: bool,
) -> Task:
    """What a classifier is trained for, and how it is scored.

    Args:
      config: the resolved config.
      classifier: from `build_classifier`.
      card: of the dataset.
      separable: see `Task`.

    Returns:
      See `Task`.
    """
    augment = build_augment(config.augment, image_shape=card.image_shape)
    return Task(
        loss_fn=make_classification_loss(
            classifier,
            augment=augment,
            label_smoothing=config.loss.label_smoothing,
            auxiliary_weight=config.loss.auxiliary_weight,
        ),
        evaluation_step=make_evaluation_step(
            make_classification_evaluation(classifier)
        ),
        empty_totals=init_classification(classifier.num_classes),
        compute=compute_classification,
        activations_fn=make_activations(classifier, augment=augment),
        splits=list_splits(classifier.model),
        separable=separable,
    )


def _build_variables(
    config: ClassifierConfig,
    run: RunFolder,
    classifier: Classifier,
    card: DatasetCard,
    *,
    key: PRNGKey,
) -> tuple[dict[str, Any], list[str]]:
    """The variables before the first step, and what to say about them."""
    check_image_size(classifier.model, card.image_shape)
    variables = init_variables(classifier.model, card.image_shape, key=key)
    # A resumed run has weights of its own; the file may be gone by then.
    if config.weights is None or run.checkpoints.exists():
        return variables, []
    variables, kept = load_start_weights(
        config.weights, variables, model_name=config.model.name
    )
    note = f"starts from {config.weights}"
    return variables, [f"{note}; drawn anew: {', '.join(kept)}" if kept else note]


def _write_model_table(
    run: RunFolder, classifier: Classifier, card: DatasetCard
) -> None:
    images = jnp.zeros((1, *card.image_shape), jnp.float32)
    table = nn.tabulate(  # pyright: ignore[reportPrivateImportUsage]
        classifier.model,
        jax.random.key(0),
        console_kwargs={"width": 160, "force_terminal": False},
    )(images, train=False)
    (run.path / "model.txt").write_text(table)


def _summarise(
    fit: Fit,
    config: ClassifierConfig,
    classifier: Classifier,
    card: DatasetCard,
    state: TrainState,
) -> bool:
    """Scores the test split, draws the figures, writes the summary.

    False when a stop was asked for before it was done.
    """
    last_step = int(state.step)
    best_step = fit.store.best_step()
    best_step = last_step if best_step is None else best_step
    test = fit.dataset.splits["test"]
    outputs, on_outputs = collect_outputs(len(test))
    params, model_state = fit.load_weights(best_step)
    best = fit.score(
        "test", params=params, model_state=model_state, on_outputs=on_outputs
    )
    final = best
    if last_step != best_step:
        params, model_state = fit.load_weights(last_step)
        final = fit.score("test", params=params, model_state=model_state)
    scored = {}
    if config.run.score_train:
        train = fit.score("train", params=params, model_state=model_state)
        scored = {} if train is None else {"train_scored": dict(train[0])}
    if best is None or final is None or fit.stop.requested:
        return False
    if not fit.folder.is_writer:
        return True
    rows = read_rows(fit.folder.metrics)
    variables = {"params": params, **model_state}
    summary = {
        "final": {**fit.results_at(last_step, final[0]), **scored},
        "best": fit.results_at(best_step, best[0]),
        "images_per_second": fit.speed(),
        "parameters": count_parameters(state.params),
        "flops_per_image": count_flops(classifier, variables, card.image_shape),
        "num_steps": last_step,
        "num_examples": card.num_examples,
    }
    path = fit.folder.path
    plot_curves(rows, path / "curves.png")
    plot_confusion(best[1].confusion, card.class_names, path / "confusion.png")
    _plot_worst(test, outputs, card, path / "mistakes.png")
    write_json(fit.folder.summary, summary)
    fit.display.show(last_step, "test", scalars(final[0]))
    if last_step != best_step:
        fit.display.show(best_step, "test (best)", scalars(best[0]))
    return True


def _plot_worst(
    split: Split,
    outputs: dict[str, np.ndarray],
    card: DatasetCard,
    path: Path,
    *,
    count: int = 25,
) -> None:
    """Draws the wrong predictions that the network was surest of."""
    labels = outputs["label"]
    wrong = np.flatnonzero(outputs["prediction"] != labels)
    worst = wrong[np.argsort(-outputs["confidence"][wrong], kind="stable")][:count]
    plot_mistakes(
        split.read(worst)["images"],
        labels[worst],
        outputs["prediction"][worst],
        outputs["confidence"][worst],
        card.class_names,
        path,
    )
