"""What is known and what is unknown to a head, in pictures and in words."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from jaxdl.report import (
    plot_unknown_scores,
    tell_center_use,
    tell_nearest_center,
    tell_unknown,
)

NUMBERS = {
    "num_centers": 10,
    "used_centers": 7,
    "effective_centers": 5.26,
    "largest_center_share": 0.311,
    "adjusted_mutual_information": 0.85,
    "purity": 0.954,
}


@pytest.mark.parametrize("factor", [1.2, 20.0])
def test_plot_unknown_scores_counts_shares_of_all(figures, path, check_png, factor):
    known = np.random.default_rng(0).uniform(1, 2, 300)
    unknown = {"others $x": factor * known[:50], "the same": known[::3]}
    areas = {"others $x": 0.8125, "the same": 0.5}
    plot_unknown_scores(known, unknown, path, auroc=areas)
    check_png(path)
    (axes,) = figures[0].axes
    assert axes.get_xscale() == ("log" if factor == 20 else "linear")
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    heights = np.reshape([bar.get_height() for bar in bars], (3, 40))
    np.testing.assert_allclose(heights.sum(axis=1), 1.0)
    edges = np.array([bar.get_x() for bar in bars[:40]])
    for row, scores in zip(heights, (known, *unknown.values()), strict=True):
        # Of the lower half of the bars: no score is cut off there.
        share = np.mean(scores < edges[20])
        np.testing.assert_allclose(row[:20].sum(), share, atol=1e-9)
    assert len({to_hex(bar.get_facecolor()) for bar in bars}) == 3
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert legend == [
        "known classes, 300",
        "others $x, 50: area 0.812",
        "the same, 100: area 0.500",
    ]


def test_plot_unknown_scores_wants_finite_scores_and_their_areas(path):
    scores = np.array([1.0, np.nan])
    with pytest.raises(ValueError, match="noise of 2 scores, wanted .* finite"):
        plot_unknown_scores(np.ones(1), {"noise": scores}, path, auroc={"noise": 0.5})
    for unknown, areas in (({}, {}), ({"a": np.ones(1)}, {"b": 0.5})):
        with pytest.raises(ValueError, match="wanted the same names, at least one"):
            plot_unknown_scores(np.ones(1), unknown, path, auroc=areas)


@pytest.mark.parametrize(
    ("information", "words"),
    [
        (0.85, "The clusters follow the classes: purity 95.4%"),
        (0.4, "The clusters follow the classes in part: purity"),
        (0.01, "The clusters all but ignore the classes: purity"),
    ],
)
def test_tell_center_use_reads_the_information(information, words):
    told = tell_center_use(**{**NUMBERS, "adjusted_mutual_information": information})
    assert told.startswith("7 of 10 centres are in use")
    assert "5.3 equally used ones" in told and "has 31% of the images" in told
    assert words in told and f"and class {information:.2f}" in told


def test_tell_center_use_says_that_one_took_all():
    told = tell_center_use(**{**NUMBERS, "used_centers": 1})
    assert told.startswith("1 of 10 centres is in use: all images end there")
    assert "follow" not in told


def test_tell_nearest_center_compares_with_the_network():
    told = tell_nearest_center(nearest_center_accuracy=0.9136, accuracy=0.9833)
    assert "ends" not in told and "end at the cluster, without output weights" in told
    assert "right for 91.4% of the test images, the whole network for 98.3%." in told


def test_tell_unknown_has_a_word_for_each_area():
    areas = {"a": 0.999, "b": 0.85, "c": 0.7, "d": 0.5, "e": 0.2}
    told = tell_unknown(areas)
    parts = [part.split(", ")[1] for part in told.rstrip(".").split(". ")]
    assert parts == [
        "told from the test images almost always",
        "mostly told from the test images",
        "told from the test images now and then",
        "not told from the test images",
        "taken for better known than the test images",
    ]
    assert told.startswith("a: 1.00, ")
