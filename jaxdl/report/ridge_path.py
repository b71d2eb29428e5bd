"""What a ridge penalty does to coefficients and errors, strength by strength."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxdl.report.depth import SERIES
from jaxdl.report.figures import (
    QUIET,
    TRAIN,
    VALIDATION,
    make_figure,
    save_figure,
    shorten_name,
    spread_out,
    tidy_axes,
    write_note,
)

_MOST_NAMES = 20
"""More names than this would not fit beside their lines."""

_SMALL = {"fontsize": 11, "color": QUIET}


class RidgePath(NamedTuple):
    """Regressions by strength of the penalty.

    Attributes:
        strengths: Increasing, above 0.
        coefficients: One row per strength.
        features: Names of the columns of coefficients.
        errors: By name, one number per strength; infinite ones leave a gap.
        degrees_of_freedom: By strength.
        chosen: Index of the strength that was chosen.
    """

    strengths: Float[np.ndarray, " strengths"]
    coefficients: Float[np.ndarray, "strengths features"]
    features: Sequence[str]
    errors: Mapping[str, Float[np.ndarray, " strengths"]]
    degrees_of_freedom: Float[np.ndarray, " strengths"]
    chosen: int


def plot_ridge_path(
    ridge: RidgePath, path: str | os.PathLike[str], *, title: str, target: str
) -> None:
    """Plots coefficients, errors and degrees of freedom against the strength.

    Args:
        ridge: The regressions.
        path: The PNG to write, in a folder that exists.
        title: Of the figure.
        target: What is predicted, for the labels.

    Raises:
        ValueError: There is no strength.

    Example:
        >>> import os
        >>> numbers = np.array([1.0, 2.0])
        >>> errors = {"test": numbers}
        >>> ridge = RidgePath(numbers, np.ones((2, 1)), ["age"], errors, numbers, 0)
        >>> plot_ridge_path(ridge, os.devnull, title="ridge", target="weight")
    """
    if not len(ridge.strengths):
        raise ValueError("ridge has no strengths, wanted at least one")
    figure = make_figure(9.0, 9.6)
    paths, errors, freedom = figure.subplots(3, 1, sharex=True, height_ratios=[5, 4, 2])
    for axes in (paths, errors, freedom):
        tidy_axes(axes)
        axes.set_xscale("log")
        strength = ridge.strengths[ridge.chosen]
        axes.axvline(strength, color=QUIET, linewidth=1, linestyle=":")
    _draw_coefficients(paths, ridge)
    shown = shorten_name(target, max_length=24)
    paths.set_ylabel(f"coefficient, {shown} per unit of feature", color=QUIET)
    _draw_errors(errors, ridge)
    errors.set_ylabel(f"root mean square error, {shown}", color=QUIET)
    freedom.plot(ridge.strengths, ridge.degrees_of_freedom, color=VALIDATION)
    freedom.set_ylim(bottom=0)
    freedom.set_ylabel("degrees of freedom", color=QUIET)
    freedom.set_xlabel(
        "strength of the penalty (dotted: least leave-one-out error, "
        f"{ridge.strengths[ridge.chosen]:.3g})",
        color=QUIET,
    )
    figure.suptitle(title, fontsize=12, color=QUIET, fontweight="bold")
    save_figure(figure, path)


def plot_copied_feature(
    coefficients: Mapping[str, tuple[float, float]],
    path: str | os.PathLike[str],
    *,
    feature: str,
    target: str,
) -> None:
    """Plots what methods give to a feature and to a copy of it, as bars.

    Args:
        coefficients: By method, of the feature and of its copy.
        path: The PNG to write, in a folder that exists.
        feature: Its name.
        target: What is predicted, for the label.

    Raises:
        ValueError: There is no method.

    Example:
        >>> import os
        >>> pairs = {"shortest solution": (1.0, 1.0)}
        >>> plot_copied_feature(pairs, os.devnull, feature="age", target="weight")
    """
    if not coefficients:
        raise ValueError("coefficients is empty, wanted at least one method")
    figure = make_figure(2.6 * len(coefficients) + 1.2, 3.6)
    name = shorten_name(feature, max_length=24)
    panels = figure.subplots(1, len(coefficients), squeeze=False)[0]
    for axes, (method, pair) in zip(panels, coefficients.items(), strict=True):
        tidy_axes(axes)
        axes.set_title(method, fontsize=10, color=QUIET, loc="left", fontweight="bold")
        if not np.isfinite(pair).all():
            write_note(axes, "no finite solution:\nthe matrix is singular")
            continue
        axes.bar([0, 1], pair, color=[VALIDATION, TRAIN], width=0.6)
        for place, height in enumerate(pair):
            axes.annotate(
                f"{height:.4g}",
                (place, height),
                (0, 4 if height >= 0 else -4),
                textcoords="offset points",
                ha="center",
                va="bottom" if height >= 0 else "top",
                color=QUIET,
                fontsize=9,
            )
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.margins(y=0.15)
        axes.set_xticks([0, 1], [name, "its copy"], parse_math=False)
        axes.grid(axis="x", visible=False)
    shown = shorten_name(target, max_length=24)
    figure.supylabel(f"coefficient, {shown}\nper unit of feature", **_SMALL)
    figure.suptitle("A feature that is there twice", **_SMALL)
    save_figure(figure, path)


def _draw_coefficients(axes: Axes, ridge: RidgePath) -> None:
    """Lines, named at the left, where they are furthest apart."""
    axes.axhline(0, color=QUIET, linewidth=0.8)
    is_named = len(ridge.features) <= _MOST_NAMES
    for index, weights in enumerate(ridge.coefficients.T):
        axes.plot(
            ridge.strengths,
            weights,
            color=SERIES[index % len(SERIES)],
            linestyle=("-", "--")[index // len(SERIES) % 2],
            linewidth=1.6 if is_named else 0.8,
        )
    if not is_named:
        return
    # Room for the names; the panels share this axis.
    start, end = ridge.strengths[[0, -1]]
    axes.set_xlim(left=start / max((end / start) ** 0.12, 1.1))
    low, high = axes.get_ylim()
    first = [float(weight) for weight in ridge.coefficients[0]]
    places = spread_out(first, gap=(high - low) / 24, low=low)
    for index, place in enumerate(places):
        axes.annotate(
            shorten_name(ridge.features[index], max_length=12),
            (start, place),
            (-5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=SERIES[index % len(SERIES)],
            fontsize=9,
            parse_math=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )


def _draw_errors(axes: Axes, ridge: RidgePath) -> None:
    colours = {"training": TRAIN, "test": VALIDATION}
    others = iter(SERIES[1:])
    for place, (name, values) in enumerate(ridge.errors.items()):
        colour = colours.get(name) or next(others)
        drawn = np.where(np.isfinite(values), values, np.nan)
        axes.plot(
            ridge.strengths,
            drawn,
            color=colour,
            linestyle=("-", "--")[place == len(ridge.errors) - 1],
            linewidth=1.6,
            label=name,
        )
    axes.legend(
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        labelcolor=QUIET,
        fontsize=9,
    )
