import numpy as np
import pytest
from matplotlib.colors import to_hex

from jaxdl.report import TrialAxis, plot_importance, plot_trials
from jaxdl.report.figures import QUIET, TRAIN, VALIDATION

AXES = [
    TrialAxis("optimizer.rate", 1e-4, 1.0, is_log=True),
    TrialAxis("width", 10.0, 20.0),
    TrialAxis("model.kind", choices=("a", "b", "null", "d")),
]
VALUES = np.array([[1e-2, 10, 3], [1.0, 15, 0], [1e-4, 20, 1], [0.1, 12, 2]])
SCORES = np.array([0.75, np.nan, 0.9, 0.6])


def list_lines(figure):
    """The lines of the trials: (heights, style, width), in the order drawn."""
    return [
        (np.asarray(line.get_ydata()), line.get_linestyle(), line.get_linewidth())
        for line in figure.axes[0].lines
        if len(line.get_xdata()) > 2
    ]


@pytest.mark.parametrize("maximise", [True, False])
def test_plot_trials_draws_each_trial_and_the_best_on_top(
    figures, path, check_png, maximise
):
    plot_trials(AXES, VALUES, SCORES, path, metric="final.score", maximise=maximise)
    check_png(path)
    failed, *scored = list_lines(figures[0])
    np.testing.assert_allclose(failed[0], [1, 0.5, 0.125])
    assert failed[1] == "--"
    # From the worst to the best: 3, 0, 2, or the other way round.
    heights = [[0.75, 0.2, 0.625], [0.5, 0, 0.875], [0, 1, 0.375]]
    ends = [0.04 / 1.08, 0.54 / 1.08, 1.04 / 1.08]
    heights = heights if maximise else heights[::-1]
    for (found, style, width), wanted, end in zip(scored, heights, ends, strict=True):
        np.testing.assert_allclose(found, [*wanted, end], atol=1e-12)
        assert style == "-" and (width > 2) == (end > 0.9)
    title = figures[0].axes[0].get_title("left")
    best = "trial 2 with 0.9" if maximise else "trial 3 with 0.6"
    assert best in title and "grey: 1 failed" in title and "4 trials" in title


def test_plot_trials_names_axes_and_ticks(figures, path):
    plot_trials(AXES, VALUES, SCORES, path, metric="final.score")
    (panel,) = figures[0].axes
    names = [label.get_text() for label in panel.get_xticklabels()]
    assert names == ["optimizer\nrate", "width", "model\nkind", "final\nscore"]
    ticks = {}
    for text in panel.texts:
        ticks.setdefault(text.xy[0], {})[text.get_text()] = text.xy[1]
    assert list(ticks[0]) == ["0.0001", "0.001", "0.01", "0.1", "1"]
    np.testing.assert_allclose(list(ticks[0].values()), [0, 0.25, 0.5, 0.75, 1])
    assert ticks[1]["10"] == 0 and ticks[1]["20"] == 1
    assert ticks[2] == {"a": 0.125, "b": 0.375, "null": 0.625, "d": 0.875}
    # The scores from 0.6 to 0.9 with a margin.
    assert list(ticks[3]) == ["0.6", "0.7", "0.8", "0.9"]
    assert ticks[3]["0.6"] == pytest.approx(0.04 / 1.08)


def test_plot_trials_shows_scores_over_many_decades(figures, path):
    scores = np.array([1e-2, 1.0, 100.0, np.nan])
    plot_trials(AXES, VALUES, scores, path, metric="loss", maximise=False)
    ends = [line[0][3] for line in list_lines(figures[0])[1:]]
    np.testing.assert_allclose(ends, [0.04 / 1.08, 0.5, 1.04 / 1.08])


def test_plot_trials_counts_in_whole_numbers_if_told(figures, path):
    axis = TrialAxis("depth", 1, 3, is_integer=True)
    plot_trials([axis], np.array([[2.0]]), np.array([0.5]), path, metric="score")
    (panel,) = figures[0].axes
    assert [t.get_text() for t in panel.texts if t.xy[0] == 0] == ["1", "2", "3"]


@pytest.mark.parametrize("scores", [[np.nan] * 4, [0.5] * 4, [0.0] * 4])
def test_plot_trials_survives_scores_that_tell_nothing(path, check_png, scores):
    plot_trials(AXES, VALUES, np.array(scores), path, metric="score")
    check_png(path)


def test_plot_trials_of_nothing_still_draws(path, check_png):
    plot_trials(AXES, np.zeros((0, 3)), np.zeros(0), path, metric="score")
    check_png(path)


def test_plot_trials_wants_axes_and_a_value_for_each(path):
    with pytest.raises(ValueError, match="axes are empty"):
        plot_trials([], np.zeros((4, 0)), SCORES, path, metric="score")
    with pytest.raises(ValueError, match=r"shape \(4, 3\), wanted \(4, 2\) for 4"):
        plot_trials(AXES[:2], VALUES, SCORES, path, metric="score")


@pytest.mark.parametrize(
    ("explained", "words", "colour"),
    [
        (0.7, "explains 70% of the order of unseen ones", VALIDATION),
        (-0.5, "says nothing of unseen ones", TRAIN),
        (None, "of 8 trials", VALIDATION),
    ],
)
def test_plot_importance_orders_bars_and_says_how_far_to_trust_them(
    figures, path, check_png, explained, words, colour
):
    shares = {"a": 0.1, "b": 0.95, "c": 0.0}
    plot_importance(shares, path, explained=explained, num_trials=8)
    check_png(path)
    (axes,) = figures[0].axes
    assert [bar.get_width() for bar in axes.patches] == [0.95, 0.1, 0.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    assert [text.get_text() for text in axes.texts] == ["95%", "10%", "0%"]
    assert words in axes.get_title("left")
    assert {to_hex(bar.get_facecolor()) for bar in axes.patches} == {colour}
    assert to_hex(axes.texts[0].get_color()) == QUIET


def test_plot_importance_of_nothing_says_so(figures, path, check_png):
    plot_importance({}, path, explained=None, num_trials=2)
    check_png(path)
    assert "can't be told from 2 trials" in figures[0].axes[0].texts[0].get_text()
