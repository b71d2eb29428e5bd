"""The figures of the studies: what they show, and that they are written."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Rectangle

from jaxdl.report import (
    FieldPicture,
    FunctionCurve,
    Histogram,
    plot_by_depth,
    plot_fields,
    plot_functions,
    plot_histograms,
)
from jaxdl.report.depth import SERIES

WORDS = {"xlabel": "layer", "ylabel": "deviation"}


def test_plot_by_depth_draws_each_name_in_one_colour(figures, path):
    panels = {"one": {"a": [1.0, 2.0], "b": [3.0, 4.0]}, "two": {"b": [5.0, 6.0, 7.0]}}
    plot_by_depth(panels, path, **WORDS)
    one, two = figures[0].axes
    assert [one.get_title("left"), two.get_title("left")] == ["one", "two"]
    assert (one.get_xlabel(), one.get_ylabel()) == ("layer", "deviation")
    for axes, name, values, colour in [
        (one, "a", [1, 2], SERIES[0]),
        (one, "b", [3, 4], SERIES[1]),
        (two, "b", [5, 6, 7], SERIES[1]),
    ]:
        line = {line.get_label(): line for line in axes.lines}[name]
        np.testing.assert_allclose(line.get_ydata(), values)
        np.testing.assert_allclose(line.get_xdata(), np.arange(1, len(values) + 1))
        assert to_hex(line.get_color()) == colour
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


@pytest.mark.parametrize("is_log", [True, False])
def test_plot_by_depth_leaves_gaps_where_nothing_can_be_drawn(figures, path, is_log):
    values = [0.0, 1.0, np.nan, np.inf, -1.0, 10.0]
    plot_by_depth({"": {"a": values}}, path, is_log=is_log, **WORDS)
    (line,) = figures[0].axes[0].lines
    gaps = [is_log, False, True, True, is_log, False]
    np.testing.assert_array_equal(np.isnan(line.get_ydata()), gaps)


def test_plot_by_depth_survives_a_line_without_any_number(figures, path):
    plot_by_depth({"": {"zeros": [0.0, 0.0]}}, path, **WORDS)
    assert np.isnan(figures[0].axes[0].lines[0].get_ydata()).all()


def test_plot_by_depth_shades_a_band_and_counts_from_the_start_given(figures, path):
    band = {"band": (0.5, 2.0), "band_label": "factor 2"}
    plot_by_depth({"": {"a": [1.0, 1.5]}}, path, start=3, **band, **WORDS)
    (axes,) = figures[0].axes
    assert list(axes.lines[0].get_xdata()) == [3, 4]
    assert axes.patches[0].get_label() == "factor 2"
    low, high = (
        axes.patches[0].get_extents().transformed(axes.transData.inverted()).intervaly
    )
    np.testing.assert_allclose([low, high], [0.5, 2.0])


def test_plot_by_depth_writes_plain_numbers_where_the_range_is_small(figures, path):
    plot_by_depth({"": {"a": [0.5, 4.0]}}, path, **WORDS)
    labels = {label.get_text() for label in figures[0].axes[0].get_yticklabels()}
    assert {"0.5", "1", "2"} <= labels


def test_plot_by_depth_wants_a_panel(path):
    with pytest.raises(ValueError, match="panels is empty"):
        plot_by_depth({}, path, **WORDS)


def test_plot_histograms_scales_each_to_its_highest_bin(figures, path):
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    rows = {
        "small_name": [Histogram(np.array([1, 2, 0]), edges, "std 1")] * 2,
        "other": [Histogram(np.array([0, 0, 0]), edges)] * 2,
    }
    words = {"column_title": "layer", "title": "ReLU", "xlabel": "activation"}
    plot_histograms(rows, path, **words)
    panels = figures[0].axes
    heights = [[bar.get_height() for bar in panel.patches] for panel in panels]
    assert heights == [[0.5, 1, 0]] * 2 + [[0, 0, 0]] * 2
    assert panels[1].get_title() == "layer 2\nstd 1"
    assert [panels[0].get_ylabel(), panels[2].get_ylabel()] == ["small name", "other"]


@pytest.mark.parametrize("lengths", [(), (0,), (1, 2)])
def test_plot_histograms_wants_rows_of_one_length(path, lengths):
    histogram = Histogram(np.array([1]), np.array([0.0, 1.0]))
    rows = {str(index): [histogram] * n for index, n in enumerate(lengths)}
    words = {"column_title": "layer", "title": "", "xlabel": ""}
    with pytest.raises(ValueError, match=r"equally long and not empty, got lengths \["):
        plot_histograms(rows, path, **words)


@pytest.mark.parametrize("count", [1, 7])
def test_plot_functions_draws_function_and_derivative(figures, path, count):
    points = np.linspace(-2.0, 2.0, 9)
    curves = {
        f"f{n}": FunctionCurve(points**n, n * points ** max(n - 1, 0), "note")
        for n in range(count)
    }
    plot_functions(points, curves, path)
    panels = [panel for panel in figures[0].axes if panel.get_visible()]
    assert [panel.get_title("left") for panel in panels] == list(curves)
    for panel, curve in zip(panels, curves.values(), strict=True):
        lines = {line.get_label(): line.get_ydata() for line in panel.lines}
        np.testing.assert_allclose(lines["function"], curve.values)
        np.testing.assert_allclose(lines["derivative"], curve.derivatives)


def test_plot_functions_wants_a_function(path):
    with pytest.raises(ValueError, match="curves is empty"):
        plot_functions(np.linspace(-1.0, 1.0, 3), {}, path)


def test_plot_fields_draws_the_square_and_the_circle_where_they_belong(figures, path):
    energy = np.zeros((9, 7))
    energy[4, 3], energy[4, 4] = 0.8, 0.2
    picture = FieldPicture("a", energy, (4.0, 3.0), (5, 3), 2.5)
    nowhere = picture._replace(title="b", energy=np.zeros((9, 7)), radius=np.nan)
    plot_fields([[picture], [nowhere, picture]], path, title="fields")
    panels = [axes for axes in figures[0].axes if axes.get_visible()][:3]
    assert [axes.get_title() for axes in panels] == ["a", "b", "a"]
    shown = np.asarray(panels[0].images[0].get_array())
    # The gradient is the root of the energy.
    np.testing.assert_allclose(shown[4, [3, 4]], [1, 0.5])
    (square,) = [p for p in panels[0].patches if isinstance(p, Rectangle)]
    assert (*square.get_xy(), square.get_width(), square.get_height()) == (
        1.5,
        1.5,
        3,
        5,
    )
    (circle,) = [p for p in panels[0].patches if isinstance(p, Circle)]
    assert (circle.get_center(), circle.get_radius()) == ((3.0, 4.0), 2.5)
    assert not [p for p in panels[1].patches if isinstance(p, Circle)]


@pytest.mark.parametrize("rows", [[], [[]]])
def test_plot_fields_wants_a_picture(path, rows):
    with pytest.raises(ValueError, match="rows is empty"):
        plot_fields(rows, path, title="")
