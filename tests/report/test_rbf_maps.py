"""Maps of images around centres: what they show, and that distances are true."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Rectangle

from jaxdl.report import QueryImage, RadialProfile, place_on_rings, plot_center_map
from jaxdl.report.depth import SERIES
from tests.report.thumbnails import NAMES, find_thumbnails, paint


def draw_distances(count, *, high=10.0):
    return high * np.sqrt(np.random.default_rng(0).uniform(size=count))


def test_place_on_rings_keeps_true_distances_without_overlap():
    distances = draw_distances(900)
    places = place_on_rings(distances, max_radius=10.0, size=0.75)
    np.testing.assert_array_equal(places.radii, distances[places.indices])
    positions = places.positions
    np.testing.assert_allclose(np.hypot(*positions.T), distances[places.indices])
    gaps = np.abs(positions[:, None] - positions[None]).max(axis=-1)
    assert gaps[~np.eye(len(gaps), dtype=bool)].min() >= 0.75
    assert len(set(places.indices.tolist())) == len(places.indices)
    rings = np.histogram(places.radii, bins=5, range=(0, 10))[0]
    assert (np.diff(rings) > 0).all() and rings[0] >= 3


def test_place_on_rings_repeats_itself_and_follows_the_seed():
    distances = draw_distances(200)
    first, again, other = (
        place_on_rings(distances, max_radius=10.0, size=0.75, seed=seed)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.positions, again.positions)
    assert not np.array_equal(first.angles[:9], other.angles[:9])


def test_place_on_rings_gives_each_class_its_sector():
    distances, labels = draw_distances(600), np.arange(600) % 4 + 5
    places = place_on_rings(distances, max_radius=10.0, size=0.75, labels=labels)
    # Clockwise from the top: upper right, lower right, lower left, upper left.
    signs = {5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
    wanted = np.array([signs[label] for label in labels[places.indices].tolist()])
    np.testing.assert_array_equal(np.sign(places.positions), wanted)
    assert len(np.unique(labels[places.indices])) == 4


def test_place_on_rings_keeps_away_and_leaves_out_what_is_too_far():
    taken = np.array([[4.0, 0.0], [0.0, 7.0]])
    distances = np.append(draw_distances(400), [10.0, 10.1, np.inf, np.nan])
    places = place_on_rings(distances, max_radius=10.0, size=0.6, taken=taken)
    gaps = np.abs(places.positions[:, None] - taken[None]).max(axis=-1)
    assert gaps.min() >= 0.6
    assert places.radii.max() <= 10.0
    edge = place_on_rings(np.array([0.1]), max_radius=0.1, size=0.01)
    assert edge.indices.tolist() == [0]
    assert len(place_on_rings(np.zeros(0), max_radius=1.0, size=0.1).indices) == 0


def test_place_on_rings_wants_numbers_above_zero():
    with pytest.raises(ValueError, match="place_on_rings: size is 0"):
        place_on_rings(np.ones(2), max_radius=1.0, size=0.0)


@pytest.mark.parametrize("order", ["random", "class"])
def test_plot_center_map_shows_images_at_the_root_of_their_squared_distance(
    figures, path, check_png, order
):
    squared = draw_distances(120, high=5.0) ** 2
    labels = np.arange(120) % 3
    radii = np.linspace(0, 6, 50)
    # A width other than 1: a radius made of the activation would be another.
    profile = RadialProfile(radii, 1 - radii**2 / 4**2)
    asked = np.full((2, 6, 6, 1), [[[[255]]], [[[254]]]], np.uint8)
    queries = [
        QueryImage(asked[0], 9.0, "asked <b>$x", 1),
        QueryImage(asked[1], 30.25, "asked <b>$x", 2),
    ]
    plot_center_map(
        paint(120),
        labels,
        squared,
        profile,
        NAMES,
        path,
        title="centre 7",
        order=order,
        queries=queries,
    )
    check_png(path)
    axes = figures[0].axes[0]
    places = find_thumbnails(axes)
    first, second = places.pop(255), places.pop(254)
    np.testing.assert_allclose(np.hypot(*first), 3.0)
    # Beyond all images, so that the map ends there.
    np.testing.assert_allclose(np.hypot(*second), 5.5)
    if order == "class":
        # Clockwise from the top: lower right and left belong to the second class.
        assert first[1] < 0 < second[1] and second[0] < 0
    assert len(places) > 40
    for index, place in places.items():
        np.testing.assert_allclose(np.hypot(*place), np.sqrt(squared[index]))
    frames = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    colours = [to_hex(frame.get_edgecolor()) for frame in frames]
    assert colours[:2] == ["#ff0000"] * 2
    boxes = [frame.get_bbox() for frame in frames[:2]]
    middles = [((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in boxes]
    np.testing.assert_allclose(middles, [first, second])
    assert colours[2:] == [SERIES[labels[index]] for index in places]
    words = [text.get_text() for text in axes.texts]
    assert "r = 2, h = 0.75" in words and "r = 4, h = 0.00" in words
    circles = [patch.radius for patch in axes.patches if isinstance(patch, Circle)]
    assert {1.0, 2.0, 3.0, 4.0} <= set(circles)
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    if order == "class":
        assert legend == ["asked <b>$x"] and set(NAMES) <= set(words)
    else:
        assert legend == [*NAMES, "asked <b>$x"]
    assert f"{len(places)} of 120 images" in axes.get_title("left")


def test_plot_center_map_shades_by_the_activation(figures, path):
    profile = RadialProfile(np.array([0.0, 4.0]), np.array([2.0, -2.0]))
    images, labels = paint(2), np.array([0, 1])
    plot_center_map(
        images, labels, np.array([4.0, 16.0]), profile, NAMES, path, title=""
    )
    shades = figures[0].axes[0].images[0]
    values = shades.get_array()
    assert values.shape == (601, 601) and values.mask[0, 0]
    np.testing.assert_allclose(values[300, 300], 2.0)
    np.testing.assert_allclose(values[300, 450], 0.0, atol=1e-9)


def test_plot_center_map_survives_images_at_the_centre(path, check_png):
    profile = RadialProfile(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    plot_center_map(
        paint(3), np.zeros(3, int), np.zeros(3), profile, NAMES, path, title="all"
    )
    check_png(path)


def test_plot_center_map_wants_a_true_map(path):
    profile = RadialProfile(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    labels = np.array([0, 1])
    for squared, problem in (
        ([1.0, 9.0], "profile ends at 1, wanted the activation up to .* 3"),
        ([1.0, -1.0], "at least 0, got -1.0 to 1.0"),
    ):
        with pytest.raises(ValueError, match=problem):
            plot_center_map(
                paint(2), labels, np.array(squared), profile, NAMES, path, title=""
            )
    with pytest.raises(ValueError, match=r"at least one, got \(0, 0, 0\)"):
        empty = np.zeros(0, int)
        plot_center_map(
            paint(0), empty, np.zeros(0), profile, NAMES, path, title="empty"
        )


def test_plot_center_map_keeps_queries_apart(figures, path):
    profile = RadialProfile(np.array([0.0, 9.0]), np.array([1.0, 0.0]))
    asked = [QueryImage(image, 4.0, label=1) for image in paint(9)[6:]]
    images, labels = paint(6), np.arange(6) % 2
    plot_center_map(
        images,
        labels,
        np.full(6, 9.0),
        profile,
        NAMES,
        path,
        title="",
        order="class",
        queries=asked,
    )
    places = find_thumbnails(figures[0].axes[0])
    shown = np.array([places[value] for value in (6, 7, 8)])
    np.testing.assert_allclose(np.hypot(*shown.T), 2.0)
    # The second of two classes has the left half; 3 is the edge of the map.
    assert (shown[:, 0] < 0).all()
    gaps = np.abs(shown[:, None] - shown[None]).max(axis=-1)
    assert gaps[~np.eye(3, dtype=bool)].min() > 1.25 * 0.075 * 3
