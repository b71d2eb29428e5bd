"""Config sections turned into objects; the last place that knows a config."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import Mesh

from jaxdl.augment import POLICIES, make_augment
from jaxdl.data import (
    Dataset,
    load_dataset,
    load_into_memory,
    measure_channels,
    with_held_out,
    with_limited_train,
)
from jaxdl.durations import duration_steps, parse_duration
from jaxdl.errors import ConfigError
from jaxdl.models import MODELS, Network
from jaxdl.optim import make_optimizer, make_schedule
from jaxdl.parallel import data_share, make_mesh
from jaxdl.recipes.barlow_twins_config import ViewsSection
from jaxdl.recipes.optimizer_sections import OptimizerSection, ScheduleSection
from jaxdl.recipes.sections import (
    AugmentSection,
    DataSection,
    MeshSection,
    ModelSection,
)


def build_mesh(section: MeshSection) -> Mesh:
    """The mesh a config asks for.

    Args:
      section: sizes; `simulated_devices` has an effect only before JAX has started.

    Returns:
      See `jaxdl.parallel.make_mesh`.

    Raises:
      ConfigError: more devices asked for than there are, or some of no process.
    """
    if section.simulated_devices:
        _simulate_devices(section.simulated_devices)
    try:
        mesh = make_mesh(data=section.data, model=section.model)
        data_share(mesh)
        return mesh
    except ValueError as error:
        hint = ""
        if jax.default_backend() == "cpu" and not section.simulated_devices:
            hint = "; mesh.simulated_devices=N makes N of this CPU"
        raise ConfigError(f"mesh: {error}{hint}") from None


def _simulate_devices(count: int) -> None:
    # XLA's CPU collectives block a worker thread each until every device has joined.
    # With as few workers as cores they may take all of them while another device
    # still needs one to get there; one run of ResNet-20 on 2 devices and 2 cores
    # stopped in an all-reduce and was aborted, and its stack fits this. XLA reads the
    # size of its pool here. A larger one makes that less likely, at a cost: about a
    # quarter fewer images/s for small images on 2 cores.
    os.environ.setdefault("NPROC", str(max(64, 16 * count)))
    jax.config.update("jax_num_cpu_devices", count)


def check_batch_size(batch_size: int, *, accumulate: int, mesh: Mesh) -> None:
    """Refuses a batch that can't be split evenly.

    Raises:
      ConfigError: names the numbers and the nearest batch sizes that fit.
    """
    parts = mesh.shape["data"] * accumulate
    if batch_size % parts:
        lower = batch_size // parts * parts
        nearest = f"{lower} or {lower + parts}" if lower else str(parts)
        raise ConfigError(
            f"data.batch_size={batch_size} is not divisible by mesh.data="
            f"{mesh.shape['data']} x optimizer.accumulate={accumulate}; "
            f"nearest: {nearest}"
        )


def check_image_size(model: nn.Module, image_shape: tuple[int, int, int]) -> None:
    """Refuses images that a network would pool away to nothing.

    Raises:
      ConfigError: names the smallest side that works.
    """
    if not isinstance(model, Network):
        return
    smallest, side = model.describe_family().smallest_side, min(image_shape[:2])
    if side < smallest:
        raise ConfigError(
            f"model.name: {type(model).__name__} needs images of at least {smallest} "
            f"pixels a side, these have {side}; see data.image_size"
        )


def build_dataset(section: DataSection) -> Dataset:
    """The dataset with all three splits; those that fit lie in memory.

    Args:
      section: where the data is and how it is cut.

    Returns:
      Splits `"train"`, `"validation"` and `"test"`. A split that is an `ArraySplit`
      is to be held on the device.

    Raises:
      DataError: see `jaxdl.data.load_dataset`.
    """
    dataset = with_held_out(
        load_dataset(section.source, path=section.path, image_size=section.image_size),
        validation_fraction=section.validation_fraction,
        test_fraction=section.test_fraction,
        seed=section.split_seed,
    )
    if section.train_limit is not None:
        dataset = with_limited_train(
            dataset, num_examples=section.train_limit, seed=section.split_seed
        )
    limit = {"auto": section.device_bytes, "device": np.inf, "stream": -1}
    splits = {
        name: load_into_memory(split)
        if split.num_bytes <= limit[section.residency]
        else split
        for name, split in dataset.splits.items()
    }
    return dataclasses.replace(dataset, splits=splits)


def build_channel_statistics(
    section: AugmentSection | ViewsSection, dataset: Dataset
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel: those given, or measured on train.

    Args:
      section: has them, or says that they are measured.
      dataset: has the split `"train"`.

    Returns:
      Mean and deviation of images in [0, 1].

    Raises:
      ConfigError: another number of values than the images have channels.
    """
    if isinstance(section.mean, str) or isinstance(section.std, str):
        return measure_channels(dataset.splits["train"])
    channels = dataset.image_shape[-1]
    place = "views" if isinstance(section, ViewsSection) else "augment"
    for name, values in (("mean", section.mean), ("std", section.std)):
        if len(values) != channels:
            raise ConfigError(
                f"{place}.{name} has {len(values)} values, the images of "
                f"{dataset.name} have {channels} channels"
            )
    return tuple(section.mean), tuple(section.std)


