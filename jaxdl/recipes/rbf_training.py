"""The run of a classifier with a radial basis function head."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax

from jaxdl.models import list_splits
from jaxdl.recipes.build import build_augment
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.classifier_building import build_classifier
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.fit import Fit
from jaxdl.recipes.rbf import (
    RBFPenalties,
    compute_rbf,
    init_rbf_totals,
    make_rbf_evaluation,
    make_rbf_loss,
)
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.rbf_report import write_rbf_report
from jaxdl.recipes.rbf_snapshots import make_embedding_watch, watch_start
from jaxdl.recipes.rbf_start import build_rbf_optimizer, place_start
from jaxdl.recipes.rbf_unknown import load_unknown
from jaxdl.recipes.start_weights import load_start_weights
from jaxdl.recipes.task import Task
from jaxdl.recipes.training import (
    build_plan,
    build_surroundings,
    build_training,
    describe_data,
    run_training,
)
from jaxdl.train import (
    RunFolder,
    StopRequest,
    TrainState,
    init_variables,
    make_evaluation_step,
    write_environment,
    write_json,
)
from jaxdl.trees import count_parameters
from jaxdl.typing import PRNGKey

Summarise = Callable[[Fit, RBFConfig, Classifier, DatasetCard, TrainState], bool]
"""Writes the results of a finished run; False when a stop came before it was done."""


def train_rbf(
    config: RBFConfig,
    run: RunFolder,
    stop: StopRequest,
    *,
    resume_name: str | None = None,
    summarise: Summarise | None = None,
) -> int:
    """Trains or resumes the network of a config.

    Args:
      config: the resolved config.
      run: its folder, locked.
      stop: asked after every step.
      resume_name: see `run_training`.
      summarise: writes the results of a finished run instead of the report. Embeddings
        are kept along the way for the report alone.

    Returns:
      The exit status: 0, or 128 + signal after a requested stop.
    """
    mesh, dataset, card = build_surroundings(config, config.augment)
    # Before the training: hours later would be late to hear of a wrong path.
    unknown = load_unknown(config.unknown, card.image_shape)
    report = functools.partial(write_rbf_report, unknown=unknown)
    classifier = build_classifier(config, card)
    plan = build_plan(config, len(dataset.splits["train"]))
    keys = jax.random.split(jax.random.key(config.run.seed), 3)
    variables, notes = _build_variables(config, run, classifier, card, key=keys[0])
    if not run.checkpoints.exists():
        variables = place_start(
            config, classifier, variables, dataset, mesh, plan, stop, key=keys[2]
        )
    watch = make_embedding_watch(classifier, run) if summarise is None else None
    task = _build_task(config, classifier, card, watch)
    optimizer = build_rbf_optimizer(config, plan)
    training = build_training(
        config, plan, task, variables, optimizer, dataset, mesh, key=keys[1]
    )
    if watch is not None and not run.checkpoints.exists():
        split = dataset.splits["validation"]
        watch_start(task, training[0], split, plan, stop, mesh=mesh)
    write_json(run.dataset, dataclasses.asdict(card))
    write_environment(run)
    count = count_parameters(variables["params"])
    head = config.head
    name = (
        f"{config.model.name}: {count:,} parameters, {head.num_centers} centres in "
        f"{head.embedding_size} directions, metric {head.metric}, kernel {head.kernel}"
    )
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
        notes=[name, describe_data(card), *notes],
        summarise=lambda fit, state: (summarise or report)(
            fit, config, classifier, card, state
        ),
        resume_name=resume_name,
    )


def _build_variables(
    config: RBFConfig,
    run: RunFolder,
    classifier: Classifier,
    card: DatasetCard,
    *,
    key: PRNGKey,
) -> tuple[dict[str, Any], list[str]]:
    """The variables as drawn, the backbone's from a file where one is named."""
    variables = init_variables(classifier.model, card.image_shape, key=key)
    # A resumed run has weights of its own; the file may be gone by then.
    if config.weights is None or run.checkpoints.exists():
        return variables, []
    backbone = {name: tree["backbone"] for name, tree in variables.items()}
    loaded, _ = load_start_weights(
        config.weights, backbone, model_name=config.model.name
    )
    variables = {
        name: {**tree, "backbone": loaded[name]} for name, tree in variables.items()
    }
    return variables, [f"the backbone starts from {config.weights}"]


def _build_task(
    config: RBFConfig,
    classifier: Classifier,
    card: DatasetCard,
    watch: Callable[..., Any] | None,
) -> Task:
    loss = config.loss
    penalties = RBFPenalties(
        center_repulsion=loss.center_repulsion,
        width_prior=loss.width_prior,
        assignment_imbalance=loss.assignment_imbalance,
        metric_decay=loss.metric_decay,
    )
    return Task(
        loss_fn=make_rbf_loss(
            classifier,
            augment=build_augment(config.augment, image_shape=card.image_shape),
            label_smoothing=loss.label_smoothing,
            cluster_weight=loss.cluster_weight,
            embedding_mixup=loss.embedding_mixup,
            penalties=penalties,
        ),
        evaluation_step=make_evaluation_step(make_rbf_evaluation(classifier)),
        empty_totals=init_rbf_totals(classifier.num_classes),
        compute=compute_rbf,
        watch=watch,
        splits=list_splits(classifier.model),
    )
