"""The figures of federated training: what is drawn where."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from jaxdl.report import ClientMixture, FederatedCurve, plot_clients, plot_federated
from jaxdl.report.depth import SERIES


def make_curve(panel, label, last, *, first_grams=0.0):
    return FederatedCurve(
        panel=panel,
        label=label,
        rounds=np.arange(5.0),
        accuracies=np.linspace(0.1, last, 5),
        grams=first_grams + np.arange(5.0),
    )


def list_texts(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_plot_federated_draws_rounds_above_and_grams_below(figures, path, check_png):
    curves = [
        make_curve("even", "fedavg", 0.9),
        make_curve("even", "fedadam", 0.8),
        make_curve("Dirichlet 0.1", "fedadam", 0.7),
    ]
    central = make_curve("pooled", "central", 0.95, first_grams=0.5)
    plot_federated(curves, path, central=central)
    check_png(path)
    even, skewed, even_grams, _ = figures[0].axes
    assert [even.get_title("left"), skewed.get_title("left")] == [
        "even",
        "Dirichlet 0.1",
    ]
    first, second, level = even.lines
    np.testing.assert_allclose(first.get_ydata(), curves[0].accuracies)
    np.testing.assert_allclose(first.get_xdata(), np.arange(5))
    np.testing.assert_allclose(level.get_ydata(), 0.95)
    assert to_hex(second.get_color()) == SERIES[1]
    assert to_hex(skewed.lines[0].get_color()) == SERIES[1]
    # What has been spent before the first round is no training.
    for line, curve in zip(even_grams.lines, [*curves[:2], central], strict=True):
        np.testing.assert_allclose(line.get_xdata(), curve.grams[1:])
        np.testing.assert_allclose(line.get_ydata(), curve.accuracies[1:])
    names = ["fedavg", "fedadam", "all data in one place: 95.0 %"]
    assert list_texts(figures[0]) == names


def test_plot_federated_draws_what_little_there_is(figures, path, check_png):
    plot_federated([], path)
    check_png(path)
    plot_federated([], path, central=make_curve("pooled", "central", 0.9))
    assert list_texts(figures[1]) == ["all data in one place: 90.0 %"]


def test_plot_clients_stacks_the_classes(figures, path, check_png):
    counts = np.array([[3, 0, 2], [1, 4, 0]])
    names = ["cat", "dog", "a_name_of_many_letters"]
    plot_clients([ClientMixture("even", counts)], path, class_names=names)
    check_png(path)
    (axes,) = figures[0].axes
    bars = np.array([(bar.get_y(), bar.get_height()) for bar in axes.patches])
    bars = bars.reshape(3, 2, 2)
    np.testing.assert_allclose(bars[:, :, 1], counts.T)
    np.testing.assert_allclose(bars[:, :, 0], [[0, 0], [3, 1], [3, 5]])
    assert list_texts(figures[0]) == ["cat", "dog", "a_name_of_many_…"]


def test_plot_clients_names_no_hundred_classes(figures, path):
    mixture = ClientMixture("even", np.ones((2, 100), np.int64))
    plot_clients([mixture], path, class_names=list(map(str, range(100))))
    assert not figures[0].legends


def test_plot_clients_refuses_nothing(path):
    with pytest.raises(ValueError, match="mixtures are empty, wanted at least one"):
        plot_clients([], path, class_names=["cat", "dog"])