def build_augment(
    section: AugmentSection, *, image_shape: tuple[int, int, int]
) -> Callable[..., jax.Array]:
    """The augmentation `(images, *, key) -> images`.

    Raises:
      ConfigError: images too small for the mirrored border asked for, or of another
        number of channels than a policy can take.
    """
    side = min(image_shape[:2])
    if section.crop_mode == "reflect" and section.crop_padding >= side:
        raise ConfigError(
            f"augment.crop_padding={section.crop_padding} can't be mirrored from "
            f"images of {image_shape[0]}x{image_shape[1]}; wanted at most {side - 1}"
        )
    if section.policy and image_shape[-1] not in (1, 3):
        raise ConfigError(
            f"augment.policy={section.policy} needs images of 1 or 3 channels, these "
            f"have {image_shape[-1]}"
        )
    return make_augment(
        crop_padding=section.crop_padding,
        crop_mode=section.crop_mode,
        flip=section.flip,
        policy=POLICIES[section.policy] if section.policy else None,
    )


def build_model(section: ModelSection, *, num_classes: int) -> nn.Module:
    """The network a config names, with the options that the config sets.

    Raises:
      ConfigError: the network does not have an option.
    """
    options = {
        "norm": section.norm,
        "norm_groups": section.norm_groups,
        "activation": section.activation,
        "initialization": section.initialization,
        "dropout_rate": section.dropout_rate,
        "small_images": section.small_images or None,
        "zero_init_residual": section.zero_init_residual or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return MODELS[section.name](
            num_classes=num_classes, dtype=jnp.dtype(section.dtype), **given
        )
    except ValueError as error:
        raise ConfigError(f"model: {error}") from None


def build_steps(text: str, *, num_examples: int, batch_size: int) -> int:
    """A duration such as "30 epochs" in steps, at least 1."""
    steps = duration_steps(
        parse_duration(text), num_examples=num_examples, batch_size=batch_size
    )
    return max(1, steps)


def build_schedule(
    section: ScheduleSection,
    optimizer: OptimizerSection,
    *,
    num_examples: int,
    batch_size: int,
) -> tuple[Callable[[Any], Any], int]:
    """The learning rate by step, and the number of steps.

    Raises:
      ConfigError: the warm-up is not shorter than the training, or the milestones
        do not grow or are not all before its end.
    """
    sizes = {"num_examples": num_examples, "batch_size": batch_size}
    num_steps = build_steps(section.duration, **sizes)
    warmup = duration_steps(parse_duration(section.warmup), **sizes)
    if warmup >= num_steps:
        raise ConfigError(
            f"schedule.warmup ({section.warmup}) is {warmup} steps, not shorter than "
            f"schedule.duration ({section.duration}), {num_steps} steps"
        )
    milestones = tuple(
        duration_steps(parse_duration(text), **sizes) for text in section.milestones
    )
    times = [0, *milestones, num_steps]
    if any(a >= b for a, b in zip(times, times[1:], strict=False)):
        raise ConfigError(
            f"schedule.milestones ({', '.join(section.milestones)}) are the steps "
            f"{', '.join(map(str, milestones))}; wanted growing ones below "
            f"{num_steps}, the end"
        )
    schedule = make_schedule(
        section.name,
        learning_rate=optimizer.learning_rate,
        num_steps=num_steps,
        warmup_steps=warmup,
        milestones=milestones,
        factor=section.factor,
        final=section.final,
    )
    return schedule, num_steps


def build_optimizer(
    section: OptimizerSection, schedule: Callable[[Any], Any]
) -> optax.GradientTransformation:
    """The optimiser a config names, following a schedule.

    Args:
      section: its options.
      schedule: the learning rate by step; that of biases, where they have their own,
        is in proportion to it.

    Returns:
      See `jaxdl.optim.make_optimizer`.
    """
    bias_schedule = None
    if section.bias_learning_rate is not None:
        share = section.bias_learning_rate / section.learning_rate
        bias_schedule = lambda step: schedule(step) * share
    return make_optimizer(
        section.name,
        schedule,
        weight_decay=section.weight_decay,
        momentum=section.momentum,
        nesterov=section.nesterov,
        b1=section.b1,
        b2=section.b2,
        eps=section.eps,
        trust_coefficient=section.trust_coefficient,
        rate_after_momentum=section.rate_after_momentum,
        bias_learning_rate=bias_schedule,
        clip_trust_ratio=section.clip_trust_ratio,
        clip_norm=section.clip_norm,
    )
