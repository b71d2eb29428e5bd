"""Trainings that end within a script: what the probes of a network have in common."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

from jaxdl.augment import random_flip, random_resized_crop
from jaxdl.data import ArraySplit, Split
from jaxdl.errors import ConfigError, NonFiniteError
from jaxdl.recipes.probes_config import CropsSection
from jaxdl.recipes.sections import DataSection
from jaxdl.train import (
    Advance,
    Hooks,
    Intervals,
    ProgressDisplay,
    TrainState,
    make_resident_advance,
    make_streamed_advance,
    train,
)
from jaxdl.train.step import TrainStep
from jaxdl.typing import Array, Float, PRNGKey

_MOST_POINTS = 50
"""Of a training's curve."""


def fit_batch_size(wanted: int, num_examples: int, mesh: Mesh) -> int:
    """The batch size that examples and devices allow.

    Args:
      wanted: by the config.
      num_examples: to train on.
      mesh: the devices that share a batch.

    Returns:
      The number wanted, or with fewer examples the most that the devices divide.

    Raises:
      ConfigError: the devices don't divide it, or are more than there are examples.
    """
    devices = mesh.shape["data"]
    if wanted % devices:
        raise ConfigError(
            f"data.batch_size={wanted} does not divide over mesh.data={devices} devices"
        )
    size = min(wanted, num_examples // devices * devices)
    if size == 0:
        raise ConfigError(
            f"mesh.data={devices} devices for {num_examples} training images; set "
            "mesh.data=1"
        )
    return size


def make_crops(
    crops: CropsSection, size: tuple[int, int]
) -> Callable[..., Float[Array, "batch height width channels"]]:
    """The random crops and flips of a config.

    Args:
      crops: tells them.
      size: height and width of the results.

    Returns:
      `augment(images, *, key) -> images` on float images in [0, 1].
    """

    def augment(images: Array, *, key: PRNGKey) -> Array:
        key_crop, key_flip = jax.random.split(key)
        views = random_resized_crop(images, size=size, scale=crops.scale, key=key_crop)
        return random_flip(views, key=key_flip) if crops.flip else views

    return augment


def make_advance(
    step: TrainStep,
    split: Split,
    section: DataSection,
    mesh: Mesh,
    *,
    batch_size: int,
    num_steps: int,
    scan_steps: int,
    state_shardings: Any,
    seed: int,
) -> tuple[Advance, int]:
    """What moves a state forward: on the device if the split lies in memory.

    Args:
      step: from `make_train_step`.
      split: what to train on.
      section: tells the readers of a split that is streamed.
      mesh: the devices.
      batch_size: images per step.
      num_steps: of the whole training.
      scan_steps: the most steps per dispatch on the device.
      state_shardings: where the state lives.
      seed: of the order of the images.

    Returns:
      See `jaxdl.train.Advance`, and the most steps that it takes per dispatch.
    """
    common = {"mesh": mesh, "batch_size": batch_size, "seed": seed}
    if isinstance(split, ArraySplit):
        advance = make_resident_advance(
            step,
            split,
            max_steps=scan_steps,
            state_shardings=state_shardings,
            **common,
        )
        return advance, scan_steps
    streamed = make_streamed_advance(
        step,
        split,
        last_step=num_steps,
        num_workers=max(1, section.num_workers),
        prefetch=section.prefetch,
        **common,
    )
    return streamed, 1


def train_to_end(
    state: TrainState,
    advance: Advance,
    *,
    num_steps: int,
    batch_size: int,
    steps_per_epoch: float,
    max_steps: int = 1,
    on_log: Callable[[int, Any], None] = lambda step, totals: None,
    on_evaluate: Callable[[TrainState], None] = lambda state: None,
    hint: str,
) -> TrainState:
    """Trains without a run folder: nothing is saved, nothing resumed.

    Args:
      state: where to start, on the mesh; its buffers are taken over.
      advance: see `jaxdl.train.Advance`.
      num_steps: the step to end at.
      batch_size: images per step.
      steps_per_epoch: steps in one pass over the images.
      max_steps: the most steps that `advance` takes per dispatch.
      on_log: called up to 50 times with the step and the statistics since the last.
      on_evaluate: called after each of them.
      hint: what to change if the numbers get out of hand.

    Returns:
      The last state.

    Raises:
      NonFiniteError: the training diverged.
    """
    every = -(-num_steps // _MOST_POINTS)
    display = ProgressDisplay(
        num_steps=num_steps,
        first_step=0,
        examples_per_step=batch_size,
        steps_per_epoch=steps_per_epoch,
    )

    def evaluate(state: TrainState) -> bool:
        on_evaluate(state)
        return True

    hooks = Hooks(
        log=on_log,
        evaluate=evaluate,
        checkpoint=lambda state: None,
        progress=display.advance,
    )
    try:
        with display:
            return train(
                state,
                advance,
                num_steps=num_steps,
                intervals=Intervals(log=every, evaluate=every, checkpoint=num_steps),
                hooks=hooks,
                max_steps=max_steps,
            )
    except NonFiniteError as error:
        raise NonFiniteError(f"{error}; {hint}") from None
