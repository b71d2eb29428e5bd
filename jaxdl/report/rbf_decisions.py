"""Why a radial basis function head chose a class, centre by centre."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes

from jaxdl.report.figures import (
    QUIET,
    VALIDATION,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
)
from jaxdl.report.legends import add_legend
from jaxdl.report.thumbnails import draw_thumbnail

_RUNNER_UP = "#e09f3e"
_QUERY = "#ff0000"
_ROW = 0.86
"""Height of a centre's row, in inches."""


def plot_decision(
    image: Shaped[np.ndarray, "height width channels"],
    activations: Float[np.ndarray, " centers"],
    output_weights: Float[np.ndarray, "centers classes"],
    bias: Float[np.ndarray, " classes"],
    closest_images: Shaped[np.ndarray, "centers closest height width channels"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    true_label: int | None = None,
    num_centers: int = 5,
) -> None:
    """Plots what the deciding centres say for the predicted class and the runner-up.

    A centre contributes its activation times its output weight to a class's score.
    Shown are the centres whose contributions to the two classes differ most, with the
    training images nearest to them; the words below account for all others, so that
    the sums are the scores.

    Args:
        image: The image that was classified; uint8, or floats in [0, 1].
        activations: Of the centres by this image.
        output_weights: From activations to scores.
        bias: Added to the scores.
        closest_images: Of each centre, the training images nearest to it.
        class_names: One name per class, at least two.
        path: The PNG to write, in a folder that exists.
        true_label: Class of the image, for the words below it.
        num_centers: To show, at least 1; fewer where there are no more.

    Raises:
        ValueError: There are fewer than two classes, or `num_centers` is below 1.

    Source:
        Amirian and Schwenker 2020, arXiv:2208.11401, ranks centres by their
        contribution to one class; here by the difference, which is what decides.

    Example:
        >>> import os
        >>> image = np.zeros((8, 8, 1), np.uint8)
        >>> plot_decision(
        ...     image, np.array([0.9, 0.1]), np.eye(2), np.zeros(2),
        ...     np.zeros((2, 3, 8, 8, 1), np.uint8), ["cat", "dog"], os.devnull,
        ... )
    """
    if output_weights.shape[1] < 2 or num_centers < 1:
        raise ValueError(
            "plot_decision: wanted at least two classes and num_centers of 1, got "
            f"output_weights of {output_weights.shape} and num_centers {num_centers}"
        )
    contributions = activations[:, None] * output_weights
    scores = contributions.sum(axis=0) + bias
    pair: list[int] = np.argsort(-scores, kind="stable")[:2].tolist()
    shares = contributions[:, pair]
    order = np.argsort(-np.abs(shares[:, 0] - shares[:, 1]), kind="stable")
    shown, rest = order[:num_centers], order[num_centers:]
    names = [shorten_name(class_names[label], max_length=16) for label in pair]

    # Images need equal scales beside bars of any, so places are set by hand, in inches.
    count = closest_images.shape[1]
    rows = _ROW * len(shown)
    left, top, bottom = 2.0, 0.75, 1.05
    thumbs, gap, bars = _ROW * count, 1.05, 4.4
    width, height = left + thumbs + gap + bars + 0.25, top + max(rows, 1.9) + bottom
    figure = make_figure(width, height)
    figure.set_layout_engine("none")
    start = height - top - rows

    def add_axes(x: float, y: float, wide: float, high: float) -> Axes:
        return figure.add_axes((x / width, y / height, wide / width, high / height))

    axes = add_axes(0.2, height - top - 1.5, 1.4, 1.4)
    caption = f"predicted\n{names[0]}"
    if true_label is not None:
        true_name = shorten_name(class_names[true_label], max_length=16)
        caption += f"\n\ntrue class\n{true_name}"
    _show_query(axes, image, caption)
    _show_closest(add_axes(left, start, thumbs, rows), closest_images[shown])
    axes = add_axes(left + thumbs + gap, start, bars, rows)
    _draw_bars(axes, shares[shown], names)
    axes.set_yticks(
        np.arange(len(shown)) + 0.5,
        [f"centre {center}\nh = {_write(activations[center])}" for center in shown],
        fontsize=8.5,
    )
    words = _write_pairs(
        {
            f"the other {len(rest)} centres": shares[rest].sum(axis=0),
            "bias": bias[pair],
            "score": scores[pair],
        }
    )
    figure.text((left + 0.05) / width, 0.2 / height, words, fontsize=9.5, color=QUIET)
    save_figure(figure, path)


def _write(value: Any) -> str:
    # Adding 0 after rounding turns -0.0 into 0.0.
    return f"{round(float(value), 2) + 0.0:.2f}".replace("-", "−")


def _write_pairs(pairs: Mapping[str, np.ndarray]) -> str:
    return ",   ".join(
        f"{name} {_write(first)} against {_write(second)}"
        for name, (first, second) in pairs.items()
    )


def _show_closest(axes: Axes, images: np.ndarray) -> None:
    """Draws a row of images for each centre."""
    axes.set_xlim(0, images.shape[1])
    axes.set_ylim(len(images), 0)
    axes.set_axis_off()
    for rank, row in enumerate(images):
        for column, image in enumerate(row):
            # The vertical axis points down, and images would with it.
            x, y = column + 0.5, rank + 0.5
            draw_thumbnail(axes, image[::-1], x=x, y=y, size=0.88)
    heading = "training images nearest to the centre"
    axes.set_title(heading, fontsize=9, color=QUIET, loc="left")


def _show_query(axes: Axes, image: np.ndarray, caption: str) -> None:
    axes.set_aspect("equal")
    draw_thumbnail(axes, image, x=0.0, y=0.0, size=1.0, colour=_QUERY, linewidth=3.0)
    axes.set_xlim(-0.53, 0.53)
    axes.set_ylim(-0.53, 0.53)
    axes.set_axis_off()
    axes.text(
        0,
        -0.6,
        caption,
        ha="center",
        va="top",
        fontsize=10,
        color=QUIET,
        parse_math=False,
    )


def _draw_bars(axes: Axes, shares: np.ndarray, names: Sequence[str]) -> None:
    tidy_axes(axes)
    places = np.arange(len(shares)) + 0.5
    for column, colour in enumerate((VALIDATION, _RUNNER_UP)):
        values = shares[:, column]
        heights = places + (0.19 if column else -0.19)
        axes.barh(heights, values, 0.36, color=colour, label=names[column])
        for height, value in zip(heights, values, strict=True):
            axes.annotate(
                _write(value),
                (value, height),
                (4 if value >= 0 else -4, 0),
                textcoords="offset points",
                ha="left" if value >= 0 else "right",
                va="center",
                fontsize=8.5,
                color=QUIET,
            )
    axes.set_ylim(len(shares), 0)
    axes.margins(x=0.16)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("contribution to the score: activation × weight", color=QUIET)
    add_legend(axes, loc="lower left", fontsize=9.5, bbox_to_anchor=(0, 1.0), ncols=2)
