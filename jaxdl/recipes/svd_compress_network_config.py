"""The config of the study that compresses a trained network. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.field_types import IntervalText
from jaxdl.recipes.sections import AugmentSection, DataSection, ModelSection
from jaxdl.recipes.study_configs import StudyRunSection

CompressionName = Literal[
    "channel", "spatial", "tucker2", "channel_aware", "spatial_aware"
]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CompressionSection:
    """What is compressed, how and how far."""

    methods: tuple[CompressionName, ...] = Field(
        default=("channel", "spatial", "tucker2", "channel_aware", "spatial_aware"),
        min_length=1,
        description="Ways to factor; those that end in aware look at activations.",
    )
    shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.7, 0.5, 0.3),
        min_length=1,
        description="Shares of the layers' parameters to keep.",
    )
    allocation: Literal["global", "uniform"] = Field(
        default="global",
        description="Parameters where they help most, or the same share everywhere.",
    )
    include: str = Field(
        default="", description="Regular expression: layers that may be factored."
    )
    exclude: str | None = Field(
        default=None, description="Regular expression: layers to leave alone."
    )
    calibration_images: int = Field(
        default=256, ge=1, description="Training images whose activations are measured."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainingSection:
    """The training of the network where it does not come from a file."""

    duration: IntervalText = Field(default="20 epochs", description="Its length.")
    learning_rate: float = Field(
        default=0.1, gt=0, description="Peak of sgd's one-cycle schedule."
    )
    weight_decay: float = Field(
        default=5e-4, ge=0, description="Weight decay; biases and scales are spared."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FinetuningSection:
    """The short training after compressing."""

    duration: IntervalText = Field(default="1 epoch", description="Its length.")
    num_images: int | None = Field(
        default=None,
        ge=1,
        description="Train on this many images, equally many per class; null: all.",
    )
    learning_rate: float = Field(
        default=0.01,
        gt=0,
        description="Start of sgd's cosine schedule down to 0.",
    )
    distillation: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Weight of the original network's scores against the labels'.",
    )
    weight_decay: float = Field(
        default=1e-4, ge=0, description="Weight decay; biases and scales are spared."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CompressNetworkConfig:
    """The accuracy of a network against its parameters, by way of factoring.

    With a file of weights, `augment.mean` and `augment.std` are those of the file
    unless they are given.
    """

    model: ModelSection = Field(default_factory=ModelSection)
    weights: str | None = Field(
        default=None,
        min_length=1,
        description="File of trained weights; null: the network is trained first.",
    )
    data: DataSection = Field(default_factory=DataSection)
    augment: AugmentSection = Field(default_factory=AugmentSection)
    compression: CompressionSection = Field(default_factory=CompressionSection)
    training: TrainingSection = Field(default_factory=TrainingSection)
    finetuning: FinetuningSection = Field(default_factory=FinetuningSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks that no training is asked for where weights are given."""
        if self.weights is None or self.training == TrainingSection():
            return []
        message = "the network has its weights from a file and is not trained"
        return [Conflict(("training", "weights"), message)]
