"""The pre-training run: built from a config, trained, watched, summarised."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxdl.augment import View, make_two_views
from jaxdl.data import Dataset, Split, Subset
from jaxdl.errors import ConfigError
from jaxdl.losses import (
    barlow_twins_minimum,
    barlow_twins_statistics,
    cross_correlation,
    describe_barlow_twins_cost,
)
from jaxdl.metrics import init_classification, neighbor_scores
from jaxdl.models import Projector, TwinNetwork
from jaxdl.optim import sgd
from jaxdl.recipes.barlow_twins import (
    PROBE,
    TwinEncoder,
    TwoViews,
    compute_twins,
    init_probe,
    make_twins_evaluation,
    make_twins_loss,
    split_optimizer,
)
from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig, ViewSection
from jaxdl.recipes.build import (
    build_model,
    build_optimizer,
    check_image_size,
)
from jaxdl.recipes.fit import Fit, Plan, Task, collect_outputs, scalars
from jaxdl.recipes.trained import DatasetCard
from jaxdl.recipes.training import (
    build_plan,
    build_surroundings,
    build_training,
    describe_data,
    run_training,
)
from jaxdl.report import plot_correlations, plot_twin_curves, plot_views
from jaxdl.train import (
    RunFolder,
    StopRequest,
    TrainState,
    evaluate,
    init_variables,
    make_evaluation_step,
    read_rows,
    write_environment,
    write_json,
)
from jaxdl.trees import count_parameters

_SHOWN_FEATURES = 64
"""Rows and columns of the correlations that are kept for the figure."""

_SHOWN_VIEWS = 8
"""Images whose views are drawn."""


def pretrain_barlow_twins(
    config: BarlowTwinsConfig,
    run: RunFolder,
    stop: StopRequest,
    *,
    resume_name: str | None = None,
) -> int:
    """Pre-trains, or resumes pre-training, the network of a config.

    Args:
      config: the resolved config.
      run: its folder, locked.
      stop: asked after every step.
      resume_name: see `run_training`.

    Returns:
      The exit status: 0, or 128 + signal after a requested stop.
    """
    mesh, dataset, card = build_surroundings(config, config.views)
    encoder = build_encoder(config, card)
    two_views = build_views(config, encoder, dataset.image_shape)
    plan = build_plan(config, len(dataset.splits["train"]))
    keys = jax.random.split(jax.random.key(config.run.seed))
    variables = init_twins(encoder, card, key=keys[0])
    task = Task(
        loss_fn=make_twins_loss(
            encoder,
            two_views,
            off_diagonal_weight=config.loss.off_diagonal_weight,
            scale=config.loss.scale,
            route=config.loss.route,
        ),
        evaluation_step=make_evaluation_step(make_twins_evaluation(encoder)),
        empty_totals=init_classification(encoder.num_classes),
        compute=compute_twins,
        best_metric="neighbor_accuracy",
        watch=_make_watch(config, encoder, two_views, dataset, run, mesh),
    )
    optimizer = build_twins_optimizer(config, plan)
    training = build_training(
        config, plan, task, variables, optimizer, dataset, mesh, key=keys[1]
    )
    write_json(run.dataset, dataclasses.asdict(card))
    write_environment(run)
    _plot_views(two_views, dataset.splits["train"], run.path / "views.png")
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
        notes=[
            *_describe_network(config, variables),
            describe_data(card),
            _describe_loss(config, mesh),
        ],
        summarise=lambda fit, state: _summarise(fit, config, encoder, state),
        resume_name=resume_name,
    )


def build_encoder(config: BarlowTwinsConfig, card: DatasetCard) -> TwinEncoder:
    """The network of a config with the preparation of its dataset.

    Args:
      config: the resolved config.
      card: of the dataset.

    Returns:
      The backbone without a head, the projector, and what views are like.

    Raises:
      ConfigError: the views are larger than the images, or too small for the network.
    """
    side = min(card.image_shape[:2])
    size = config.views.size or side
    if size > side:
        raise ConfigError(
            f"views.size={size} is above the side of the images, {side}; see "
            "data.image_size"
        )
    backbone = build_model(config.model, num_classes=0)
    check_image_size(backbone, (size, size, card.image_shape[2]))
    projector = Projector(
        widths=config.projector.widths,
        use_bias=config.projector.use_bias,
        dtype=jnp.dtype(config.model.dtype),
    )
    return TwinEncoder(
        model=TwinNetwork(backbone=backbone, projector=projector),
        num_classes=len(card.class_names),
        size=size,
        mean=card.mean,
        std=card.std,
    )


def build_views(
    config: BarlowTwinsConfig, encoder: TwinEncoder, image_shape: tuple[int, int, int]
) -> TwoViews:
    """The augmentation of a config.

    Args:
      config: the resolved config.
      encoder: tells the size of views.
      image_shape: height, width, channels of stored images.

    Returns:
      See `jaxdl.augment.make_two_views`.

    Raises:
      ConfigError: steps that change colours, for images without them.
    """
    sections = {"first": config.views.first, "second": config.views.second}
    if image_shape[2] != 3:
        for name, section in sections.items():
            _refuse_colours(name, section, image_shape[2])
    views = [
        View(**dataclasses.asdict(section))  # pyright: ignore[reportArgumentType]
        for section in sections.values()
    ]
    return make_two_views((views[0], views[1]), size=encoder.size)


def init_twins(encoder: TwinEncoder, card: DatasetCard, *, key: Any) -> dict[str, Any]:
    """The variables before the first step: of the network and of its probe.

    Args:
      encoder: the network.
      card: of the dataset.
      key: seeds the initialisers.

    Returns:
      The variable collections.
    """
    shape = (encoder.size, encoder.size, card.image_shape[2])
    variables = init_variables(encoder.model, shape, key=key)
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    features, _ = jax.eval_shape(
        lambda v, x: encoder.model.apply(v, x, train=False), variables, images
    )
    probe = init_probe(features.shape[1], encoder.num_classes)
    return {**variables, "params": {**variables["params"], PROBE: probe}}


def build_twins_optimizer(config: BarlowTwinsConfig, plan: Plan) -> Any:
    """The config's optimiser for the network, plain descent for its probe.

    Args:
      config: the resolved config.
      plan: tells the schedule, which the probe follows in proportion.

    Returns:
      An optax transformation of all parameters.
    """
    share = config.monitor.probe_learning_rate / config.optimizer.learning_rate
    return split_optimizer(
        build_optimizer(config.optimizer, plan.schedule),
        sgd(lambda step: plan.schedule(step) * share, nesterov=False),  # pyright: ignore[reportArgumentType]
    )


def _refuse_colours(name: str, section: ViewSection, channels: int) -> None:
    jitters = section.jitter_probability > 0
    for option, is_set in (
        ("saturation", jitters and section.saturation > 0),
        ("hue", jitters and section.hue > 0),
        ("grayscale_probability", section.grayscale_probability > 0),
    ):
        if is_set:
            raise ConfigError(
                f"views.{name}.{option}: the images have {channels} channel"
                f"{'s' * (channels > 1)}, no colours to change; wanted 0"
            )


def _describe_network(config: BarlowTwinsConfig, variables: Any) -> list[str]:
    counts = {
        name: count_parameters(tree) for name, tree in variables["params"].items()
    }
    return [
        f"{config.model.name}: {counts['backbone']:,} parameters; projector: "
        f"{counts['projector']:,}, embeddings of {config.projector.widths[-1]:,}"
    ]


def _describe_loss(config: BarlowTwinsConfig, mesh: Mesh) -> str:
    """How the loss is computed, what travels for it, and what it can't go below."""
    rows = config.data.batch_size // config.optimizer.accumulate
    width = config.projector.widths[-1]
    cost = describe_barlow_twins_cost(rows, width, num_devices=mesh.shape["data"])
    route = cost.route if config.loss.route == "auto" else config.loss.route
    moved = f", {cost.collective} of {cost.bytes:,} bytes" if cost.bytes else ""
    return (
        f"loss: {rows} x {width} embeddings by the {route} route{moved}; at least "
        f"{_find_minimum(config):.4g}"
    )


