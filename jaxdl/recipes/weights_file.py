"""A classifier from a file of weights, and a file of weights from a classifier."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from pydantic import TypeAdapter, ValidationError

from jaxdl.data import Dataset
from jaxdl.errors import CheckpointError, ConfigError
from jaxdl.models import INPUTS
from jaxdl.parallel import tree_shardings
from jaxdl.recipes.classifier_building import build_classifier
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.sections import DataSection, ModelSection
from jaxdl.recipes.trained import TrainedClassifier, classifier_shapes
from jaxdl.recipes.weights_options import PreparationSection, is_exported
from jaxdl.trees import describe_differences, named_leaves
from jaxdl.weights import (
    find_layouts,
    load_safetensors,
    load_torch,
    read_safetensors_header,
    save_safetensors,
)


def load_weights_file(
    path: Path | str,
    mesh: Mesh,
    *,
    model: ModelSection,
    augment: PreparationSection,
    data: DataSection | None = None,
    dataset: Dataset | None = None,
) -> TrainedClassifier:
    """A classifier from a file: one exported from a run, or in PyTorch's layout.

    Args:
      path: the file.
      mesh: where to put the weights.
      model: the network.
      augment: the preparation; without one that of the published weights.
      data: what the dataset was read from.
      dataset: what the classes are named after and the images look like, if the file
        does not say. Without one classes are numbers.

    Returns:
      The classifier with its weights on the mesh.

    Raises:
      CheckpointError: the file can't be read or holds another network.
      ConfigError: the network can't take the images, or the preparation is of other
        channels.
    """
    config = ClassifierConfig(model=model, data=data or DataSection())
    variables, card, step = _read_own(path)
    if variables is None:
        _check_published(model.name)
        if dataset is None:
            variables = load_torch(path, model.name)
    if card is None:
        card = _make_card(variables, model.name, dataset)
    if augment.mean is not None and augment.std is not None:
        card = dataclasses.replace(card, mean=augment.mean, std=augment.std)
    _check_channels(card, model.name)
    classifier = build_classifier(config, card)
    try:
        shapes = classifier_shapes(classifier, card)
    except ValueError as error:  # images too small for the network
        raise ConfigError(f"model.name: {model.name}: {error}") from None
    if variables is None:
        variables = load_torch(path, model.name, initial=shapes)
    _check_shapes(path, model.name, variables, shapes)
    variables = jax.device_put(variables, tree_shardings(variables, mesh))
    return TrainedClassifier(
        classifier=classifier,
        card=card,
        config=config,
        params=variables.pop("params"),
        model_state=variables,
        step=step,
        origin=str(path) if step is None else f"step {step} in {path}",
    )


def export_weights(trained: TrainedClassifier, path: Path | str) -> None:
    """Writes a classifier to a safetensors file that holds all that scoring needs.

    Args:
      trained: from `load_classifier`.
      path: the file; its header tells the network and its options, the classes, the
        preparation, the image size and where the data came from.

    Raises:
      CheckpointError: the file can't be written.
      ConfigError: the network measures distances to centres.
    """
    config = trained.config
    if isinstance(config, RBFConfig):
        raise ConfigError(
            f"{path}: a network that measures distances to centres has no weights "
            "file; evaluate.py and predict.py take its run folder"
        )
    save_safetensors(
        path,
        {"params": trained.params, **trained.model_state},
        model_name=config.model.name,
        config={
            "model": dataclasses.asdict(config.model),  # pyright: ignore[reportArgumentType]
            "data": dataclasses.asdict(config.data),  # pyright: ignore[reportArgumentType]
            "dataset": dataclasses.asdict(trained.card),
            "step": trained.step,
        },
    )


def _read_own(path: Path | str) -> tuple[Any, DatasetCard | None, int | None]:
    """Variables, card and step of a file of our own; three times None for another."""
    is_safetensors = str(path).lower().endswith(".safetensors")
    if not is_safetensors or read_safetensors_header(path) is None:
        return None, None, None
    variables, _, config = load_safetensors(path)
    if not is_exported(config):
        return variables, None, None
    try:
        card = TypeAdapter(DatasetCard).validate_python(config["dataset"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = ": ".join([*map(str, first["loc"]), first["msg"]])
        raise CheckpointError(f"{path}: its header is damaged ({reason})") from None
    return variables, card, config.get("step")


def _check_published(model_name: str) -> None:
    try:
        find_layouts(model_name)
    except ValueError as error:
        raise ConfigError(f"model.name: {error}") from None


def _make_card(variables: Any, model_name: str, dataset: Dataset | None) -> DatasetCard:
    """What a file does not say: from the data, or from what is published."""
    spec = INPUTS[model_name]
    if dataset is not None:
        return DatasetCard(
            name=dataset.name,
            class_names=tuple(dataset.class_names),
            image_shape=dataset.image_shape,
            mean=spec.mean,
            std=spec.std,
            num_examples={},
        )
    num_classes = variables["params"]["head"]["bias"].shape[0]
    return DatasetCard(
        name=model_name,
        class_names=tuple(map(str, range(num_classes))),
        image_shape=(spec.image_size, spec.image_size, spec.channels),
        mean=spec.mean,
        std=spec.std,
        num_examples={},
    )


def _check_channels(card: DatasetCard, model_name: str) -> None:
    channels = card.image_shape[-1]
    for name, values in (("mean", card.mean), ("std", card.std)):
        if len(values) != channels:
            raise ConfigError(
                f"augment.{name} has {len(values)} values (those of {model_name}'s "
                f"published weights unless given), the images of {card.name} have "
                f"{channels}"
            )


def _check_shapes(
    path: Path | str, model_name: str, variables: Any, shapes: Any
) -> None:
    saved, wanted = (
        {name: (leaf.shape, leaf.dtype) for name, leaf in named_leaves(tree).items()}
        for tree in (variables, shapes)
    )
    differences = describe_differences(saved, wanted)
    if differences:
        more = f"; and {len(differences) - 10} more" * (len(differences) > 10)
        raise CheckpointError(
            f"{path}: holds another network than {model_name} with these options: "
            f"{'; '.join(differences[:10])}{more}"
        )
