"""The config of the study of images by their principal components. Imports no JAX."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.recipes.field_types import SourceName
from jaxdl.recipes.study_configs import StudyRunSection


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LabelledImagesSection:
    """The labelled images."""

    source: SourceName = Field(
        default="digits",
        description="One of digits, idx, cifar10, folder, tfds:<name>.",
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the images, also looked for under $JAXDL_DATA_DIR.",
    )
    image_size: int | None = Field(
        default=None, ge=1, le=512, description="Height and width; null: the data's."
    )
    train_limit: int | None = Field(
        default=None,
        ge=10,
        description="Use only this many images to train on, equally many per class.",
    )
    test_fraction: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of train to test on where the source has no test split.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the source has the path it needs, and no other."""
        if self.source in ("idx", "cifar10", "folder") and self.path is None:
            message = f"source {self.source!r} needs images.path"
            return [Conflict(("source", "path"), message)]
        if self.source == "digits" and self.path is not None:
            message = "digits come with scikit-learn; wanted null"
            return [Conflict(("path", "source"), message)]
        return []


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ComponentsSection:
    """The principal components of the images to train on."""

    counts: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 2, 4, 8, 16, 32),
        min_length=1,
        description="Numbers of components to rebuild images and find neighbours from.",
    )
    num_shown: int = Field(default=14, ge=1, le=64, description="Eigenimages to show.")
    num_examples: int = Field(
        default=6, ge=1, le=20, description="Test images to show rebuilt."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NeighborsSection:
    """The nearest training images of test images, by scores and by pixels."""

    num_neighbors: int = Field(default=5, ge=1, le=20, description="How many of each.")
    num_queries: int = Field(
        default=1000, ge=1, description="Test images to find neighbours of, at most."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DuplicatesSection:
    """The search for images that are almost the same, in all splits."""

    threshold: float = Field(
        default=0.97,
        gt=0,
        lt=1,
        description="Correlation of scores above which two images are near-duplicates.",
    )
    num_components: int = Field(
        default=50, ge=2, description="Scores to correlate, at most."
    )
    standardize: bool = Field(
        default=True, description="Ignore the brightness and contrast of each image."
    )
    num_shown: int = Field(default=8, ge=1, le=20, description="Groups to show.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SvdEigenimagesConfig:
    """Images by their principal components: eigenimages, neighbours, duplicates."""

    images: LabelledImagesSection = Field(default_factory=LabelledImagesSection)
    components: ComponentsSection = Field(default_factory=ComponentsSection)
    neighbors: NeighborsSection = Field(default_factory=NeighborsSection)
    duplicates: DuplicatesSection = Field(default_factory=DuplicatesSection)
    run: StudyRunSection = Field(default_factory=StudyRunSection)
