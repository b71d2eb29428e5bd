"""What batches of several sizes take to a target, and how noisy gradients were."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    spell_out_ticks,
    tidy_axes,
    write_note,
)
from jaxdl.report.legends import add_legend

_MARKERS = ("o", "s", "D", "v", "P")


class BatchSeries(NamedTuple):
    """Runs of one kind to one target; one entry of each list for each.

    Attributes:
        label: What sets them apart from the other series.
        batch_sizes: Examples per step.
        steps: To the target, or to the end of a run that didn't reach it.
        reached: Which of both.
        fit: The curve through those that reached it, a `jaxdl.diagnose.BatchTradeoff`,
            if there is one.
    """

    label: str
    batch_sizes: Sequence[int]
    steps: Sequence[float | int]
    reached: Sequence[bool]
    fit: Any = None


class NoiseCurve(NamedTuple):
    """The noise scale of one run on its way.

    Attributes:
        panel: Heading of the panel it is drawn in.
        label: Names it there; a label has one colour in all panels.
        examples: Seen until then.
        noise_scales: In examples.
    """

    panel: str
    label: str
    examples: Sequence[float]
    noise_scales: Sequence[float]


def plot_batch_tradeoff(
    series: Sequence[BatchSeries], path: str | os.PathLike[str], *, target: str
) -> None:
    """Plots steps and examples to a target against the batch size.

    Full marks are runs that reached it, empty triangles the last step of those that
    didn't. Dotted lines are perfect scaling from the smallest batch, solid ones the
    fit.

    Args:
        series: A colour each.
        path: The PNG to write, in a folder that exists.
        target: What the runs were to reach, in words.

    Raises:
        ValueError: There is no series, or one without runs.

    Example:
        >>> import os
        >>> runs = BatchSeries("sgd", [8, 32], [400.0, 150.0], [True, True])
        >>> plot_batch_tradeoff([runs], os.devnull, target="a loss of 0.1")
    """
    if not series or not all(len(one.batch_sizes) for one in series):
        raise ValueError("series: wanted at least one, with runs in each")
    figure = make_figure(10.4, 4.6)
    panels = figure.subplots(1, 2)
    names = ("steps", "examples")
    for axes, name in zip(panels, names, strict=True):
        tidy_axes(axes)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for index, one in enumerate(series):
            style = {
                "color": SERIES[index % len(SERIES)],
                "marker": _MARKERS[index % len(_MARKERS)],
            }
            # Beside each other, as runs that all took the longest would hide others.
            shift = 1 + 0.05 * (index - (len(series) - 1) / 2)
            per_step = name == "examples"
            _draw_series(axes, one, style, shift=shift, per_step=per_step)
        sizes = sorted({size for one in series for size in one.batch_sizes})
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("batch size", color=QUIET)
        axes.set_title(
            f"{name} to the target",
            loc="left",
            fontsize=11,
            color=QUIET,
            fontweight="bold",
        )
        axes.tick_params(which="both", colors=QUIET)
        spell_out_ticks(axes)
    figure.suptitle(f"To {target}", fontsize=12, color=QUIET, fontweight="bold")
    add_legend(figure, _list_handles(series), loc="outside right upper")
    save_figure(figure, path)


def _draw_series(
    axes: Axes, one: BatchSeries, style: dict[str, Any], *, shift: float, per_step: bool
) -> None:
    sizes = np.asarray(one.batch_sizes, float)
    steps, reached = np.asarray(one.steps, float), np.asarray(one.reached, bool)
    heights = steps * sizes if per_step else steps
    colour, points = style["color"], {"linestyle": "none", "alpha": 0.85}
    axes.plot(sizes[reached], heights[reached], markersize=6, **style, **points)
    missed = {**style, "marker": "^", "markersize": 8, "fillstyle": "none"}
    axes.plot(shift * sizes[~reached], heights[~reached], **missed, **points)
    if not reached.any():
        return
    grid = np.geomspace(sizes.min(), sizes.max(), 60)
    first = sizes[reached].min()
    examples = (steps * sizes)[reached & (sizes == first)].mean()
    perfect = np.full_like(grid, examples) if per_step else examples / grid
    axes.plot(grid, perfect, color=colour, linestyle=":", linewidth=1.2, alpha=0.8)
    if one.fit is not None:
        fitted = np.array([one.fit.steps(size) for size in grid.tolist()])
        fitted = fitted * grid if per_step else fitted
        axes.plot(grid, fitted, color=colour, linewidth=1.6)


def _list_handles(series: Sequence[BatchSeries]) -> list[Line2D]:
    handles = []
    for index, one in enumerate(series):
        label = one.label
        if one.fit is not None and one.fit.is_bounded:
            # Two digits, and no exponent.
            critical = float(f"{one.fit.critical_batch_size:.2g}")
            label += f"\ncritical batch {critical:,g}"
        colour, marker = SERIES[index % len(SERIES)], _MARKERS[index % len(_MARKERS)]
        handles.append(Line2D([], [], color=colour, marker=marker, label=label))
    handles.append(Line2D([], [], color=QUIET, linestyle=":", label="perfect scaling"))
    if any(not all(one.reached) for one in series):
        mark: dict[str, Any] = {"marker": "^", "fillstyle": "none", "linestyle": "none"}
        handles.append(Line2D([], [], color=QUIET, **mark, label="not reached"))
    return handles


def plot_noise_scales(
    curves: Sequence[NoiseCurve],
    path: str | os.PathLike[str],
    *,
    critical: Mapping[str, float],
) -> None:
    """Plots the noise scale against the examples seen, a panel for each kind of run.

    Args:
        curves: What to draw, in this order of colours and panels.
        path: The PNG to write, in a folder that exists.
        critical: By panel, a critical batch size to compare with.

    Example:
        >>> import os
        >>> curve = NoiseCurve("sgd", "batch 8", [80.0, 160.0], [20.0, 40.0])
        >>> plot_noise_scales([curve], os.devnull, critical={"sgd": 30.0})
    """
    curves = [curve for curve in curves if len(curve.examples)]
    panels = list(dict.fromkeys(curve.panel for curve in curves))
    if not panels:
        figure = make_figure(5.0, 3.0)
        write_note(figure.subplots(), "No noise scale was measured.")
        save_figure(figure, path)
        return
    labels = dict.fromkeys(curve.label for curve in curves)
    colours = {name: SERIES[i % len(SERIES)] for i, name in enumerate(labels)}
    figure = make_figure(4.2 * len(panels) + 1.8, 4.0)
    grid = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    for axes, panel in zip(grid, panels, strict=True):
        tidy_axes(axes)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for curve in (curve for curve in curves if curve.panel == panel):
            line = {"color": colours[curve.label], "linewidth": 1.5}
            axes.plot(curve.examples, curve.noise_scales, **line)
        if panel in critical:
            axes.axhline(critical[panel], color=QUIET, linestyle="--", linewidth=1.2)
        axes.set_title(panel, loc="left", fontweight="bold", color=QUIET)
        axes.set_xlabel("examples seen", color=QUIET)
        axes.tick_params(which="both", colors=QUIET)
    grid[0].set_ylabel("gradient noise scale, examples", color=QUIET)
    handles = [Line2D([], [], color=colours[name], label=name) for name in labels]
    if critical:
        name = "critical batch, fitted"
        handles.append(Line2D([], [], color=QUIET, linestyle="--", label=name))
    add_legend(figure, handles, loc="outside right upper")
    save_figure(figure, path)
