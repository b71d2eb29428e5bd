"""What compressing a network costs: accuracy against parameters, by method."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import QUIET, make_figure, save_figure, tidy_axes

_PANELS = (("accuracies", "as compressed"), ("finetuned", "after a short fine-tuning"))


class CompressionCurve(NamedTuple):
    """One way to compress, to several sizes.

    Attributes:
        name: Of the way.
        shares: Of the parameters that were kept, in (0, 1].
        accuracies: Right after compressing, in [0, 1].
        finetuned: After a fine-tuning, in [0, 1].
    """

    name: str
    shares: Sequence[float]
    accuracies: Sequence[float]
    finetuned: Sequence[float]


def plot_compression(
    curves: Sequence[CompressionCurve],
    path: str | os.PathLike[str],
    *,
    original: float,
) -> None:
    """Plots accuracy against parameters kept, before and after fine-tuning.

    The panels have vertical axes of their own, as losses differ by far.

    Args:
        curves: One for each way to compress.
        path: The PNG to write, in a folder that exists.
        original: Accuracy of the network that was compressed, in [0, 1].

    Raises:
        ValueError: There is no curve.

    Example:
        >>> import os
        >>> curve = CompressionCurve("channel", [0.7, 0.5], [0.8, 0.5], [0.9, 0.89])
        >>> plot_compression([curve], os.devnull, original=0.91)
    """
    if not curves:
        raise ValueError("curves is empty, wanted at least one way to compress")
    figure = make_figure(10.4, 4.4)
    for axes, (field, title) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        tidy_axes(axes)
        style = {"color": QUIET, "linestyle": ":", "linewidth": 1.4}
        axes.axhline(100 * original, label=f"original, {original:.2%}", **style)
        for index, curve in enumerate(curves):
            _draw(axes, curve, getattr(curve, field), index)
        axes.set_title(title, loc="left", fontweight="bold", color=QUIET, fontsize=11)
        axes.set_xlabel("parameters of the layers that are kept", color=QUIET)
        axes.set_ylabel("test accuracy, %", color=QUIET)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(labels),
        frameon=False,
        labelcolor=QUIET,
        fontsize=9,
    )
    save_figure(figure, path)


def _draw(axes: Axes, curve: CompressionCurve, values: Sequence[float], index: int):
    order = sorted(range(len(values)), key=lambda i: curve.shares[i])
    axes.plot(
        [curve.shares[i] for i in order],
        [100 * values[i] for i in order],
        color=SERIES[index % len(SERIES)],
        linestyle=("-", "--")[index % 2],
        marker="osD^"[index % 4],
        markersize=5,
        linewidth=1.6,
        label=curve.name,
    )
