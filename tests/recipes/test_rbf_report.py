"""What a report shows of a head: assignments, unknown images, maps, test images."""

import itertools

import numpy as np
import pytest
from PIL import Image

from jaxdl.data import ArraySplit
from jaxdl.errors import ConfigError, DataError
from jaxdl.layers import RBFHead, RBFParts
from jaxdl.recipes import rbf_figures
from jaxdl.recipes.rbf_config import RBFReportSection, UnknownSection
from jaxdl.recipes.rbf_figures import Examples, HeadFigures
from jaxdl.recipes.rbf_scores import Described, measure_use
from jaxdl.recipes.rbf_snapshots import map_neighbors
from jaxdl.recipes.rbf_unknown import load_unknown, shuffle_pixels


def entropy(values):
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return -np.sum(shares * np.log(shares))


def mutual_information(a, b):
    return entropy(a) + entropy(b) - entropy(10 * np.array(a) + b)


def test_measure_use_matches_all_permutations():
    centers, labels = [0, 0, 0, 2, 2, 3], [0, 0, 1, 1, 2, 2]
    counts = np.zeros((5, 3), int)
    np.add.at(counts, (centers, labels), 1)
    use = measure_use(counts)
    assert use.used_centers == 3 and use.largest_center_share == 0.5
    np.testing.assert_allclose(use.effective_centers, np.exp(entropy(centers)))
    # By chance: the mean over all ways to deal the classes out to the centres.
    chance = np.mean(
        [mutual_information(centers, p) for p in itertools.permutations(labels)]
    )
    most = (entropy(centers) + entropy(labels)) / 2
    wanted = (mutual_information(centers, labels) - chance) / (most - chance)
    np.testing.assert_allclose(use.adjusted_mutual_information, wanted, rtol=1e-9)


def test_measure_use_of_one_center_for_all():
    use = measure_use(np.array([[0, 0], [5, 5]]))
    assert use == (1, 1.0, 1.0, 0.0)


def test_load_unknown_gives_images_the_shape_of_those_trained_on():
    section = UnknownSection(source="digits", num_images=5)
    plain = load_unknown(section, (8, 8, 1))
    assert plain is not None and len(plain) == 5 and plain.name == "digits"
    coloured = load_unknown(section, (8, 8, 3))
    assert coloured is not None
    np.testing.assert_array_equal(coloured.images, plain.images.repeat(3, axis=-1))
    large = load_unknown(section, (12, 12, 1))
    assert large is not None and large.image_shape == (12, 12, 1)
    pixels = Image.fromarray(plain.images[0, ..., 0])
    wanted = np.asarray(pixels.resize((12, 12), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(large.images[0, ..., 0], wanted)
    assert load_unknown(UnknownSection(), (8, 8, 1)) is None


def test_load_unknown_turns_colours_to_grey_as_pillow_does(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("train/a", "train/b"):
        (tmp_path / name).mkdir(parents=True)
        pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name / "1.png")
    section = UnknownSection(source="folder", path=str(tmp_path))
    loaded = load_unknown(section, (9, 9, 1))
    assert loaded is not None and len(loaded) == 2
    wanted = np.asarray(Image.open(tmp_path / "train/a/1.png").convert("L"), int)
    assert np.abs(loaded.images[0, ..., 0] - wanted).max() <= 1
    missing = UnknownSection(source="folder", path=str(tmp_path), split="test")
    with pytest.raises(
        ConfigError, match="unknown.split: .* has no test, wanted .*train"
    ):
        load_unknown(missing, (9, 9, 1))


def test_load_unknown_refuses_what_does_not_fit(tmp_path):
    section = UnknownSection(source="digits")
    with pytest.raises(ConfigError, match="unknown.source: .* 8x8x1, those .* 8x9x1"):
        load_unknown(section, (8, 9, 1))
    nowhere = UnknownSection(source="idx", path=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="unknown.path: no such file"):
        load_unknown(nowhere, (8, 8, 1))


def test_shuffle_pixels_moves_whole_pixels_within_their_image():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), np.uint8)
    split = ArraySplit(images, np.array([2, 1, 0]), name="test")
    shuffled = shuffle_pixels(split, num_images=2).images
    assert shuffled.shape == (2, 5, 4, 3)
    for before, after in zip(images, shuffled, strict=False):
        found, wanted = (sorted(map(tuple, x.reshape(-1, 3))) for x in (after, before))
        assert found == wanted and not np.array_equal(after, before)


