import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT
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
class Experiment:
    """Every section, as an experiment declares them."""

    model: ModelSection = Field(default_factory=ModelSection)
    data: DataSection = Field(default_factory=DataSection)
    loss: LossSection = Field(default_factory=LossSection)
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection)
    schedule: ScheduleSection = Field(default_factory=ScheduleSection)
    augment: AugmentSection = Field(default_factory=AugmentSection)
    mesh: MeshSection = Field(default_factory=MeshSection)
    run: RunSection = Field(default_factory=RunSection)

    def find_conflicts(self):
        return [
            *find_batch_conflicts(
                data=self.data, optimizer=self.optimizer, mesh=self.mesh
            ),
            *find_rate_conflicts(optimizer=self.optimizer, schedule=self.schedule),
        ]


@pytest.fixture(scope="session")
def experiment_schema():
    return Experiment
