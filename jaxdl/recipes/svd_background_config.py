"""The config of the study of video backgrounds. Imports no JAX."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT
from jaxdl.recipes.study_configs import StudyRunSection


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ClipSection:
    """The video, of a camera that stands still."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="Array of frames (.npz, .npy) or folder of images, also looked for "
        "under $JAXDL_DATA_DIR; null makes a clip.",
    )
    num_frames: int = Field(
        default=80, ge=2, description="Frames to use at most, from the first."
    )
    stride: int = Field(
        default=1, ge=1, description="Use each frame of this many; not for a made clip."
    )
    grey: bool = Field(
        default=True, description="Whether to read images as grey, else as RGB."
    )
    height: int = Field(
        default=60, ge=16, le=4096, description="Of a made clip, in pixels."
    )
    width: int = Field(
        default=80, ge=16, le=4096, description="Of a made clip, in pixels."
    )
    noise: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Deviation of a made clip's noise; white is 1.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SeparationSection:
    """Robust PCA."""

    sparsity: float | None = Field(
        default=None,
        gt=0,
        description="Weight of the sparse part; null: 1 / sqrt(longer side).",
    )
    tol: float = Field(default=1e-7, gt=0, description="Relative residual to stop at.")
    max_iterations: int = Field(default=100, ge=1, description="Stop there at last.")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MaskSection:
    """Which pixels are foreground: those far from the background."""

    multiple: float = Field(
        default=6.0,
        gt=0,
        description="Times the deviation that the median absolute one stands for.",
    )
    floor: float = Field(
        default=0.05,
        ge=0,
        description="Never less than this; white is 1. An exact background has a "
        "median of 0.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BackgroundConfig:
    """What moves in a video, and what stands still."""

    clip: ClipSection = Field(default_factory=ClipSection)
    separation: SeparationSection = Field(default_factory=SeparationSection)
    mask: MaskSection = Field(default_factory=MaskSection)
    num_shown: int = Field(default=4, ge=1, le=20, description="Frames on the sheet.")
    run: StudyRunSection = Field(default_factory=StudyRunSection)