def test_map_neighbors_keeps_neighbours_together():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 12)
    near = rng.normal(size=(36, 6)) + 25 * np.eye(6)[labels]
    moved = near.copy()
    moved[:12] += 40 * np.eye(6)[5]
    for points in map_neighbors([near, moved], seed=0):
        distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
        np.fill_diagonal(distances, np.inf)
        np.testing.assert_array_equal(labels[distances.argmin(axis=1)], labels)


def test_map_neighbors_leaves_what_did_not_move():
    table = np.random.default_rng(0).normal(size=(60, 6))
    first, same = map_neighbors([table, table], seed=0)
    np.testing.assert_array_equal(map_neighbors([table], seed=0)[0], first)
    one, two = (points - points.mean(axis=0) for points in (first, same))
    # A map of its own, or one that was pulled together first, is at 0.8 or below.
    assert np.sum(one * two) / (np.linalg.norm(one) * np.linalg.norm(two)) > 0.99


def test_map_neighbors_parts_what_is_equal():
    (points,) = map_neighbors([np.ones((6, 1), np.float32)], seed=0)
    assert np.isfinite(points).all() and len(np.unique(points, axis=0)) == 6


def describe(distances, labels):
    distances, labels = np.asarray(distances, np.float32), np.asarray(labels)
    blank = np.zeros(len(labels), np.float32)
    embeddings = np.zeros((len(labels), 1), np.float32)
    return Described(labels, labels, blank, embeddings, distances, 1 - distances)


def paint(count):
    """Image i is grey all over, with the value i."""
    return (
        np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(2, 1).repeat(2, 2)
    )


def test_maps_have_the_test_images_that_end_at_their_center(tmp_path, monkeypatch):
    drawn = {}

    def keep(images, labels, distances, profile, names, path, **options):
        drawn[path.name] = (profile, options["queries"])

    monkeypatch.setattr(rbf_figures, "plot_center_map", keep)
    monkeypatch.setattr(rbf_figures, "plot_retrieval", lambda *_, **__: None)
    monkeypatch.setattr(rbf_figures, "plot_decision", lambda *_, **__: None)
    # Most training images end at centre 1, none at centre 0.
    train = describe([[9, 1, 4], [9, 4, 1], [9, 1, 4]], [0, 1, 0])
    distances = [[5, 2, 9], [5, 9, 3], [100, 81, 90], [9, 1, 4], [9, 8, 7], [7, 6, 8]]
    test = describe(distances, [0, 1, 0, 1, 0, 1])
    parts = RBFParts(
        np.zeros((3, 1)), np.array([1.0, 2.0, 1.0]), None, None, np.eye(3), np.zeros(3)
    )
    splits = [
        ArraySplit(paint(len(one.label)), one.label, name="split")
        for one in (train, test)
    ]
    figures = HeadFigures(
        tmp_path,
        RBFHead(3, 3, None, metric="euclidean"),
        parts,
        Examples(splits[0], train),
        Examples(splits[1], test),
        ["a", "b", "c"],
    )
    section = RBFReportSection(num_maps=2, num_test_images=3, num_queries=2)
    figures.draw(section, seed=0)
    assert set(drawn) == {"center_map_1.png", "center_map_2.png"}
    profile, queries = drawn["center_map_1.png"]
    shown = {int(one.image[0, 0, 0]): one for one in queries}
    # Nearest to centre 1 are 0, 2, 3 and 5; 0 and 5 are in the figure of queries too.
    assert len(shown) == 3 and {0, 5} < set(shown) <= {0, 2, 3, 5}
    for row, query in shown.items():
        assert query.squared_distance == distances[row][1]
        assert query.label == test.label[row]
    assert profile.radii[-1] >= np.sqrt(max(one.squared_distance for one in queries))
    wanted = 1 - profile.radii**2 / 4
    np.testing.assert_allclose(profile.activations, wanted, rtol=1e-5, atol=1e-5)
    rows = {int(one.image[0, 0, 0]) for one in drawn["center_map_2.png"][1]}
    assert rows == {1, 4}
