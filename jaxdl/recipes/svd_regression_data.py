"""The numbers of a regression: from scikit-learn, a .csv file or an .npz file."""

import csv
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data import resolve_path
from jaxdl.errors import DataError
from jaxdl.recipes.svd_regression_config import RegressionDataSection

_FEWEST = 10
"""Examples without which a split makes no sense."""


class RegressionData(NamedTuple):
    """Examples in float64.

    Attributes:
      name: of the data.
      x: features, one row per example.
      y: targets.
      features: names of the columns of x.
      target: name of y.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    features: tuple[str, ...]
    target: str


class RegressionSplit(NamedTuple):
    """Training and test examples, the features of both scaled by the training ones."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def load_regression(section: RegressionDataSection) -> RegressionData:
    """Reads the examples.

    Args:
      section: where they are.

    Returns:
      The examples, all finite, at least ten.

    Raises:
      DataError: a file that is missing, damaged or holds something else.
    """
    if section.path is None:
        from sklearn.datasets import load_diabetes

        found: Any = load_diabetes(scaled=False)
        names = tuple(found["feature_names"])
        return RegressionData(
            "diabetes", found["data"], found["target"], names, "progression"
        )
    file = resolve_path(section.path)
    if file.suffix.lower() == ".csv":
        data = _read_csv(file, section.target)
    elif file.suffix.lower() == ".npz":
        data = _read_npz(file, section.target)
    else:
        raise DataError(f"{file}: wanted a .csv or an .npz file")
    if len(data.y) < _FEWEST or data.x.shape[1] == 0:
        raise DataError(
            f"{file}: {len(data.y)} examples of {data.x.shape[1]} features, wanted at "
            f"least {_FEWEST} of 1"
        )
    return data


def split_regression(
    data: RegressionData, section: RegressionDataSection, *, seed: int
) -> RegressionSplit:
    """Splits the examples at random and standardises the features.

    Args:
      data: the examples.
      section: the share to test on, and whether features are scaled.
      seed: of the order of the examples.

    Returns:
      Both parts; features of deviation 0 in training are only centred.
    """
    count = len(data.y)
    order = np.random.default_rng(seed).permutation(count)
    num_test = min(max(round(section.test_fraction * count), 1), count - 2)
    test, train = order[:num_test], order[num_test:]
    x = data.x - data.x[train].mean(axis=0)
    if section.standardize:
        std = x[train].std(axis=0)
        x = x / np.where(std > 0, std, 1)
    return RegressionSplit(x[train], data.y[train], x[test], data.y[test])


def _read_csv(file: Path, target: str) -> RegressionData:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"can't read {file}: {error}") from None
    names = [name.strip() for name in rows[0]] if rows else []
    if target not in names:
        raise DataError(
            f"{file}: no column {target!r}; data.target can be {', '.join(names)}"
        )
    numbers = np.empty((len(rows) - 1, len(names)))
    for line, row in enumerate(rows[1:]):
        if len(row) != len(names):
            raise DataError(
                f"{file}: row {line + 1} has {len(row)} values, the names are "
                f"{len(names)}"
            )
        for column, text in enumerate(row):
            numbers[line, column] = _parse(
                text, f"{file}: row {line + 1}, column {names[column]!r}"
            )
    at = names.index(target)
    features = tuple(name for place, name in enumerate(names) if place != at)
    return RegressionData(
        file.name, np.delete(numbers, at, axis=1), numbers[:, at], features, target
    )


def _parse(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: {text!r} is no finite number")
    return number


def _read_npz(file: Path, target: str) -> RegressionData:
    try:
        with file.open("rb") as raw, np.load(raw, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    # A damaged archive raises what zipfile, zlib and NumPy happen to meet.
    except Exception as error:
        raise DataError(f"can't read {file}: {error}") from None
    for name in ("x", target):
        if name not in found:
            raise DataError(f"{file}: no array {name!r} among {', '.join(found)}")
    x, y = found["x"], found[target]
    is_number = all(each.dtype.kind in "fiub" for each in (x, y))
    if x.ndim != 2 or y.shape != x.shape[:1] or not is_number:
        raise DataError(
            f"{file}: wanted numbers x (examples, features) and {target} (examples), "
            f"got {x.dtype} {x.shape} and {y.dtype} {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(f"{file}: some numbers are NaN or infinite")
    features = tuple(f"x{column}" for column in range(x.shape[1]))
    x, y = x.astype(np.float64), y.astype(np.float64)
    return RegressionData(file.name, x, y, features, target)
