"""One centre of a radial basis function head and the images around it."""

import os
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Shaped
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from jaxdl.report.figures import QUIET, make_figure, save_figure, shorten_name
from jaxdl.report.legends import add_legend
from jaxdl.report.rings import find_sector, place_on_rings
from jaxdl.report.thumbnails import class_colour, draw_thumbnail

_RED = "#ff0000"
_SIZE = 0.075
"""Side of a thumbnail, as a share of the map's radius."""

_MOST_NAMES, _MOST_SECTORS = 20, 40
_SHADES = LinearSegmentedColormap.from_list(
    "shades", ["#ffffff", "#fdf3dc", "#fae0a8", "#f5c56b"]
)


class RadialProfile(NamedTuple):
    """The activation of one centre as a function of the distance.

    Attributes:
        radii: Distances, ascending from 0, up to the farthest image at least.
        activations: There; in between they are interpolated.
    """

    radii: Float[np.ndarray, " points"]
    activations: Float[np.ndarray, " points"]


class QueryImage(NamedTuple):
    """An image that is asked about, as one of the test split: where does it lie?

    Attributes:
        image: As the others of the map.
        squared_distance: To the centre, under the head's metric.
        caption: For the legend, where equal ones stand once.
        label: Its class, in whose sector it is shown where images are in the order of
            classes; None shows it anywhere.
    """

    image: Shaped[np.ndarray, "height width channels"]
    squared_distance: float
    caption: str = "test image"
    label: int | None = None


def plot_center_map(
    images: Shaped[np.ndarray, "batch height width channels"],
    labels: Integer[np.ndarray, " batch"],
    squared_distances: Float[np.ndarray, " batch"],
    profile: RadialProfile,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
    order: Literal["random", "class"] = "random",
    queries: Sequence[QueryImage] = (),
    max_radius: float | None = None,
    seed: int = 0,
) -> None:
    """Plots images around a centre, each exactly as far away as the metric says.

    The distance is the root of the squared distance, whatever the kernel and the width
    are; the angle means nothing, or only the class. The background and the numbers on
    the circles tell the activation.

    Args:
        images: uint8, or floats in [0, 1], with one or three channels.
        labels: Their classes.
        squared_distances: To this centre, at least 0.
        profile: The activation by distance.
        class_names: One name per class.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.
        order: `"random"` angles, or each `"class"` in a sector of its own.
        queries: Images to show in red frames, above all others.
        max_radius: Where the map ends, by default at the farthest image but for 1 %;
            at the farthest query where that is farther.
        seed: Of the angles and of the choice of images where there are too many.

    Raises:
        ValueError: There is no image, the images, labels and distances are not equally
            many, a distance is negative or not finite, or the profile ends before the
            map does.

    Source:
        Amirian and Schwenker 2020, arXiv:2208.11401, the maps of clusters; there the
        radius came from the activation and agreed with the distance at width 1 only.

    Example:
        >>> import os
        >>> images, labels = np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1])
        >>> profile = RadialProfile(np.array([0.0, 3.0]), np.array([1.0, 0.0]))
        >>> plot_center_map(
        ...     images, labels, np.array([1.0, 4.0]), profile, ["cat", "dog"],
        ...     os.devnull, title="centre 0",
        ... )
    """
    _check(images, labels, squared_distances)
    radii = np.sqrt(np.asarray(squared_distances, np.float64))
    edge = _find_edge(radii, queries, max_radius)
    if profile.radii[-1] < edge:
        raise ValueError(
            f"plot_center_map: the profile ends at {profile.radii[-1]:.4g}, wanted the "
            f"activation up to the edge of the map at {edge:.4g}"
        )
    is_sorted = order == "class"
    figure = make_figure(9.0 if is_sorted else 10.2, 9.4)
    axes = figure.subplots()
    axes.set_aspect("equal")
    axes.set_axis_off()
    shades = _shade(axes, profile, edge)
    circles = _draw_circles(axes, profile, edge)
    size = _SIZE * edge
    taken = _reserve_labels(circles, size)
    for query in queries:
        sector = _find_sector(query, labels if is_sorted else labels[:0])
        place = _draw_query(axes, query, sector, taken, size)
        taken = np.concatenate([taken, place])
    places = place_on_rings(
        radii,
        max_radius=edge,
        size=size,
        labels=labels if is_sorted else None,
        taken=taken,
        seed=seed,
    )
    for index, (x, y) in zip(places.indices, places.positions, strict=True):
        colour = class_colour(int(labels[index]))
        draw_thumbnail(axes, images[index], x=x, y=y, size=size, colour=colour)
    axes.plot(0, 0, "+", color=QUIET, markersize=9, markeredgewidth=1.6)
    if is_sorted:
        _name_sectors(axes, labels, class_names, edge)
    reach = edge + size * (1.6 if is_sorted else 0.7)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    heading = f"{title}\n{len(places.indices):,} of {len(images):,} images"
    axes.set_title(heading, fontsize=11, color=QUIET, loc="left", parse_math=False)
    shown = labels[:0] if is_sorted else labels[places.indices]
    side = "outside lower center" if is_sorted else "outside right center"
    _explain_frames(figure, shown, class_names, queries, side)
    _explain_shades(figure, axes, shades)
    save_figure(figure, path)


