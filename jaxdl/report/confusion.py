"""The confusion matrix of a classifier."""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer
from matplotlib.axes import Axes

from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    shorten_name,
    write_note,
)

_MAX_COUNTS = 20  # classes up to which a count fits into its cell
_MAX_NAMES = 60  # classes up to which the names fit on the axes


def plot_confusion(
    matrix: Integer[np.ndarray, "classes classes"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
) -> None:
    """Plots a confusion matrix, each row coloured by its share of the true class.

    Args:
        matrix: Counts, rows being true classes and columns predicted ones.
        class_names: One name per class.
        path: The PNG to write, in a folder that exists.

    Raises:
        ValueError: The names are not as many as the classes.

    Example:
        >>> import os
        >>> plot_confusion(np.array([[9, 1], [0, 10]]), ["cat", "dog"], os.devnull)
    """
    num_classes = len(matrix)
    if len(class_names) != num_classes:
        raise ValueError(
            f"class_names has {len(class_names)} names, matrix {num_classes} classes"
        )
    if not matrix.any():
        figure = make_figure(5.0, 3.0)
        write_note(figure.subplots(), "No examples were scored.")
        save_figure(figure, path)
        return
    counts = matrix.astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)

    size = float(np.clip(2.5 + 0.42 * num_classes, 4.5, 12))
    figure = make_figure(size + 0.8, size)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if num_classes <= _MAX_COUNTS:
        _write_counts(axes, matrix, shares)
    if num_classes <= _MAX_NAMES:
        _name_classes(axes, class_names)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=QUIET)
    axes.set_xlabel("predicted", color=QUIET)
    axes.set_ylabel("true", color=QUIET)
    accuracy = np.trace(counts) / counts.sum()
    axes.set_title(
        f"accuracy {accuracy:.4f} on {int(counts.sum()):,} examples",
        loc="left",
        fontsize=11,
        color=QUIET,
    )
    bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.02)
    bar.set_label("share of the true class", color=QUIET)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=QUIET, length=0)
    save_figure(figure, path)


def _write_counts(axes: Axes, matrix: np.ndarray, shares: np.ndarray) -> None:
    size = 9 if len(matrix) <= 12 else 7
    for row, column in np.argwhere(matrix > 0):
        axes.text(
            column,
            row,
            f"{matrix[row, column]}",
            ha="center",
            va="center",
            fontsize=size,
            color="white" if shares[row, column] > 0.5 else "#323f4b",
        )


def _name_classes(axes: Axes, class_names: Sequence[str]) -> None:
    names = [shorten_name(name, max_length=18) for name in class_names]
    size = 9 if len(names) <= 30 else 6
    upright = max(map(len, names)) <= 3 and len(names) <= 30
    ticks = range(len(names))
    axes.set_yticks(ticks, names, fontsize=size, parse_math=False)
    axes.set_xticks(
        ticks,
        names,
        fontsize=size,
        parse_math=False,
        rotation=0 if upright else 90,
    )
