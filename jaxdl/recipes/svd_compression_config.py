"""The config of the study of images of low rank. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT
from jaxdl.recipes.study_configs import StudyRunSection

Rank = Annotated[int, Field(ge=1)]
Energy = Annotated[float, Field(gt=0, lt=1)]
Decibels = Annotated[float, Field(gt=0, le=120)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PictureSection:
    """The picture to compress."""

    sample: Literal["china", "flower"] = Field(
        default="china", description="A photo that comes with scikit-learn."
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="A picture to take instead, also looked for in $JAXDL_DATA_DIR.",
    )
    colour: bool = Field(
        default=True, description="Compress each colour channel; false: grey."
    )
    max_side: int | None = Field(
        default=1024,
        ge=2,
        le=8192,
        description="Shrink larger pictures to this many pixels; null: never.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RankRulesSection:
    """How ranks are chosen."""

    energies: tuple[Energy, ...] = Field(
        default=(0.9, 0.95, 0.99),
        description="Shares of the squared singular values to keep.",
    )
    psnrs: tuple[Decibels, ...] = Field(
        default=(25.0, 30.0), description="Peak signal-to-noise ratios to reach, in dB."
    )
    noise: float | None = Field(
        default=None,
        gt=0,
        le=255,
        description="Deviation of the noise in grey levels; null: from the median "
        "singular value.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SvdCompressionConfig:
    """A picture as sums of few products of a column and a row."""

    picture: PictureSection = Field(default_factory=PictureSection)
    rules: RankRulesSection = Field(default_factory=RankRulesSection)
    ranks: tuple[Rank, ...] = Field(
        default=(1, 5, 20, 50, 100),
        min_length=1,
        description="Ranks of the pictures to show; those above its own are left out.",
    )
    run: StudyRunSection = Field(default_factory=StudyRunSection)
