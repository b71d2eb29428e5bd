"""The configs of the scripts that probe what a network has learnt. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.field_types import IntervalText
from jaxdl.recipes.sections import DataSection, MeshSection
from jaxdl.recipes.study_configs import StudyRunSection

Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CropsSection:
    """How training images are varied."""

    random: bool = Field(
        default=False, description="Random resized crops and flips in each step."
    )
    scale: tuple[Share, Share] = Field(
        default=(0.08, 1.0), description="Smallest and largest share of the area."
    )
    flip: bool = Field(default=True, description="Flip left and right half the time.")

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the smaller share comes first, and that both are used."""
        low, high = self.scale
        if low > high:
            message = f"wanted the smaller number first, got {low} and {high}"
            return [Conflict(("scale",), message)]
        is_set = {"scale": self.scale != (0.08, 1.0), "flip": not self.flip}
        if self.random:
            return []
        message = "read with crops.random=true only"
        return [
            Conflict((o, "random"), message) for o, given in is_set.items() if given
        ]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TuningCropsSection(CropsSection):
    """How training images are varied where the whole network is trained."""

    random: bool = Field(
        default=True, description="Random resized crops and flips in each step."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ProbeDataSection(DataSection):
    """The data: those of the run unless given; the batch is that of the probe."""

    batch_size: int = Field(
        default=256,
        ge=1,
        description="Examples per step of the probe's training, over all devices.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ProbeConfig:
    """What all probes are told: the checkpoint, the data, the devices."""

    checkpoint: Literal["best", "last"] | int = Field(
        default="last",
        description="Newest, best by held-out labels, or that of a step.",
    )
    data: ProbeDataSection = Field(default_factory=ProbeDataSection)
    mesh: MeshSection = Field(default_factory=MeshSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DescentSection:
    """A linear classifier trained by gradient descent with momentum, rate cosine."""

    learning_rate: float = Field(
        default=0.3, gt=0, description="Where the cosine to 0 starts; for 256 images."
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum.")
    weight_decay: float = Field(
        default=1e-6, ge=0, description="Weight decay; biases are spared."
    )
    duration: IntervalText = Field(default="100 epochs", description="Its length.")
    initial_std: float = Field(
        default=0.01, ge=0, description="Deviation of the weights at the start."
    )
    standardize: bool = Field(
        default=False,
        description="Give each feature mean 0 and deviation 1 on training images.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RidgeSection:
    """A linear classifier in closed form: ridge regression on one-hot targets."""

    num_strengths: int = Field(
        default=13, ge=1, le=100, description="Strengths of the penalty to try."
    )
    choose_by: Literal["leave_one_out", "validation"] = Field(
        default="leave_one_out",
        description="Error on left-out training images, or validation accuracy.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LinearProbeConfig(ProbeConfig):
    """How well a linear classifier of frozen features does."""

    untrained: bool = Field(
        default=True, description="Probe the network before its training too."
    )
    probes: tuple[Literal["descent", "ridge"], ...] = Field(
        default=("descent", "ridge"), min_length=1, description="Which classifiers."
    )
    descent: DescentSection = Field(default_factory=DescentSection)
    ridge: RidgeSection = Field(default_factory=RidgeSection)
    crops: CropsSection = Field(default_factory=CropsSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks that crops and descent have who reads them."""
        conflicts = []
        if "descent" not in self.probes:
            is_set = {
                "descent": self.descent != DescentSection(),
                "crops": self.crops != CropsSection(),
            }
            message = "only the descent reads it; see probes"
            conflicts += [
                Conflict((o, "probes"), message) for o, given in is_set.items() if given
            ]
        if "ridge" not in self.probes and self.ridge != RidgeSection():
            message = "only the ridge probe reads it; see probes"
            conflicts.append(Conflict(("ridge", "probes"), message))
        return conflicts


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VotesSection:
    """The votes of the nearest training images, by the cosine of features."""

    num_neighbors: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 20, 200), min_length=1, description="How many vote."
    )
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.07, 0.1),
        min_length=1,
        description="Of the weights of votes; low ones listen to the nearest.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MapSection:
    """The map of test images by their features."""

    method: Literal["pca", "tsne"] = Field(
        default="tsne", description="First two principal components, or t-SNE."
    )
    num_images: int = Field(default=2000, ge=3, description="Test images in it.")
    perplexity: float = Field(
        default=30.0, gt=0, description="Of t-SNE: neighbours that count, about."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PictureSection:
    """The picture of test images beside those nearest to them."""

    num_queries: int = Field(default=8, ge=1, le=40, description="Test images in it.")
    num_neighbors: int = Field(
        default=8, ge=1, le=20, description="Training images beside each."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NeighborProbeConfig(ProbeConfig):
    """How well the nearest neighbours by frozen features classify."""

    untrained: bool = Field(
        default=True, description="Probe the network before its training too."
    )
    votes: VotesSection = Field(default_factory=VotesSection)
    map: MapSection = Field(default_factory=MapSection)
    picture: PictureSection = Field(default_factory=PictureSection)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TuningSection:
    """The training of the pre-trained network with a new head, rates cosine to 0."""

    backbone_learning_rate: float = Field(
        default=0.005, gt=0, description="Where that of the backbone starts."
    )
    head_learning_rate: float = Field(
        default=0.5, gt=0, description="Where that of the head starts."
    )
    weight_decay: float = Field(
        default=0.0, ge=0, description="Weight decay; biases and scales are spared."
    )
    duration: IntervalText = Field(default="20 epochs", description="Its length.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ScratchSection:
    """The training of the same network from its start, rate cosine to 0."""

    learning_rate: float = Field(default=0.1, gt=0, description="Where it starts.")
    weight_decay: float = Field(
        default=5e-4, ge=0, description="Weight decay; biases and scales are spared."
    )
    duration: IntervalText = Field(default="20 epochs", description="Its length.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SemiSupervisedConfig(ProbeConfig):
    """What pre-training is worth where few images have labels."""

    fractions: tuple[Share, ...] = Field(
        default=(0.01, 0.1),
        min_length=1,
        description="Shares of training images with labels, equally many per class.",
    )
    num_seeds: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Draws of these images, of heads, of starts.",
    )
    tuning: TuningSection = Field(default_factory=TuningSection)
    scratch: ScratchSection = Field(default_factory=ScratchSection)
    crops: TuningCropsSection = Field(default_factory=TuningCropsSection)
