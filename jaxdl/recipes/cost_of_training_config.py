"""The config of the forecast of what a training costs. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.study_configs import StudyRunSection

Count = Annotated[int, Field(ge=1, le=1_000_000)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WorkSection:
    """The training, and how fast one device is at it."""

    name: str = Field(
        default="ResNet-50, 90 epochs of ImageNet",
        description="What to call it in the figure.",
    )
    examples: int = Field(
        default=115_305_030,
        ge=1,
        description="Of all epochs together.",
    )
    examples_per_second: float = Field(
        default=2470.0, gt=0, description="Of one device that exchanges nothing."
    )
    batch_per_device: int = Field(
        default=256, ge=1, description="Examples per step and device (weak scaling)."
    )
    total_batch: int | None = Field(
        default=8192,
        ge=1,
        description="Examples per step that devices share (strong scaling); more "
        "devices than that are left out, with null all.",
    )
    gradient_bytes: float = Field(
        default=102_400_000.0,
        ge=0,
        description="Summed over the devices at each step; 25.6M in float32.",
    )
    overlap: float = Field(
        default=0.0, ge=0, le=1, description="Part of the exchange hidden by computing."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DevicesSection:
    """The devices and their power."""

    counts: tuple[Count, ...] = Field(
        default=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2240),
        min_length=1,
        description="Numbers of devices to compare, rising; above a node, whole nodes.",
    )
    per_node: int = Field(default=8, ge=1, description="Devices in a node.")
    watts: float = Field(
        default=812.5, ge=0, description="Of a device with its share of the node."
    )
    pue: float = Field(
        default=1.58, ge=1, description="Energy of the building over that of its nodes."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that counts rise and fill their nodes."""
        if list(self.counts) != sorted(set(self.counts)):
            message = f"wanted rising numbers, got {list(self.counts)}"
            return [Conflict(("counts",), message)]
        size = self.per_node
        partial = [n for n in self.counts if n > size and n % size]
        if partial:
            message = f"{partial[0]} devices don't fill nodes of {size}"
            return [Conflict(("counts", "per_node"), message)]
        return []


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LinksSection:
    """How devices are connected; bandwidths are in one direction."""

    inside_latency: float = Field(
        default=5e-6, ge=0, description="Seconds per message inside a node."
    )
    inside_bandwidth: float = Field(
        default=300e9, gt=0, description="Bytes per second of each device in a node."
    )
    between_latency: float = Field(
        default=1e-5, ge=0, description="Seconds per message between nodes."
    )
    between_bandwidth: float = Field(
        default=200e9, gt=0, description="Bytes per second of each node to others."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PricesSection:
    """Prices of devices, in one currency."""

    node: float = Field(default=200_000.0, ge=0, description="Of a node, bought.")
    network_share: float = Field(
        default=0.15, ge=0, description="To add to the nodes for their network."
    )
    storage_share: float = Field(
        default=0.20, ge=0, description="To add to the nodes for storage."
    )
    compounds: bool = Field(
        default=False,
        description="Take the storage's share of nodes and network, not of nodes only.",
    )
    lifetime_years: float = Field(
        default=3.0, gt=0, description="After which what was bought is worth nothing."
    )
    rent_per_device_hour: float = Field(
        default=1.36, ge=0, description="Of a device, rented with its electricity."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ElectricitySection:
    """What electricity costs and is made of."""

    price_per_kwh: float = Field(default=0.10, ge=0, description="Of a kWh.")
    source: Literal[
        "world",
        "coal",
        "oil",
        "gas",
        "geothermal",
        "hydro",
        "nuclear",
        "solar",
        "wind",
    ] = Field(default="world", description="What it is made of.")
    intensity: float | None = Field(
        default=None,
        ge=0,
        le=2,
        description="kg of CO2 equivalent per kWh; null: that of the source.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CostOfTrainingConfig:
    """What a training costs in time, money, energy and CO2."""

    work: WorkSection = Field(default_factory=WorkSection)
    devices: DevicesSection = Field(default_factory=DevicesSection)
    links: LinksSection = Field(default_factory=LinksSection)
    prices: PricesSection = Field(default_factory=PricesSection)
    electricity: ElectricitySection = Field(default_factory=ElectricitySection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)