def _plot_views(two_views: TwoViews, split: Split, path: Path) -> None:
    images = split.read(np.arange(min(_SHOWN_VIEWS, len(split))))["images"]
    first, second = two_views(jnp.asarray(images), key=jax.random.key(0))
    plot_views(images, np.asarray(first), np.asarray(second), path)


def _make_watch(
    config: BarlowTwinsConfig,
    encoder: TwinEncoder,
    two_views: TwoViews,
    dataset: Dataset,
    run: RunFolder,
    mesh: Mesh,
) -> Callable[..., dict[str, float]]:
    """Measures neighbours and correlations, and keeps the latter for the figure."""
    validation = dataset.splits["validation"]
    count = min(config.monitor.batch_size, len(validation))
    images = validation.read(np.arange(count))["images"]
    rank_neighbors = make_neighbor_accuracy(config, encoder, dataset, mesh)

    @jax.jit
    def measure(params, model_state, images):
        views = two_views(images, key=jax.random.key(config.run.seed))
        first, second = (
            encoder.apply(params, model_state, encoder.normalize(view))[1]
            for view in views
        )
        weight = config.loss.off_diagonal_weight
        shown = [rows[:, :_SHOWN_FEATURES] for rows in (first, second)]
        return (
            barlow_twins_statistics(first, second, off_diagonal_weight=weight),
            cross_correlation(*shown),
        )

    def watch(step, params, model_state, outputs):
        found, correlations = measure(params, model_state, images)
        folder = run.path / "correlations"
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{step:08d}.npy", np.asarray(correlations))
        return {
            "neighbor_accuracy": rank_neighbors(params, model_state, outputs),
            "mean_correlation": float(found.mean_correlation),
            "effective_rank": float(found.effective_rank),
        }

    return watch


