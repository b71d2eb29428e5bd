"""What is measured on held-out images while a network learns without labels."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxdl.data import Dataset, Subset
from jaxdl.losses import (
    barlow_twins_statistics,
    cross_correlation,
)
from jaxdl.metrics import init_classification, neighbor_scores
from jaxdl.recipes.barlow_twins import (
    TwinEncoder,
    TwoViews,
    make_twins_evaluation,
)
from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig
from jaxdl.recipes.fit import collect_outputs
from jaxdl.train import (
    RunFolder,
    evaluate,
    make_evaluation_step,
)

_SHOWN_FEATURES = 64
"""Rows and columns of the correlations that are kept for the figure."""


def make_watch(
    config: BarlowTwinsConfig,
    encoder: TwinEncoder,
    two_views: TwoViews,
    dataset: Dataset,
    run: RunFolder,
    mesh: Mesh,
) -> Callable[..., dict[str, float]]:
    """Measures neighbours and correlations, and keeps the latter for the figure.

    Args:
      config: the resolved config.
      encoder: the network.
      two_views: the augmentation.
      dataset: has the splits `"train"` and `"validation"`.
      run: the folder to keep correlations in.
      mesh: the devices.

    Returns:
      See `Task.watch`.
    """
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
        if run.is_writer:
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
