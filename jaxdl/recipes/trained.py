"""A trained classifier, opened again from its run folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxdl.data import Dataset, decode_image
from jaxdl.errors import CheckpointError, DataError
from jaxdl.metrics import compute_classification, init_classification
from jaxdl.models import RBFNetwork
from jaxdl.parallel import tree_shardings
from jaxdl.recipes.build import build_dataset
from jaxdl.recipes.classification import Classifier, make_classification_evaluation
from jaxdl.recipes.classifier_building import build_classifier
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.dataset_card import DatasetCard, read_card
from jaxdl.recipes.fit import scalars, weights_to_score
from jaxdl.recipes.rbf import (
    compute_rbf,
    init_rbf_totals,
    make_nearest_prediction,
    make_rbf_evaluation,
)
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.source_run import read_classifier_config
from jaxdl.train import (
    CheckpointStore,
    RunFolder,
    abstract_tree,
    evaluate,
    make_evaluation_step,
)


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier with its weights, as one checkpoint holds them.

    Attributes:
      classifier: the network and its preparation.
      card: what it must know of its data.
      config: how it was trained.
      params: the parameters to score: the averaged ones, if an average was kept.
      model_state: running statistics.
      step: the step they were saved after, None if unknown.
      origin: where they are from, for messages.
    """

    classifier: Classifier
    card: DatasetCard
    config: ClassifierConfig | RBFConfig
    params: Any
    model_state: Any
    step: int | None
    origin: str


def classifier_shapes(classifier: Classifier, card: DatasetCard) -> dict[str, Any]:
    """The shapes of a classifier's variables by collection; computes nothing."""
    return jax.eval_shape(
        lambda key, images: dict(classifier.model.init(key, images, train=False)),
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, *card.image_shape), np.float32),
    )


def load_classifier(
    path: Path | str, mesh: Mesh, *, checkpoint: str | int = "best"
) -> TrainedClassifier:
    """A trained classifier from its run folder.

    Args:
      path: the run folder, of a classifier with any head.
      mesh: where to put the weights; any number of devices.
      checkpoint: `"best"`, `"last"` or a step.

    Returns:
      The classifier with its weights on the mesh.

    Raises:
      ConfigError: the path is not the run folder of a classifier.
      CheckpointError: it has no such checkpoint, or it is damaged.
    """
    run = RunFolder(Path(path).resolve())
    config = read_classifier_config(run.path)
    card = read_card(run)
    classifier = build_classifier(config, card)
    shapes = classifier_shapes(classifier, card)
    has_average = config.optimizer.ema_decay is not None
    params, model_state, step = restore_weights(
        run, shapes, mesh, checkpoint=checkpoint, has_average=has_average
    )
    return TrainedClassifier(
        classifier=classifier,
        card=card,
        config=config,
        params=params,
        model_state=model_state,
        step=step,
        origin=f"step {step}",
    )


def restore_weights(
    run: RunFolder,
    shapes: dict[str, Any],
    mesh: Mesh,
    *,
    checkpoint: str | int,
    has_average: bool,
    best_metric: str = "accuracy",
) -> tuple[Any, Any, int]:
    """The weights to score of a checkpoint.

    Args:
      run: the run folder.
      shapes: of the network's variables, by collection.
      mesh: where to put the weights; any number of devices.
      checkpoint: `"best"`, `"last"` or a step.
      has_average: whether the run kept averaged parameters, which are then taken.
      best_metric: the number by which one is best.

    Returns:
      Parameters, the other collections, and the step they were saved after.

    Raises:
      CheckpointError: there is no such checkpoint, or it is damaged.
    """
    model_state = dict(shapes)
    params = model_state.pop("params")
    weights = {"params": params, "model_state": model_state}
    if has_average:
        weights["ema_params"] = params
    target = abstract_tree(weights, tree_shardings(weights, mesh))
    warnings: list[str] = []
    with CheckpointStore(
        run.checkpoints, best_metric=best_metric, on_warning=warnings.append
    ) as store:
        step = checkpoint if isinstance(checkpoint, int) else None
        if checkpoint == "best":
            step = store.best_step()
        if step is not None and step not in store.steps():
            raise CheckpointError(
                f"{store.folder}: no checkpoint of step {step}; "
                f"there are {', '.join(map(str, store.steps())) or 'none'}"
            )
        restored = store.restore({"weights": target}, step=step)
    for warning in warnings:
        Console(stderr=True).print(
            f"jaxdl: {warning}", highlight=False, markup=False, soft_wrap=True
        )
    if restored is None:
        raise CheckpointError(f"{store.folder}: holds no checkpoint")
    return *weights_to_score(restored.items["weights"]), restored.step


