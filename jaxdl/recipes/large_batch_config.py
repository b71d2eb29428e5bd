"""The config of the study of large batches. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.field_types import OptimizerName
from jaxdl.recipes.variants import (
    ComparisonConfig,
    ComparisonSection,
    Variant,
    vary,
)

ScalingName = Literal["linear", "square_root", "none"]

_POWERS: dict[ScalingName, float] = {"linear": 1.0, "square_root": 0.5, "none": 0.0}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LargeBatchSection(ComparisonSection):
    """Every optimizer at every batch size, to the same target."""

    batch_sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(16, 64, 256, 1024),
        min_length=1,
        description="Examples per training step.",
    )
    optimizers: tuple[OptimizerName, ...] = Field(
        default=("sgd",), min_length=1, description="Optimizers to compare."
    )
    learning_rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.1,),
        min_length=1,
        description="Peak rate of each optimizer at a batch of data.batch_size.",
    )
    scaling: tuple[ScalingName, ...] = Field(
        default=("linear",),
        min_length=1,
        description="How the rate of each optimizer grows with the batch.",
    )
    target_loss: float | None = Field(
        default=0.5,
        gt=0,
        description="Training loss to reach, a mean over run.log_every.",
    )
    target_accuracy: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Validation accuracy to reach instead.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that there is one target, and a rate and a rule for each optimizer."""
        conflicts = []
        count = len(self.optimizers)
        options = {"learning_rates": self.learning_rates, "scaling": self.scaling}
        for name, values in options.items():
            if len(values) != count:
                message = f"got {len(values)} for {count} optimizers; wanted {count}"
                conflicts.append(Conflict((name, "optimizers"), message))
        if (self.target_loss is None) == (self.target_accuracy is None):
            given = "neither" if self.target_loss is None else "both"
            message = f"got {given}; wanted one of them, and null for the other"
            conflicts.append(Conflict(("target_loss", "target_accuracy"), message))
        return conflicts


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LargeBatchConfig(ComparisonConfig):
    """Batch sizes and optimizers; the learning rate grows with the batch by a rule.

    The rates given are those of `data.batch_size`. With linear scaling a batch of twice
    the size takes twice the rate (Goyal et al. 2017, arXiv:1706.02677), with that by
    the square root 1.4 times. `schedule.duration` is where a run that doesn't reach the
    target ends.
    """

    study: LargeBatchSection = Field(default_factory=LargeBatchSection)

    def find_varied(self) -> dict[str, str]:
        """The optimizer and its rate."""
        return {
            "study.optimizers": "optimizer.name",
            "study.learning_rates": "optimizer.learning_rate",
        }

    def list_variants(self) -> list[Variant]:
        """Each optimizer at every batch size, then the next one."""
        study = self.study
        rules = zip(study.optimizers, study.learning_rates, study.scaling, strict=False)
        return [
            self._make_variant(name, rate, scaling, size)
            for name, rate, scaling in rules
            for size in study.batch_sizes
        ]

    def _make_variant(
        self, name: OptimizerName, rate: float, scaling: ScalingName, size: int
    ) -> Variant:
        rate *= (size / self.data.batch_size) ** _POWERS[scaling]
        changes = {
            "optimizer.name": name,
            "optimizer.learning_rate": rate,
            "data.batch_size": size,
        }
        return Variant(
            name=f"{name}-batch{size}",
            settings={"optimizer": name, "batch_size": size, "learning_rate": rate},
            config=vary(self, changes),
            label=f"batch {size}",
            panel=name,
        )
