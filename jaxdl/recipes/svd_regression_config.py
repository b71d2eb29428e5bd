"""The config of the study of linear regression by singular values. Imports no JAX."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.study_configs import StudyRunSection


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RegressionDataSection:
    """The examples: numbers, one row each."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="A .csv with a line of names, or an .npz of x and y, also looked "
        "for in $JAXDL_DATA_DIR; null: the diabetes data of scikit-learn.",
    )
    target: str = Field(
        default="y",
        min_length=1,
        description="Column of the .csv, or array of the .npz, to predict.",
    )
    test_fraction: float = Field(
        default=0.3, gt=0, lt=1, description="Share of the examples to test on."
    )
    standardize: bool = Field(
        default=True, description="Scale features to deviation 1 in training."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StrengthsSection:
    """The strengths of the ridge penalty, spaced evenly in their logarithm."""

    smallest: float = Field(default=1e-2, gt=0, description="The first strength.")
    largest: float = Field(default=1e5, gt=0, description="The last strength.")
    count: int = Field(default=71, ge=2, le=2000, description="How many there are.")

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the strengths rise."""
        if self.smallest < self.largest:
            return []
        message = f"wanted less than the largest, {self.largest:g}"
        return [Conflict(("smallest", "largest"), message)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SvdRegressionConfig:
    """Least squares, ridge and principal-component regression from one SVD."""

    data: RegressionDataSection = Field(default_factory=RegressionDataSection)
    strengths: StrengthsSection = Field(default_factory=StrengthsSection)
    copied: str | None = Field(
        default=None,
        min_length=1,
        description="Feature to put in twice, to see what methods do; null: the one "
        "that is most correlated with the target.",
    )
    run: StudyRunSection = Field(default_factory=StudyRunSection)
