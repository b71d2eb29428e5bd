"""What moves in a video: robust PCA beside the nearest matrix of rank 1."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.linalg import RobustPCA, low_rank_approximation, robust_pca
from jaxdl.recipes.study import finish_study
from jaxdl.recipes.svd_background_config import (
    BackgroundConfig,
    MaskSection,
    SeparationSection,
)
from jaxdl.recipes.svd_background_data import Clip, load_clip
from jaxdl.report import SheetImage, plot_image_sheet
from jaxdl.train import RunFolder
from jaxdl.typing import Array

_STANDARD = 1.4826  # deviations of a normal variable per median absolute one


_SHOWN = ("method", "rank", "residual", "iterations", "seconds", "f_score")


class _Scene(NamedTuple):
    """A clip taken apart by one method."""

    background: np.ndarray
    mask: np.ndarray
    row: dict[str, Any]


def study_background(config: BackgroundConfig, run: RunFolder) -> int:
    """Separates foreground and background in two ways; writes masks, table, sheet.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    clip = load_clip(config.clip, seed=config.run.seed)
    matrix = jnp.asarray(clip.frames.reshape(len(clip.frames), -1))
    scenes = {
        "rank 1": _separate_by_rank_1(clip, matrix, config.mask),
        "robust PCA": _separate_robustly(clip, matrix, config.separation, config.mask),
    }
    table = [{"method": name, **scene.row} for name, scene in scenes.items()]
    np.savez_compressed(
        run.path / "robust_pca.npz",
        background=scenes["robust PCA"].background,
        mask=scenes["robust PCA"].mask,
    )
    _draw(clip, scenes, config.num_shown, run)
    frames, height, width, channels = clip.frames.shape
    finish_study(
        run,
        table=table,
        summary={
            "clip": clip.name,
            "frames": frames,
            "height": height,
            "width": width,
            "channels": channels,
            "results": table,
            "seconds": time.perf_counter() - start,
        },
        shown=[{key: row[key] for key in _SHOWN if key in row} for row in table],
        title=f"{clip.name}: {frames} frames of {width} x {height}",
    )
    return 0


def find_foreground(
    foreground: np.ndarray, *, multiple: float, floor: float
) -> tuple[np.ndarray, float]:
    """Marks pixels whose foreground is far from 0.

    Args:
      foreground: frames less their background, (frames, height, width, channels).
      multiple: of the deviation, as the median absolute one tells it, to mark from.
      floor: the least threshold.

    Returns:
      Which pixels are foreground in any channel, and the threshold.

    Example:
      >>> foreground = np.array([0.0, 0.1, -0.1, 5.0]).reshape(1, 2, 2, 1)
      >>> mask, threshold = find_foreground(foreground, multiple=3.0, floor=0.0)
      >>> mask.sum(), round(threshold, 4)
      (np.int64(1), 0.4448)
    """
    sizes = np.abs(foreground)
    threshold = max(multiple * _STANDARD * float(np.median(sizes)), floor)
    return sizes.max(axis=-1) > threshold, threshold


def _separate_by_rank_1(clip: Clip, matrix: Array, section: MaskSection) -> _Scene:
    found, seconds = _time(lambda: low_rank_approximation(matrix, 1))
    row = {"rank": 1, "seconds": seconds}
    return _finish_scene(clip, np.asarray(found), section, row)


def _separate_robustly(
    clip: Clip, matrix: Array, section: SeparationSection, mask: MaskSection
) -> _Scene:
    def separate() -> RobustPCA:
        return robust_pca(
            matrix,
            sparsity=section.sparsity,
            tol=section.tol,
            max_iterations=section.max_iterations,
        )

    found, seconds = _time(separate)
    row = {
        "rank": int(found.rank),
        "residual": float(found.residual),
        "iterations": int(found.num_iterations),
        "converged": bool(found.converged),
        "sparse_share": float(jnp.mean(found.sparse != 0)),
        "seconds": seconds,
    }
    return _finish_scene(clip, np.asarray(found.low_rank), mask, row)


def _time(separate: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and how long it takes once compiled."""
    jax.block_until_ready(separate())
    start = time.perf_counter()
    found = jax.block_until_ready(separate())
    return found, time.perf_counter() - start


def _finish_scene(
    clip: Clip, background: np.ndarray, section: MaskSection, row: dict[str, Any]
) -> _Scene:
    background = background.reshape(clip.frames.shape)
    mask, threshold = find_foreground(
        clip.frames - background, multiple=section.multiple, floor=section.floor
    )
    row |= {"threshold": threshold, "foreground_share": float(mask.mean())}
    if clip.truth is not None:
        hits = float(np.sum(mask & clip.truth))
        # Of 0 / 0: nothing found where there is nothing is all that was wanted.
        counts = [float(np.sum(part)) for part in (mask, clip.truth)]
        scores = [hits / count if count else 1.0 for count in counts]
        both = sum(counts)
        row |= {
            "precision": scores[0],
            "recall": scores[1],
            "f_score": 2 * hits / both if both else 1.0,
        }
    return _Scene(background, mask, row)


def _draw(
    clip: Clip, scenes: dict[str, _Scene], num_shown: int, run: RunFolder
) -> None:
    count = len(clip.frames)
    chosen = np.unique(np.linspace(0, count - 1, min(num_shown, count)).astype(int))
    rows = []
    for index in chosen:
        row: list[SheetImage | None] = [
            SheetImage(clip.frames[index], f"frame {index + 1}")
        ]
        if clip.truth is not None:
            row.append(SheetImage(clip.truth[index, ..., None].astype(np.float32)))
        for scene in scenes.values():
            still = scene.background[index]
            row += [
                None,
                SheetImage(np.clip(still, 0, 1)),
                SheetImage(clip.frames[index] - still, is_signed=True),
                SheetImage(scene.mask[index, ..., None].astype(np.float32)),
            ]
        rows.append(row)
    headings = ["frame"] + ["truth"] * (clip.truth is not None)
    for name in scenes:
        headings += ["", f"{name}:\nbackground", "\nforeground", "\nmask"]
    plot_image_sheet(
        rows,
        run.path / "frames.png",
        title="Background and foreground: nearest matrix of rank 1 and robust PCA",
        headings=headings,
        size=1.5,
    )
