"""The pictures of radial basis function heads: what they show, and that it is true."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from PIL import Image

from jaxdl.report import (
    EmbeddingSnapshot,
    plot_activations,
    plot_decision,
    plot_embeddings,
    plot_head_gaps,
    plot_neighborhoods,
    plot_purity,
    plot_retrieval,
    write_embedding_animation,
)
from jaxdl.report.depth import SERIES
from jaxdl.report.figures import make_figure
from jaxdl.report.thumbnails import draw_thumbnail, to_colours
from tests.report.thumbnails import NAMES, find_thumbnails, paint


def make_snapshots(count):
    points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, -1.0]])
    return [
        EmbeddingSnapshot(100 * i, (i + 1) * points, np.full((1, 2), float(i)))
        for i in range(count)
    ]


def test_plot_embeddings_shows_nine_steps_on_one_scale(figures, path, check_png):
    plot_embeddings(make_snapshots(17), np.arange(3), NAMES, path, title="map")
    check_png(path)
    axes = figures[0].axes
    assert [one.get_title("left") for one in axes[:3]] == [
        "step 0",
        "step 200",
        "step 400",
    ]
    assert len(axes) == 9 and axes[8].get_title("left") == "step 1,600"
    assert len({(one.get_xlim(), one.get_ylim()) for one in axes}) == 1
    (low, high), (bottom, top) = axes[0].get_xlim(), axes[0].get_ylim()
    assert low < 0 and high > 51 and bottom < -17 and top > 34
    assert high - low == pytest.approx(top - bottom)
    points, centers = axes[8].collections[:2]
    np.testing.assert_allclose(points.get_offsets(), make_snapshots(17)[16].points)
    np.testing.assert_allclose(centers.get_offsets(), [[16.0, 16.0]])
    assert [to_hex(colour) for colour in points.get_facecolors()] == list(SERIES[:3])
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert legend == [*NAMES, "centre"]


def test_plot_neighborhoods_has_a_row_each_and_a_scale_per_row(
    figures, path, check_png
):
    none = np.zeros((0, 2))
    other = [
        one._replace(points=-one.points, centers=none) for one in make_snapshots(3)
    ]
    rows = {"a <b>$x": make_snapshots(3), "b": other}
    plot_neighborhoods(rows, np.arange(3), NAMES, path, title="maps")
    check_png(path)
    axes = figures[0].axes
    assert [one.get_ylabel() for one in axes] == ["a <b>$x", "", "", "b", "", ""]
    assert [one.get_title("left") for one in axes[3:]] == [
        "step 0",
        "step 100",
        "step 200",
    ]
    limits = [(one.get_xlim(), one.get_ylim()) for one in axes]
    assert len(set(limits[:3])) == len(set(limits[3:])) == 1 and limits[0] != limits[3]
    np.testing.assert_allclose(
        axes[5].collections[0].get_offsets(), -make_snapshots(3)[2].points
    )
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert legend == [*NAMES, "centre"]
    for wrong, problem in (
        ({}, "snapshots are empty"),
        ({"a": other, "b": other[:2]}, r"same steps in all rows, got \{'a': \[0, 100"),
    ):
        with pytest.raises(ValueError, match=f"plot_neighborhoods: .*{problem}"):
            plot_neighborhoods(wrong, np.arange(3), NAMES, path, title="")


def test_write_embedding_animation_has_a_picture_per_step(tmp_path):
    path = tmp_path / "map.gif"
    write_embedding_animation(
        make_snapshots(3), np.arange(3), NAMES, path, title="map", milliseconds=100
    )
    with Image.open(path) as animation:
        assert animation.format == "GIF" and animation.n_frames == 3
        durations, colours = [], []
        for frame in range(3):
            animation.seek(frame)
            durations.append(animation.info["duration"])
            colours.append(set(animation.convert("RGB").get_flattened_data()))
    assert durations == [100, 100, 800]
    for found in colours:
        assert (255, 255, 255) in found and (0x1F, 0x5F, 0xA8) in found


def test_plot_embeddings_wants_a_point_for_each_label(path):
    with pytest.raises(ValueError, match="plot_embeddings: snapshots are empty"):
        plot_embeddings([], np.arange(3), NAMES, path, title="")
    with pytest.raises(ValueError, match="step 0 has 3 points, wanted .* 4"):
        plot_embeddings(make_snapshots(1), np.arange(4), NAMES, path, title="")
    with pytest.raises(ValueError, match="milliseconds must be at least 20, got 5"):
        write_embedding_animation(
            make_snapshots(1), np.arange(3), NAMES, path, title="", milliseconds=5
        )


def test_plot_retrieval_sorts_and_marks_what_speaks_against(figures, path, check_png):
    labels = np.array([0, 1, 0, 2])
    distances = np.array([[3.0, 0.25, 8.0, 12.0]])
    plot_retrieval(
        paint(1),
        np.array([0]),
        paint(4),
        labels,
        distances,
        NAMES,
        path,
        metric="a metric",
        num_images=3,
    )
    check_png(path)
    axes = [one for one in figures[0].axes if one.images]
    captions = [one.get_xlabel() for one in axes]
    assert captions == [
        "cat",
        "dog\n× 0.25",
        "cat\n3.00",
        "cat\n8.00",
        "",
        "<b>$x\n12.00",
        "cat\n× 8.00",
        "cat\n× 3.00",
    ]
    framed = [one.spines["left"].get_visible() for one in axes]
    assert framed == [False, True, False, False, False, False, True, True]
    names = [one.get_ylabel() for one in axes if one.get_ylabel()]
    assert names == ["most similar", "least similar"]
    assert "3 most and the 3 least" in figures[0].get_suptitle()
    with pytest.raises(ValueError, match=r"distances of \(1, 0\)"):
        plot_retrieval(
            paint(1), labels[:1], paint(0), labels[:0], distances[:, :0], NAMES, path,
            metric="a metric",
        )  # fmt: skip


def test_plot_decision_shows_the_deciding_centres_and_accounts_for_all(
    figures, path, check_png
):
    activations = np.array([1.0, 0.5, -2.0, 0.1])
    weights = np.array([[1.0, 0.8, 0], [0.2, 1.0, 0], [-0.5, 0.3, -3], [1.0, 1.0, 0]])
    bias = np.array([0.25, 0.5, -9.0])
    closest = paint(8).reshape(4, 2, 6, 6, 1)
    plot_decision(
        paint(1)[0],
        activations,
        weights,
        bias,
        closest,
        NAMES,
        path,
        true_label=2,
        num_centers=2,
    )
    check_png(path)
    # By hand: contributions to cat 1, 0.1, 1, 0.1; to dog 0.8, 0.5, -0.6, 0.1.
    query, thumbnails, bars = figures[0].axes
    assert query.texts[0].get_text() == "predicted\ncat\n\ntrue class\n<b>$x"
    widths = [bar.get_width() for bar in bars.patches]
    np.testing.assert_allclose(widths, [1.0, 0.1, -0.6, 0.5])
    ticks = [label.get_text() for label in bars.get_yticklabels()]
    assert ticks == ["centre 2\nh = −2.00", "centre 1\nh = 0.50"]
    shown = find_thumbnails(thumbnails)
    assert shown == {4: (0.5, 0.5), 5: (1.5, 0.5), 2: (0.5, 1.5), 3: (1.5, 1.5)}
    legend = [text.get_text() for text in bars.get_legend().get_texts()]
    assert legend == ["cat", "dog"]
    assert figures[0].texts[0].get_text() == (
        "the other 2 centres 1.10 against 0.90,   bias 0.25 against 0.50,   "
        "score 2.45 against 1.30"
    )


def test_plot_decision_shows_images_the_right_way_up(figures, path):
    image = np.zeros((6, 6, 1), np.uint8)
    image[0] = 255
    closest = np.broadcast_to(image, (2, 1, 6, 6, 1))
    weights = np.array([[0.9, 0.0], [0.0, 1.0]])
    plot_decision(image, np.ones(2), weights, np.zeros(2), closest, NAMES, path)
    _, thumbnails, _ = figures[0].axes
    canvas = np.asarray(Image.open(path).convert("L"))
    left, right, bottom, top = thumbnails.images[0].get_extent()
    x = (left + right) / 2
    for y, is_bright in ((min(bottom, top) + 0.07, True), (max(bottom, top) - 0.2, 0)):
        column, row = thumbnails.transData.transform((x, y)) * 150 / figures[0].dpi
        assert (canvas[int(canvas.shape[0] - row), int(column)] > 128) == is_bright


def test_plot_decision_wants_two_classes(path):
    with pytest.raises(ValueError, match=r"output_weights of \(1, 1\)"):
        plot_decision(
            paint(1)[0], np.ones(1), np.ones((1, 1)), np.ones(1), paint(1)[None], ["a"],
            path,
        )  # fmt: skip


def test_plot_purity_stacks_shares_and_writes_sizes(figures, path, check_png):
    counts = np.array([[0, 6, 2], [0, 0, 0], [3, 0, 1], [9, 0, 0]])
    plot_purity(counts, NAMES, path)
    check_png(path)
    shares, sizes = figures[0].axes
    ticks = [label.get_text() for label in shares.get_yticklabels()]
    assert ticks == ["centre 3", "centre 2", "centre 0", "centre 1"]
    bars = {}
    for bar in shares.patches:
        if bar.get_width():
            row = round(bar.get_y() + bar.get_height() / 2)
            place = (bar.get_x(), bar.get_width())
            bars[row, to_hex(bar.get_facecolor())] = place
    assert bars == {
        (0, SERIES[0]): (0.0, 1.0),
        (1, SERIES[0]): (0.0, 0.75),
        (1, SERIES[2]): (0.75, 0.25),
        (2, SERIES[1]): (0.0, 0.75),
        (2, SERIES[2]): (0.75, 0.25),
    }
    words = [text.get_text() for text in shares.texts]
    assert words == ["100%", "75%", "75%", "no images", "purity"]
    assert [text.get_text() for text in sizes.texts] == ["9", "4", "8", "0"]
    assert "purity of all 85.7%" in figures[0].get_suptitle()


def test_plot_purity_names_the_main_classes_of_many(figures, path):
    names = [f"class {label}" for label in range(25)]
    plot_purity(np.eye(25, dtype=int), names, path)
    assert not figures[0].legends
    words = [text.get_text() for text in figures[0].axes[0].texts]
    assert words[:25] == [f"100%  {name}" for name in names]


def test_plot_purity_survives_no_images_and_wants_a_name_per_class(path, check_png):
    plot_purity(np.zeros((2, 3), int), NAMES, path)
    check_png(path)
    with pytest.raises(ValueError, match="3 names, counts 2 classes"):
        plot_purity(np.ones((2, 2), int), NAMES, path)


def test_plot_activations_puts_classes_and_their_centres_in_order(
    figures, path, check_png
):
    labels = np.array([2, 0, 2, 1])
    activations = np.array([[9, 1, 2], [3, 4, 8], [9, 1, 0], [1, 7, 2]], float)
    plot_activations(activations, labels, NAMES, path)
    check_png(path)
    axes = figures[0].axes[0]
    shown = [[8, 4, 3], [2, 7, 1], [2, 1, 9], [0, 1, 9]]
    np.testing.assert_array_equal(axes.images[0].get_array(), shown)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "1", "0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == NAMES
    np.testing.assert_allclose(axes.get_yticks(), [0, 1, 2.5])
    many = np.eye(70)
    plot_activations(many, np.arange(70), ["a"] * 70, path)
    assert figures[1].axes[0].get_xlabel() == "70 centres, by class"
    assert len(figures[1].axes[0].get_xticks()) == 0
    with pytest.raises(ValueError, match="got 0 and 0"):
        plot_activations(np.zeros((0, 3)), labels[:0], NAMES, path)


def test_plot_head_gaps_shows_means_deviations_and_seeds(figures, path, check_png):
    runs = {"softmax $x": [0.90, 0.92], "RBF": [0.88, 0.90, 0.92], "one": [0.8]}
    plot_head_gaps(runs, path, baseline="softmax $x", title="digits")
    check_png(path)
    (axes,) = figures[0].axes
    words = [text.get_text() for text in axes.texts]
    assert words[:3] == ["91.00%", "90.00%   −1.00", "80.00%   −11.00"]
    dots = [one for one in axes.collections if isinstance(one, PathCollection)]
    seeds = [one.get_offsets() for one in dots]
    np.testing.assert_allclose(seeds[1], [[0.88, 1], [0.90, 1], [0.92, 1]])
    (ends,) = axes.containers[1].lines[2][0].get_segments()
    np.testing.assert_allclose(ends[:, 0], [0.88, 0.92])
    band = axes.patches[0].get_bbox()
    spread = np.sqrt(0.0002)
    np.testing.assert_allclose([band.x0, band.x1], [0.91 - spread, 0.91 + spread])


def test_plot_head_gaps_wants_the_baseline_and_seeds(path):
    with pytest.raises(ValueError, match="baseline 'b' is none of"):
        plot_head_gaps({"a": [0.5]}, path, baseline="b", title="")
    with pytest.raises(ValueError, match="'b' has no seed"):
        plot_head_gaps({"a": [0.5], "b": []}, path, baseline="a", title="")


def test_draw_thumbnail_fits_the_longer_side_into_its_frame():
    axes = make_figure(2.0, 2.0).subplots()
    draw_thumbnail(axes, np.ones((2, 8, 3)), x=1.0, y=2.0, size=4.0, colour="#ff0000")
    assert list(axes.images[0].get_extent()) == [-1.0, 3.0, 1.5, 2.5]
    assert axes.patches[0].get_bbox().bounds == (-1.0, 1.5, 4.0, 1.0)


def test_to_colours_drops_the_fourth_channel_and_wants_one_three_or_four():
    half = to_colours(np.ones((1, 1, 4), np.float16) / 2)
    np.testing.assert_allclose(half, np.full((1, 1, 3), 0.5))
    with pytest.raises(ValueError, match="to_colours: image of .2, 2, 2."):
        to_colours(np.zeros((2, 2, 2)))
