"""Sheets of images: principal components, rebuilt images, nearest neighbours."""

import os
from collections.abc import Sequence

import numpy as np

from jaxdl.linalg import PCA
from jaxdl.recipes.svd_eigenimages_config import ComponentsSection
from jaxdl.recipes.svd_eigenimages_data import ImageSplits
from jaxdl.report import SheetImage, plot_image_sheet

SAME, OTHER = "#1f5fa8", "#d1495b"
"""Frames of images of the same class as another, and of another class."""

_PER_ROW = 5


def draw_eigenimages(
    section: ComponentsSection,
    data: ImageSplits,
    model: PCA,
    path: str | os.PathLike[str],
) -> None:
    """Draws the mean image and the first components.

    Args:
      section: how many.
      data: the images.
      model: their components.
      path: the PNG to write.
    """
    shape = data.train.images.shape[1:]
    cells = [SheetImage(np.asarray(model.mean).reshape(shape), "mean")]
    shares = 100 * np.asarray(model.explained_variance_ratio)
    components = np.asarray(model.components)[: section.num_shown]
    for index, component in enumerate(components):
        caption = f"{index + 1}: {shares[index]:.1f} %"
        cells.append(SheetImage(component.reshape(shape), caption, is_signed=True))
    plot_image_sheet(
        [cells[i : i + _PER_ROW] for i in range(0, len(cells), _PER_ROW)],
        path,
        title=f"{data.name}: mean, components and their variance",
        size=1.2,
    )


def draw_rebuilt(
    data: ImageSplits,
    counts: Sequence[int],
    rebuilt: Sequence[np.ndarray],
    path: str | os.PathLike[str],
) -> None:
    """Draws test images rebuilt from more and more components, and as they are.

    Args:
      data: the images.
      counts: numbers of components.
      rebuilt: for each, rows of pixels of the first test images.
      path: the PNG to write.
    """
    shape = data.test.images.shape[1:]
    rows = []
    for index in range(len(rebuilt[0])):
        row, original = [], np.asarray(data.test.pixels[index])
        for pixels in rebuilt:
            shown = np.clip(pixels[index], 0, 1)
            error = 255 * float(np.sqrt(np.mean((pixels[index] - original) ** 2)))
            row.append(SheetImage(shown.reshape(shape), f"±{error:.0f}"))
        label = data.class_names[int(data.test.labels[index])]
        rows.append([*row, SheetImage(data.test.images[index], label)])
    plot_image_sheet(
        rows,
        path,
        title=f"{data.name}: test images from their first components "
        "(± error in grey levels)",
        headings=[*(f"first {count}" for count in counts), "original"],
    )


def draw_neighbors(
    data: ImageSplits,
    queries: np.ndarray,
    by_scores: np.ndarray,
    by_pixels: np.ndarray,
    count: int,
    path: str | os.PathLike[str],
) -> None:
    """Draws test images with the nearest training images, by scores and by pixels.

    Args:
      data: the images.
      queries: positions of test images.
      by_scores: for each, positions of training images.
      by_pixels: the same by another distance.
      count: number of scores.
      path: the PNG to write.
    """
    rows = []
    for query, near, also in zip(queries, by_scores, by_pixels, strict=True):
        label = int(data.test.labels[query])
        name = data.class_names[label]
        row: list[SheetImage | None] = [SheetImage(data.test.images[query], name), None]
        row += [_frame(data, position, label) for position in near.tolist()]
        row += [None, *(_frame(data, position, label) for position in also.tolist())]
        rows.append(row)
    gap = [""] * (by_scores.shape[1] - 1)
    plot_image_sheet(
        rows,
        path,
        title=f"{data.name}: nearest training images "
        "(blue: of the same class, red: of another)",
        headings=["query", "", f"by {count} scores", *gap, "", "by pixels"],
        size=0.8,
    )


def _frame(data: ImageSplits, position: int, label: int) -> SheetImage:
    found = int(data.train.labels[position])
    colour = SAME if found == label else OTHER
    return SheetImage(data.train.images[position], data.class_names[found], colour)