def _check(
    images: np.ndarray, labels: np.ndarray, squared_distances: np.ndarray
) -> None:
    counts = (len(images), len(labels), len(squared_distances))
    if counts[0] == 0 or len(set(counts)) > 1:
        raise ValueError(
            "plot_center_map: wanted as many images as labels and distances, at least "
            f"one, got {counts}"
        )
    if not (np.isfinite(squared_distances) & (squared_distances >= 0)).all():
        raise ValueError(
            "plot_center_map: squared_distances must be finite and at least 0, got "
            f"{squared_distances.min()} to {squared_distances.max()}"
        )


def _explain_shades(figure: Figure, axes: Axes, shades: AxesImage) -> None:
    bar = figure.colorbar(
        shades, ax=axes, orientation="horizontal", shrink=0.4, pad=0.01, aspect=30
    )
    bar.set_label("activation of the centre", color=QUIET, fontsize=9)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=QUIET, length=0, labelsize=8)


def _find_edge(
    radii: np.ndarray, queries: Sequence[QueryImage], max_radius: float | None
) -> float:
    edge = max_radius
    if edge is None:
        edge = float(np.quantile(radii, 0.99, method="higher"))
    asked = [float(np.sqrt(query.squared_distance)) for query in queries]
    # Duplicates of the centre alone leave a map of radius 0.
    return max(edge, *asked, 0.0) or 1.0


def _shade(axes: Axes, profile: RadialProfile, edge: float) -> AxesImage:
    """Colours the disc by the activation."""
    steps = np.linspace(-edge, edge, 601)
    radii = np.hypot(steps[:, None], steps[None])
    values = np.interp(radii, profile.radii, profile.activations)
    shown = np.ma.masked_where(radii > edge, values)
    extent = (-edge, edge, -edge, edge)
    return axes.imshow(shown, cmap=_SHADES, extent=extent, zorder=0, origin="lower")


def _draw_circles(axes: Axes, profile: RadialProfile, edge: float) -> list[float]:
    """Draws circles at round distances, with the distance and the activation."""
    ticks = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]).tick_values(0, edge)
    radii = [float(tick) for tick in ticks if 0 < tick <= edge]
    style = {"fill": False, "edgecolor": "#7b8794", "zorder": 2}
    axes.add_patch(Circle((0, 0), edge, linewidth=0.6, alpha=0.6, **style))
    for radius in radii:
        axes.add_patch(
            Circle((0, 0), radius, linewidth=0.9, linestyle=(0, (4, 3)), **style)
        )
        activation = np.interp(radius, profile.radii, profile.activations)
        # Adding 0 after rounding turns -0.0 into 0.0.
        height = round(float(activation), 2) + 0.0
        axes.text(
            0,
            radius,
            f"r = {radius:g}, h = {height:.2f}".replace("-", "−"),
            ha="center",
            va="center",
            fontsize=7.5,
            color="#323f4b",
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        )
    return radii


