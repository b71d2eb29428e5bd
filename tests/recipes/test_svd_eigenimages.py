"""What the study of images by principal components finds."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from jaxdl.config import load_config
from jaxdl.data import load_dataset
from jaxdl.errors import ConfigError, DataError
from jaxdl.linalg import find_near_duplicates
from jaxdl.recipes.svd_duplicates import (
    count_duplicates,
    draw_duplicates,
    list_duplicates,
)
from jaxdl.recipes.svd_eigenimages import find_neighbors, study_eigenimages
from jaxdl.recipes.svd_eigenimages_config import (
    DuplicatesSection,
    LabelledImagesSection,
    SvdEigenimagesConfig,
)
from jaxdl.recipes.svd_eigenimages_data import (
    ImageSplit,
    ImageSplits,
    load_image_splits,
)
from jaxdl.train import RunFolder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The run folder of a study of the digits."""
    folder = tmp_path_factory.mktemp("study")
    overrides = [
        "components.counts=[3, 20]",
        "components.num_shown=3",
        "components.num_examples=2",
        "neighbors.num_neighbors=2",
        "duplicates.threshold=0.95",
        "duplicates.num_shown=2",
    ]
    run = RunFolder(folder)
    assert (
        study_eigenimages(load_config(SvdEigenimagesConfig, None, overrides), run) == 0
    )
    return run


def read_digits():
    splits = load_dataset("digits").splits
    pairs = [split.read(np.arange(len(split))) for split in map(splits.get, splits)]
    pixels = [pair["images"].reshape(len(pair["labels"]), -1) / 255 for pair in pairs]
    return (*pixels, *(pair["labels"] for pair in pairs))


def test_study_eigenimages_agrees_with_scikit_learn(study):
    train, test, labels, test_labels = read_digits()
    with (study.path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["count"] for row in rows] == ["3", "20", "64"]
    for row in rows[:2]:
        model = PCA(int(row["count"]), svd_solver="full").fit(train)
        rebuilt = model.inverse_transform(model.transform(test))
        near = NearestNeighbors(n_neighbors=2).fit(model.transform(train))
        found = near.kneighbors(model.transform(test), return_distance=False)
        expected = {
            "variance": model.explained_variance_ratio_.sum(),
            "test_error": 255 * np.sqrt(np.mean((rebuilt - test) ** 2)),
            "same_class": (labels[found] == test_labels[:, None]).mean(),
        }
        for name, value in expected.items():
            # A neighbour more or less where distances tie.
            assert float(row[name]) == pytest.approx(value, rel=2e-3), name


