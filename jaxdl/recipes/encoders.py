"""A trained network as a source of features: frozen, and opened from its run folder."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from jaxdl.augment import normalize, to_float
from jaxdl.data import Split
from jaxdl.errors import NonFiniteError
from jaxdl.parallel import tree_shardings
from jaxdl.recipes.barlow_twins import PROBE, crop_middle, init_probe
from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig
from jaxdl.recipes.build import build_model
from jaxdl.recipes.classifier_building import build_classifier
from jaxdl.recipes.dataset_card import DatasetCard, read_card
from jaxdl.recipes.fit import collect_outputs
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.source_run import SourceConfig, read_source_config
from jaxdl.recipes.trained import classifier_shapes, restore_weights
from jaxdl.recipes.twins_building import build_encoder, init_twins
from jaxdl.train import RunFolder, evaluate, init_variables
from jaxdl.typing import Array, Batch, Float, Params, Shaped, UInt8


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network without a head, with the preparation its images need.

    Equal ones have equal hashes, so that what is compiled for one serves all.

    Attributes:
      model: called as `model.apply(variables, images, train=...)`, gives features.
      size: height and width of the images it was trained on.
      mean: subtracted from each channel of images in [0, 1].
      std: then divides it.
    """

    model: nn.Module
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def crop(
        self, images: UInt8[Array, "batch height width channels"]
    ) -> Float[Array, "batch new_height new_width channels"]:
        """The middle of stored images, in [0, 1]."""
        height, width = self.size
        floats = to_float(images)
        return crop_middle(floats, height) if height == width else floats

    def encode(
        self, variables: Any, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch features"]:
        """Features of images in [0, 1], in evaluation mode."""
        prepared = normalize(images, mean=self.mean, std=self.std)
        return self.model.apply(variables, prepared, train=False)  # pyright: ignore[reportReturnType]


@dataclasses.dataclass(frozen=True)
class FrozenEncoder:
    """A backbone with the weights of one checkpoint.

    Attributes:
      backbone: the network.
      params: its parameters.
      model_state: its other variables.
      config: of the run that trained it.
      card: of the data that it was trained on.
      step: the step the weights were saved after; None if it is untrained.
      origin: where they are from, for messages.
    """

    backbone: Backbone
    params: Any
    model_state: Any
    config: SourceConfig
    card: DatasetCard
    step: int | None
    origin: str

    @property
    def variables(self) -> dict[str, Any]:
        """All collections, as `apply` takes them."""
        return {"params": self.params, **self.model_state}

    @property
    def name(self) -> str:
        """What tables call it."""
        return "untrained" if self.step is None else "trained"

    def features(
        self, images: Shaped[np.ndarray, "batch height width channels"]
    ) -> Float[np.ndarray, "batch features"]:
        """Features of stored images (uint8), in evaluation mode."""
        # As jit's argument, not its constant: weights are large.
        found = _encode_stored(self.backbone, self.variables, jnp.asarray(images))
        return np.asarray(found)


@functools.partial(jax.jit, static_argnums=0)
def _encode_stored(backbone: Backbone, variables: Any, images: Array) -> Array:
    return backbone.encode(variables, backbone.crop(images))


@functools.partial(jax.jit, static_argnums=0)
def _encode_batch(
    backbone: Backbone, totals: Any, params: Params, model_state: Any, batch: Batch
) -> tuple[Array, dict[str, Array]]:
    """An evaluation step that counts the examples and gives their features."""
    features = backbone.encode(
        {"params": params, **model_state}, backbone.crop(batch["images"])
    )
    count = totals + jnp.sum(batch["mask"])
    return count, {"features": features, "labels": batch["labels"]}


def load_encoder(
    path: Path | str, mesh: Mesh, *, checkpoint: str | int = "best"
) -> FrozenEncoder:
    """The backbone of a pre-training or of a classifier, from its run folder.

    Args:
      path: the run folder.
      mesh: where to put the weights; any number of devices.
      checkpoint: `"best"`, `"last"` or a step; `"untrained"` for the weights that the
        run started from, a file of weights left aside.

    Returns:
      The network without its head, projector and probe.

    Raises:
      ConfigError: the path is not the run folder of either.
      CheckpointError: it has no such checkpoint, or it is damaged.
    """
    config = read_source_config(path)
    run = RunFolder(Path(path).resolve())
    card = read_card(run)
    key = jax.random.split(jax.random.key(config.run.seed))[0]
    untrained = checkpoint == "untrained"
    load = functools.partial(
        restore_weights,
        run,
        mesh=mesh,
        checkpoint=checkpoint,
        has_average=config.optimizer.ema_decay is not None,
    )
    step = None
    if isinstance(config, BarlowTwinsConfig):
        twins = build_encoder(config, card)
        size = (twins.size, twins.size)
        if untrained:
            variables = init_twins(twins, card, key=key)
        else:
            shapes = _twin_shapes(twins.model, size, card)
            params, model_state, step = load(shapes, best_metric="neighbor_accuracy")
            variables = {"params": params, **model_state}
        variables = {name: tree["backbone"] for name, tree in variables.items()}
    else:
        classifier = build_classifier(config, card)
        size = card.image_shape[:2]
        if untrained:
            variables = init_variables(classifier.model, card.image_shape, key=key)
        else:
            params, model_state, step = load(classifier_shapes(classifier, card))
            variables = {"params": params, **model_state}
        if isinstance(config, RBFConfig):
            variables = {name: tree["backbone"] for name, tree in variables.items()}
    backbone = Backbone(
        model=build_model(config.model, num_classes=0),
        size=size,
        mean=tuple(card.mean),
        std=tuple(card.std),
    )
    variables = _drop_heads(backbone, card, variables)
    variables = jax.device_put(variables, tree_shardings(variables, mesh))
    return FrozenEncoder(
        backbone=backbone,
        params=variables.pop("params"),
        model_state=variables,
        config=config,
        card=card,
        step=step,
        origin="its untrained weights" if step is None else f"step {step}",
    )


def compute_features(
    encoder: FrozenEncoder,
    split: Split,
    mesh: Mesh,
    *,
    batch_size: int,
    num_workers: int = 2,
) -> tuple[Float[np.ndarray, "examples features"], np.ndarray]:
    """Features and labels of a whole split, in its order.

    Args:
      encoder: the network, on the same mesh.
      split: of images that the network takes.
      mesh: the devices that share each batch.
      batch_size: images per step; does not change the result.
      num_workers: threads that read ahead.

    Returns:
      Float32 features and the labels, on the host.

    Raises:
      NonFiniteError: a feature is not a finite number.
    """
    outputs, on_outputs = collect_outputs(len(split))
    evaluate(
        functools.partial(_encode_batch, encoder.backbone),
        jnp.zeros((), jnp.int32),
        encoder.params,
        encoder.model_state,
        split,
        mesh=mesh,
        batch_size=batch_size,
        num_workers=num_workers,
        on_outputs=on_outputs,
    )
    features = outputs["features"]
    if not np.isfinite(features).all():
        place = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise NonFiniteError(
            f"{encoder.config.model.name}, {encoder.origin}: the features of "
            f"{split.describe(place)} are not finite"
        )
    return features, outputs["labels"]


def _twin_shapes(
    model: nn.Module, size: tuple[int, int], card: DatasetCard
) -> dict[str, Any]:
    """The shapes of the variables of a pre-training, its probe among them."""
    images = jax.ShapeDtypeStruct((1, *size, card.image_shape[2]), np.float32)

    def init(key, images):
        (features, _), variables = model.init_with_output(key, images, train=False)
        probe = init_probe(features.shape[1], len(card.class_names))
        return {**variables, "params": {**variables["params"], PROBE: probe}}

    return jax.eval_shape(init, jax.random.key(0), images)


def _drop_heads(
    backbone: Backbone, card: DatasetCard, variables: dict[str, Any]
) -> dict[str, Any]:
    """What the network without a head has."""
    images = jax.ShapeDtypeStruct((1, *backbone.size, card.image_shape[2]), np.float32)
    wanted = jax.eval_shape(
        lambda key, images: dict(backbone.model.init(key, images, train=False)),
        jax.random.key(0),
        images,
    )
    return {
        name: {part: variables[name][part] for part in tree}
        for name, tree in wanted.items()
    }
