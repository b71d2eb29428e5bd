"""Images that are almost the same, within splits and across them."""

import os
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.errors import ConfigError
from jaxdl.linalg import NearDuplicates, find_near_duplicates
from jaxdl.recipes.svd_eigenimages_config import DuplicatesSection
from jaxdl.recipes.svd_eigenimages_data import ImageSplits
from jaxdl.report import SheetImage, plot_image_sheet
from jaxdl.typing import PRNGKey

_STRICTER = (0.98, 0.99, 0.995, 0.999)
_PER_ROW, _PER_GROUP = 8, 4
_SPLIT_COLOURS = {"train": "#9aa5b1", "test": "#d1495b"}


def search_duplicates(
    section: DuplicatesSection, data: ImageSplits, *, key: PRNGKey
) -> NearDuplicates:
    """Finds near-duplicates among training and test images together.

    Args:
      section: what counts as one.
      data: the images.
      key: see `jaxdl.linalg.find_near_duplicates`.

    Returns:
      Positions count through the training images and then the test images.

    Raises:
      ConfigError: there are too many to list.
    """
    pixels = jnp.concatenate([data.train.pixels, data.test.pixels])
    try:
        return find_near_duplicates(
            pixels,
            threshold=section.threshold,
            num_components=section.num_components,
            standardize=section.standardize,
            key=key,
        )
    except ValueError as error:
        raise ConfigError(f"duplicates.threshold: {error}") from None


def count_duplicates(
    section: DuplicatesSection, data: ImageSplits, found: NearDuplicates
) -> list[dict[str, Any]]:
    """Counts near-duplicates at the threshold and at stricter ones.

    Args:
      section: the threshold.
      data: the images.
      found: what `search_duplicates` gives.

    Returns:
      By threshold: pairs, pairs of two classes, images in pairs, and test images with
      a twin among the training images, which a test of a network would not be fair on.
    """
    labels = np.concatenate([data.train.labels, data.test.labels])
    num_train, num_test = len(data.train.labels), len(data.test.labels)
    rows = []
    for threshold in (section.threshold, *_STRICTER):
        if threshold < section.threshold or (rows and threshold == section.threshold):
            continue
        pairs = found.pairs[found.correlations > threshold]
        first, second = pairs.T
        # Pairs are sorted: training images come before test images.
        leaked = np.unique(second[(first < num_train) & (second >= num_train)])
        rows.append(
            {
                "threshold": threshold,
                "pairs": len(pairs),
                "pairs_of_two_classes": int((labels[first] != labels[second]).sum()),
                "images": len(np.unique(pairs)),
                "test_images_with_twin_in_train": len(leaked),
                "share_of_test_images": len(leaked) / num_test,
            }
        )
    return rows


def list_duplicates(data: ImageSplits, found: NearDuplicates) -> list[dict[str, Any]]:
    """One row for each image that is in a group of near-duplicates.

    Args:
      data: the images.
      found: what `search_duplicates` gives.

    Returns:
      Number of the group, split, position in it, class, and the image's highest
      correlation with another.
    """
    best = _find_best(found.pairs, found.correlations)
    rows = []
    for group, members in enumerate(found.groups):
        for member in members:
            split, position = data.locate(member)
            label = int(getattr(data, split).labels[position])
            rows.append(
                {
                    "group": group,
                    "split": split,
                    "position": position,
                    "class": data.class_names[label],
                    "correlation": best[member],
                }
            )
    return rows


def draw_duplicates(
    section: DuplicatesSection,
    data: ImageSplits,
    found: NearDuplicates,
    path: str | os.PathLike[str],
) -> None:
    """Draws groups of near-duplicates: those across splits first, the closest first.

    Args:
      section: how many.
      data: the images.
      found: what `search_duplicates` gives; without a group nothing is drawn.
      path: the PNG to write.
    """
    if not found.groups:
        return
    rows: list[list[SheetImage | None]] = [[]]
    groups = _choose_groups(data, found, section.num_shown)
    for group in groups:
        cells = _draw_group(data, found, group)
        if rows[-1] and len(rows[-1]) + 1 + len(cells) > _PER_ROW:
            rows.append([])
        rows[-1] += [None, *cells] if rows[-1] else cells
    rows[0] += [None] * (_PER_ROW - len(rows[0]))
    plot_image_sheet(
        rows,
        path,
        title=f"{data.name}: near-duplicates above {section.threshold:g}, "
        f"{len(groups)} of {len(found.groups):,} groups\n"
        "(red: test, grey: training; r: correlation with the first of the group)",
    )


def _find_crossings(data: ImageSplits, pairs: np.ndarray) -> np.ndarray:
    return (pairs < len(data.train.labels)).sum(axis=1) == 1


def _find_best(pairs: np.ndarray, correlations: np.ndarray) -> dict[int, float]:
    """The highest correlation of each image that is in a pair."""
    order = np.argsort(correlations, kind="stable")
    best: dict[int, float] = {}
    for (first, second), value in zip(
        pairs[order].tolist(), correlations[order].tolist(), strict=True
    ):
        best[first] = best[second] = value
    return best


def _choose_groups(
    data: ImageSplits, found: NearDuplicates, count: int
) -> list[tuple[int, ...]]:
    """Groups across splits first, then those of the closest pairs."""
    crosses = _find_crossings(data, found.pairs)
    within = _find_best(found.pairs, found.correlations)
    across = _find_best(found.pairs[crosses], found.correlations[crosses])

    def rank(group: tuple[int, ...]) -> tuple[float, float]:
        closest = max(across.get(member, -1.0) for member in group)
        return -closest, -max(within[member] for member in group)

    return sorted(found.groups, key=rank)[:count]


def _draw_group(
    data: ImageSplits, found: NearDuplicates, group: tuple[int, ...]
) -> list[SheetImage | None]:
    """The closest pair, across splits if there is one, and what is close to its first.

    Not all of a group need be alike: it is a chain of pairs.
    """
    inside = np.isin(found.pairs[:, 0], group)
    pairs, values = found.pairs[inside], found.correlations[inside]
    crosses = _find_crossings(data, pairs)
    first = int(pairs[np.lexsort((values, crosses))[-1], 1])
    near = (pairs == first).any(axis=1)
    order = np.lexsort((values[near], crosses[near]))[::-1]
    # Of the two positions of a pair the one that is not the first image.
    others = pairs[near].sum(axis=1)[order] - first
    cells: list[SheetImage | None] = [_make_cell(data, first, f"1 of {len(group):,}")]
    for other, value in zip(
        others[: _PER_GROUP - 1].tolist(), values[near][order].tolist(), strict=False
    ):
        cells.append(_make_cell(data, other, f"r = {value:.3f}"))
    return cells


def _make_cell(data: ImageSplits, member: int, note: str) -> SheetImage:
    split, position = data.locate(member)
    part = getattr(data, split)
    name = data.class_names[int(part.labels[position])]
    caption = f"{split} {position}\n{name}\n{note}"
    return SheetImage(part.images[position], caption, _SPLIT_COLOURS[split])
