"""A self-supervised training: its views, its correlations, its curves."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from jaxdl.report.curves import finite_or_gap
from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    TRAIN,
    VALIDATION,
    make_figure,
    save_figure,
    spell_out_ticks,
    tidy_axes,
    write_note,
)
from jaxdl.report.image_sheet import SheetImage, plot_image_sheet

_MOST_IMAGES = 8
_MOST_MATRICES = 6

_PANELS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "loss": (
        ("train", "loss", "loss", VALIDATION),
        ("train", "on_diagonal", "on the diagonal", SERIES[3]),
        ("train", "off_diagonal", "off the diagonal, weighted", SERIES[2]),
    ),
    "accuracy": (
        ("train", "probe_accuracy", "linear probe, training views", TRAIN),
        ("validation", "probe_accuracy", "linear probe, held out", VALIDATION),
        ("validation", "neighbor_accuracy", "neighbours, held out", SERIES[1]),
    ),
    "effective rank of the embeddings": (
        ("validation", "effective_rank", "held out", VALIDATION),
    ),
    "mean size of a correlation off the diagonal": (
        ("validation", "mean_correlation", "held out", VALIDATION),
    ),
}
"""By title: split, name in the rows, label and colour of each line."""


def plot_views(
    images: Shaped[np.ndarray, "batch height width channels"],
    first: Shaped[np.ndarray, "batch size size channels"],
    second: Shaped[np.ndarray, "batch size size channels"],
    path: str | os.PathLike[str],
) -> None:
    """Plots images above the two views that were made of each.

    Args:
        images: uint8, or floats in [0, 1], with one or three channels; the first
            eight are shown.
        first: Their first views, likewise.
        second: Their second views.
        path: The PNG to write, in a folder that exists.

    Raises:
        ValueError: There is no image, or not one of each view per image.

    Example:
        >>> import os
        >>> images = np.zeros((2, 8, 8, 1), np.uint8)
        >>> plot_views(images, images, images, os.devnull)
    """
    counts = [len(images), len(first), len(second)]
    if counts[0] == 0 or len(set(counts)) > 1:
        raise ValueError(
            "plot_views: wanted as many images as first and second views, at least "
            f"one, got {counts}"
        )
    plot_image_sheet(
        [
            [SheetImage(_widen(image)) for image in row[:_MOST_IMAGES]]
            for row in (images, first, second)
        ],
        path,
        title="two views of each image",
        row_names=("image", "view 1", "view 2"),
        size=1.2,
    )


def _widen(image: np.ndarray) -> np.ndarray:
    """Matplotlib takes no 16-bit floats."""
    return image if image.dtype == np.uint8 else image.astype(np.float32)


def plot_correlations(
    steps: Sequence[int],
    matrices: Sequence[Float[np.ndarray, "first second"]],
    path: str | os.PathLike[str],
) -> None:
    """Plots how the cross-correlation of two views' features changes in training.

    Of more than six matrices, six are shown, spread evenly from the first to the last.

    Args:
        steps: After how many training steps each was measured.
        matrices: Square, with entries in [-1, 1].
        path: The PNG to write, in a folder that exists.

    Raises:
        ValueError: There are more or fewer steps than matrices, or one isn't square.

    Example:
        >>> import os
        >>> plot_correlations([0, 400], [np.zeros((4, 4)), np.eye(4)], os.devnull)
    """
    shapes = {matrix.shape for matrix in matrices}
    if len(steps) != len(matrices) or any(rows != columns for rows, columns in shapes):
        raise ValueError(
            "plot_correlations: wanted a square matrix for each step, got "
            f"{len(steps)} steps and {len(matrices)} matrices of shapes {shapes}"
        )
    count = min(len(matrices), _MOST_MATRICES)
    # A dictionary: rounding must not show one of them twice.
    places = dict.fromkeys(np.linspace(0, len(matrices) - 1, count).round().astype(int))
    figure = make_figure(max(2.3 * count + 0.9, 4.4), 2.9)
    panels = figure.subplots(1, max(count, 1), squeeze=False)[0]
    if count == 0:
        write_note(panels[0], "No correlations were kept.")
        save_figure(figure, path)
        return
    shown = None
    for axes, place in zip(panels, places, strict=True):
        shown = axes.imshow(
            np.asarray(matrices[place], np.float32),
            cmap="RdBu_r",
            vmin=-1,
            vmax=1,
            interpolation="nearest",
        )
        axes.set_title(f"step {steps[place]:,}", fontsize=10, color=QUIET)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(QUIET)
    if shown is not None:
        bar = figure.colorbar(shown, ax=list(panels), ticks=[-1, 0, 1], pad=0.02)
        bar.ax.tick_params(colors=QUIET)
    figure.suptitle(
        f"cross-correlation of two views, {len(matrices[-1])} features",
        fontsize=11,
        color=QUIET,
        fontweight="bold",
    )
    save_figure(figure, path)


def plot_twin_curves(
    rows: Sequence[Mapping[str, Any]],
    path: str | os.PathLike[str],
    *,
    minimum: float | None = None,
) -> None:
    """Plots what the log of a self-supervised training holds, over its epochs.

    The panels are the loss with its two parts, the accuracies, the effective rank and
    the correlations that are left; one of which the rows have nothing is left out.

    Args:
        rows: Rows of `metrics.jsonl`, each with `split` and `epoch`: of "train",
            `loss`, its parts `on_diagonal` and `off_diagonal` (weighted), and
            `probe_accuracy`; of "validation", `probe_accuracy`, `neighbor_accuracy`,
            `effective_rank` and `mean_correlation`. Values that are missing or not
            finite leave a gap.
        path: The PNG to write, in a folder that exists.
        minimum: What the loss of a batch can't go below; drawn as a dotted line.

    Example:
        >>> import os
        >>> rows = [{"split": "train", "epoch": 1.0, "loss": 80.0, "on_diagonal": 60.0}]
        >>> plot_twin_curves(rows, os.devnull, minimum=2.0)
    """
    found = {
        title: [line for line in lines if any(_has(row, *line[:2]) for row in rows)]
        for title, lines in _PANELS.items()
    }
    found = {title: lines for title, lines in found.items() if lines}
    figure = make_figure(4.6 * max(len(found), 1), 3.9)
    panels = figure.subplots(1, max(len(found), 1), squeeze=False)[0]
    if not found:
        write_note(panels[0], "No metrics were written.")
    for axes, (title, lines) in zip(panels, found.items(), strict=False):
        tidy_axes(axes)
        for line in lines:
            _draw_line(axes, rows, *line, is_log=title == "loss")
        if title == "loss":
            _finish_loss(axes, minimum)
        if title == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes.set_title(title, loc="left", fontweight="bold", color=QUIET, fontsize=10)
        axes.set_xlabel("epoch", color=QUIET)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(edgecolor="none", framealpha=0.9, fontsize=8.5)
    save_figure(figure, path)


def _has(row: Mapping[str, Any], split: str, name: str) -> bool:
    return row.get("split") == split and math.isfinite(finite_or_gap(row.get(name)))


def _draw_line(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    split: str,
    name: str,
    label: str,
    colour: str,
    *,
    is_log: bool,
) -> None:
    chosen = [row for row in rows if row.get("split") == split]
    epochs = [row["epoch"] for row in chosen]
    values = np.array([finite_or_gap(row.get(name)) for row in chosen])
    if is_log:
        # A logarithmic axis has no place for them.
        values[~(values > 0)] = math.nan
    # A line through one or two points would show nothing or a trend that isn't.
    marker = "o" if split == "validation" or len(chosen) < 3 else None
    style = {"color": colour, "marker": marker, "markersize": 3, "linewidth": 1.4}
    axes.plot(epochs, values, label=label, **style)


def _finish_loss(axes: Axes, minimum: float | None) -> None:
    axes.set_yscale("log")
    axes.tick_params(which="both", colors=QUIET)
    if minimum is not None and minimum > 0:
        label = f"least possible, {minimum:.4g}"
        axes.axhline(minimum, color=QUIET, linestyle=":", linewidth=1.4, label=label)
    spell_out_ticks(axes)
