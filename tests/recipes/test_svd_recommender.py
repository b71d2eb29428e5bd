"""The study of recommenders: planted ratings, and which files it reads."""

import json

import numpy as np
import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError, DataError
from jaxdl.recipes import svd_recommender as recipe
from jaxdl.recipes.svd_recommender_config import RecommenderConfig
from jaxdl.recipes.svd_recommender_data import load_ratings
from jaxdl.train import RunFolder


def make_config(*overrides):
    return load_config(RecommenderConfig, None, overrides)


def load(*overrides):
    return load_ratings(make_config(*overrides).ratings, seed=0)


def run_study(folder, *overrides):
    """Rows by variant, and the rest of the summary."""
    assert recipe.study_recommenders(make_config(*overrides), RunFolder(folder)) == 0
    summary = json.loads((folder / "summary.json").read_text())
    return {row["variant"]: row for row in summary["results"]}, summary


@pytest.mark.slow
def test_study_comes_within_5_percent_of_the_noise(tmp_path):
    rows, summary = run_study(tmp_path)
    assert summary["noise_floor"] == 0.5
    for name in ("(b) biased factorisation, SGD", "(d) alternating least squares"):
        assert 0.48 < rows[name]["rmse"] <= 0.5 * 1.05
    assert 0.48 < rows["(c) soft-impute"]["rmse"] < 0.56
    assert 0.6 < rows["(a) truncated SVD"]["rmse"] < rows["biases alone"]["rmse"]


SMALL = ["ratings.num_users=12", "ratings.num_items=10", "factorization.num_epochs=2"]


def test_study_writes_five_variants_and_chooses_a_shrinkage(tmp_path):
    rows, summary = run_study(tmp_path, *SMALL)
    names = ["biases alone", *(f"({letter})" for letter in "abcd")]
    assert all(row.startswith(name) for row, name in zip(rows, names, strict=True))
    assert all(row["rmse"] >= row["mae"] > 0 for row in rows.values())
    assert rows["(c) soft-impute"]["shrinkage"] > 0
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "errors.png",
        "epochs.png",
    }


def test_study_leaves_out_whole_matrices_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "_MOST_ENTRIES", 10)
    rows, _ = run_study(tmp_path, *SMALL)
    assert [name[:3] for name in rows] == ["bia", "(b)", "(d)"]


def test_predictions_are_clipped_to_the_range_fitted():
    table = load(*SMALL)._replace(values=np.float32([1, 5, 3, 3, 5, 1] * 20))
    size = len(table.users)
    table = table._replace(values=table.values[:size])
    far = recipe._Outcome(np.full(size, 99.0), {})
    held_out = table.values[table.is_test]
    expected = np.mean(np.abs(5 - held_out))
    assert recipe._score(table, far)["mae"] == pytest.approx(expected)


def test_load_ratings_reads_movielens_and_files_with_a_header(tmp_path):
    (tmp_path / "u.data").write_text(
        "196\t242\t3\t881250949\n7\t242\t1\t8\n7\t5\t4\t9\n"
    )
    (tmp_path / "r.csv").write_text("user,item,rating\nann,x,2.5\n\nbob,y,4\nann,y,5\n")
    table = load(f"ratings.path={tmp_path / 'u.data'}")
    np.testing.assert_array_equal(table.users, [0, 1, 1])  # by name, as words
    np.testing.assert_array_equal(table.items, [0, 0, 1])
    np.testing.assert_array_equal(table.values, [3, 1, 4])
    assert (table.num_users, table.num_items, table.floor) == (2, 2, None)
    table = load(f"ratings.path={tmp_path / 'r.csv'}")
    np.testing.assert_array_equal(table.users, [0, 1, 0])
    np.testing.assert_array_equal(table.values, [2.5, 4, 5])


BAD = {
    "empty.csv": ("", "holds no ratings"),
    "header.csv": ("user,item,rating\n", "holds no ratings"),
    "short.csv": ("u,i,r\n1,2\n", "line 2: wanted user, item and rating.*got '1,2'"),
    "words.csv": ("u,i,r\n1,2,3\n1,2,good\n", "line 3: wanted user, item and rating"),
    "nan.csv": ("1,2,3\n1,2,nan\n", "line 2: the rating is nan"),
    "binary.csv": (b"\xff\xfe\x00", "not text in UTF-8"),
}


@pytest.mark.parametrize("name", BAD)
def test_load_ratings_names_file_and_line(tmp_path, name):
    content, words = BAD[name]
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: .*{words}"):
        load(f"ratings.path={tmp_path / name}")
    with pytest.raises(DataError, match="no such file or folder"):
        load(f"ratings.path={tmp_path / 'none.csv'}")


def test_load_ratings_wants_some_on_both_sides(tmp_path):
    (tmp_path / "r.csv").write_text("1,2,3\n1,3,3\n2,2,4\n")
    with pytest.raises(ConfigError, match="test_fraction=0.999: of 3 ratings 3 are"):
        load(f"ratings.path={tmp_path / 'r.csv'}", "ratings.test_fraction=0.999")
