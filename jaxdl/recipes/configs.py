"""The configs that more than one script reads. Imports no JAX."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.sections import (
    AugmentSection,
    DataSection,
    LossSection,
    MeshSection,
    ModelSection,
    OptimizerSection,
    RunSection,
    ScheduleSection,
    find_batch_conflicts,
    find_rate_conflicts,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ClassifierConfig:
    """A classifier: trained by one script, scored and used by others."""

    model: ModelSection = Field(default_factory=ModelSection)
    data: DataSection = Field(default_factory=DataSection)
    loss: LossSection = Field(default_factory=LossSection)
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection)
    schedule: ScheduleSection = Field(default_factory=ScheduleSection)
    augment: AugmentSection = Field(default_factory=AugmentSection)
    mesh: MeshSection = Field(default_factory=MeshSection)
    run: RunSection = Field(default_factory=RunSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks what only several sections together tell."""
        return [
            *find_batch_conflicts(
                data=self.data, optimizer=self.optimizer, mesh=self.mesh
            ),
            *find_rate_conflicts(optimizer=self.optimizer, schedule=self.schedule),
        ]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluationConfig:
    """Which checkpoint of a run to score, on what."""

    split: Literal["train", "validation", "test"] = Field(
        default="test", description="Split to score."
    )
    checkpoint: Literal["best", "last"] | int = Field(
        default="best",
        description="Best by validation accuracy, newest, or that of a step.",
    )
    batch_size: int = Field(
        default=512, ge=1, description="Examples per step; does not change the result."
    )
    mesh: MeshSection = Field(default_factory=MeshSection)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PredictionConfig:
    """Which checkpoint of a run to ask, and for how many classes."""

    checkpoint: Literal["best", "last"] | int = Field(
        default="best",
        description="Best by validation accuracy, newest, or that of a step.",
    )
    top: int = Field(
        default=5, ge=1, description="How many classes to print per image."
    )