def _reserve_labels(radii: Sequence[float], size: float) -> np.ndarray:
    """Where the circles' numbers stand; they are wider than an image."""
    offsets = size * np.array([-1.0, 0.0, 1.0])
    places = [(offset, radius) for radius in radii for offset in offsets]
    return np.array(places, np.float64).reshape(-1, 2)


def _find_sector(query: QueryImage, labels: np.ndarray) -> tuple[float, float]:
    """The ends of the sector of a query's class; the circle if there is no such one."""
    present = np.unique(labels)
    ranks = np.flatnonzero(present == query.label)
    if not len(ranks):
        return -np.pi, np.pi
    return find_sector(int(ranks[0]), count=len(present))


def _draw_query(
    axes: Axes,
    query: QueryImage,
    sector: tuple[float, float],
    taken: np.ndarray,
    size: float,
) -> np.ndarray:
    """Draws an image that is asked about where there is most room; returns its place.

    Other images make room for it, so only numbers and other queries are in its way.
    """
    radius, (low, high) = float(np.sqrt(query.squared_distance)), sector
    # The middle first: of equally good angles, it is taken.
    angles = low + (high - low) * np.array([0.5, 0.65, 0.35, 0.8, 0.2, 0.9, 0.1])
    places = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    gaps = np.abs(places[:, None] - taken[None]).max(axis=-1)
    room = np.minimum(gaps.min(axis=1, initial=np.inf), 1.4 * size)
    x, y = places[int(np.argmax(room))].tolist()
    style = {"x": x, "y": y, "size": 1.25 * size, "zorder": 5.0}
    draw_thumbnail(axes, query.image, colour=_RED, linewidth=3.2, **style)
    axes.plot([0, x], [0, y], color=_RED, linewidth=1.1, zorder=2.5)
    return np.array([[x, y]])


def _name_sectors(
    axes: Axes, labels: np.ndarray, class_names: Sequence[str], edge: float
) -> None:
    present: list[int] = np.unique(labels).tolist()
    # Many sectors are narrow: short names in small print.
    is_narrow = len(present) > _MOST_NAMES
    size = 7 if is_narrow else 9
    length = 16 * _MOST_NAMES // len(present) if is_narrow else 16
    for rank, label in enumerate(present):
        low, high = find_sector(rank, count=len(present))
        if len(present) > 1:
            ends = edge * np.cos(high), edge * np.sin(high)
            axes.plot(*zip((0, 0), ends, strict=True), color="#cbd2d9", lw=0.6)
        if len(present) > _MOST_SECTORS:
            continue
        middle = (low + high) / 2
        place = (1 + 0.9 * _SIZE) * edge
        name = shorten_name(class_names[label], max_length=length)
        # Names in the lower half stand upright when turned once more.
        turn = np.degrees(middle) - 90 + 180 * (np.sin(middle) < 0)
        turn = turn if len(name) > 3 else 0.0
        axes.text(
            place * np.cos(middle),
            place * np.sin(middle),
            name,
            rotation=turn,
            ha="center",
            va="center",
            fontsize=size,
            color=class_colour(label),
            parse_math=False,
        )


def _explain_frames(
    figure: Figure,
    labels: np.ndarray,
    class_names: Sequence[str],
    queries: Sequence[QueryImage],
    side: str,
) -> None:
    present = [int(label) for label in np.unique(labels)]
    shown = present if len(present) <= _MOST_NAMES else []
    style: dict[str, Any] = {"marker": "s", "markerfacecolor": "none", "ls": "none"}
    handles = [
        Line2D(
            [],
            [],
            color=class_colour(label),
            label=shorten_name(class_names[label], max_length=18),
            markeredgewidth=2,
            markersize=9,
            **style,
        )
        for label in shown
    ]
    for caption in dict.fromkeys(query.caption for query in queries):
        name = shorten_name(caption, max_length=30)
        handles.append(
            Line2D([], [], c=_RED, label=name, ms=10, markeredgewidth=3, **style)
        )
    if handles:
        add_legend(figure, handles, loc=side, labelspacing=0.7)
