"""The pre-training run: built from a config, trained, watched, summarised."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxdl.data import Split
from jaxdl.losses import (
    barlow_twins_minimum,
    describe_barlow_twins_cost,
)
from jaxdl.metrics import init_classification
from jaxdl.models import list_splits
from jaxdl.recipes.barlow_twins import (
    TwinEncoder,
    TwoViews,
    compute_twins,
    make_twins_evaluation,
    make_twins_loss,
)
from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig
from jaxdl.recipes.fit import Fit, collect_outputs, scalars
from jaxdl.recipes.task import Task
from jaxdl.recipes.training import (
    build_plan,
    build_surroundings,
    build_training,
    describe_data,
    run_training,
)
from jaxdl.recipes.twins_building import (
    build_encoder,
    build_twins_optimizer,
    build_views,
    init_twins,
)
from jaxdl.recipes.twins_watch import make_neighbor_accuracy, make_watch
from jaxdl.report import plot_correlations, plot_twin_curves, plot_views
from jaxdl.train import (
    RunFolder,
    StopRequest,
    TrainState,
    make_evaluation_step,
    read_rows,
    write_environment,
    write_json,
)
from jaxdl.trees import count_parameters

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
        watch=make_watch(config, encoder, two_views, dataset, run, mesh),
        splits=list_splits(encoder.model),
    )
    optimizer = build_twins_optimizer(config, plan)
    training = build_training(
        config, plan, task, variables, optimizer, dataset, mesh, key=keys[1]
    )
    if run.is_writer:
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
            results["best"] = results.get("final")
            continue
        params, model_state = fit.load_weights(step)
        weights = {"params": params, "model_state": model_state}
        outputs, on_outputs = collect_outputs(len(fit.dataset.splits["test"]))
        scored = fit.score("test", **weights, on_outputs=on_outputs)
        if scored is None:
            return False
        accuracy = rank_neighbors(params, model_state, outputs)
        if fit.folder.is_writer:
            test = {**scored[0], "neighbor_accuracy": accuracy}
            results[name] = fit.results_at(step, test)
    if fit.stop.requested:
        return False
    if not fit.folder.is_writer:
        return True
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
