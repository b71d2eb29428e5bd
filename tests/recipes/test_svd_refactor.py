"""What the study of functions and matrices in three parts finds."""

import csv
import json

import numpy as np
import pytest
from scipy.ndimage import label

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes.svd_refactor import count_holes, make_matrix, study_refactoring
from jaxdl.recipes.svd_refactor_config import SvdRefactorConfig
from jaxdl.train import RunFolder


def test_study_refactoring_gives_back_what_it_splits(tmp_path):
    overrides = ["matrix.rows=5", "matrix.rank=2", "matrix.other_ranks=[0]"]
    config = load_config(SvdRefactorConfig, None, overrides)
    run = RunFolder(tmp_path)
    assert study_refactoring(config, run) == 0
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sizes = [(row["domain"], row["middle"], row["codomain"]) for row in rows]
    # Ten digits of 0, 1 and 2 holes; 7 has four squares: 0 and three residues.
    assert sizes[:2] == [("10", "3", "5"), ("7", "4", "7")]
    assert sizes[2:] == [("10", "2", "5")] * 3 + [("10", "0", "5")] * 3
    assert all(float(row["error"]) < 1e-6 for row in rows)
    svd = rows[4]
    assert svd["form"] == "svd" and float(svd["tall_from_orthonormal"]) < 1e-5
    assert {p.name for p in tmp_path.glob("*.png")} == {
        "holes.png",
        "squares.png",
        "matrix.png",
    }
    assert len(json.loads(run.summary.read_text())["results"]) == len(rows)


@pytest.mark.parametrize("seed", range(5))
def test_count_holes_agrees_with_labelled_parts(seed):
    ink = np.random.default_rng(seed).random((12, 9)) < 0.5
    parts = label(np.pad(~ink, 1, constant_values=True))[1]
    assert count_holes(ink) == parts - 1


@pytest.mark.parametrize(("rows", "columns"), [(6, 9), (9, 6), (1, 4)])
def test_make_matrix_has_its_rank(rows, columns):
    for rank in range(min(rows, columns) + 1):
        for seed in range(3):
            m = make_matrix(rows, columns, rank, seed=seed)
            assert m.shape == (rows, columns)
            assert np.linalg.matrix_rank(m) == rank
            np.testing.assert_array_equal(m, np.round(m))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("matrix.rank=9", ["matrix.rank", "9 is above", "8x10"]),
        ("matrix.other_ranks=[1, 11]", ["matrix.other_ranks", "11 is above"]),
        ("matrix.form=svd", ["matrix.form", "'matrix.forms'?"]),
        ("functions.shown=[hole]", ["functions.shown", "holes"]),
    ],
)
def test_svd_refactor_config_refuses_what_can_not_be(override, words):
    with pytest.raises(ConfigError) as error:
        load_config(SvdRefactorConfig, None, [override])
    for word in words:
        assert word in str(error.value)
