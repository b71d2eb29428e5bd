"""The config of a self-supervised pre-training. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.configs import find_batch_conflicts, find_rate_conflicts
from jaxdl.recipes.hosts_config import HostsSection
from jaxdl.recipes.layout import LayoutSection
from jaxdl.recipes.optimizer_sections import OptimizerSection, ScheduleSection
from jaxdl.recipes.sections import (
    DataSection,
    MeshSection,
    ModelSection,
    RunSection,
    find_statistics_conflicts,
)

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ProjectorSection:
    """The dense layers between the features and the loss."""

    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(8192, 8192, 8192),
        min_length=1,
        description="Units per layer; the last is the size of the embeddings.",
    )
    use_bias: bool = Field(default=False, description="Biases in its dense layers.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TwinsLossSection:
    """The loss between the embeddings of two views."""

    off_diagonal_weight: float = Field(
        default=5.1e-3, ge=0, description="Weight of the correlations off the diagonal."
    )
    scale: float = Field(
        default=1.0,
        gt=0,
        description="Multiplies the loss; matters to what the optimizer doesn't adapt.",
    )
    route: Literal["auto", "correlation", "gram"] = Field(
        default="auto", description="How it is computed; auto takes the cheaper way."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ViewSection:
    """How one view is made of an image; the defaults are the paper's first view."""

    crop_scale: tuple[Share, Share] = Field(
        default=(0.08, 1.0), description="Smallest and largest share of the area."
    )
    crop_ratio: tuple[Positive, Positive] = Field(
        default=(3 / 4, 4 / 3), description="Smallest and largest width over height."
    )
    interpolation: Literal["bicubic", "bilinear"] = Field(
        default="bicubic", description="How crops are resized."
    )
    flip_probability: Share = Field(
        default=0.5, description="Of mirroring left to right."
    )
    jitter_probability: Share = Field(
        default=0.8, description="Of changing the colours, in random order."
    )
    brightness: float = Field(
        default=0.4, ge=0, description="Largest change of brightness, as a factor."
    )
    contrast: float = Field(
        default=0.4, ge=0, description="Largest change of contrast, as a factor."
    )
    saturation: float = Field(
        default=0.2, ge=0, description="Largest change of saturation, as a factor."
    )
    hue: float = Field(
        default=0.1, ge=0, le=0.5, description="Largest change of hue, in turns."
    )
    grayscale_probability: Share = Field(
        default=0.2, description="Of taking the colours away."
    )
    blur_probability: Share = Field(default=1.0, description="Of a Gaussian blur.")
    blur_sigma: tuple[Positive, Positive] = Field(
        default=(0.1, 2.0), description="Smallest and largest deviation, in pixels."
    )
    solarize_probability: Share = Field(
        default=0.0, description="Of inverting the values from the threshold on."
    )
    solarize_threshold: Share = Field(
        default=128 / 255, description="Where inverting begins, in [0, 1]."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that ranges grow."""
        ranges = {
            "crop_scale": self.crop_scale,
            "crop_ratio": self.crop_ratio,
            "blur_sigma": self.blur_sigma,
        }
        conflicts = [
            Conflict((name,), f"wanted the smaller number first, got {low} and {high}")
            for name, (low, high) in ranges.items()
            if low > high
        ]
        if self.crop_scale[0] == 0:
            conflicts.append(Conflict(("crop_scale",), "wanted shares above 0"))
        return conflicts


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SecondViewSection(ViewSection):
    """The second view; the defaults are the paper's."""

    blur_probability: Share = Field(default=0.1, description="Of a Gaussian blur.")
    solarize_probability: Share = Field(
        default=0.2, description="Of inverting the values from the threshold on."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ViewsSection:
    """What the two views of an image are."""

    size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Height and width of views; null: that of the images.",
    )
    evaluation_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Of images whose features are looked at; null: as views.size.",
    )
    first: ViewSection = Field(default_factory=ViewSection)
    second: SecondViewSection = Field(default_factory=SecondViewSection)
    mean: Literal["measured"] | tuple[float, ...] = Field(
        default="measured", description="Channel means in [0, 1], or measured on train."
    )
    std: Literal["measured"] | tuple[Positive, ...] = Field(
        default="measured", description="Channel deviations, or measured on train."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the mean and the deviation go together."""
        return find_statistics_conflicts(self.mean, self.std, section="views")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MonitorSection:
    """What is watched on held-out images while the network trains, by their labels."""

    probe_learning_rate: float = Field(
        default=0.1,
        gt=0,
        description="Of the linear probe that learns along; its peak.",
    )
    num_neighbors: int = Field(
        default=20, ge=1, description="Neighbours that vote for the class of an image."
    )
    temperature: float = Field(
        default=0.07, gt=0, description="Of the weights of their votes."
    )
    bank_images: int = Field(
        default=10_000, ge=1, description="Training images to look for neighbours in."
    )
    batch_size: int = Field(
        default=256,
        ge=2,
        description="Validation images whose correlations are measured.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BarlowTwinsConfig:
    """A network that learns from two views of each image, without labels."""

    model: ModelSection = Field(default_factory=ModelSection)
    projector: ProjectorSection = Field(default_factory=ProjectorSection)
    data: DataSection = Field(default_factory=DataSection)
    views: ViewsSection = Field(default_factory=ViewsSection)
    loss: TwinsLossSection = Field(default_factory=TwinsLossSection)
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection)
    schedule: ScheduleSection = Field(default_factory=ScheduleSection)
    monitor: MonitorSection = Field(default_factory=MonitorSection)
    mesh: MeshSection = Field(default_factory=MeshSection)
    layout: LayoutSection = Field(default_factory=LayoutSection)
    hosts: HostsSection = Field(default_factory=HostsSection)
    run: RunSection = Field(default_factory=RunSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks what only several sections together tell."""
        conflicts = [
            *find_batch_conflicts(
                data=self.data, optimizer=self.optimizer, mesh=self.mesh
            ),
            *find_rate_conflicts(optimizer=self.optimizer, schedule=self.schedule),
        ]
        if self.data.batch_size // self.optimizer.accumulate < 2:
            message = "correlations need at least 2 images in each part of a batch"
            keys = ("data.batch_size", "optimizer.accumulate")
            conflicts.append(Conflict(keys, message))
        return conflicts
