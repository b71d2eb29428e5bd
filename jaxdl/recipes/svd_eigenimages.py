"""Images by their principal components: eigenimages, neighbours, near-duplicates."""

import functools
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.errors import ConfigError
from jaxdl.linalg import PCA, inverse_transform, pca, transform
from jaxdl.recipes.study import finish_study, write_table
from jaxdl.recipes.svd_duplicates import (
    count_duplicates,
    draw_duplicates,
    list_duplicates,
    search_duplicates,
)
from jaxdl.recipes.svd_eigenimages_config import (
    NeighborsSection,
    SvdEigenimagesConfig,
)
from jaxdl.recipes.svd_eigenimages_data import ImageSplits, load_image_splits
from jaxdl.recipes.svd_eigenimages_pictures import (
    draw_eigenimages,
    draw_neighbors,
    draw_rebuilt,
)
from jaxdl.report import ComponentCurves, plot_components, plot_scores
from jaxdl.train import RunFolder
from jaxdl.typing import Array, Float, Int, PRNGKey

_BLOCK = 512
"""Images at once: their distances to 60,000 others fill 120 MB."""


def study_eigenimages(config: SvdEigenimagesConfig, run: RunFolder) -> int:
    """Describes images by principal components; writes tables and pictures.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    data = load_image_splits(config.images, seed=config.run.seed)
    model_key, duplicates_key = jax.random.split(jax.random.key(config.run.seed))
    model = _fit(config, data, key=model_key)
    scores = (transform(model, data.train.pixels), transform(model, data.test.pixels))
    table = _study_counts(config, data, model, scores)
    _draw(config, run, data, model, scores, table)
    found = search_duplicates(config.duplicates, data, key=duplicates_key)
    write_table(list_duplicates(data, found), run.path / "duplicates.csv")
    draw_duplicates(config.duplicates, data, found, run.path / "duplicates.png")
    duplicates = count_duplicates(config.duplicates, data, found)
    finish_study(
        run,
        table=table,
        summary={
            "results": table,
            "duplicates": duplicates,
            "seconds": time.perf_counter() - start,
        },
        title=f"{data.name}: {duplicates[0]['test_images_with_twin_in_train']:,} test "
        "images with a twin in train",
    )
    return 0


def _fit(config: SvdEigenimagesConfig, data: ImageSplits, *, key: PRNGKey) -> PCA:
    pixels = data.train.pixels
    largest = max(config.components.counts)
    if largest > min(pixels.shape):
        raise ConfigError(
            f"components.counts: {largest} is more than the {min(pixels.shape)} "
            f"components of {pixels.shape[0]} images of {pixels.shape[1]} values"
        )
    shown = max(largest, config.components.num_shown, 2)
    return pca(pixels, min(shown, *pixels.shape), key=key)


def _study_counts(
    config: SvdEigenimagesConfig,
    data: ImageSplits,
    model: PCA,
    scores: tuple[Array, Array],
) -> list[dict[str, Any]]:
    """What each number of components rebuilds and whom it finds."""
    shares = np.cumsum(np.asarray(model.explained_variance_ratio, np.float64))
    queries = slice(config.neighbors.num_queries)
    table = []
    for count in sorted(set(config.components.counts)):
        errors = [
            _measure_error(model, split.pixels, z, count)
            for split, z in zip((data.train, data.test), scores, strict=True)
        ]
        found = find_neighbors(
            scores[0][:, :count],
            scores[1][queries, :count],
            num_neighbors=config.neighbors.num_neighbors,
        )
        table.append(
            {
                "features": "scores",
                "count": count,
                "variance": float(shares[count - 1]),
                "train_error": errors[0],
                "test_error": errors[1],
                "same_class": _compare_classes(data, found),
            }
        )
    by_pixels = _find_by_pixels(config.neighbors, data, model, queries)
    table.append(
        {
            "features": "pixels",
            "count": data.train.pixels.shape[1],
            "variance": 1.0,
            "train_error": 0.0,
            "test_error": 0.0,
            "same_class": _compare_classes(data, by_pixels),
        }
    )
    return table


def _rebuild(model: PCA, scores: Array, count: int) -> Array:
    """Rows of pixels from the scores on the first components only."""
    kept = jnp.arange(scores.shape[1]) < count
    return inverse_transform(model, jnp.where(kept[None], scores, 0))


def _measure_error(model: PCA, pixels: Array, scores: Array, count: int) -> float:
    """Root mean square error in grey levels."""
    total = 0.0
    for start in range(0, len(pixels), 4096):
        part = slice(start, start + 4096)
        rest = pixels[part] - _rebuild(model, scores[part], count)
        total += float(jnp.sum(rest**2))
    return 255 * (total / pixels.size) ** 0.5


def find_neighbors(
    x: Float[Array, "examples features"],
    queries: Float[Array, "queries features"],
    *,
    num_neighbors: int,
) -> Int[np.ndarray, "queries neighbors"]:
    """The nearest examples of each query, nearest first.

    Args:
      x: one example per row, of a mean near 0: distances lose digits to a large one.
      queries: one query per row.
      num_neighbors: how many; at most as many as examples are found.

    Returns:
      Positions in `x`.

    Example:
      >>> find_neighbors(jnp.eye(3), jnp.array([[0.0, 0.9, 1.0]]), num_neighbors=2)
      array([[2, 1]], dtype=int32)
    """
    count = min(num_neighbors, len(x))
    found = [
        np.asarray(_find_block(x, queries[start : start + _BLOCK], count))
        for start in range(0, len(queries), _BLOCK)
    ]
    return np.concatenate(found)


@functools.partial(jax.jit, static_argnums=2)
def _find_block(x, queries, count):
    products = jnp.matmul(queries, x.T, precision="highest")
    # Distances but for the query's own length, which changes no order.
    return jax.lax.top_k(products - 0.5 * jnp.sum(x**2, axis=1)[None], count)[1]


def _find_by_pixels(
    section: NeighborsSection,
    data: ImageSplits,
    model: PCA,
    queries: slice | np.ndarray,
) -> np.ndarray:
    return find_neighbors(
        data.train.pixels - model.mean[None],
        data.test.pixels[queries] - model.mean[None],
        num_neighbors=section.num_neighbors,
    )


def _compare_classes(data: ImageSplits, found: np.ndarray) -> float:
    """The share of neighbours of the query's class."""
    own = data.test.labels[: len(found), None]
    return float((data.train.labels[found] == own).mean())


