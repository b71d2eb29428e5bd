"""The classifier run: built from a config, trained, summarised."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from jaxdl.data import ArraySplit, Dataset, Split
from jaxdl.metrics import compute_classification, init_classification
from jaxdl.parallel import tree_shardings
from jaxdl.recipes.build import (
    build_augment,
    build_channel_statistics,
    build_dataset,
    build_mesh,
    build_optimizer,
    build_schedule,
    build_steps,
    check_batch_size,
    check_image_size,
)
from jaxdl.recipes.classification import (
    Classifier,
    count_flops,
    make_activations,
    make_classification_evaluation,
    make_classification_loss,
)
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.fit import Fit, Plan, Task, collect_outputs, scalars
from jaxdl.recipes.start_weights import load_start_weights
from jaxdl.recipes.trained import DatasetCard, build_classifier
from jaxdl.report import plot_confusion, plot_curves, plot_mistakes
from jaxdl.train import (
    Advance,
    Intervals,
    RunFolder,
    StopRequest,
    TrainState,
    init_train_state,
    init_variables,
    make_evaluation_step,
    make_resident_advance,
    make_streamed_advance,
    make_train_step,
    read_rows,
    write_environment,
    write_json,
)
from jaxdl.trees import count_parameters
from jaxdl.typing import PRNGKey

_SCAN_STEPS = 32
"""Steps per dispatch on accelerators: hides the dispatch, still stops soon."""


def train_classifier(
    config: ClassifierConfig,
    run: RunFolder,
    stop: StopRequest,
    *,
    resume_name: str | None = None,
) -> int:
    """Trains or resumes the classifier of a config.

    Args:
      config: the resolved config.
      run: its folder, locked.
      stop: asked after every step.
      resume_name: the `run.name` by which a stopped run is resumed, if it is not the
        name of its folder.

    Returns:
      The exit status: 0, or 128 + signal after a requested stop.
    """
    if config.run.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", config.run.compilation_cache)
    mesh = build_mesh(config.mesh)
    check_batch_size(
        config.data.batch_size, accumulate=config.optimizer.accumulate, mesh=mesh
    )
    dataset = build_dataset(config.data)
    mean, std = build_channel_statistics(config.augment, dataset)
    card = DatasetCard(
        name=dataset.name,
        class_names=dataset.class_names,
        image_shape=dataset.image_shape,
        mean=mean,
        std=std,
        num_examples={name: len(split) for name, split in dataset.splits.items()},
    )
    classifier = build_classifier(config, card)
    plan = _build_plan(config, len(dataset.splits["train"]))
    task = _build_task(config, classifier, card)
    keys = jax.random.split(jax.random.key(config.run.seed))
    variables, note = _build_variables(config, run, classifier, card, key=keys[0])
    state, advance = _build_training(
        config, plan, task, variables, dataset, mesh, key=keys[1]
    )
    write_json(run.dataset, dataclasses.asdict(card))
    write_environment(run)
    _write_model_table(run, classifier, card)
    with Fit(
        run, task, plan, dataset, mesh, state, keep_last=config.run.keep_last, stop=stop
    ) as fit:
        fit.add_loggers(
            tensorboard=config.run.tensorboard,
            wandb=config.run.wandb,
            config=dataclasses.asdict(config),  # pyright: ignore[reportArgumentType]
        )
        _announce(fit, config, card, mesh)
        if note:
            fit.display.say(note)
        state = fit.run(advance)
        finished = int(state.step) == plan.num_steps and not stop.requested
        if finished:
            finished = _summarise(fit, config, classifier, card, state)
    if not finished:
        step = int(state.step)
        saved = f"after step {step} of {plan.num_steps}; saved" * bool(step)
        fit.display.say(
            f"stopped {saved or 'before the first step'}. "
            "Continue with the same command and "
            f"run.name={resume_name or run.path.name} --resume"
        )
    fit.display.say(f"run folder: {run.path}")
    return stop.exit_status


def _build_plan(config: ClassifierConfig, num_examples: int) -> Plan:
    sizes = {"num_examples": num_examples, "batch_size": config.data.batch_size}
    schedule, num_steps = build_schedule(config.schedule, config.optimizer, **sizes)
    scan_steps = config.run.scan_steps
    if not scan_steps:
        scan_steps = 1 if jax.default_backend() == "cpu" else _SCAN_STEPS
    return Plan(
        num_steps=num_steps,
        intervals=Intervals(
            log=build_steps(config.run.log_every, **sizes),
            evaluate=build_steps(config.run.evaluate_every, **sizes),
            checkpoint=build_steps(config.run.checkpoint_every, **sizes),
        ),
        batch_size=config.data.batch_size,
        eval_batch_size=config.data.eval_batch_size,
        accumulate=config.optimizer.accumulate,
        max_steps=scan_steps,
        num_workers=max(1, config.data.num_workers),
        schedule=schedule,
        seed=config.run.seed,
    )


def _build_task(
    config: ClassifierConfig, classifier: Classifier, card: DatasetCard
) -> Task:
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
    )


def _build_variables(
    config: ClassifierConfig,
    run: RunFolder,
    classifier: Classifier,
    card: DatasetCard,
    *,
    key: PRNGKey,
) -> tuple[dict[str, Any], str | None]:
    """The variables before the first step, and what to say about them."""
    check_image_size(classifier.model, card.image_shape)
    variables = init_variables(classifier.model, card.image_shape, key=key)
    # A resumed run has weights of its own; the file may be gone by then.
    if config.weights is None or run.checkpoints.exists():
        return variables, None
    variables, kept = load_start_weights(
        config.weights, variables, model_name=config.model.name
    )
    note = f"starts from {config.weights}"
    return variables, f"{note}; drawn anew: {', '.join(kept)}" if kept else note


def _build_training(
    config: ClassifierConfig,
    plan: Plan,
    task: Task,
    variables: dict[str, Any],
    dataset: Dataset,
    mesh: Mesh,
    *,
    key: PRNGKey,
) -> tuple[TrainState, Advance]:
    train_split = dataset.splits["train"]
    optimizer = build_optimizer(config.optimizer, plan.schedule)
    batch = {
        "images": jax.ShapeDtypeStruct(
            (plan.batch_size, *dataset.image_shape), np.uint8
        ),
        "labels": jax.ShapeDtypeStruct((plan.batch_size,), np.int32),
    }
    state = init_train_state(
        variables,
        task.loss_fn,
        optimizer,
        batch,
        ema=config.optimizer.ema_decay is not None,
        key=key,
    )
    shardings = tree_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    step = make_train_step(
        task.loss_fn,
        optimizer,
        accumulate=plan.accumulate,
        ema_decay=config.optimizer.ema_decay,
        state_shardings=shardings,
    )
    if isinstance(train_split, ArraySplit):
        advance = make_resident_advance(
            step,
            train_split,
            mesh=mesh,
            batch_size=plan.batch_size,
            max_steps=plan.max_steps,
            state_shardings=shardings,
            seed=plan.seed,
        )
    else:
        advance = make_streamed_advance(
            step,
            train_split,
            mesh=mesh,
            batch_size=plan.batch_size,
            last_step=plan.num_steps,
            num_workers=plan.num_workers,
            prefetch=config.data.prefetch,
            seed=plan.seed,
        )
    return state, advance


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


def _announce(
    fit: Fit, config: ClassifierConfig, card: DatasetCard, mesh: Mesh
) -> None:
    devices = mesh.devices.ravel()
    sizes = ", ".join(f"{name} {n}" for name, n in card.num_examples.items())
    count = count_parameters(fit.state.params)
    fit.display.say(
        f"{config.model.name}: {count:,} parameters ({fit.folder.path / 'model.txt'})"
    )
    fit.display.say(
        f"{card.name}: {sizes}; {len(card.class_names)} classes, "
        f"images {'x'.join(map(str, card.image_shape))}"
    )
    fit.display.say(
        f"devices: {len(devices)} x {devices[0].device_kind} "
        f"(data {mesh.shape['data']}, model {mesh.shape['model']}); "
        f"train split {'on the device' if _is_resident(fit.dataset) else 'streamed'}"
    )
    for warning in fit.warnings:
        fit.display.say(f"warning: {warning}")
    if fit.first_step:
        fit.display.say(f"resumed after step {fit.first_step} of {fit.plan.num_steps}")


def _is_resident(dataset: Dataset) -> bool:
    return isinstance(dataset.splits["train"], ArraySplit)


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
    rows = read_rows(fit.folder.metrics)
    variables = {"params": params, **model_state}
    summary = {
        "final": {**_results(fit, rows, last_step, final[0]), **scored},
        "best": _results(fit, rows, best_step, best[0]),
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


def _results(fit: Fit, rows: list[dict], step: int, test: Any) -> dict[str, Any]:
    by_split = {
        name: [r for r in rows if r["split"] == name and r["step"] == step]
        for name in ("train", "validation")
    }
    results: dict[str, Any] = {
        name: scalars(found[-1]) for name, found in by_split.items() if found
    }
    return {
        "step": step,
        "seconds": fit.seconds_at(step),
        **results,
        "test": dict(test),
    }


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
