"""The configs of the studies that look at networks without training them.

Imports no JAX.
"""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.field_types import (
    ActivationName,
    FolderName,
    ImagesName,
    InitializerName,
    ModelName,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StudyRunSection:
    """The run folder of a study, which is done in one go."""

    folder: str = Field(
        default="runs", min_length=1, description="Where run folders go."
    )
    name: FolderName | None = Field(
        default=None, description="Name of the run folder; null makes one up."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="Seed of the weights and of the noise."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ImagesSection:
    """The images that networks are shown."""

    source: ImagesName = Field(
        default="noise",
        description="One of noise, digits, idx, cifar10, folder, tfds:<name>.",
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the data, also looked for under $JAXDL_DATA_DIR.",
    )
    image_size: int | None = Field(
        default=64,
        ge=1,
        le=4096,
        description="Height and width; null: the data's, or what the network is for.",
    )
    batch_size: int = Field(default=8, ge=1, description="Images in the one batch.")

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the source has the path it needs, and no other."""
        needs_path = self.source in ("idx", "cifar10", "folder")
        if needs_path and self.path is None:
            message = f"source {self.source!r} needs images.path"
            return [Conflict(("source", "path"), message)]
        if self.source in ("noise", "digits") and self.path is not None:
            message = f"{self.source} has no folder; wanted null"
            return [Conflict(("path", "source"), message)]
        return []


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DenseSection:
    """A stack of equal dense layers, shown standard normal noise."""

    width: int = Field(default=4096, ge=1, le=65536, description="Units per layer.")
    depth: int = Field(default=6, ge=1, le=1000, description="Hidden layers.")
    activation: ActivationName = Field(
        default="relu", description="Activation after each layer."
    )
    initializers: tuple[InitializerName, ...] = Field(
        default=("normal_0.01", "normal_0.05", "kaiming_normal_fan_in"),
        min_length=1,
        description="Initialisers to compare.",
    )
    batch_size: int = Field(default=256, ge=1, description="Vectors in the batch.")

    def find_conflicts(self) -> list[Conflict]:
        """Checks that each initialiser is one of a single kernel."""
        if "torchvision" not in self.initializers:
            return []
        message = "'torchvision' initialises whole networks, see network.initialization"
        return [Conflict(("initializers",), message)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NetworkSection:
    """A network that is looked at as it is initialised."""

    name: ModelName | None = Field(
        default="resnet152", description="Network; null leaves this part out."
    )
    initialization: InitializerName | None = Field(
        default=None,
        description="Initialiser of all kernels; null: the network's, by layer.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class InitStudyConfig:
    """How large activations are by layer, by how the weights were drawn."""

    dense: DenseSection = Field(default_factory=DenseSection)
    network: NetworkSection = Field(default_factory=NetworkSection)
    images: ImagesSection = Field(default_factory=ImagesSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DeepSection:
    """Deep stacks of dense layers, one for each activation and initialisation."""

    width: int = Field(default=256, ge=1, le=65536, description="Units per layer.")
    depth: int = Field(default=20, ge=2, le=1000, description="Hidden layers.")
    activations: tuple[ActivationName, ...] = Field(
        default=(
            "sigmoid",
            "tanh",
            "relu",
            "leaky_relu",
            "elu",
            "gelu",
            "silu",
            "identity",
        ),
        min_length=1,
        description="Activations to compare.",
    )
    initializations: tuple[Literal["kaiming", "xavier"], ...] = Field(
        default=("kaiming", "xavier"),
        min_length=1,
        description="Kaiming with each activation's gain, Xavier with gain 1.",
    )
    num_classes: int = Field(
        default=10, ge=2, description="Classes of the random labels of noise."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DigitImagesSection(ImagesSection):
    """Images; digits unless told otherwise."""

    source: ImagesName = Field(
        default="digits",
        description="One of noise, digits, idx, cifar10, folder, tfds:<name>.",
    )
    image_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Height and width; null: the data's, or what the network is for.",
    )
    batch_size: int = Field(default=256, ge=1, description="Images in the one batch.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ActivationStudyConfig:
    """What activation functions do to activations and gradients."""

    dense: DeepSection = Field(default_factory=DeepSection)
    images: DigitImagesSection = Field(default_factory=DigitImagesSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StackSection:
    """A stack of equal convolutions of stride 1 with random weights."""

    depth: int = Field(default=20, ge=1, le=200, description="Convolutions in a row.")
    kernel_size: int = Field(
        default=3, ge=1, le=31, description="Side of each kernel, an odd number."
    )
    channels: int = Field(
        default=16, ge=1, le=4096, description="Channels of each layer."
    )
    activation: ActivationName = Field(
        default="relu", description="Activation after each layer."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the kernels have a middle."""
        if self.kernel_size % 2:
            return []
        message = f"wanted an odd number, got {self.kernel_size}"
        return [Conflict(("kernel_size",), message)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WideImagesSection(ImagesSection):
    """Images; wide ones of noise unless told otherwise."""

    image_size: int | None = Field(
        default=97,
        ge=1,
        le=4096,
        description="Height and width; null: the data's, or what the network is for.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ReceptiveFieldConfig:
    """What units of networks can see, and what they do see."""

    stack: StackSection = Field(default_factory=StackSection)
    theoretical: tuple[ModelName, ...] = Field(
        default=("alexnet", "vgg16", "googlenet", "resnet18", "resnet50"),
        description="Networks whose theoretical fields to list.",
    )
    effective: tuple[ModelName, ...] = Field(
        default=("plain20_cifar", "resnet20_cifar"),
        description="Networks whose effective fields to measure too.",
    )
    weights: tuple[str, ...] = Field(
        default=(),
        description="Files of trained weights for the effective ones, in their order.",
    )
    images: WideImagesSection = Field(default_factory=WideImagesSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks that each network has its weights, if any has."""
        if len(self.weights) in (0, len(self.effective)):
            return []
        counts = f"{len(self.weights)} files for {len(self.effective)} networks"
        return [Conflict(("weights", "effective"), f"got {counts}")]
