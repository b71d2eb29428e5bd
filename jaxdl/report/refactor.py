"""Functions and matrices in three parts: onto, a bijection, one-to-one."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import QUIET, make_figure, save_figure

_PLACES = {"domain": 0.0, "classes": 6.0, "values": 12.0, "codomain": 16.5}
_STEPS = {
    "onto": ("domain", "classes"),
    "bijection": ("classes", "values"),
    "one-to-one": ("values", "codomain"),
}


class FunctionSteps(NamedTuple):
    """A function on a finite domain, split at what it does not tell apart.

    Attributes:
        elements: Of the domain: names, or grey images of one size.
        classes: The number of each element's class.
        values: The number of each class's value among the codomain.
        codomain: Names of where values can lie.
    """

    elements: Sequence[str] | Sequence[Shaped[np.ndarray, "height width"]]
    classes: Sequence[int]
    values: Sequence[int]
    codomain: Sequence[str]


def plot_function_steps(
    steps: FunctionSteps, path: str | os.PathLike[str], *, title: str
) -> None:
    """Plots arrows from the domain to classes, to values, into the codomain.

    Args:
        steps: The function.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no element.

    Example:
        >>> import os
        >>> parity = FunctionSteps(["1", "2", "3"], [0, 1, 0], [1, 0], ["even", "odd"])
        >>> plot_function_steps(parity, os.devnull, title="parity")
    """
    if len(steps.elements) == 0:
        raise ValueError("steps has no elements, wanted at least one")
    height = float(max(len(steps.elements), len(steps.codomain)))
    figure = make_figure(9.0, 0.5 * height + 1.2)
    axes = figure.subplots()
    # Classes stand in the order of their values, so that arrows there never cross.
    order = np.argsort(steps.values, kind="stable")
    rank = {int(index): place for place, index in enumerate(order)}
    down = {
        "domain": _spread(len(steps.elements), height),
        "classes": _spread(len(order), height),
        "codomain": _spread(len(steps.codomain), height),
    }
    down["values"] = down["classes"]
    for index, (element, members) in enumerate(
        zip(steps.elements, steps.classes, strict=True)
    ):
        y, place = down["domain"][index], rank[members]
        _write(axes, _PLACES["domain"], y, element)
        to = (_PLACES["classes"] - _width(steps, members) / 2, down["classes"][place])
        _point(axes, (_PLACES["domain"] + 0.6, y), to, place)
    for members, value in enumerate(steps.values):
        place = rank[members]
        y, end = down["classes"][place], down["codomain"][value]
        half = _width(steps, members) / 2
        _draw_class(axes, steps, members, y, place)
        _point(
            axes, (_PLACES["classes"] + half, y), (_PLACES["values"] - 0.5, y), place
        )
        _write(axes, _PLACES["values"], y, steps.codomain[value])
        start = (_PLACES["values"] + 0.5, y)
        _point(axes, start, (_PLACES["codomain"] - 0.5, end), place)
    for value, name in enumerate(steps.codomain):
        colour = None if value in steps.values else "#9aa5b1"
        _write(axes, _PLACES["codomain"], down["codomain"][value], name, colour)
    _write_headings(axes, -0.5)
    axes.set_xlim(-1.2, _PLACES["codomain"] + 1.4)
    axes.set_ylim(height, -1.0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    save_figure(figure, path)


def _spread(count: int, height: float) -> np.ndarray:
    return (np.arange(count) + 0.5) * height / count


def _width(steps: FunctionSteps, members: int) -> float:
    return 0.9 * list(steps.classes).count(members) + 0.3


def _draw_class(
    axes: Axes, steps: FunctionSteps, members: int, y: float, place: int
) -> None:
    width = _width(steps, members)
    axes.add_patch(
        FancyBboxPatch(
            (_PLACES["classes"] - width / 2 + 0.1, y - 0.4),
            width - 0.2,
            0.8,
            boxstyle="round,pad=0.1",
            facecolor="white",
            edgecolor=SERIES[place % len(SERIES)],
            linewidth=1.5,
        )
    )
    inside = [
        e for e, c in zip(steps.elements, steps.classes, strict=True) if c == members
    ]
    for index, element in enumerate(inside):
        x = _PLACES["classes"] + 0.9 * (index - (len(inside) - 1) / 2)
        _write(axes, x, y, element)


def _point(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], place: int
) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": SERIES[place % len(SERIES)],
            "linewidth": 1.3,
            "shrinkA": 1,
            "shrinkB": 1,
        },
    )


def _write(axes: Axes, x: float, y: float, item, colour: str | None = None) -> None:
    if isinstance(item, str):
        axes.text(
            x,
            y,
            item,
            ha="center",
            va="center",
            fontsize=11,
            color=colour or "#1f2933",
            parse_math=False,
        )
        return
    extent = (x - 0.38, x + 0.38, y + 0.38, y - 0.38)
    axes.imshow(item, cmap="gray_r", extent=extent, zorder=3)


def _write_headings(axes: Axes, y: float) -> None:
    words: dict[str, Any] = {"ha": "center", "va": "center", "color": QUIET}
    for name, x in _PLACES.items():
        axes.text(x, y, name, fontweight="bold", **words)
    for name, ends in _STEPS.items():
        x = sum(_PLACES[end] for end in ends) / 2
        axes.text(x, y, f"{name} →", **words)


class MatrixSteps(NamedTuple):
    """A matrix and its three parts.

    Attributes:
        title: Above the row of pictures.
        matrix: The matrix; tall @ square @ wide.
        tall: One-to-one.
        square: Invertible.
        wide: Onto.
        rows: Rows of the matrix to mark.
        columns: Columns of the matrix to mark.
    """

    title: str
    matrix: Float[np.ndarray, "rows columns"]
    tall: Float[np.ndarray, "rows rank"]
    square: Float[np.ndarray, "rank rank"]
    wide: Float[np.ndarray, "rank columns"]
    rows: Sequence[int] = ()
    columns: Sequence[int] = ()


def plot_matrix_steps(
    pictures: Sequence[MatrixSteps], path: str | os.PathLike[str], *, title: str
) -> None:
    """Plots matrices as products of three, one row of heat maps each.

    All cells are of one size. Each heat map has its own scale of colours, of which the
    largest entry is written below it.

    Args:
        pictures: From top to bottom; equally large matrices look best.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no picture.

    Example:
        >>> import os
        >>> one = np.ones((2, 3))
        >>> steps = MatrixSteps("ones", one, one[:, :1], one[:1, :1], one[:1])
        >>> plot_matrix_steps([steps], os.devnull, title="rank 1")
    """
    if len(pictures) == 0:
        raise ValueError("pictures is empty, wanted at least one")
    widths = [_total_width(picture) for picture in pictures]
    height = max(picture.matrix.shape[0] for picture in pictures) + 3.6
    inch = 9.5 / max(widths)
    figure = make_figure(10.0, (height * len(pictures)) * inch + 0.7)
    for axes, picture in zip(
        figure.subplots(len(pictures), 1, squeeze=False).ravel(), pictures, strict=True
    ):
        _draw_product(axes, picture)
        axes.set_xlim(-0.3, max(widths) + 0.3)
        axes.set_ylim(picture.matrix.shape[0] + 1.0, -1.8)
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_title(picture.title, fontsize=10, color=QUIET, loc="left")
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    save_figure(figure, path)


_GAP = 1.8


def _list_parts(picture: MatrixSteps) -> list[tuple[str, np.ndarray]]:
    return [
        ("the matrix", picture.matrix),
        ("tall: one-to-one", picture.tall),
        ("square: bijection", picture.square),
        ("wide: onto", picture.wide),
    ]


# Narrow parts need room for the words above them.
def _room(part: np.ndarray) -> float:
    return float(max(part.shape[1], 4.2))


def _total_width(picture: MatrixSteps) -> float:
    parts = _list_parts(picture)
    return sum(_room(part) for _, part in parts) + _GAP * (len(parts) - 1)


def _draw_product(axes: Axes, picture: MatrixSteps) -> None:
    left, middle = 0.0, picture.matrix.shape[0] / 2
    words: dict[str, Any] = {"ha": "center", "va": "center", "color": QUIET}
    for index, (name, part) in enumerate(_list_parts(picture)):
        rows, columns = part.shape
        x = left + (_room(part) - columns) / 2
        top = middle - rows / 2
        if part.size:
            largest = float(np.abs(part).max()) or 1.0
            axes.imshow(
                part,
                cmap="RdBu_r",
                vmin=-largest,
                vmax=largest,
                extent=(x, x + columns, top + rows, top),
                interpolation="nearest",
            )
            note = f"|entry| ≤ {largest:.3g}"
            axes.text(x + columns / 2, top + rows + 0.55, note, fontsize=7, **words)
        box = Rectangle((x, top), columns, rows, fill=False, edgecolor=QUIET)
        axes.add_patch(box)
        heading = f"{name}\n{rows} × {columns}"
        axes.text(x + columns / 2, top - 1.0, heading, fontsize=8, **words)
        if index == 0:
            _mark(axes, picture)
        else:
            sign = "=" if index == 1 else "·"
            axes.text(left - _GAP / 2, middle, sign, fontsize=20, **words)
        left += _room(part) + _GAP


def _mark(axes: Axes, picture: MatrixSteps) -> None:
    rows, columns = picture.matrix.shape
    x = (_room(picture.matrix) - columns) / 2
    boxes = [((x + column, 0), 1, rows) for column in picture.columns]
    boxes += [((x, row), columns, 1) for row in picture.rows]
    for corner, width, height in boxes:
        axes.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor="black", lw=1.6)
        )
