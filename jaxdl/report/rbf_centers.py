"""What the centres of a radial basis function head stand for."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
    write_note,
)
from jaxdl.report.legends import add_legend
from jaxdl.report.thumbnails import class_colour

_MOST_CENTERS = 60
_MOST_NAMES = 20
_HATCHES = ("", "////", "....", "xxxx")
"""The second ten classes are hatched: colours alone can't tell twenty apart."""


def plot_purity(
    counts: Integer[np.ndarray, "centers classes"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str = "classes of the images nearest to each centre",
) -> None:
    """Plots the classes of each centre's images as bars, with its purity and size.

    Purity is the share of the most frequent class. Centres stand in the order of that
    class, the purest first; of more than 60, those with most images are shown.

    Args:
        counts: Of each centre, how many images of each class were assigned to it.
        class_names: One name per class.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: The names are not as many as the classes.

    Example:
        >>> import os
        >>> plot_purity(np.array([[9, 1], [0, 5]]), ["cat", "dog"], os.devnull)
    """
    if len(class_names) != counts.shape[1]:
        raise ValueError(
            f"plot_purity: class_names has {len(class_names)} names, counts "
            f"{counts.shape[1]} classes"
        )
    sizes = counts.sum(axis=1)
    if not sizes.any():
        figure = make_figure(5.0, 3.0)
        write_note(figure.subplots(), "No images were assigned.")
        save_figure(figure, path)
        return
    shares = counts / np.maximum(sizes, 1)[:, None]
    purity = shares.max(axis=1)
    main: list[int] = shares.argmax(axis=1).tolist()
    largest: list[int] = np.argsort(-sizes, kind="stable")[:_MOST_CENTERS].tolist()
    # Empty centres come last.
    order = sorted(largest, key=lambda c: (sizes[c] == 0, main[c], -purity[c]))
    figure = make_figure(8.6, 1.3 + 0.27 * len(order))
    axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=(4.2, 1))
    present = np.flatnonzero(counts[order].any(axis=0)).tolist()
    has_legend = len(present) <= _MOST_NAMES
    words = [
        f"{purity[center]:.0%}" if sizes[center] else "no images" for center in order
    ]
    if not has_legend:
        mains = [
            shorten_name(class_names[main[center]], max_length=18) for center in order
        ]
        words = [f"{word}  {name}" for word, name in zip(words, mains, strict=True)]
    _draw_shares(axes, shares[order], words)
    _draw_sizes(beside, sizes[order])
    names = [f"centre {center}" for center in order]
    axes.set_yticks(range(len(order)), names, fontsize=8.5)
    axes.set_ylim(len(order) - 0.4, -0.6)
    if has_legend:
        handles = [
            Patch(label=shorten_name(class_names[label], max_length=18), **_fill(label))
            for label in present
        ]
        add_legend(figure, handles, loc="outside right upper")
    whole = counts.max(axis=1).sum() / sizes.sum()
    figure.suptitle(
        f"{title}; purity of all {whole:.1%}",
        fontsize=11,
        color=QUIET,
        fontweight="bold",
        parse_math=False,
    )
    save_figure(figure, path)


def _fill(label: int) -> dict[str, Any]:
    """The colour and the hatch of a class."""
    hatch = _HATCHES[label // 10 % len(_HATCHES)]
    edges = {"edgecolor": "white"} if hatch else {}
    return {"facecolor": class_colour(label), "hatch": hatch, **edges}


def _draw_shares(axes: Axes, shares: np.ndarray, words: Sequence[str]) -> None:
    tidy_axes(axes)
    places = np.arange(len(shares))
    starts = np.zeros(len(shares))
    for label in np.flatnonzero(shares.any(axis=0)).tolist():
        axes.barh(
            places, shares[:, label], 0.8, left=starts, linewidth=0, **_fill(label)
        )
        starts += shares[:, label]
    for place, word in enumerate(words):
        style = {"fontsize": 8.5, "color": QUIET, "parse_math": False}
        axes.text(1.02, place, word, va="center", **style)
    axes.set_xlim(0, 1.04 + 0.024 * max(map(len, words)))
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.text(1.02, -0.75, "purity", fontsize=8.5, color=QUIET)
    axes.set_xlabel("share of the classes", color=QUIET)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _draw_sizes(axes: Axes, sizes: np.ndarray) -> None:
    tidy_axes(axes)
    axes.barh(np.arange(len(sizes)), sizes, 0.8, color="#9aa5b1")
    for place, size in enumerate(sizes):
        axes.annotate(
            f"{size:,}",
            (float(size), place),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=QUIET,
        )
    axes.margins(x=0.35)
    axes.set_xlabel("images", color=QUIET)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def plot_activations(
    activations: Float[np.ndarray, "batch centers"],
    labels: Integer[np.ndarray, " batch"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str = "activations of all centres",
) -> None:
    """Plots activations as a heat map, images down in the order of their classes.

    Centres stand across in the order of the class that activates them most on average,
    so a head whose centres follow the classes shows blocks along the diagonal. The
    colours leave out the lowest and the highest percent.

    Args:
        activations: Of each centre by each image.
        labels: The classes of the images.
        class_names: One name per class.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.

    Raises:
        ValueError: There is no image, or not one label per image.

    Example:
        >>> import os
        >>> plot_activations(np.eye(2), np.array([0, 1]), ["a", "b"], os.devnull)
    """
    if not len(labels) or len(activations) != len(labels):
        raise ValueError(
            "plot_activations: wanted as many labels as images, at least one, got "
            f"{len(labels)} and {len(activations)}"
        )
    rows = np.argsort(labels, kind="stable")
    found, counts = np.unique(labels, return_counts=True)
    present: list[int] = found.tolist()
    means = np.stack([activations[labels == label].mean(axis=0) for label in present])
    columns = np.argsort(means.argmax(axis=0), kind="stable")
    low, high = np.quantile(activations, (0.01, 0.99))
    num_centers = len(columns)
    figure = make_figure(float(np.clip(3.0 + 0.2 * num_centers, 6.0, 13.0)), 7.0)
    axes = figure.subplots()
    image = axes.imshow(
        activations[rows][:, columns],
        aspect="auto",
        cmap="viridis",
        vmin=low,
        vmax=high if high > low else low + 1,
        # Anything else blurs wide columns where there are more rows than pixels.
        interpolation="nearest",
    )
    ends = np.cumsum(counts)
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color="white", linewidth=0.8)
    shown = ends - counts / 2 - 0.5
    if len(present) <= 3 * _MOST_NAMES:
        names = [shorten_name(class_names[label], max_length=18) for label in present]
        size = 9 if len(names) <= 30 else 6
        axes.set_yticks(shown, names, fontsize=size, parse_math=False)
    if num_centers <= _MOST_CENTERS:
        size = 8 if num_centers <= 30 else 6
        axes.set_xticks(range(num_centers), [str(c) for c in columns], fontsize=size)
        axes.set_xlabel("centre", color=QUIET)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{num_centers:,} centres, by class", color=QUIET)
    axes.set_ylabel("images, by class", color=QUIET)
    axes.tick_params(colors=QUIET, length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11, color=QUIET, parse_math=False)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label("activation", color=QUIET)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=QUIET, length=0)
    save_figure(figure, path)
