"""The regression study against scikit-learn, and what it says of wrong files."""

import csv
import json

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.pipeline import make_pipeline

from jaxdl.config import load_config
from jaxdl.errors import ConfigError, DataError
from jaxdl.recipes.svd_regression import study_regression
from jaxdl.recipes.svd_regression_config import (
    RegressionDataSection,
    SvdRegressionConfig,
)
from jaxdl.recipes.svd_regression_data import load_regression, split_regression
from jaxdl.train import RunFolder


def run_study(folder, *overrides):
    run = RunFolder(folder)
    config = load_config(SvdRegressionConfig, None, overrides)
    assert study_regression(config, run) == 0
    tables = []
    for name in ("table.csv", "ridge_path.csv", "copied_feature.csv"):
        with (folder / name).open(newline="") as file:
            tables.append(list(csv.DictReader(file)))
    return *tables, json.loads(run.summary.read_text())


def write_csv(file, x, y):
    names = [f"f{column}" for column in range(x.shape[1])]
    lines = [",".join([*names, "price"])]
    lines += [",".join(map(str, row)) for row in np.column_stack([x, y]).tolist()]
    file.write_text("\n".join(lines))
    return file


@pytest.fixture(scope="module")
def correlated(tmp_path_factory):
    """Few examples of features that are almost one: ridge and components pay."""
    generator = np.random.default_rng(0)
    hidden = generator.standard_normal((40, 2))
    x = hidden @ generator.standard_normal((2, 12))
    x = x + 0.1 * generator.standard_normal(x.shape)
    y = 3 + hidden[:, 0] + 0.5 * generator.standard_normal(40)
    return write_csv(tmp_path_factory.mktemp("data") / "table.csv", x, y)


def test_study_finds_what_scikit_learn_finds(tmp_path, correlated):
    overrides = [f"data.path={correlated}", "data.target=price", "strengths.count=15"]
    table, path, copied, summary = run_study(tmp_path, *overrides)
    rows = {row["method"]: row for row in table}
    section = RegressionDataSection(path=str(correlated), target="price")
    split = split_regression(load_regression(section), section, seed=0)
    train, test = (split.train_x, split.train_y), (split.test_x, split.test_y)

    strengths = np.geomspace(1e-2, 1e5, 15)
    chosen = RidgeCV(strengths, store_cv_results=True).fit(*train)
    plain = LinearRegression().fit(*train)
    scores = []
    for count in range(1, 13):
        model = make_pipeline(PCA(count, svd_solver="full"), LinearRegression())
        errors = cross_val_score(
            model, *train, cv=LeaveOneOut(), scoring="neg_mean_squared_error"
        )
        scores.append((-errors.mean(), count, model.fit(*train)))
    for name, model in [("ridge, leave-one-out", chosen), ("least squares", plain)]:
        error = np.sqrt(np.mean((model.predict(test[0]) - test[1]) ** 2))
        assert float(rows[name]["test_rmse"]) == pytest.approx(error, rel=1e-3)
    # The components of each fold differ from those of all of training, a little.
    row = rows["principal components"]
    model = scores[int(row["chosen"].split()[0]) - 1][2]
    error = np.sqrt(np.mean((model.predict(test[0]) - test[1]) ** 2))
    assert float(row["test_rmse"]) == pytest.approx(error, rel=1e-3)
    assert float(row["leave_one_out_rmse"]) == pytest.approx(
        np.sqrt(min(scores)[0]), rel=0.05
    )
    found = [float(row["leave-one-out rmse"]) for row in path]
    expected = np.sqrt(chosen.cv_results_.mean(axis=0))
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert rows["ridge, leave-one-out"]["chosen"] == f"strength {chosen.alpha_:.3g}"
    assert summary["copied_feature"][1]["rank"] == 12 and len(copied) == 3
    assert {p.name for p in tmp_path.glob("*.png")} == {
        "copied_feature.png",
        "ridge_path.png",
    }


