"""The config of the study of throughput over devices and layouts. Imports no JAX."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, find_conflicts
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.cost_of_training_config import LinksSection
from jaxdl.recipes.layout import LayoutSection
from jaxdl.recipes.optimizer_sections import OptimizerSection
from jaxdl.recipes.sections import (
    AugmentSection,
    DataSection,
    LossSection,
    MeshSection,
    ModelSection,
    RunSection,
)
from jaxdl.recipes.study_configs import StudyRunSection

Count = Annotated[int, Field(ge=1, le=1_000_000)]
LayoutName = Literal["data", "optimizer", "everything", "model", "combined"]
ScalingName = Literal["strong", "weak"]

LAYOUTS: tuple[LayoutName, ...] = (
    "data",
    "optimizer",
    "everything",
    "model",
    "combined",
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One program: a layout on a number of devices.

    Attributes:
      scaling: "strong": devices share a batch; "weak": the batch grows with them.
      layout: one of `LAYOUTS`.
      devices: how many.
      data: of them along the batch.
      model: of them along the parameters.
      batch_size: over all devices.
    """

    scaling: ScalingName
    layout: LayoutName
    devices: int
    data: int
    model: int
    batch_size: int

    @property
    def share(self) -> Literal["nothing", "optimizer", "everything"]:
        """What devices along the batch share beside it."""
        is_shared = self.layout in ("optimizer", "everything") and self.data > 1
        return self.layout if is_shared else "nothing"  # pyright: ignore[reportReturnType]

    @property
    def program(self) -> tuple[int, int, str, int]:
        """Equal for cases that are the same program."""
        return self.data, self.model, self.share, self.batch_size

    def describe(self) -> str:
        """The case in a few words."""
        count = f"{self.devices} device" + "s" * (self.devices > 1)
        return f"{self.layout} on {count}, batch {self.batch_size}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ScalingSection:
    """What is measured, and for how many devices it is forecast."""

    devices: tuple[Count, ...] = Field(
        default=(1, 2, 4, 8),
        min_length=1,
        description="Numbers of devices to measure, rising from 1.",
    )
    simulated_devices: int = Field(
        default=0, ge=0, le=512, description="Simulate this many CPU devices; 0: real."
    )
    strong: tuple[LayoutName, ...] = Field(
        default=LAYOUTS, description="Layouts whose devices share data.batch_size."
    )
    weak: tuple[LayoutName, ...] = Field(
        default=("data", "combined"),
        description="Layouts whose batch grows with the devices.",
    )
    weak_batch: int | None = Field(
        default=None,
        ge=1,
        description="Examples per device where the batch grows; null: data.batch_size.",
    )
    model_devices: int = Field(
        default=2, ge=2, description="Devices that share parameters, in combined."
    )
    rounds: int = Field(
        default=5, ge=1, description="Turns that all programs take, one by one."
    )
    steps: int = Field(default=3, ge=1, description="Steps per turn.")
    forecast_devices: tuple[Count, ...] = Field(
        default=(16, 32, 64, 128, 256, 512, 1024, 2240),
        description="Numbers of devices to forecast for, besides those measured.",
    )
    peak_flops: float | None = Field(
        default=None,
        gt=0,
        description="FLOP/s of a device, or of all cores that simulate some; null: "
        "from a table, if it has the device.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks the numbers of devices against each other."""
        conflicts = []
        for name in ("devices", "forecast_devices"):
            counts = list(getattr(self, name))
            if counts != sorted(set(counts)):
                conflicts.append(Conflict((name,), f"wanted rising ones, got {counts}"))
        if self.devices[0] != 1:
            message = f"wanted 1 as the first, got {self.devices[0]}"
            conflicts.append(Conflict(("devices",), message))
        most, simulated = max(self.devices), self.simulated_devices
        if simulated and most > simulated:
            message = f"{most} devices wanted, {simulated} are simulated"
            conflicts.append(Conflict(("devices", "simulated_devices"), message))
        if not self.strong and not self.weak:
            conflicts.append(Conflict(("strong", "weak"), "no layout to measure"))
        return conflicts


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NetworkLinksSection(LinksSection):
    """The devices that are forecast: as fast as the one measured, so connected."""

    per_node: int = Field(default=8, ge=1, description="Devices in a node.")
    overlap: float = Field(
        default=0.0, ge=0, le=1, description="Part of the exchange hidden by computing."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ScalingStudyConfig:
    """How throughput changes with devices and layouts."""

    model: ModelSection = Field(default_factory=ModelSection)
    data: DataSection = Field(default_factory=DataSection)
    loss: LossSection = Field(default_factory=LossSection)
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection)
    augment: AugmentSection = Field(default_factory=AugmentSection)
    study: ScalingSection = Field(default_factory=ScalingSection)
    links: NetworkLinksSection = Field(default_factory=NetworkLinksSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)

    def list_cases(self) -> list[Case]:
        """What to measure: strong scaling, then weak, layout by layout."""
        layouts: dict[ScalingName, tuple[LayoutName, ...]] = {
            "strong": self.study.strong,
            "weak": self.study.weak,
        }
        return [
            case
            for scaling, names in layouts.items()
            for layout in names
            for count in self.study.devices
            for case in self.list_case(scaling, layout, count)
        ]

    def list_case(
        self, scaling: ScalingName, layout: LayoutName, count: int
    ) -> list[Case]:
        """A layout on a number of devices; none if it has no form of that size."""
        model = {"model": count, "combined": self.study.model_devices}.get(layout, 1)
        if count == 1:
            model = 1
        elif layout == "combined" and (count % model or count == model):
            return []
        size = self.data.batch_size
        if scaling == "weak":
            size = count * (self.study.weak_batch or size)
        return [Case(scaling, layout, count, count // model, model, size)]

    def to_training(self, case: Case) -> ClassifierConfig:
        """The config by which `train_classifier` would train a case."""
        return ClassifierConfig(
            model=self.model,
            data=dataclasses.replace(self.data, batch_size=case.batch_size),
            loss=self.loss,
            optimizer=self.optimizer,
            augment=self.augment,
            mesh=MeshSection(
                data=case.data,
                model=case.model,
                simulated_devices=self.study.simulated_devices,
            ),
            layout=LayoutSection(share=case.share),
            run=RunSection(seed=self.run.seed),
        )

    def find_conflicts(self) -> list[Conflict]:
        """Checks every case as if it were a training of its own."""
        return [*self._find_partial_nodes(), *self._find_in_cases()]

    def _find_partial_nodes(self) -> Iterator[Conflict]:
        size = self.links.per_node
        for name in ("devices", "forecast_devices"):
            partial = [n for n in getattr(self.study, name) if n > size and n % size]
            if partial:
                message = f"{partial[0]} devices don't fill nodes of {size}"
                yield Conflict((f"study.{name}", "links.per_node"), message)

    def _find_in_cases(self) -> Iterator[Conflict]:
        if list(find_conflicts(self.study)):
            return
        # Those of a single section are found without this, once and without a case.
        sections = (self.model, self.data, self.loss, self.optimizer, self.augment)
        known = {c.message for section in sections for c in find_conflicts(section)}
        for case in self.list_cases():
            for keys, message in find_conflicts(self.to_training(case)):
                if message not in known:
                    known.add(message)
                    own = [k for k in keys if k.partition(".")[0] != "mesh"]
                    keys = tuple([*own, "study.devices"])
                    yield Conflict(keys, f"{message} ({case.describe()})")