def make_neighbor_accuracy(
    config: BarlowTwinsConfig, encoder: TwinEncoder, dataset: Dataset, mesh: Mesh
) -> Callable[..., float]:
    """Share of images that their nearest training images classify rightly.

    Args:
      config: tells the neighbours and the images to look for them in, which are
        spread evenly over the train split.
      encoder: the network.
      dataset: has the split `"train"`.
      mesh: the devices.

    Returns:
      `accuracy(params, model_state, outputs)`, where outputs are the `"features"` and
      `"label"` of the images to classify.
    """
    monitor, train = config.monitor, dataset.splits["train"]
    count = min(monitor.bank_images, len(train))
    places = np.linspace(0, len(train) - 1, count).round().astype(np.int64)
    bank = Subset(train, places)
    step = make_evaluation_step(make_twins_evaluation(encoder))
    empty = init_classification(encoder.num_classes)
    score = jax.jit(
        functools.partial(
            neighbor_scores,
            num_classes=encoder.num_classes,
            num_neighbors=monitor.num_neighbors,
            temperature=monitor.temperature,
        )
    )

    def accuracy(params: Any, model_state: Any, outputs: Any) -> float:
        known, on_outputs = collect_outputs(len(bank))
        evaluate(
            step,
            empty,
            params,
            model_state,
            bank,
            mesh=mesh,
            batch_size=config.data.eval_batch_size,
            num_workers=max(1, config.data.num_workers),
            on_outputs=on_outputs,
        )
        scores = score(outputs["features"], known["features"], known["label"])
        return float(np.mean(np.argmax(scores, axis=1) == outputs["label"]))

    return accuracy


def _summarise(
    fit: Fit, config: BarlowTwinsConfig, encoder: TwinEncoder, state: TrainState
) -> bool:
    """Scores the test split, draws the figures, writes the summary.

    False when a stop was asked for before it was done.
    """
    last_step, best_step = int(state.step), fit.store.best_step()
    best_step = last_step if best_step is None else best_step
    rank_neighbors = make_neighbor_accuracy(config, encoder, fit.dataset, fit.mesh)
    results = {}
    for name, step in (("final", last_step), ("best", best_step)):
        if name == "best" and best_step == last_step:
            results[name] = results["final"]
            continue
        params, model_state = fit.load_weights(step)
        weights = {"params": params, "model_state": model_state}
        outputs, on_outputs = collect_outputs(len(fit.dataset.splits["test"]))
        scored = fit.score("test", **weights, on_outputs=on_outputs)
        if scored is None:
            return False
        accuracy = rank_neighbors(params, model_state, outputs)
        test = {**scored[0], "neighbor_accuracy": accuracy}
        results[name] = fit.results_at(step, test)
    if fit.stop.requested:
        return False
    lowest = _find_minimum(config)
    rows = read_rows(fit.folder.metrics)
    plot_twin_curves(rows, fit.folder.path / "curves.png", minimum=lowest)
    _plot_correlations(fit.folder.path)
    counts = {name: count_parameters(tree) for name, tree in state.params.items()}
    summary = {
        **results,
        "loss_minimum": lowest,
        "images_per_second": fit.speed(),
        "parameters": counts,
        "num_steps": last_step,
        "num_examples": {n: len(split) for n, split in fit.dataset.splits.items()},
    }
    write_json(fit.folder.summary, summary)
    fit.display.show(last_step, "test", scalars(results["final"]["test"]))
    return True


def _find_minimum(config: BarlowTwinsConfig) -> float:
    """The least that the loss of a batch, or of one of its parts, can be."""
    return barlow_twins_minimum(
        config.data.batch_size // config.optimizer.accumulate,
        config.projector.widths[-1],
        off_diagonal_weight=config.loss.off_diagonal_weight,
    )


def _plot_correlations(folder: Path) -> None:
    files = sorted((folder / "correlations").glob("*.npy"))
    steps, matrices = [int(f.stem) for f in files], [np.load(f) for f in files]
    plot_correlations(steps, matrices, folder / "correlations.png")
