"""Which nodes of a graph matter, and how fast an iteration finds out."""

import time
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.linalg import pagerank
from jaxdl.recipes.study import finish_study
from jaxdl.recipes.svd_pagerank_config import PageRankConfig, RankingSection
from jaxdl.recipes.svd_pagerank_data import Graph, load_graph
from jaxdl.report import plot_ranks
from jaxdl.train import RunFolder

_REFERENCE_TOL = 1e-14  # at which float64 stops to change


def study_pagerank(config: PageRankConfig, run: RunFolder) -> int:
    """Ranks the nodes of a graph; writes the first ones and how it converged.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    graph = load_graph(config.graph, seed=config.run.seed)
    section, count = config.ranking, len(graph.names)
    edges = jnp.asarray(graph.edges)

    def rank(max_iterations: int, tol: float):
        return pagerank(
            edges,
            count,
            damping=section.damping,
            tol=tol,
            max_iterations=max_iterations,
        )

    found = rank(config.ranking.max_iterations, config.ranking.tol)
    scores = np.asarray(found.scores, np.float64)
    reference = iterate_in_float64(graph, section)
    errors = [
        float(np.abs(np.asarray(rank(t, 1e-30).scores, np.float64) - reference).sum())
        for t in range(1, int(found.num_iterations) + 1)
    ]
    plot_ranks(
        scores,
        errors,
        run.path / "ranks.png",
        damping=section.damping,
        title=f"{graph.title}: {count} nodes, {len(graph.edges)} edges",
    )
    order, expected = np.argsort(-scores, kind="stable"), np.argsort(-reference)
    places = np.empty(count, int)
    places[expected] = np.arange(1, count + 1)
    table = _list_first(graph, scores, order[: config.num_shown], places)
    shown = min(config.num_shown, count)
    finish_study(
        run,
        table=table,
        summary={
            "nodes": count,
            "edges": len(graph.edges),
            "dangling_nodes": count - len(np.unique(graph.edges[:, 0])),
            "iterations": int(found.num_iterations),
            "converged": bool(found.converged),
            "error_bound": float(found.error),
            "error_against_float64": float(np.abs(scores - reference).sum()),
            "same_first": bool((order[:shown] == expected[:shown]).all()),
            "sum": float(scores.sum()),
            "errors": errors,
            "first": table,
            "seconds": time.perf_counter() - start,
        },
        title=f"{graph.title}: {int(found.num_iterations)} iterations, error "
        f"{np.abs(scores - reference).sum():.1e}",
    )
    return 0


def iterate_in_float64(graph: Graph, section: RankingSection) -> np.ndarray:
    """Power iteration as it is written down, in NumPy; for comparison.

    Args:
      graph: with each edge once.
      section: its damping is used.

    Returns:
      The scores, with a sum of 1.
    """
    source, target = graph.edges.T
    count = len(graph.names)
    degree = np.bincount(source, minlength=count)
    scores = np.full(count, 1 / count)
    for _ in range(100_000):
        sent = scores[source] / degree[source]
        arrived = np.bincount(target, sent, minlength=count)
        arrived += scores[degree == 0].sum() / count
        new = section.damping * arrived + (1 - section.damping) / count
        change, scores = np.abs(new - scores).sum(), new
        if change < _REFERENCE_TOL:
            break
    return scores / scores.sum()


def _list_first(
    graph: Graph, scores: np.ndarray, order: np.ndarray, places: np.ndarray
) -> list[dict[str, Any]]:
    count = len(graph.names)
    outgoing, incoming = (np.bincount(c, minlength=count) for c in graph.edges.T)
    return [
        {
            "rank": place,
            "node": graph.names[index],
            "score": float(scores[index]),
            "incoming": int(incoming[index]),
            "outgoing": int(outgoing[index]),
            "rank_in_float64": int(places[index]),
        }
        for place, index in enumerate(order, start=1)
    ]
