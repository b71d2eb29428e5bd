"""The config of the study of PageRank. Imports no JAX."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT
from jaxdl.recipes.study_configs import StudyRunSection


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GraphSection:
    """The directed graph."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="Edges, two names per line (# begins a comment), also looked for "
        "under $JAXDL_DATA_DIR; null makes a graph.",
    )
    num_nodes: int = Field(default=2000, ge=2, description="Of a made graph.")
    num_edges: int = Field(
        default=20000, ge=1, description="Drawn for a made graph; repeats count once."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RankingSection:
    """The iteration."""

    damping: float = Field(
        default=0.85, ge=0, lt=1, description="Probability to follow an edge."
    )
    tol: float = Field(
        default=1e-7,
        gt=0,
        description="Sum of magnitudes of the scores' errors to stop at.",
    )
    max_iterations: int = Field(default=200, ge=1, description="Stop there at last.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PageRankConfig:
    """Which nodes of a graph matter, and how fast one finds out."""

    graph: GraphSection = Field(default_factory=GraphSection)
    ranking: RankingSection = Field(default_factory=RankingSection)
    num_shown: int = Field(default=20, ge=1, description="Nodes in the table.")
    run: StudyRunSection = Field(default_factory=StudyRunSection)
