"""What a training run is told: what to train and measure, how long and how often."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxdl.models import Splits
from jaxdl.train import Intervals, LossFunction

Numbers = Mapping[str, Any]
"""Results by name: single numbers, and lists by class."""


@dataclass(frozen=True)
class Task:
    """What one kind of training differs in from another.

    Attributes:
      loss_fn: see `jaxdl.train.LossFunction`.
      evaluation_step: from `jaxdl.train.make_evaluation_step`.
      empty_totals: evaluation statistics of no examples.
      compute: statistics on the host -> numbers by name.
      best_metric: the number by which the best checkpoint is chosen.
      activations_fn: see `jaxdl.train.find_nonfinite`.
      watch: `watch(step, params, model_state, outputs) -> numbers`, asked at each
        evaluation with the outputs for the validation split; for what is no sum over
        examples.
      splits: see `jaxdl.models.list_splits`.
      separable: whether the loss of a batch is the mean of the losses of its parts, as
        it is without BatchNorm.
    """

    loss_fn: LossFunction
    evaluation_step: Callable[..., Any]
    empty_totals: Any
    compute: Callable[[Any], dict[str, Any]]
    best_metric: str = "accuracy"
    activations_fn: Callable[..., Mapping[str, Any]] | None = None
    watch: Callable[..., Numbers] | None = None
    splits: Splits = ()
    separable: bool = False


@dataclass(frozen=True)
class Plan:
    """How long and how often, in steps; how large a batch.

    Attributes:
      num_steps: the step to end at.
      intervals: see `jaxdl.train.Intervals`.
      batch_size: examples per training step.
      eval_batch_size: examples per evaluation step.
      accumulate: micro-batches per step.
      max_steps: steps per dispatch.
      num_workers: reading threads.
      schedule: the learning rate by step.
      seed: of the order of the examples.
    """

    num_steps: int
    intervals: Intervals
    batch_size: int
    eval_batch_size: int
    accumulate: int
    max_steps: int
    num_workers: int
    schedule: Callable[[int], Any]
    seed: int
