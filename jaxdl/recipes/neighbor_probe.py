"""The study of a network by the nearest neighbours of its frozen features."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.manifold import TSNE

from jaxdl.linalg import pca, transform
from jaxdl.metrics import neighbor_scores
from jaxdl.recipes.encoders import FrozenEncoder
from jaxdl.recipes.probe_subject import Examples, ProbeSubject
from jaxdl.recipes.probes_config import MapSection, NeighborProbeConfig, VotesSection
from jaxdl.recipes.study import Row, finish_study
from jaxdl.report import plot_accuracy_lines, plot_feature_map, plot_neighbors
from jaxdl.train import RunFolder
from jaxdl.typing import Float, Int

_vote = jax.jit(
    neighbor_scores, static_argnames=("num_classes", "num_neighbors", "temperature")
)


def study_neighbor_probe(
    config: NeighborProbeConfig, subject: ProbeSubject, run: RunFolder
) -> int:
    """Lets training images vote for the classes of others; writes a table and plots.

    Args:
      config: the resolved config.
      subject: the network and the data.
      run: where the results go, locked.

    Returns:
      The exit status, 0.

    Raises:
      NonFiniteError: a feature is not finite.
    """
    start = time.perf_counter()
    examples = subject.compute(subject.encoder)
    table = _list_accuracies(config.votes, subject, subject.encoder, examples)
    if config.untrained:
        untrained = subject.load_untrained()
        found = subject.compute(untrained)
        table += _list_accuracies(config.votes, subject, untrained, found)
    _plot_accuracies(table, subject, run.path / "accuracy.png")
    _plot_map(config, subject, examples["test"], run.path / "feature_map.png")
    _plot_pictures(config, subject, examples, run.path / "neighbors.png")
    best, seconds = _choose(table), time.perf_counter() - start
    finish_study(
        run,
        title=f"votes of nearest neighbours, {subject.title}",
        table=table,
        shown=[_shorten(row) for row in table],
        summary={
            **subject.summarise(),
            "best_by_validation": best,
            "results": table,
            "seconds": seconds,
        },
    )
    return 0


def _list_accuracies(
    section: VotesSection,
    subject: ProbeSubject,
    encoder: FrozenEncoder,
    examples: dict[str, Examples],
) -> list[Row]:
    """A row for each number of neighbours and temperature."""
    rows, train = [], examples["train"]
    counts = sorted({min(n, len(train.labels)) for n in section.num_neighbors})
    for count in counts:
        # A single neighbour is right or not, whatever its vote weighs.
        for temperature in section.temperatures[: 1 if count == 1 else None]:
            row = {
                "network": encoder.name,
                "step": encoder.step,
                "num_neighbors": count,
                "temperature": temperature,
            }
            for name in ("validation", "test"):
                scores = _vote(
                    examples[name].features,
                    train.features,
                    train.labels,
                    num_classes=subject.dataset.num_classes,
                    num_neighbors=count,
                    temperature=temperature,
                )
                is_right = np.argmax(scores, axis=1) == examples[name].labels
                row[f"{name}_accuracy"] = float(np.mean(is_right))
            rows.append(row)
    return rows


def _shorten(row: Row) -> Row:
    """The columns for the screen."""
    return {
        "network": row["network"],
        "neighbours": row["num_neighbors"],
        "temperature": row["temperature"],
        "validation": f"{row['validation_accuracy']:.4f}",
        "test": f"{row['test_accuracy']:.4f}",
    }


def _choose(table: Sequence[Row]) -> dict[str, Row]:
    """The row of each network that is best on the validation split."""
    best: dict[str, Row] = {}
    for row in table:
        held = best.setdefault(row["network"], row)
        if row["validation_accuracy"] > held["validation_accuracy"]:
            best[row["network"]] = row
    return best


def _plot_accuracies(table: Sequence[Row], subject: ProbeSubject, path: Path) -> None:
    """A line for each network, at the temperature that is best on validation."""
    best = _choose(table)
    lines: dict[str, dict[int, list[float]]] = {}
    for row in table:
        temperature = best[row["network"]]["temperature"]
        if row["num_neighbors"] == 1 or row["temperature"] == temperature:
            name = f"{row['network']}, temperature {temperature:g}"
            line = lines.setdefault(name, {})
            line[row["num_neighbors"]] = [row["test_accuracy"]]
    plot_accuracy_lines(
        lines, path, title=subject.title, xlabel="training images that vote"
    )


def _plot_map(
    config: NeighborProbeConfig, subject: ProbeSubject, test: Examples, path: Path
) -> None:
    method, seed = config.map.method, config.run.seed
    count = min(config.map.num_images, len(test.labels))
    if count < 3:
        return  # t-SNE and principal components need more
    chosen = np.random.default_rng(seed).permutation(len(test.labels))[:count]
    points = map_features(config.map, test.features[chosen], seed=seed)
    names = {"pca": "first two principal components", "tsne": "t-SNE"}
    plot_feature_map(
        points,
        test.labels[chosen],
        subject.dataset.class_names,
        path,
        title=f"{count:,} test images, {names[method]} of their features\n"
        f"{subject.title}",
    )


def map_features(
    section: MapSection, features: Float[np.ndarray, "examples features"], *, seed: int
) -> Float[np.ndarray, "examples 2"]:
    """Two coordinates of each example by its features, whose length does not count.

    Args:
      section: tells the method.
      features: at least 3 rows.
      seed: of t-SNE.

    Returns:
      Float32 coordinates.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    rows = features / np.where(lengths > 0, lengths, 1)
    if section.method == "pca":
        x = jnp.asarray(rows)
        return np.asarray(transform(pca(x, 2), x))
    perplexity = min(section.perplexity, (len(rows) - 1) / 3)
    # Not started from principal components: those of equal features are not there.
    method = TSNE(perplexity=perplexity, init="random", random_state=seed)
    return method.fit_transform(rows).astype(np.float32)