def test_study_eigenimages_leaves_pictures_and_twins(study):
    assert {p.name for p in study.path.glob("*.png")} == {
        "components.png",
        "duplicates.png",
        "eigenimages.png",
        "neighbors.png",
        "rebuilt.png",
        "scores.png",
    }
    counts = json.loads(study.summary.read_text())["duplicates"]
    assert [row["threshold"] for row in counts] == [0.95, 0.98, 0.99, 0.995, 0.999]
    with (study.path / "duplicates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == counts[0]["images"] > 10
    assert all(float(row["correlation"]) > 0.95 for row in rows)


def make_splits():
    """Made images: one of train twice, two of test copies of train, one mislabelled."""
    images = np.random.default_rng(0).integers(0, 200, (30, 6, 6, 1), np.uint8)
    images[7] = images[2]
    images[21], images[25] = images[4] + 40, images[2]
    labels = np.arange(30) % 2
    labels[[2, 7, 25]], labels[4], labels[21] = 0, 0, 1

    def take(part):
        pixels = images[part].reshape(len(images[part]), -1).astype(np.float32) / 255
        return ImageSplit(images[part], jnp.asarray(pixels), labels[part])

    return ImageSplits("made", ("a", "b"), take(slice(20)), take(slice(20, 30)))


def find(data):
    pixels = jnp.concatenate([data.train.pixels, data.test.pixels])
    return find_near_duplicates(pixels, num_components=20)


def test_count_duplicates_counts_leakage_and_labels_that_differ():
    data = make_splits()
    rows = count_duplicates(DuplicatesSection(threshold=0.99), data, find(data))
    assert [row["threshold"] for row in rows] == [0.99, 0.995, 0.999]
    # 2 = 7 = 25 are three pairs, 4 = 21 is one; 21 and 25 are of test.
    assert rows[-1] == {
        "threshold": 0.999,
        "pairs": 4,
        "pairs_of_two_classes": 1,
        "images": 5,
        "test_images_with_twin_in_train": 2,
        "share_of_test_images": 0.2,
    }


def test_list_duplicates_says_where_each_image_is():
    data = make_splits()
    rows = list_duplicates(data, find(data))
    places = [(r["group"], r["split"], r["position"], r["class"]) for r in rows]
    assert places == [
        (0, "train", 2, "a"),
        (0, "train", 7, "a"),
        (0, "test", 5, "a"),
        (1, "train", 4, "a"),
        (1, "test", 1, "b"),
    ]
    assert all(row["correlation"] == pytest.approx(1) for row in rows)


def test_draw_duplicates_puts_test_beside_train(tmp_path, monkeypatch):
    data, sheets = make_splits(), []
    monkeypatch.setattr(
        "jaxdl.recipes.svd_duplicates.plot_image_sheet",
        lambda rows, path, **words: sheets.append(rows),
    )
    section = DuplicatesSection(threshold=0.99)
    draw_duplicates(section, data, find(data), tmp_path / "a.png")
    cells = [cell for row in sheets[0] for cell in row if cell is not None]
    words = [cell.caption.split("\n")[0] for cell in cells]
    assert sorted(words[:3] + words[3:]) == sorted(
        ["test 5", "train 2", "train 7", "test 1", "train 4"]
    )
    assert words[0].startswith("test") and words[1].startswith("train")
    lonely = find(data)._replace(
        pairs=np.empty((0, 2), int), correlations=np.empty(0), groups=()
    )
    draw_duplicates(section, data, lonely, tmp_path / "b.png")
    assert len(sheets) == 1


def test_find_neighbors_agrees_with_scikit_learn():
    generator = np.random.default_rng(0)
    x, queries = generator.normal(size=(40, 5)), generator.normal(size=(700, 5))
    found = find_neighbors(
        jnp.asarray(x, jnp.float32), jnp.asarray(queries, jnp.float32), num_neighbors=3
    )
    expected = NearestNeighbors(n_neighbors=3).fit(x).kneighbors(queries)[1]
    assert (found == expected).mean() > 0.999


def test_load_image_splits_cuts_a_test_split_and_limits_train(tmp_path):
    section = LabelledImagesSection(train_limit=50, image_size=4)
    data = load_image_splits(section, seed=0)
    assert data.train.pixels.shape == (50, 16) and data.test.pixels.shape == (359, 16)
    assert float(data.train.pixels.max()) <= 1
    assert data.locate(49) == ("train", 49) and data.locate(50) == ("test", 0)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("images.source=idx", ["images.source", "needs images.path"]),
        ("images.path=x", ["images.path", "digits come with scikit-learn"]),
        ("duplicates.threshold=1", ["duplicates.threshold", "< 1"]),
        ("components.count=[1]", ["components.count", "'components.counts'?"]),
    ],
)
def test_svd_eigenimages_config_refuses_what_can_not_be(override, words):
    with pytest.raises(ConfigError) as error:
        load_config(SvdEigenimagesConfig, None, [override])
    for word in words:
        assert word in str(error.value)


def test_study_eigenimages_names_the_field_that_does_not_fit(tmp_path):
    def run(*overrides):
        config = load_config(SvdEigenimagesConfig, None, overrides)
        study_eigenimages(config, RunFolder(tmp_path))

    with pytest.raises(ConfigError, match="components.counts: 65 is more than the 64"):
        run("components.counts=[65]")
    with pytest.raises(DataError, match="no-such-folder"):
        run("images.source=idx", "images.path=no-such-folder")


def test_search_duplicates_says_which_field_to_change(monkeypatch):
    from jaxdl.recipes import svd_duplicates

    def refuse(*args, **kwargs):
        raise ValueError("more than 2 pairs; raise the threshold")

    monkeypatch.setattr(svd_duplicates, "find_near_duplicates", refuse)
    with pytest.raises(ConfigError, match="duplicates.threshold: more than 2 pairs"):
        svd_duplicates.search_duplicates(
            DuplicatesSection(), make_splits(), key=jax.random.key(0)
        )
