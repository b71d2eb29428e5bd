"""What dropout does: outputs of its forms, and which values it drops."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes

from jaxdl.report.figures import (
    QUIET,
    TRAIN,
    VALIDATION,
    make_figure,
    save_figure,
    tidy_axes,
)


class DropoutOutputs(NamedTuple):
    """What a unit behind dropout puts out for one input.

    Attributes:
        training: Its outputs under many draws.
        evaluation: Its output in evaluation.
    """

    training: Float[np.ndarray, " draws"]
    evaluation: float


def plot_dropout(
    outputs: Mapping[str, DropoutOutputs],
    dropped: Mapping[str, Sequence[Bool[np.ndarray, "height width"]]],
    path: str | os.PathLike[str],
) -> None:
    """Plots the outputs of each form of dropout, and the channels of each kind.

    Args:
        outputs: By name of the form.
        dropped: By name of the kind, where the values of each channel are dropped.
        path: The PNG to write, in a folder that exists.

    Raises:
        ValueError: There is no form or no kind.

    Example:
        >>> import os
        >>> outputs = {"classic": DropoutOutputs(np.array([0.0, 1.0]), 0.5)}
        >>> dropped = {"single values": [np.eye(3, dtype=bool)]}
        >>> plot_dropout(outputs, dropped, os.devnull)
    """
    if not outputs or not dropped:
        raise ValueError(
            f"wanted outputs and dropped, got {len(outputs)} and {len(dropped)}"
        )
    figure = make_figure(9.6, 4.2)
    halves: Any = figure.subfigures(2, 1, height_ratios=(2.2, 1))
    upper, lower = halves
    panels = upper.subplots(1, len(outputs), squeeze=False, sharex=True, sharey=True)[0]
    every = np.concatenate([found.training for found in outputs.values()])
    edges = np.histogram_bin_edges(every, bins=60).tolist()
    for axes, (name, found) in zip(panels, outputs.items(), strict=True):
        _plot_outputs(axes, found, edges)
        axes.set_title(name, loc="left", fontweight="bold", color=QUIET)
    panels[0].set_ylabel("draws", color=QUIET)
    handles, labels = panels[0].get_legend_handles_labels()
    upper.legend(handles, labels, loc="outside right center", frameon=False)
    parts = np.ravel(lower.subfigures(1, len(dropped), squeeze=False))
    for part, (name, masks) in zip(parts, dropped.items(), strict=True):
        part.suptitle(f"dropped: {name}", fontsize=10, color=QUIET)
        for axes, mask in zip(
            part.subplots(1, len(masks), squeeze=False)[0], masks, strict=True
        ):
            axes.imshow(mask, cmap="Blues", vmin=0, vmax=1.3)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_color(TRAIN)
    save_figure(figure, path)


def _plot_outputs(axes: Axes, outputs: DropoutOutputs, edges: list[float]) -> None:
    tidy_axes(axes)
    axes.hist(outputs.training, bins=edges, color=TRAIN, label="training, by draw")
    mean = float(outputs.training.mean())
    axes.axvline(
        outputs.evaluation, color=VALIDATION, linewidth=2.2, label="evaluation"
    )
    axes.axvline(
        mean, color="#d1495b", linestyle="--", linewidth=1.6, label="training, mean"
    )
    axes.set_xlabel(
        f"output of a unit; mean {mean:.3f}, evaluation {outputs.evaluation:.3f}",
        color=QUIET,
        fontsize=9,
    )