def _plot_pictures(
    config: NeighborProbeConfig,
    subject: ProbeSubject,
    examples: dict[str, Examples],
    path: Path,
) -> None:
    """The first test images of each class, in turn, beside the nearest in train."""
    test, train = examples["test"], examples["train"]
    # The rank of each image within its class: all firsts, then all seconds, ...
    order = np.argsort(test.labels, kind="stable")
    starts = np.searchsorted(test.labels[order], test.labels[order])
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - starts
    queries = np.lexsort((test.labels, ranks))[: config.picture.num_queries]
    found, similarities = find_nearest(
        train.features,
        test.features[queries],
        num_neighbors=config.picture.num_neighbors,
    )
    splits = subject.dataset.splits
    shown = splits["train"].read(found.ravel())["images"]
    plot_neighbors(
        splits["test"].read(queries)["images"],
        shown.reshape(*found.shape, *shown.shape[1:]),
        test.labels[queries],
        train.labels[found],
        similarities,
        subject.dataset.class_names,
        path,
    )


def find_nearest(
    bank: Float[np.ndarray, "examples features"],
    queries: Float[np.ndarray, "queries features"],
    *,
    num_neighbors: int,
) -> tuple[
    Int[np.ndarray, "queries neighbors"], Float[np.ndarray, "queries neighbors"]
]:
    """The examples nearest to a few queries by cosine, the nearest first.

    Args:
      bank: one example per row.
      queries: one query per row, not too many: all similarities are held at once.
      num_neighbors: how many; at most as many as there are examples.

    Returns:
      Their positions in the bank, and the cosines; 0 to a row of zeros.

    Example:
      >>> find_nearest(np.eye(3), np.array([[0.0, 3.0, 4.0]]), num_neighbors=2)
      (array([[2, 1]], dtype=int32), array([[0.8, 0.6]], dtype=float32))
    """
    rows, wanted = (_normalize(each) for each in (bank, queries))
    products = jnp.matmul(wanted, rows.T, precision="highest")
    values, places = jax.lax.top_k(products, min(num_neighbors, len(bank)))
    return np.asarray(places), np.asarray(values)


def _normalize(rows: Any) -> jax.Array:
    rows = jnp.asarray(rows, jnp.float32)
    lengths = jnp.linalg.norm(rows, axis=1, keepdims=True)
    return rows / jnp.where(lengths > 0, lengths, 1)
