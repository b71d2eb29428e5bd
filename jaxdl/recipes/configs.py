"""The configs that more than one script reads. Imports no JAX."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.field_types import AUXILIARY_HEADS
from jaxdl.recipes.hosts_config import HostsSection
from jaxdl.recipes.layout import LayoutSection
from jaxdl.recipes.optimizer_sections import OptimizerSection, ScheduleSection
from jaxdl.recipes.sections import (
    AugmentSection,
    DataSection,
    LossSection,
    MeshSection,
    ModelSection,
    RunSection,
)
from jaxdl.recipes.weights_options import PreparationSection


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ClassifierConfig:
    """A classifier: trained by one script, scored and used by others."""

    model: ModelSection = Field(default_factory=ModelSection)
    weights: str | None = Field(
        default=None,
        min_length=1,
        description="File of trained weights to start from; null: fresh ones.",
    )
    data: DataSection = Field(default_factory=DataSection)
    loss: LossSection = Field(default_factory=LossSection)
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection)
    schedule: ScheduleSection = Field(default_factory=ScheduleSection)
    augment: AugmentSection = Field(default_factory=AugmentSection)
    mesh: MeshSection = Field(default_factory=MeshSection)
    layout: LayoutSection = Field(default_factory=LayoutSection)
    hosts: HostsSection = Field(default_factory=HostsSection)
    run: RunSection = Field(default_factory=RunSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks what only several sections together tell."""
        return [
            *find_batch_conflicts(
                data=self.data, optimizer=self.optimizer, mesh=self.mesh
            ),
            *find_rate_conflicts(optimizer=self.optimizer, schedule=self.schedule),
            *find_head_conflicts(model=self.model, loss=self.loss),
        ]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluationConfig:
    """Which checkpoint of a run to score, on what; of a weights file, all of it."""

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
    model: ModelSection = Field(default_factory=ModelSection)
    data: DataSection = Field(default_factory=DataSection)
    augment: PreparationSection = Field(default_factory=PreparationSection)


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
    model: ModelSection = Field(default_factory=ModelSection)
    augment: PreparationSection = Field(default_factory=PreparationSection)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExportConfig:
    """Which checkpoint of a run to export."""

    checkpoint: Literal["best", "last"] | int = Field(
        default="best",
        description="Best by validation accuracy, newest, or that of a step.",
    )


def find_rate_conflicts(
    *, optimizer: OptimizerSection, schedule: ScheduleSection
) -> list[Conflict]:
    """Checks that the learning rate doesn't end above its peak.

    Args:
        optimizer: Tells the peak.
        schedule: Tells the end.

    Returns:
        The conflicts, by keys of the whole config.

    Example:
        >>> find_rate_conflicts(
        ...     optimizer=OptimizerSection(learning_rate=0.1),
        ...     schedule=ScheduleSection(final=0.2),
        ... )[0].message
        '0.2 is above optimizer.learning_rate, 0.1'
    """
    if schedule.final <= optimizer.learning_rate:
        return []
    message = f"{schedule.final} is above optimizer.learning_rate, "
    keys = ("schedule.final", "optimizer.learning_rate")
    return [Conflict(keys, f"{message}{optimizer.learning_rate}")]


def find_head_conflicts(*, model: ModelSection, loss: LossSection) -> list[Conflict]:
    """Checks that the network has the heads that the loss weighs.

    Args:
        model: Tells the network.
        loss: Tells the weight.

    Returns:
        The conflicts, by keys of the whole config.

    Example:
        >>> find_head_conflicts(
        ...     model=ModelSection(name="vgg11"), loss=LossSection(auxiliary_weight=0.4)
        ... )[0].message
        'vgg11 has no auxiliary heads; wanted googlenet_aux or inception_v3'
    """
    is_default = loss.auxiliary_weight == LossSection().auxiliary_weight
    if is_default or model.name in AUXILIARY_HEADS:
        return []
    wanted = " or ".join(AUXILIARY_HEADS)
    message = f"{model.name} has no auxiliary heads; wanted {wanted}"
    return [Conflict(("loss.auxiliary_weight", "model.name"), message)]


def find_batch_conflicts(
    *, data: DataSection, optimizer: OptimizerSection, mesh: MeshSection
) -> list[Conflict]:
    """Checks that a batch divides into its parts and over the devices.

    Args:
        data: Tells the batch size.
        optimizer: Tells the number of parts.
        mesh: Tells the number of devices, where it says so.

    Returns:
        The conflicts, by keys of the whole config.

    Example:
        >>> find_batch_conflicts(
        ...     data=DataSection(batch_size=6),
        ...     optimizer=OptimizerSection(accumulate=4),
        ...     mesh=MeshSection(),
        ... )[0].message
        'a batch of 6 does not divide into 4 parts; nearest that do: 4 or 8'
    """
    keys = ["data.batch_size"]
    parts, words = 1, []
    if optimizer.accumulate > 1:
        parts *= optimizer.accumulate
        keys.append("optimizer.accumulate")
        words.append(f"{optimizer.accumulate} parts")
    devices = mesh.data
    if devices == -1 and mesh.simulated_devices:
        devices = mesh.simulated_devices // mesh.model
    if devices > 1:
        parts *= devices
        keys += ["mesh.data", "mesh.model", "mesh.simulated_devices"]
        words.append(f"{devices} devices")
    size = data.batch_size
    if size % parts == 0:
        return []
    below = size - size % parts
    nearest = f"{below} or {below + parts}" if below else f"{parts}"
    message = (
        f"a batch of {size} does not divide into {' on '.join(words)}; "
        f"nearest that do: {nearest}"
    )
    return [Conflict(tuple(keys), message)]
