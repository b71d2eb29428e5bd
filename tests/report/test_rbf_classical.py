"""Figures of the classical trainings: what they show, and that it is true."""

import numpy as np
import pytest

from jaxdl.report import FunctionFit, plot_function_fits, plot_phases

LINES = {"one phase": {20: [0.7, 0.9], 10: [0.6]}, "three phases": {20: [0.95]}}


def read_means(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_plot_phases_draws_means_in_one_colour_over_all_panels(
    path, figures, check_png
):
    panels = {"all": LINES, "each class": {"three phases": {10: [0.8, 0.85, 0.9]}}}
    plot_phases(panels, path, title="digits")
    check_png(path)
    (figure,) = figures
    first, second = figure.axes
    means = read_means(first)
    np.testing.assert_allclose(means["one phase"], [[10, 0.6], [20, 0.8]])
    np.testing.assert_allclose(read_means(second)["three phases"], [[10, 0.85]])
    colours = {
        axes.get_title(loc="left"): {
            line.get_label(): line.get_color() for line in axes.lines
        }
        for axes in (first, second)
    }
    assert colours["all"]["three phases"] == colours["each class"]["three phases"]
    assert len(set(colours["all"].values())) == 2
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(LINES)


def test_plot_phases_shades_from_the_least_to_the_greatest(path, figures):
    plot_phases({"all": LINES}, path, title="digits")
    band = figures[0].axes[0].collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [0.6, 0.9])


def test_plot_function_fits_marks_centres_and_the_largest_error(
    path, figures, check_png
):
    x = np.linspace(0.0, 1.0, 11)
    wrong = np.where(np.isclose(x, 0.5), x + 0.25, x)
    fits = [
        FunctionFit("one phase", x, x, wrong, np.array([0.1, 0.4])),
        FunctionFit("two phases", x, x, x, np.array([0.2, 0.3])),
    ]
    errors = {"one phase": {2: [0.25]}, "two phases": {2: [1e-6, 1e-5]}}
    plot_function_fits(fits, errors, path, title="x")
    check_png(path)
    panels = {a.get_title(loc="left"): a for a in figures[0].axes}
    assert {"one phase", "two phases", "at most 0.25", "at most 0"} <= set(panels)
    curves = [line.get_xdata().tolist() for line in panels["one phase"].lines]
    assert [0.1, 0.4] in curves
    (bottom,) = (a for a in figures[0].axes if a.get_ylabel() == "largest error")
    np.testing.assert_allclose(read_means(bottom)["two phases"], [[2, 5.5e-6]])


@pytest.mark.parametrize("lines", [{}, {"one phase": {10: []}}])
def test_classical_figures_want_a_seed(path, lines):
    with pytest.raises(ValueError, match="panel 'all': wanted lines of at least one"):
        plot_phases({"all": lines}, path, title="digits")
    with pytest.raises(ValueError, match="plot_function_fits: fits are empty"):
        plot_function_fits([], lines, path, title="x")