def _draw(
    config: SvdEigenimagesConfig,
    run: RunFolder,
    data: ImageSplits,
    model: PCA,
    scores: tuple[Array, Array],
    table: Sequence[dict[str, Any]],
) -> None:
    tried, pixels = table[:-1], table[-1]
    counts = [row["count"] for row in tried]
    shares = np.asarray(model.explained_variance_ratio, np.float64)
    plot_components(
        ComponentCurves(
            cumulative=np.cumsum(shares),
            counts=counts,
            train_errors=[row["train_error"] for row in tried],
            test_errors=[row["test_error"] for row in tried],
            same_class=[row["same_class"] for row in tried],
            same_class_pixels=pixels["same_class"],
        ),
        run.path / "components.png",
    )
    shown = slice(5000)
    plot_scores(
        np.asarray(scores[0][shown, :2]),
        data.train.labels[shown],
        data.class_names,
        run.path / "scores.png",
        title=f"{data.name}: the first two components hold "
        f"{100 * shares[:2].sum():.0f} % of the variance",
    )
    draw_eigenimages(config.components, data, model, run.path / "eigenimages.png")
    examples = slice(config.components.num_examples)
    rebuilt = [np.asarray(_rebuild(model, scores[1][examples], n)) for n in counts]
    draw_rebuilt(data, counts, rebuilt, run.path / "rebuilt.png")
    _draw_neighbors(config, run, data, model, scores, max(counts))


def _draw_neighbors(
    config: SvdEigenimagesConfig,
    run: RunFolder,
    data: ImageSplits,
    model: PCA,
    scores: tuple[Array, Array],
    count: int,
) -> None:
    """Neighbours of the first test image of each class, eight classes at most."""
    queries = np.unique(data.test.labels, return_index=True)[1][:8]
    by_scores = find_neighbors(
        scores[0][:, :count],
        scores[1][queries, :count],
        num_neighbors=config.neighbors.num_neighbors,
    )
    by_pixels = _find_by_pixels(config.neighbors, data, model, queries)
    path = run.path / "neighbors.png"
    draw_neighbors(data, queries, by_scores, by_pixels, count, path)
