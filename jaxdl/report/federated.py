"""Federated training: accuracy by round and by carbon dioxide; who has which data."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    shorten_name,
    tidy_axes,
    write_note,
)
from jaxdl.report.legends import add_legend

_MAX_NAMED = 20
"""Classes that a legend can name."""


class FederatedCurve(NamedTuple):
    """One training.

    Attributes:
        panel: How its data is dealt out; a column of panels.
        label: Its algorithm; a colour.
        rounds: At which it was scored, from 0.
        accuracies: On the test split, in [0, 1].
        grams: CO2 equivalent given off so far.
    """

    panel: str
    label: str
    rounds: Float[np.ndarray, " scores"]
    accuracies: Float[np.ndarray, " scores"]
    grams: Float[np.ndarray, " scores"]


class ClientMixture(NamedTuple):
    """What clients have.

    Attributes:
        name: How the data was dealt out.
        counts: Examples of each class of each client.
    """

    name: str
    counts: Integer[np.ndarray, "clients classes"]


def plot_federated(
    curves: Sequence[FederatedCurve],
    path: str | os.PathLike[str],
    *,
    central: FederatedCurve | None = None,
) -> None:
    """Plots accuracy by round, and below by carbon dioxide on a logarithmic axis.

    Args:
        curves: What to draw, in this order of colours and panels.
        path: The PNG to write, in a folder that exists.
        central: A training on all the data in one place: its last accuracy is a line
            in the upper panels, its way there one in the lower.

    Example:
        >>> import os
        >>> numbers = {"rounds": np.arange(2.0), "accuracies": np.array([0.1, 0.8])}
        >>> curve = FederatedCurve("even", "fedavg", **numbers, grams=np.arange(2.0))
        >>> plot_federated([curve], os.devnull)
    """
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    if not panels and central is None:
        figure = make_figure(5.0, 3.0)
        write_note(figure.subplots(), "Nothing was trained.")
        save_figure(figure, path)
        return
    labels = list(dict.fromkeys(curve.label for curve in curves))
    styles = {name: _choose_style(place) for place, name in enumerate(labels)}
    panels = panels or ["pooled data"]
    figure = make_figure(4.2 * len(panels) + 1.8, 6.4)
    grid = figure.subplots(2, len(panels), squeeze=False, sharey=True, sharex="row")
    for (upper, lower), panel in zip(grid.T, panels, strict=True):
        for axes in (upper, lower):
            tidy_axes(axes)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        upper.set_title(panel, loc="left", fontweight="bold", color=QUIET)
        upper.set_xlabel("round", color=QUIET)
        upper.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        lower.set_xscale("log")
        lower.set_xlabel("CO2 equivalent so far, g", color=QUIET)
        for curve in (curve for curve in curves if curve.panel == panel):
            _draw_curve(upper, lower, curve, styles[curve.label])
        if central is not None:
            _draw_central(upper, lower, central)
    for axes in grid[1]:
        _space_decades(axes)
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy", color=QUIET)
        axes.set_ylim(0, 1.03)
    handles, _ = grid[0, 0].get_legend_handles_labels()
    add_legend(figure, handles, loc="outside right upper")
    save_figure(figure, path)


def plot_clients(
    mixtures: Sequence[ClientMixture],
    path: str | os.PathLike[str],
    *,
    class_names: Sequence[str],
) -> None:
    """Plots the examples of each client, a colour for each class; a row by dealing.

    Args:
        mixtures: What to draw; all of the same classes.
        path: The PNG to write, in a folder that exists.
        class_names: In the order of the counts; up to 20 of them are told.

    Raises:
        ValueError: There is none.

    Example:
        >>> import os
        >>> mixture = ClientMixture("even", np.array([[3, 1], [2, 2]]))
        >>> plot_clients([mixture], os.devnull, class_names=["cat", "dog"])
    """
    if not mixtures:
        raise ValueError("mixtures are empty, wanted at least one")
    figure = make_figure(9.6, 1.0 + 2.3 * len(mixtures))
    rows = figure.subplots(len(mixtures), 1, squeeze=False)[:, 0]
    colours = _choose_colours(len(class_names))
    for axes, mixture in zip(rows, mixtures, strict=True):
        tidy_axes(axes)
        axes.grid(axis="x", visible=False)
        places = np.arange(len(mixture.counts))
        base = np.zeros(len(places))
        for label, colour in enumerate(colours):
            heights = mixture.counts[:, label]
            axes.bar(places, heights, 0.9, bottom=base, color=colour)
            base = base + heights
        axes.set_xlim(-0.6, len(places) - 0.4)
        axes.set_title(mixture.name, loc="left", fontweight="bold", color=QUIET)
        axes.set_ylabel("examples", color=QUIET)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    rows[-1].set_xlabel("client", color=QUIET)
    if len(class_names) <= _MAX_NAMED:
        names = [shorten_name(name, max_length=16) for name in class_names]
        handles = [
            Patch(color=colour, label=name)
            for colour, name in zip(colours, names, strict=True)
        ]
        add_legend(figure, handles, loc="outside right center")
    save_figure(figure, path)


def _choose_style(place: int) -> dict[str, Any]:
    # Thinner ones lie on thicker ones: those that are nearly the same are both seen.
    width = max(2.4 - 0.6 * place, 1.2)
    return {"color": SERIES[place % len(SERIES)], "linewidth": width, "markersize": 4}


def _draw_curve(
    upper: Axes, lower: Axes, curve: FederatedCurve, style: dict[str, Any]
) -> None:
    # A line through one or two points would show a trend that isn't there.
    marker = "o" if len(curve.rounds) < 4 else None
    upper.plot(
        curve.rounds, curve.accuracies, label=curve.label, marker=marker, **style
    )
    lower.plot(*_list_spent(curve), marker=marker, **style)


def _draw_central(upper: Axes, lower: Axes, central: FederatedCurve) -> None:
    last = float(central.accuracies[-1])
    style: dict[str, Any] = {"color": QUIET, "linewidth": 1.4, "linestyle": "--"}
    upper.axhline(last, label=f"all data in one place: {100 * last:.1f} %", **style)
    lower.plot(*_list_spent(central), marker="o", markersize=3, **style)


def _space_decades(axes: Axes) -> None:
    """Marks decades, and if there are few of them 2 and 5 in each."""
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,))
    )
    axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _list_spent(curve: FederatedCurve) -> tuple[np.ndarray, np.ndarray]:
    """Grams and accuracies after the first round; a log axis has no place for 0."""
    is_shown = (curve.rounds > 0) & (curve.grams > 0)
    return curve.grams[is_shown], curve.accuracies[is_shown]


def _choose_colours(count: int) -> list[Any]:
    if count <= 20:
        return [colormaps["tab20" if count > 10 else "tab10"](i) for i in range(count)]
    return [colormaps["turbo"](i / (count - 1)) for i in range(count)]
