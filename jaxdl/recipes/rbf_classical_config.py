"""The config of the classical trainings of radial basis function networks.

Imports no JAX.
"""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.study_configs import StudyRunSection
from jaxdl.recipes.svd_eigenimages_config import LabelledImagesSection


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VectorsSection(LabelledImagesSection):
    """Labelled images, whose pixels are the inputs."""

    standardize: bool = Field(
        default=False,
        description="Scale each pixel to deviation 1 in training; else all to [0, 1].",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CentersCountSection:
    """The networks on images."""

    counts: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        default=(10, 20, 50, 100), min_length=1, description="Numbers of centres."
    )
    num_seeds: int = Field(
        default=3, ge=1, le=100, description="Draws of the centres, per number."
    )
    kernel: Literal[
        "gaussian", "multiquadric", "inverse_multiquadric", "quadratic", "rational"
    ] = Field(
        default="gaussian",
        description="Activation by distance; the quadratic one has no lower bound, so "
        "that the most distant centres count most.",
    )
    width_scale: float = Field(
        default=2.0, gt=0, description="Widths over the distance to nearest centres."
    )
    strength: float = Field(
        default=0.0, ge=0, description="Of the ridge on outputs; 0: pseudo-inverse."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DescentSection:
    """The third phase: gradient descent on centres, widths and outputs."""

    loss: Literal["squared_error", "cross_entropy"] = Field(
        default="squared_error", description="Of classes; functions: squared error."
    )
    num_steps: int = Field(
        default=100, ge=1, description="Steps, each over all training images."
    )
    learning_rate: float = Field(
        default=0.01, gt=0, description="Of Adam, falling to 0 along a cosine."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FunctionSection:
    """A function of one number that networks are fitted to."""

    name: Literal["sine", "runge", "step"] | None = Field(
        default="sine",
        description="sin(x) on [0, 2 pi], 1 / (1 + 25 x^2) on [-1, 1], x + tanh(20 x - "
        "10) on [-1, 1]; null leaves this part out.",
    )
    num_examples: int = Field(
        default=100, ge=2, le=10_000, description="Places at which it is known."
    )
    counts: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        default=(5, 10, 20), min_length=1, description="Numbers of centres."
    )
    width_scale: float = Field(
        default=2.0, gt=0, description="Widths over the distance to nearest centres."
    )
    num_steps: int = Field(
        default=1000, ge=1, description="Steps of the third phase, at the same rate."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that there is an example for each centre."""
        most = max(self.counts)
        if most <= self.num_examples:
            return []
        message = f"{most} centres are more than the {self.num_examples} examples"
        return [Conflict(("counts", "num_examples"), message)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RBFClassicalConfig:
    """Radial basis function networks on vectors, trained in one, two, three phases."""

    images: VectorsSection = Field(default_factory=VectorsSection)
    centers: CentersCountSection = Field(default_factory=CentersCountSection)
    descent: DescentSection = Field(default_factory=DescentSection)
    function: FunctionSection = Field(default_factory=FunctionSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)