def test_study_shares_a_coefficient_between_a_feature_and_its_copy(tmp_path):
    _, _, copied, _ = run_study(tmp_path, "copied=bmi", "strengths.count=3")
    rows = {row["method"]: row for row in copied}
    shortest = rows["shortest solution"]
    halves = [float(shortest[name]) for name in ("feature", "copy")]
    np.testing.assert_allclose(halves, float(shortest["alone"]) / 2, rtol=1e-3)
    assert (shortest["rank"], shortest["columns"]) == ("10", "11")
    assert float(shortest["condition_number"]) > 1e6
    section = RegressionDataSection()
    split = split_regression(load_regression(section), section, seed=0)
    plain = LinearRegression().fit(split.train_x, split.train_y)
    at = load_diabetes()["feature_names"].index("bmi")
    np.testing.assert_allclose(sum(halves), plain.coef_[at], rtol=1e-4)


def test_study_takes_fewer_examples_than_features_and_arrays(tmp_path):
    generator = np.random.default_rng(1)
    x = generator.standard_normal((12, 30))
    np.savez(tmp_path / "data.npz", x=x, y=x[:, 0], labels=np.arange(12))
    file = tmp_path / "data.npz"
    table, _, _, _ = run_study(tmp_path, f"data.path={file}", "strengths.count=5")
    assert {row["method"] for row in table} > {"least squares"}
    plain = next(row for row in table if row["method"] == "least squares")
    assert float(plain["train_rmse"]) < 1e-4 and plain["leave_one_out_rmse"] == "inf"


def test_study_names_a_feature_that_is_not_there(tmp_path):
    config = load_config(SvdRegressionConfig, None, ["copied=bmj"])
    with pytest.raises(ConfigError, match="no feature 'bmj'; it has age, sex, bmi"):
        study_regression(config, RunFolder(tmp_path))


def test_strengths_have_to_rise():
    overrides = ["strengths.smallest=2", "strengths.largest=1"]
    with pytest.raises(
        ConfigError, match="strengths.smallest: .*less than the largest"
    ):
        load_config(SvdRegressionConfig, None, overrides)


CSV_CASES = {
    "a,b\n1,2\n": "no column 'y'; data.target can be a, b",
    "": "no column 'y'",
    "a,y\n1,2\n3\n": "row 2 has 1 values, the names are 2",
    "a,y\n1,2\nx,3\n": "row 2, column 'a': 'x' is no finite number",
    "a,y\n1,nan\n": "row 1, column 'y': 'nan' is no finite number",
    "a,y\n1,2\n": "1 examples of 1 features, wanted at least 10 of 1",
    "y\n" + "1\n" * 12: "12 examples of 0 features",
}


@pytest.mark.parametrize("text", CSV_CASES)
def test_load_regression_names_what_is_wrong_with_a_table(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=CSV_CASES[text]):
        load_regression(RegressionDataSection(path=str(tmp_path / "a.csv")))


def test_load_regression_names_what_is_wrong_with_a_file(tmp_path):
    x, y = np.ones((12, 2)), np.ones(12)
    for name, arrays in {
        "without.npz": {"x": x},
        "shape.npz": {"x": x, "y": y[:3]},
        "words.npz": {"x": x, "y": np.array(["a"] * 12)},
        "holes.npz": {"x": x, "y": y * np.nan},
    }.items():
        np.savez(tmp_path / name, **arrays)
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "table.xls").write_text("")
    for name, words in [
        ("no.csv", "no such file"),
        ("without.npz", "no array 'y' among x"),
        ("shape.npz", r"got float64 \(12, 2\) and float64 \(3,\)"),
        ("words.npz", "wanted numbers x"),
        ("holes.npz", "NaN or infinite"),
        ("broken.npz", "can't read"),
        ("bytes.csv", "can't read"),
        ("table.xls", "wanted a .csv or an .npz"),
    ]:
        with pytest.raises(DataError, match=words):
            load_regression(RegressionDataSection(path=str(tmp_path / name)))
