"""The study of PageRank: agreement with float64, and which files it reads."""

import csv
import json

import numpy as np
import pytest

from jaxdl.config import load_config
from jaxdl.errors import DataError
from jaxdl.recipes.svd_pagerank import study_pagerank
from jaxdl.recipes.svd_pagerank_config import PageRankConfig
from jaxdl.recipes.svd_pagerank_data import load_graph
from jaxdl.train import RunFolder


def run_study(folder, *overrides):
    """Rows of the table and the summary."""
    run = RunFolder(folder)
    assert study_pagerank(load_config(PageRankConfig, None, overrides), run) == 0
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file)), json.loads(run.summary.read_text())


def load(path):
    config = load_config(PageRankConfig, None, [f"graph.path={path}"])
    return load_graph(config.graph, seed=0)


def test_study_agrees_with_float64_on_a_made_graph(tmp_path):
    table, summary = run_study(
        tmp_path, "graph.num_nodes=300", "graph.num_edges=2000", "num_shown=10"
    )
    assert summary["converged"] and summary["same_first"]
    assert summary["error_against_float64"] <= 5e-7
    assert summary["dangling_nodes"] >= 30
    assert [int(row["rank_in_float64"]) for row in table] == list(range(1, 11))
    bounds = 2 * 0.85 ** np.arange(1, len(summary["errors"]) + 1)
    assert (summary["errors"] <= bounds).all()


def test_study_agrees_with_float64_on_a_real_graph(find_data, tmp_path):
    path = find_data("wiki_vote/wiki-Vote.txt")
    table, summary = run_study(tmp_path, f"graph.path={path}")
    assert (summary["nodes"], summary["edges"]) == (7_115, 103_689)
    assert summary["error_against_float64"] <= 1e-6 and summary["same_first"]
    assert len(table) == 20 and table[0]["node"] == "4037"


def test_load_graph_reads_names_comments_and_repeats(tmp_path):
    file = tmp_path / "edges.txt"
    file.write_text("# from to\n30\t7\n7 ann 0.5  # a weight\n\n30 7\n7 7\n")
    graph = load(file)
    assert graph.names == ("30", "7", "ann") and graph.title == "edges.txt"
    assert graph.edges.tolist() == [[0, 1], [1, 1], [1, 2]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# nothing\n", "holds no edges"),
        (b"1 2\n3\n", "line 2: wanted two names of nodes, got '3'"),
        (b"\xff\xfe", "not text in UTF-8"),
    ],
)
def test_load_graph_names_file_and_line(tmp_path, content, words):
    (tmp_path / "edges.txt").write_bytes(content)
    with pytest.raises(DataError, match=f"edges.txt: .*{words}"):
        load(tmp_path / "edges.txt")
    with pytest.raises(DataError, match="no such file or folder"):
        load(tmp_path / "none.txt")
