"""Which training images a learned metric finds most alike and least alike."""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer, Shaped

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import shorten_name
from jaxdl.report.image_sheet import SheetImage, plot_image_sheet

_BLANK = SheetImage(np.ones((1, 1, 1), np.float32))
"""A white place that, unlike an empty one, keeps the name of its row."""


def plot_retrieval(
    queries: Shaped[np.ndarray, "queries height width channels"],
    query_labels: Integer[np.ndarray, " queries"],
    images: Shaped[np.ndarray, "batch height width channels"],
    labels: Integer[np.ndarray, " batch"],
    distances: Float[np.ndarray, "queries batch"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    metric: str,
    num_images: int = 15,
) -> None:
    """Plots the nearest and the farthest images of each query, two rows for each.

    What speaks against the metric is crossed and framed: a near image of another
    class than the query's, a far one of the same class.

    Args:
        queries: uint8, or floats in [0, 1], with one or three channels.
        query_labels: Their classes.
        images: To search, likewise.
        labels: Their classes.
        distances: From each query to each image.
        class_names: One name per class.
        path: The PNG to write, in a folder that exists.
        metric: What the distances are, for the title.
        num_images: In a row, at least 1; fewer where there are no more.

    Raises:
        ValueError: There is no query or no image, or `num_images` is below 1.

    Example:
        >>> import os
        >>> images, labels = np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 0, 1])
        >>> plot_retrieval(
        ...     images[:1], labels[:1], images, labels, np.array([[0.0, 1.0, 5.0]]),
        ...     ["cat", "dog"], os.devnull, metric="learned metric",
        ... )
    """
    if 0 in distances.shape or num_images < 1:
        raise ValueError(
            "plot_retrieval: wanted at least one query, one image and num_images of 1, "
            f"got distances of {distances.shape} and num_images {num_images}"
        )
    names = [shorten_name(name, max_length=11) for name in class_names]
    # A stable sort keeps equal distances in the order of the data.
    order = np.argsort(distances, axis=1, kind="stable")
    digits = _count_digits(distances)
    rows: list[list[SheetImage | None]] = []
    for query, label, ranks, row in zip(
        queries, query_labels, order, distances, strict=True
    ):
        near, far = ranks[:num_images], ranks[::-1][:num_images]
        start = SheetImage(query, names[int(label)])
        for first, found, is_near in ((start, near, True), (_BLANK, far, False)):
            cells: list[SheetImage | None] = [first, None]
            for index in found:
                is_same = int(labels[index]) == int(label)
                is_wrong = is_same != is_near
                distance = f"{'× ' * is_wrong}{row[index]:.{digits}f}"
                cells.append(
                    SheetImage(
                        images[index],
                        f"{names[int(labels[index])]}\n{distance}",
                        SERIES[1] if is_wrong else None,
                    )
                )
            rows.append(cells)
    count = min(num_images, len(images))
    plot_image_sheet(
        rows,
        path,
        title=f"the {count} most and the {count} least similar training images, by "
        f"{metric}",
        headings=("query",),
        row_names=("most similar", "least similar") * len(queries),
        size=0.6,
    )


def _count_digits(distances: np.ndarray) -> int:
    """Digits after the point that leave about four in all."""
    largest = float(np.abs(distances[np.isfinite(distances)]).max(initial=0.0))
    return int(np.clip(3 - np.floor(np.log10(largest or 1.0)), 0, 4))
