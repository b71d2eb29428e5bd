"""The images that lie nearest to some, as a network sees them."""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer, Shaped

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import shorten_name
from jaxdl.report.image_sheet import SheetImage, plot_image_sheet


def plot_neighbors(
    queries: Shaped[np.ndarray, "batch height width channels"],
    neighbors: Shaped[np.ndarray, "batch neighbors height width channels"],
    query_labels: Integer[np.ndarray, " batch"],
    neighbor_labels: Integer[np.ndarray, "batch neighbors"],
    similarities: Float[np.ndarray, "batch neighbors"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
) -> None:
    """Plots images and, on the right of each, those nearest to it.

    A neighbour of another class than that of the query has a red frame and a cross
    before its class.

    Args:
        queries: uint8, or floats in [0, 1], with one or three channels.
        neighbors: Of each, the nearest first.
        query_labels: Their classes.
        neighbor_labels: The classes of their neighbours.
        similarities: Cosine of the features, in [-1, 1].
        class_names: One name per class.
        path: The PNG to write, in a folder that exists.

    Raises:
        ValueError: There is no query, or none of them has a neighbour.

    Example:
        >>> import os
        >>> images, labels = np.zeros((1, 8, 8, 1), np.uint8), np.array([0])
        >>> plot_neighbors(
        ...     images, images[None], labels, labels[None], np.ones((1, 1)), ["cat"],
        ...     os.devnull,
        ... )
    """
    if neighbors.shape[0] == 0 or neighbors.shape[1] == 0:
        raise ValueError(
            "plot_neighbors: wanted at least one query with one neighbour, got "
            f"neighbours of shape {neighbors.shape}"
        )
    names = [shorten_name(name, max_length=14) for name in class_names]
    rows: list[list[SheetImage | None]] = []
    for query, label, images, labels, values in zip(
        queries, query_labels, neighbors, neighbor_labels, similarities, strict=True
    ):
        row: list[SheetImage | None] = [SheetImage(query, names[int(label)]), None]
        for image, found, value in zip(images, labels, values, strict=True):
            is_wrong = int(found) != int(label)
            caption = f"{'× ' * is_wrong}{names[int(found)]}\n{value:.2f}"
            row.append(SheetImage(image, caption, SERIES[1] if is_wrong else None))
        rows.append(row)
    plot_image_sheet(
        rows,
        path,
        title="nearest training images, by the cosine of their features",
        headings=("query", "", "nearest"),
        size=0.95,
    )
