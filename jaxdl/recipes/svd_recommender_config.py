"""The config of the study of recommenders. Imports no JAX."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT
from jaxdl.recipes.study_configs import StudyRunSection


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RatingsSection:
    """The ratings, and which of them are held out."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="CSV with a header (user, item, rating, ...) or MovieLens' u.data, "
        "also looked for under $JAXDL_DATA_DIR; null makes ratings.",
    )
    test_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="Share of ratings to test on."
    )
    num_users: int = Field(default=500, ge=2, description="Of made ratings.")
    num_items: int = Field(default=400, ge=2, description="Of made ratings.")
    share: float = Field(
        default=0.5, gt=0, le=1, description="Share of pairs with a made rating."
    )
    rank: int = Field(default=5, ge=1, description="Of made ratings without noise.")
    noise: float = Field(default=0.5, ge=0, description="Deviation in made ratings.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TruncatedSection:
    """(a) A truncated decomposition of what biases leave, zeros for unknown."""

    rank: int = Field(default=5, ge=1, description="Singular values to keep.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DescentSection:
    """(b) Biases and factors by stochastic gradient descent."""

    rank: int = Field(default=5, ge=1, description="Length of the factors.")
    num_epochs: int = Field(default=40, ge=1, description="Passes over the ratings.")
    learning_rate: float = Field(default=0.01, gt=0, description="Step per rating.")
    regularization: float = Field(default=0.02, ge=0, description="Decay per rating.")
    batch_size: int = Field(default=1024, ge=1, description="Ratings per batch.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ImputeSection:
    """(c) Soft-impute along a path of shrinkages, the best one by validation."""

    max_rank: int = Field(default=20, ge=1, description="Most singular values kept.")
    num_shrinkages: int = Field(default=6, ge=1, description="Points of the path.")
    smallest: float = Field(
        default=0.04,
        gt=0,
        lt=1,
        description="Last shrinkage of the path, over the largest singular value.",
    )
    tol: float = Field(default=1e-3, gt=0, description="Relative change to stop at.")
    max_iterations: int = Field(default=100, ge=1, description="For each shrinkage.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AlternatingSection:
    """(d) Alternating least squares."""

    rank: int = Field(default=5, ge=1, description="Length of the factors.")
    num_epochs: int = Field(default=15, ge=1, description="Alternations.")
    regularization: float = Field(
        default=0.01, gt=0, description="Ridge penalty per rating."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RecommenderConfig:
    """Four ways to predict ratings by low rank, and biases alone."""

    ratings: RatingsSection = Field(default_factory=RatingsSection)
    truncated_svd: TruncatedSection = Field(default_factory=TruncatedSection)
    factorization: DescentSection = Field(default_factory=DescentSection)
    soft_impute: ImputeSection = Field(default_factory=ImputeSection)
    least_squares: AlternatingSection = Field(default_factory=AlternatingSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)