def evaluate_run(
    trained: TrainedClassifier,
    mesh: Mesh,
    *,
    split: str,
    batch_size: int,
    dataset: Dataset | None = None,
) -> dict[str, Any]:
    """Scores a split of the data that a classifier was trained on, and prints it.

    Args:
      trained: from `load_classifier`, on the same mesh.
      mesh: the devices.
      split: `"train"`, `"validation"` or `"test"`.
      batch_size: examples per step; does not change the result.
      dataset: that of the classifier's config, if it is built already.

    Returns:
      The numbers by name, and the step of the weights.

    Raises:
      DataError: the data can't be read, or have other classes or another image shape
        than those the classifier was trained on.
    """
    config = trained.config
    if dataset is None:
        dataset = build_dataset(config.data)
    _check_same_task(dataset, trained.card)
    make, init, compute = _choose_scoring(trained.classifier)
    totals = evaluate(
        make_evaluation_step(make(trained.classifier)),
        init(trained.classifier.num_classes),
        trained.params,
        trained.model_state,
        dataset.splits[split],
        mesh=mesh,
        batch_size=batch_size,
        num_workers=max(1, config.data.num_workers),
    )
    numbers = compute(jax.device_get(totals))
    console = Console()
    examples = len(dataset.splits[split])
    console.print(
        f"{split} split of {dataset.name}: {examples:,} images, weights of "
        f"{trained.origin}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    for name, value in scalars(numbers).items():
        console.print(f"  {name:<18} {value!r}", highlight=False)
    table = Table("class", "accuracy")
    per_class: Any = numbers["per_class_accuracy"]
    for name, accuracy in zip(trained.card.class_names, per_class, strict=True):
        table.add_row(
            escape(name), "no images" if accuracy is None else f"{accuracy:.4f}"
        )
    console.print(table)
    return {**numbers, "step": trained.step}


def _choose_scoring(classifier: Classifier) -> tuple[Callable, Callable, Callable]:
    """The evaluation of a batch, statistics of no examples, and their numbers."""
    if isinstance(classifier.model, RBFNetwork):
        return make_rbf_evaluation, init_rbf_totals, compute_rbf
    return make_classification_evaluation, init_classification, compute_classification


def _check_same_task(dataset: Dataset, card: DatasetCard) -> None:
    for what, now, then in (
        ("classes", dataset.class_names, card.class_names),
        ("image shape", dataset.image_shape, card.image_shape),
    ):
        if tuple(now) != tuple(then):
            raise DataError(
                f"{dataset.name}: the {what} are {_shorten(now)}, the classifier was "
                f"trained on {_shorten(then)}"
            )


def _shorten(values: Sequence[Any]) -> str:
    more = ", ..." * (len(values) > 10)
    return f"{', '.join(map(str, values[:10]))}{more} ({len(values)})"


def predict_files(
    trained: TrainedClassifier, files: Sequence[str], *, top: int = 5
) -> list[list[tuple[str, float]]]:
    """The most probable classes of image files, printed below each file's name.

    Of a network that measures distances to centres, the nearest centre is printed too,
    by distances over widths: the class that the network gives to the centre itself, and
    how far away it is. Over a split the mean square of that is `evaluate_run`'s
    `cluster_loss`.

    Args:
      trained: from `load_classifier`.
      files: paths of JPEG, PNG or WebP files.
      top: how many classes, at most all.

    Returns:
      For each file (class name, probability) pairs, most probable first.

    Raises:
      DataError: a file can't be read; names it.
    """
    images = np.stack([_read_image(file, trained.card.image_shape) for file in files])
    names = trained.card.class_names
    given = trained.params, trained.model_state, images
    notes = [""] * len(files)
    if isinstance(trained.classifier.model, RBFNetwork):
        predict = jax.jit(make_nearest_prediction(trained.classifier))
        logits, nearest = jax.device_get(predict(*given))
        notes = [
            f"  nearest centre: {index}, of class {names[label]}, "
            f"{distance:.2f} widths away"
            for index, label, distance in zip(*nearest, strict=True)
        ]
    else:
        logits = jax.jit(trained.classifier.logits)(*given)
    probabilities = np.asarray(jax.nn.softmax(logits))
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    predictions = [
        [(names[index], float(row[index])) for index in order]
        for row, order in zip(probabilities, best, strict=True)
    ]
    console = Console()
    for file, classes, note in zip(files, predictions, notes, strict=True):
        lines = [file, *(f"  {share:.4f}  {name}" for name, share in classes), note]
        for line in filter(None, lines):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return predictions


def _read_image(file: str, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"can't read {file}: {error.strerror}") from None
    return decode_image(content, image_size=shape[0], channels=shape[2], where=file)
