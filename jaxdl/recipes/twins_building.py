"""The network, the views and the optimiser of a pre-training, from its config."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.augment import View, make_two_views
from jaxdl.errors import ConfigError
from jaxdl.models import Projector, TwinNetwork
from jaxdl.optim import sgd
from jaxdl.recipes.barlow_twins import (
    PROBE,
    TwinEncoder,
    TwoViews,
    init_probe,
    split_optimizer,
)
from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig, ViewSection
from jaxdl.recipes.build import (
    build_model,
    build_optimizer,
    check_image_size,
)
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.task import Plan
from jaxdl.train import (
    init_variables,
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
    view_size = config.views.size or side
    size = config.views.evaluation_size or view_size
    for name, wanted in (("size", view_size), ("evaluation_size", size)):
        if wanted > side:
            raise ConfigError(
                f"views.{name}={wanted} is above the side of the images, {side}; see "
                "data.image_size"
            )
    backbone = build_model(config.model, num_classes=0)
    smallest = min(size, view_size)
    check_image_size(backbone, (smallest, smallest, card.image_shape[2]))
    projector = Projector(
        widths=config.projector.widths,
        use_bias=config.projector.use_bias,
        dtype=jnp.dtype(config.model.dtype),
    )
    model = TwinNetwork(backbone=backbone, projector=projector)
    if size != view_size and _shapes(model, size, card) != _shapes(
        model, view_size, card
    ):
        raise ConfigError(
            f"views.evaluation_size={size}: {config.model.name} takes images of one "
            f"size, that of the views, {view_size}; wanted null"
        )
    return TwinEncoder(
        model=model,
        num_classes=len(card.class_names),
        size=size,
        view_size=view_size,
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
    return make_two_views((views[0], views[1]), size=encoder.view_size)


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


def _shapes(model: TwinNetwork, side: int, card: DatasetCard) -> Any:
    """Of the variables for images of a size."""
    images = jax.ShapeDtypeStruct((1, side, side, card.image_shape[2]), jnp.float32)
    init = lambda key, images: model.init(key, images, train=False)
    return jax.eval_shape(init, jax.random.key(0), images)


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
