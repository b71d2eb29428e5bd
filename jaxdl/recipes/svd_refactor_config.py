"""The config of the study of functions and matrices in three parts. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.study_configs import StudyRunSection


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FunctionsSection:
    """The functions on finite domains."""

    shown: tuple[Literal["holes", "squares"], ...] = Field(
        default=("holes", "squares"),
        description="holes: of digit images; squares: n -> n * n mod a number.",
    )
    ink: float = Field(
        default=0.375,
        gt=0,
        lt=1,
        description="Pixels of at least this share of the brightest value are ink.",
    )
    modulus: int = Field(
        default=7, ge=2, le=16, description="The number that squares are taken modulo."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MatrixSection:
    """The matrix, made of small integers."""

    rows: int = Field(default=8, ge=1, le=40, description="Rows.")
    columns: int = Field(default=10, ge=1, le=40, description="Columns.")
    rank: int = Field(default=3, ge=1, le=40, description="Rank of the one drawn.")
    other_ranks: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 1, 8), description="Ranks of more matrices, for the table only."
    )
    forms: tuple[Literal["svd", "columns", "skeleton"], ...] = Field(
        default=("columns", "skeleton", "svd"),
        min_length=1,
        description="Bases that make the three parts.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that matrices of this shape can have these ranks."""
        shape = f"{self.rows}x{self.columns}"
        return [
            Conflict((key, "rows", "columns"), f"{rank} is above that of any {shape}")
            for key, rank in [
                ("rank", self.rank),
                *(("other_ranks", rank) for rank in self.other_ranks),
            ]
            if rank > min(self.rows, self.columns)
        ]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SvdRefactorConfig:
    """Functions and matrices as onto, then a bijection, then one-to-one."""

    functions: FunctionsSection = Field(default_factory=FunctionsSection)
    matrix: MatrixSection = Field(default_factory=MatrixSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)
