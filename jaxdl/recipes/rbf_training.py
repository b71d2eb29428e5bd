"""The run of a classifier with a radial basis function head."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from jaxdl.data import Dataset
from jaxdl.durations import duration_steps, parse_duration
from jaxdl.errors import ConfigError, NonFiniteError
from jaxdl.layers import RBFHead
from jaxdl.models import RBFNetwork, list_splits
from jaxdl.rbf import choose_widths, find_centers, place_centers
from jaxdl.recipes.build import (
    build_augment,
    build_model,
    build_optimizer,
    check_image_size,
)
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.fit import Fit, collect_outputs
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
from jaxdl.recipes.rbf_unknown import load_unknown
from jaxdl.recipes.start_weights import load_start_weights
from jaxdl.recipes.task import Plan, Task
from jaxdl.recipes.trained import DatasetCard
from jaxdl.recipes.training import (
    build_plan,
    build_surroundings,
    build_training,
    describe_data,
    run_training,
)
from jaxdl.train import (
    ProgressDisplay,
    RunFolder,
    StopRequest,
    TrainState,
    evaluate,
    init_variables,
    make_evaluation_step,
    write_environment,
    write_json,
)
from jaxdl.trees import count_parameters
from jaxdl.typing import PRNGKey

_EMBEDDING_KEYS = ("embeddings", "label")

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
    classifier = build_rbf_classifier(config, card)
    plan = build_plan(config, len(dataset.splits["train"]))
    keys = jax.random.split(jax.random.key(config.run.seed), 3)
    variables, notes = _build_variables(config, run, classifier, card, key=keys[0])
    if not run.checkpoints.exists():
        variables = _place_start(
            config, classifier, variables, dataset, mesh, plan, stop, key=keys[2]
        )
    watch = make_embedding_watch(classifier, run) if summarise is None else None
    task = _build_task(config, classifier, card, watch)
    optimizer = _build_optimizer(config, plan)
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


def build_rbf_classifier(config: RBFConfig, card: DatasetCard) -> Classifier:
    """The network of a config with the preparation of its dataset.

    Args:
      config: the resolved config.
      card: of the dataset.

    Returns:
      A classifier whose model is an `RBFNetwork`.

    Raises:
      ConfigError: the images are too small for the network.
    """
    backbone = build_model(config.model, num_classes=0)
    check_image_size(backbone, card.image_shape)
    head = RBFHead(
        num_centers=config.head.num_centers,
        num_classes=len(card.class_names),
        embedding_size=config.head.embedding_size,
        metric=config.head.metric,
        per_center_metric=config.head.per_center_metric,
        kernel=config.head.kernel,
        nonnegative=config.head.nonnegative,
        dropout_rate=config.loss.activation_dropout,
    )
    return Classifier(
        model=RBFNetwork(backbone, head, is_frozen=config.head.freeze_backbone),
        num_classes=len(card.class_names),
        mean=card.mean,
        std=card.std,
    )


def count_warm_steps(config: RBFConfig, num_examples: int) -> int:
    """Steps of plain training before centres are looked for.

    Args:
      config: the resolved config.
      num_examples: of the train split.

    Returns:
      0 without a warm start.
    """
    if config.centers.warm_start is None:
        return 0
    return duration_steps(
        parse_duration(config.centers.warm_start),
        num_examples=num_examples,
        batch_size=config.data.batch_size,
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


def _place_start(
    config: RBFConfig,
    classifier: Classifier,
    variables: dict[str, Any],
    dataset: Dataset,
    mesh: Mesh,
    plan: Plan,
    stop: StopRequest,
    *,
    key: PRNGKey,
) -> dict[str, Any]:
    """Warms the network up, and puts centres where its embeddings are."""
    keys = jax.random.split(key, 3)
    variables = _warm_up(
        config, classifier, variables, dataset, mesh, plan, stop, key=keys[0]
    )
    if config.centers.method == "drawn" or stop.requested:
        return variables
    split = dataset.splits["train"]
    outputs, on_outputs = collect_outputs(len(split))
    totals = evaluate(
        make_evaluation_step(make_rbf_evaluation(classifier)),
        init_rbf_totals(classifier.num_classes),
        variables["params"],
        {name: tree for name, tree in variables.items() if name != "params"},
        split,
        mesh=mesh,
        batch_size=plan.eval_batch_size,
        num_workers=plan.num_workers,
        should_stop=lambda: stop.requested,
        on_outputs=lambda indices, rows: on_outputs(
            indices, {name: rows[name] for name in _EMBEDDING_KEYS}
        ),
    )
    if totals is None:
        return variables
    count = min(config.centers.num_examples, len(split))
    rows = np.random.default_rng(config.run.seed).choice(len(split), count, False)
    try:
        found = find_centers(
            jnp.asarray(outputs["embeddings"][rows]),
            config.head.num_centers,
            method="random" if config.centers.method == "random" else "kmeans",
            labels=jnp.asarray(outputs["label"][rows]),
            per_class=config.centers.method == "class_kmeans",
            key=keys[1],
        )
    except ValueError as error:
        raise ConfigError(f"head.num_centers: {error}") from None
    widths = choose_widths(found.points) if config.centers.set_widths else None
    params = variables["params"]
    head = place_centers(
        classifier.model.head, params["head"], found.points, widths=widths
    )
    return {**variables, "params": {**params, "head": head}}


def _warm_up(
    config: RBFConfig,
    classifier: Classifier,
    variables: dict[str, Any],
    dataset: Dataset,
    mesh: Mesh,
    plan: Plan,
    stop: StopRequest,
    *,
    key: PRNGKey,
) -> dict[str, Any]:
    """Trains on images as they are, by the classes alone, at a constant rate."""
    num_steps = count_warm_steps(config, len(dataset.splits["train"]))
    if not num_steps:
        return variables
    task = Task(
        loss_fn=make_rbf_loss(classifier),
        evaluation_step=lambda *_: None,
        empty_totals=None,
        compute=compute_rbf,
        splits=list_splits(classifier.model),
    )
    rate = config.optimizer.learning_rate
    warm = dataclasses.replace(
        plan, num_steps=num_steps, max_steps=1, schedule=lambda step: rate
    )
    state, advance = build_training(
        config,
        warm,
        task,
        variables,
        _build_optimizer(config, warm),
        dataset,
        mesh,
        key=key,
    )
    display = ProgressDisplay(
        num_steps=num_steps,
        first_step=0,
        examples_per_step=plan.batch_size,
        steps_per_epoch=len(dataset.splits["train"]) / plan.batch_size,
    )
    display.say(f"warm start: {num_steps} steps, then centres are looked for")
    with display:
        for step in range(num_steps):
            if stop.requested:
                break
            state = advance(state, step, 1)
            display.advance(step + 1)
    if not bool(state.finite):
        raise NonFiniteError(
            f"centers.warm_start: a step of the first {num_steps} is not finite; lower "
            "optimizer.learning_rate, set optimizer.clip_norm or look at the data"
        )
    return {"params": state.params, **state.model_state}


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


def _build_optimizer(config: RBFConfig, plan: Plan) -> optax.GradientTransformation:
    """The config's optimiser; a frozen backbone is left alone, decay included."""
    optimizer = build_optimizer(config.optimizer, plan.schedule)
    if not config.head.freeze_backbone:
        return optimizer
    return optax.partition(
        {"head": optimizer, "backbone": optax.set_to_zero()},
        lambda params: {name: name for name in params},
    )
