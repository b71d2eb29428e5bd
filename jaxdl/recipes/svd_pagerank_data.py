"""Directed graphs: read from a list of edges, or made."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxdl.data import resolve_path
from jaxdl.errors import DataError
from jaxdl.recipes.svd_pagerank_config import GraphSection


class Graph(NamedTuple):
    """A directed graph.

    Attributes:
      edges: from and to, each edge once.
      names: of the nodes, by index.
      title: for headings.
    """

    edges: Int[np.ndarray, "edges 2"]
    names: tuple[str, ...]
    title: str


def load_graph(section: GraphSection, *, seed: int) -> Graph:
    """Loads the graph that a config names, or makes one.

    Args:
      section: where it is, or its size.
      seed: of a made graph.

    Returns:
      The graph; its nodes are those that an edge touches, all of them if it is made.

    Raises:
      DataError: no such file, or one that does not hold edges.
    """
    if section.path is None:
        generator = np.random.default_rng(seed)
        # Few nodes are pointed at by many, and a tenth point at none.
        draws = generator.random((section.num_edges, 2)) * [0.9, 1.0]
        edges = (section.num_nodes * draws ** [1, 3]).astype(np.int32)
        names = tuple(map(str, range(section.num_nodes)))
        return Graph(np.unique(edges, axis=0), names, "made graph")
    path = resolve_path(section.path)
    pairs = _read_pairs(path)
    names, indices = np.unique(pairs, return_inverse=True)
    edges = np.unique(indices.reshape(-1, 2), axis=0).astype(np.int32)
    return Graph(edges, tuple(names.tolist()), path.name)


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise DataError(f"{path}: can't read edges: {reason}") from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        # More columns, such as weights, are none of this.
        if len(words) < 2:
            raise DataError(
                f"{path}: line {number}: wanted two names of nodes, got {line[:60]!r}"
            )
        pairs.append((words[0], words[1]))
    if not pairs:
        raise DataError(f"{path}: holds no edges")
    return pairs
