"""Ratings of items by users: read from a file, or made."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxdl.data import resolve_path
from jaxdl.errors import ConfigError, DataError
from jaxdl.recipes.svd_recommender_config import RatingsSection


class RatingTable(NamedTuple):
    """Ratings, some of them held out.

    Attributes:
      users: index of each rating's user.
      items: of its item.
      values: the ratings.
      is_test: which ones are held out.
      num_users: users in the file.
      num_items: items in it.
      floor: the error that remains if all but the noise is known; None for a file.
      name: for headings.
    """

    users: Int[np.ndarray, " ratings"]
    items: Int[np.ndarray, " ratings"]
    values: Float[np.ndarray, " ratings"]
    is_test: Bool[np.ndarray, " ratings"]
    num_users: int
    num_items: int
    floor: float | None
    name: str


def load_ratings(section: RatingsSection, *, seed: int) -> RatingTable:
    """Loads the ratings that a config names, or makes some.

    Args:
      section: where they are, and how many are held out.
      seed: of the choice, and of made ratings.

    Returns:
      The ratings; at least two to train on and one to test on.

    Raises:
      ConfigError: the share held out leaves nothing on one side.
      DataError: no such file, or one that does not hold ratings.
    """
    generator = np.random.default_rng(seed)
    if section.path is None:
        users, items, values = _make_ratings(section, generator)
        sizes, floor, name = (section.num_users, section.num_items), section.noise, None
    else:
        path = resolve_path(section.path)
        names, values = _read_ratings(path)
        (_, users), (_, items) = (
            np.unique(column, return_inverse=True) for column in names
        )
        users, items = users.astype(np.int32), items.astype(np.int32)
        sizes, floor, name = (users.max() + 1, items.max() + 1), None, path.name
    is_test = generator.random(len(values)) < section.test_fraction
    if not is_test.any() or len(values) - is_test.sum() < 2:
        raise ConfigError(
            f"ratings.test_fraction={section.test_fraction}: of {len(values)} ratings "
            f"{is_test.sum()} are held out; wanted some on both sides"
        )
    num_users, num_items = map(int, sizes)
    return RatingTable(
        users,
        items,
        values,
        is_test,
        num_users,
        num_items,
        floor,
        name or "made ratings",
    )


def _make_ratings(section: RatingsSection, generator: np.random.Generator):
    """Users' tastes of normal numbers, times what items offer, around 3."""
    shape = (section.num_users, section.num_items)
    users, items = np.nonzero(generator.random(shape) < section.share)
    tastes = generator.normal(size=(section.num_users, section.rank))
    offers = generator.normal(size=(section.num_items, section.rank))
    exact = 3 + np.sum(tastes[users] * offers[items], axis=1) / np.sqrt(section.rank)
    noise = section.noise * generator.normal(size=len(users))
    values = (exact + noise).astype(np.float32)
    return users.astype(np.int32), items.astype(np.int32), values


def _read_ratings(path: Path) -> tuple[list[list[str]], np.ndarray]:
    """Users, items and ratings of a file whose first three columns are these."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = "\t" if "\t" in first else ","
            rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise DataError(f"{path}: can't read ratings: {reason}") from None
    users, items, values = [], [], []
    for line, row in enumerate(rows, start=1):
        try:
            value = float(row[2])
        except (ValueError, IndexError):
            if line == 1 and len(row) > 2:  # the header
                continue
            raise DataError(
                f"{path}: line {line}: wanted user, item and rating, separated by "
                f"commas or tabs, got {delimiter.join(row)[:60]!r}"
            ) from None
        if not np.isfinite(value):
            raise DataError(f"{path}: line {line}: the rating is {row[2]}")
        users.append(row[0])
        items.append(row[1])
        values.append(value)
    if not values:
        raise DataError(f"{path}: holds no ratings")
    return [users, items], np.array(values, np.float32)
