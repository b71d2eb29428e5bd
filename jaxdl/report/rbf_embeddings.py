"""How embeddings and centres move while a radial basis function head trains."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import QUIET, make_figure, save_figure, shorten_name
from jaxdl.report.legends import add_legend
from jaxdl.report.thumbnails import class_colour

_COLUMNS = 3
_MOST_PANELS = 9
_MOST_NAMES = 20
_DPI = 100
"""Of an animation."""


class EmbeddingSnapshot(NamedTuple):
    """Where images and centres were at one time of a training.

    Attributes:
        step: How many training steps had been done.
        points: Two coordinates of each image.
        centers: Two coordinates of each centre; there may be none.
    """

    step: int
    points: Float[np.ndarray, "batch 2"]
    centers: Float[np.ndarray, "centers 2"]


def plot_embeddings(
    snapshots: Sequence[EmbeddingSnapshot],
    labels: Integer[np.ndarray, " batch"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> None:
    """Plots maps of the embeddings at several steps, all on one scale.

    Of more than nine snapshots, nine are shown, spread evenly from the first to the
    last.

    Args:
        snapshots: Of the same images under one projection, or they can't be compared.
        labels: The classes of the images.
        class_names: One name per class; a legend has those of up to 20 classes.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no snapshot, or one has more or fewer points than labels.

    Example:
        >>> import os
        >>> first = EmbeddingSnapshot(0, np.eye(2), np.zeros((1, 2)))
        >>> last = EmbeddingSnapshot(100, 5 * np.eye(2), np.ones((1, 2)))
        >>> plot_embeddings(
        ...     [first, last], np.array([0, 1]), ["cat", "dog"], os.devnull, title="map"
        ... )
    """
    _check(snapshots, labels, routine="plot_embeddings")
    places = np.linspace(0, len(snapshots) - 1, min(len(snapshots), _MOST_PANELS))
    shown = [snapshots[int(place)] for place in np.round(places)]
    num_columns = min(_COLUMNS, len(shown))
    num_rows = -(-len(shown) // num_columns)
    figure = make_figure(3.4 * num_columns + 1.6, 3.6 * num_rows + 0.5)
    grid = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    limits = _find_limits(shown)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    for axes, snapshot in zip(grid, shown, strict=False):
        _draw_snapshot(axes, snapshot, labels, limits)
    _name_colours(figure, labels, class_names, has_centers=len(shown[-1].centers) > 0)
    figure.suptitle(
        title, fontsize=12, color=QUIET, fontweight="bold", parse_math=False
    )
    save_figure(figure, path)


def plot_neighborhoods(
    rows: Mapping[str, Sequence[EmbeddingSnapshot]],
    labels: Integer[np.ndarray, " batch"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> None:
    """Plots maps of the same images by several descriptions, at the same steps.

    Steps stand across. The maps of a row have one scale; those of other rows have
    another, as nothing ties them together but the colours.

    Args:
        rows: By name of what describes the images, maps at each step.
        labels: The classes of the images.
        class_names: One name per class; a legend has those of up to 20 classes.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no map, one has more or fewer points than labels, or rows
            differ in their steps.

    Example:
        >>> import os
        >>> snapshot = EmbeddingSnapshot(5, np.eye(2), np.zeros((0, 2)))
        >>> plot_neighborhoods(
        ...     {"embeddings": [snapshot]}, np.array([0, 1]), ["cat", "dog"],
        ...     os.devnull, title="maps",
        ... )
    """
    routine = "plot_neighborhoods"
    for snapshots in list(rows.values()) or [[]]:
        _check(snapshots, labels, routine=routine)
    steps = {name: [one.step for one in snapshots] for name, snapshots in rows.items()}
    if len({tuple(row) for row in steps.values()}) > 1:
        raise ValueError(f"{routine}: wanted the same steps in all rows, got {steps}")
    num_columns = len(next(iter(steps.values())))
    figure = make_figure(3.0 * num_columns + 1.7, 3.15 * len(rows) + 0.5)
    grid = figure.subplots(len(rows), num_columns, squeeze=False)
    for line, (name, snapshots) in zip(grid, rows.items(), strict=True):
        limits = _find_limits(snapshots)
        line[0].set_ylabel(name, fontsize=11, color=QUIET, parse_math=False)
        for axes, snapshot in zip(line, snapshots, strict=True):
            _draw_snapshot(axes, snapshot, labels, limits)
    has_centers = any(len(one.centers) for row in rows.values() for one in row)
    _name_colours(figure, labels, class_names, has_centers=has_centers)
    style = {"fontsize": 12, "color": QUIET, "fontweight": "bold"}
    figure.suptitle(title, parse_math=False, **style)
    save_figure(figure, path)


def write_embedding_animation(
    snapshots: Sequence[EmbeddingSnapshot],
    labels: Integer[np.ndarray, " batch"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
    milliseconds: int = 250,
) -> None:
    """Writes an animated GIF of the embeddings, one picture per snapshot.

    All pictures have one scale; the last one stays eight times as long, and then it
    begins again.

    Args:
        snapshots: Of the same images under one projection.
        labels: The classes of the images.
        class_names: One name per class.
        path: The GIF to write, in a folder that exists.
        title: Of all pictures.
        milliseconds: Each is shown, at least 20.

    Raises:
        ValueError: There is no snapshot, one has more or fewer points than labels, or
            `milliseconds` is below 20, which viewers slow down.

    Example:
        >>> import os
        >>> snapshot = EmbeddingSnapshot(0, np.eye(2), np.zeros((1, 2)))
        >>> write_embedding_animation(
        ...     [snapshot], np.array([0, 1]), ["cat", "dog"], os.devnull, title="map"
        ... )
    """
    _check(snapshots, labels, routine="write_embedding_animation")
    if milliseconds < 20:
        raise ValueError(
            "write_embedding_animation: milliseconds must be at least 20, got "
            f"{milliseconds}"
        )
    limits = _find_limits(snapshots)
    frames = []
    for snapshot in snapshots:
        figure = make_figure(7.2, 5.9)
        axes = figure.subplots()
        _draw_snapshot(axes, snapshot, labels, limits)
        _name_colours(
            figure, labels, class_names, has_centers=len(snapshot.centers) > 0
        )
        figure.suptitle(title, fontsize=12, color=QUIET, parse_math=False)
        frames.append(_draw_frame(figure))
    palette = _make_palette()
    frames = [frame.quantize(palette=palette, dither=0) for frame in frames]
    durations = [milliseconds] * (len(frames) - 1) + [8 * milliseconds]
    frames[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
    )


def _check(
    snapshots: Sequence[EmbeddingSnapshot], labels: np.ndarray, *, routine: str
) -> None:
    if not snapshots:
        raise ValueError(f"{routine}: snapshots are empty, wanted at least one")
    for snapshot in snapshots:
        if len(snapshot.points) != len(labels):
            raise ValueError(
                f"{routine}: step {snapshot.step} has {len(snapshot.points)} points, "
                f"wanted one per label, {len(labels)}"
            )


def _find_limits(snapshots: Sequence[EmbeddingSnapshot]) -> np.ndarray:
    """Lower and upper end of both axes, of equal length, for all snapshots."""
    places = [np.concatenate([one.points, one.centers]) for one in snapshots]
    every = np.concatenate(places)
    every = every[np.isfinite(every).all(axis=1)]
    if not len(every):
        return np.array([[-1.0, 1.0], [-1.0, 1.0]])
    low, high = every.min(axis=0), every.max(axis=0)
    reach = 0.53 * float((high - low).max()) or 1.0
    middle = (low + high) / 2
    return np.stack([middle - reach, middle + reach], axis=1)


def _draw_snapshot(
    axes: Axes, snapshot: EmbeddingSnapshot, labels: np.ndarray, limits: np.ndarray
) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("#e4e7eb")
    colours = [class_colour(int(label)) for label in labels]
    size = float(np.clip(6000 / max(len(labels), 1), 3, 20))
    axes.scatter(*snapshot.points.T, s=size, c=colours, alpha=0.6, linewidths=0)
    axes.scatter(*snapshot.centers.T, **_cross())
    name = f"step {snapshot.step:,}"
    axes.set_title(name, loc="left", fontsize=10, color=QUIET)


def _cross() -> dict[str, Any]:
    style = {"marker": "X", "s": 75, "c": "#111827"}
    return {**style, "edgecolors": "white", "linewidths": 1.1, "zorder": 4}


def _name_colours(
    figure: Figure, labels: np.ndarray, class_names: Sequence[str], *, has_centers: bool
) -> None:
    present = [int(label) for label in np.unique(labels)]
    axes = figure.axes[0]
    handles = []
    if len(present) <= _MOST_NAMES:
        for label in present:
            name = shorten_name(class_names[label], max_length=18)
            colour = class_colour(label)
            handles.append(axes.scatter([], [], s=36, c=colour, lw=0, label=name))
    if has_centers:
        handles.append(axes.scatter([], [], label="centre", **_cross()))
    if handles:
        add_legend(figure, handles, loc="outside right center")


def _make_palette() -> Image.Image:
    """The colours of classes, words and centres, each in steps to white.

    Colours that are counted in a picture would miss those of few pixels.
    """
    colours = np.array([to_rgb(name) for name in (*SERIES, QUIET, "#111827")])
    shares = np.linspace(0, 1, 20)[:, None, None]
    steps = (1 - shares) * colours + shares
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.round(255 * steps).astype(np.uint8).ravel().tolist())
    return palette


def _draw_frame(figure: Figure) -> Image.Image:
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
