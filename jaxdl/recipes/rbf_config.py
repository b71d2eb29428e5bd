"""The config of a classifier with a radial basis function head. Imports no JAX."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.configs import find_batch_conflicts, find_rate_conflicts
from jaxdl.recipes.field_types import IntervalText, SourceName
from jaxdl.recipes.layout import LayoutSection
from jaxdl.recipes.optimizer_sections import OptimizerSection, ScheduleSection
from jaxdl.recipes.sections import (
    AugmentSection,
    DataSection,
    MeshSection,
    ModelSection,
    RunSection,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RBFHeadSection:
    """The head: embedding, centres, metric, kernel."""

    num_centers: int = Field(default=20, ge=2, description="Number of centres.")
    embedding_size: int = Field(
        default=64, ge=1, description="Directions in which distances are measured."
    )
    metric: Literal["euclidean", "diagonal", "full"] = Field(
        default="diagonal", description="Of the distances; learnt but for euclidean."
    )
    per_center_metric: bool = Field(
        default=False, description="Each centre has a metric of its own."
    )
    kernel: Literal[
        "quadratic",
        "gaussian",
        "linear",
        "thin_plate",
        "multiquadric",
        "inverse_multiquadric",
        "rational",
        "logistic",
    ] = Field(default="quadratic", description="Activation as a function of distance.")
    nonnegative: bool = Field(
        default=False, description="Centres speak for classes, never against one."
    )
    freeze_backbone: bool = Field(
        default=False, description="Train the head alone, on the features as they are."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CentersSection:
    """Where the centres are when training begins."""

    warm_start: IntervalText | None = Field(
        default="1 epochs",
        description="Plain training before centres are looked for; null: none.",
    )
    method: Literal["kmeans", "class_kmeans", "random", "drawn"] = Field(
        default="kmeans",
        description="Clusters of all images, or of each class; images; noise.",
    )
    widths: Literal["neighbors", "spread"] | None = Field(
        default="neighbors",
        description="By the nearest centres, or a cluster's own images; null: all 1.",
    )
    class_weight: float | None = Field(
        default=None,
        gt=0,
        description="Output weight of a centre for its class alone; null: as drawn.",
    )
    num_examples: int = Field(
        default=20_000, ge=2, description="Training images to find clusters among."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RBFLossSection:
    """The loss: of the classes, of the clusters, and what holds the head back."""

    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Probability spread over all classes."
    )
    cluster_weight: float = Field(
        default=0.1, ge=0, description="Of the distance to the nearest centre."
    )
    center_repulsion: float = Field(
        default=0.0, ge=0, description="Weight of the overlap of centres."
    )
    width_prior: float = Field(
        default=0.0, ge=0, description="Weight of how unequal widths are."
    )
    assignment_imbalance: float = Field(
        default=0.0, ge=0, description="Weight of how unevenly centres are used."
    )
    metric_decay: float = Field(
        default=0.0, ge=0, description="Weight of how uneven a diagonal metric is."
    )
    activation_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of activations dropped in training."
    )
    embedding_mixup: float = Field(
        default=0.0,
        ge=0,
        description="Of the Beta distribution that mixes embeddings; 0: no mixing.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RBFReportSection:
    """What the pages and figures show."""

    num_maps: int = Field(default=4, ge=0, description="Centres to draw a map of.")
    num_queries: int = Field(
        default=6, ge=1, description="Test images to find similar ones for."
    )
    num_similar: int = Field(
        default=15, ge=1, description="Training images per query, and for precision."
    )
    num_examples: int = Field(
        default=2000, ge=2, description="Training images that figures are made of."
    )
    order: Literal["random", "class"] = Field(
        default="class", description="Angles of a centre's map."
    )
    num_test_images: int = Field(
        default=3, ge=0, description="Test images in a red frame per map, at most."
    )
    tsne_images: int = Field(
        default=300,
        ge=0,
        le=800,
        description="Validation images in the t-SNE maps of the training; 0: no maps.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class UnknownSection:
    """Images of another dataset, which the network should not know.

    They get the height and width of the images trained on, and their channels: grey is
    repeated, colours become grey.
    """

    source: SourceName | None = Field(
        default=None, description="As data.source; null: shuffled pixels alone."
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the data, also looked for under $JAXDL_DATA_DIR.",
    )
    split: Literal["train", "validation", "test"] | None = Field(
        default=None, description="Which part; null: test, or train if there is none."
    )
    num_images: int = Field(default=1000, ge=1, description="Images to draw from it.")

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the source has the path it needs, and no other."""
        if self.source is None:
            given = {"path": self.path, "split": self.split}
            message = "nothing is read from a source that is null; wanted null"
            return [
                Conflict((name, "source"), message)
                for name, value in given.items()
                if value is not None
            ]
        if self.source in ("idx", "cifar10", "folder") and self.path is None:
            message = f"source {self.source!r} needs unknown.path"
            return [Conflict(("source", "path"), message)]
        if self.source == "digits" and self.path is not None:
            message = "the digits are part of scikit-learn; wanted null"
            return [Conflict(("path", "source"), message)]
        return []


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RBFConfig:
    """A classifier that decides by distances to centres."""

    model: ModelSection = Field(default_factory=ModelSection)
    weights: str | None = Field(
        default=None,
        min_length=1,
        description="File of trained weights for the backbone; null: fresh ones.",
    )
    head: RBFHeadSection = Field(default_factory=RBFHeadSection)
    centers: CentersSection = Field(default_factory=CentersSection)
    data: DataSection = Field(default_factory=DataSection)
    loss: RBFLossSection = Field(default_factory=RBFLossSection)
    optimizer: OptimizerSection = Field(default_factory=OptimizerSection)
    schedule: ScheduleSection = Field(default_factory=ScheduleSection)
    augment: AugmentSection = Field(default_factory=AugmentSection)
    report: RBFReportSection = Field(default_factory=RBFReportSection)
    unknown: UnknownSection = Field(default_factory=UnknownSection)
    mesh: MeshSection = Field(default_factory=MeshSection)
    layout: LayoutSection = Field(default_factory=LayoutSection)
    run: RunSection = Field(default_factory=RunSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks what only several sections together tell."""
        conflicts = [
            *find_batch_conflicts(
                data=self.data, optimizer=self.optimizer, mesh=self.mesh
            ),
            *find_rate_conflicts(optimizer=self.optimizer, schedule=self.schedule),
        ]
        if self.loss.metric_decay and self.head.metric != "diagonal":
            message = f"head.metric is {self.head.metric}; wanted diagonal"
            keys = ("loss.metric_decay", "head.metric")
            conflicts.append(Conflict(keys, message))
        if self.centers.class_weight and self.centers.method == "drawn":
            message = "drawn centres stand for no class; wanted another method"
            keys = ("centers.class_weight", "centers.method")
            conflicts.append(Conflict(keys, message))
        if self.head.per_center_metric and self.head.metric == "euclidean":
            message = "a euclidean metric has nothing of its own; wanted another"
            keys = ("head.per_center_metric", "head.metric")
            conflicts.append(Conflict(keys, message))
        return conflicts
