"""The config sections of the optimiser and its learning rate. Imports no JAX."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.durations import parse_duration
from jaxdl.recipes.field_types import (
    SCHEDULE_READERS,
    DurationText,
    IntervalText,
    OptimizerName,
    ScheduleName,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OptimizerSection:
    """The update of the parameters."""

    name: OptimizerName = Field(default="sgd", description="Optimizer.")
    learning_rate: float = Field(
        default=0.1, gt=0, description="Peak learning rate; the schedule scales it."
    )
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="Momentum of sgd and lars."
    )
    nesterov: bool = Field(
        default=True, description="Nesterov momentum for sgd and lars."
    )
    weight_decay: float = Field(
        default=1e-4, ge=0, description="Weight decay; biases and scales are spared."
    )
    b1: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="Decay of the mean gradient, adamw and lamb.",
    )
    b2: float = Field(
        default=0.999,
        ge=0,
        lt=1,
        description="Decay of the squared gradient, adamw and lamb.",
    )
    eps: float = Field(
        default=1e-8, gt=0, description="Keeps the quotient of adamw and lamb finite."
    )
    trust_coefficient: float = Field(
        default=0.001,
        gt=0,
        description="Length of lars's scaled gradient over that of the array.",
    )
    rate_after_momentum: bool = Field(
        default=False,
        description="The learning rate of lars multiplies the momentum, as in sgd.",
    )
    bias_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak rate of lars for biases and scales; null: the same as all.",
    )
    clip_trust_ratio: bool = Field(
        default=False,
        description="No step of lars is longer than one of plain descent.",
    )
    clip_norm: float | None = Field(
        default=None,
        gt=0,
        description="Largest norm of the whole gradient; null: no limit.",
    )
    accumulate: int = Field(
        default=1,
        ge=1,
        description="Parts that a batch is computed in, to save memory.",
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Decay of averaged weights for evaluation; null: none are kept.",
    )
    noise_scale: bool = Field(
        default=False,
        description="Log how noisy gradients are, from the parts of each batch.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that what lars alone reads is not set for another optimizer."""
        if self.name == "lars":
            return []
        is_set = {
            "trust_coefficient": self.trust_coefficient != 0.001,
            "rate_after_momentum": self.rate_after_momentum,
            "bias_learning_rate": self.bias_learning_rate is not None,
            "clip_trust_ratio": self.clip_trust_ratio,
        }
        message = f"{self.name} doesn't read it; wanted lars"
        return [Conflict((o, "name"), message) for o, given in is_set.items() if given]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ScheduleSection:
    """The learning rate over time. Lengths are "10 epochs", "500 steps", ..."""

    name: ScheduleName = Field(
        default="cosine", description="Shape of the learning rate."
    )
    duration: IntervalText = Field(
        default="10 epochs", description="Length of the training."
    )
    warmup: DurationText = Field(
        default="0 steps", description="Length of the linear warm-up."
    )
    milestones: tuple[IntervalText, ...] = Field(
        default=(), description="When the step schedule multiplies by the factor."
    )
    factor: float = Field(
        default=0.1, gt=0, le=1, description="Multiplier at each milestone of step."
    )
    final: float = Field(
        default=0.0, ge=0, description="Learning rate that cosine ends with."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks what the shape reads, and the order of times in the same unit."""
        conflicts = self._find_unread()
        warmup, end = parse_duration(self.warmup), parse_duration(self.duration)
        if warmup.unit == end.unit and warmup.value >= end.value:
            message = f"{self.warmup} of warm-up fill the {self.duration} of training"
            conflicts.append(Conflict(("warmup", "duration"), message))
        if self.name == "step" and not self.milestones:
            message = "the step schedule needs schedule.milestones"
            conflicts.append(Conflict(("name", "milestones"), message))
        times = [*map(parse_duration, self.milestones), end]
        pairs = zip(times, times[1:], strict=False)
        if any(a.unit == b.unit and a.value >= b.value for a, b in pairs):
            message = f"wanted growing milestones, all before {self.duration}"
            conflicts.append(Conflict(("milestones", "duration"), message))
        return conflicts

    def _find_unread(self) -> list[Conflict]:
        is_set = {
            "warmup": parse_duration(self.warmup).value > 0,
            "milestones": len(self.milestones) > 0,
            "factor": self.factor != 0.1,
            "final": self.final != 0.0,
        }
        message = f"the {self.name} schedule doesn't read it"
        return [
            Conflict((option, "name"), f"{message}; wanted {' or '.join(names)}")
            for option, names in SCHEDULE_READERS.items()
            if is_set[option] and self.name not in names
        ]
