"""PageRank against eigenvectors of the dense matrix, a published case, a real graph."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.linalg import pagerank


def surf(edges, num_nodes, *, damping=0.85, jump=None, num_steps=2000):
    """Power iteration in float64 on the dense matrix."""
    jump = np.ones(num_nodes) if jump is None else np.asarray(jump, np.float64)
    jump = jump / jump.sum()
    links = np.zeros((num_nodes, num_nodes))
    for source, target in np.asarray(edges).reshape(-1, 2):
        links[source, target] = 1
    degree = links.sum(axis=1)
    links[degree > 0] /= degree[degree > 0, None]
    links[degree == 0] = jump
    scores = jump
    for _ in range(num_steps):
        scores = damping * scores @ links + (1 - damping) * jump
    return scores


def make_graph(num_nodes, num_edges, seed=0):
    """Few nodes get most edges; some have none that leave, some edges come twice."""
    generator = np.random.default_rng(seed)
    edges = (num_nodes * generator.random((num_edges, 2)) ** [1, 3]).astype(np.int32)
    edges = edges[edges[:, 0] % 5 != 0]
    return jnp.asarray(np.concatenate([edges, edges[:7]]))


@pytest.mark.parametrize("damping", [0.0, 0.5, 0.85, 0.99])
def test_pagerank_is_the_eigenvector_of_the_dense_matrix(damping):
    edges = make_graph(60, 300)
    found = pagerank(edges, 60, damping=damping, tol=1e-7, max_iterations=2000)
    expected = surf(edges, 60, damping=damping, num_steps=4000)
    assert found.converged and found.error <= 1e-7
    assert np.abs(found.scores - expected).sum() <= 5e-7
    assert abs(np.sum(np.float64(found.scores)) - 1) <= 2e-7


def test_pagerank_of_the_published_example():
    # Langville and Meyer, "Google's PageRank and beyond" (2006), chapter 4: six pages,
    # the second without links, damping 0.9; and the vector printed there.
    edges = [[1, 2], [1, 3], [3, 1], [3, 2], [3, 5], [4, 5], [4, 6], [5, 4], [5, 6]]
    edges = jnp.array([*edges, [6, 4]]) - 1
    found = pagerank(edges, 6, damping=0.9, tol=1e-7)
    published = [0.03721, 0.05396, 0.04151, 0.3751, 0.206, 0.2862]
    np.testing.assert_allclose(found.scores, published, rtol=2e-4)


def test_pagerank_jumps_to_where_it_is_told():
    edges, jump = make_graph(30, 60), jnp.arange(30.0) % 3
    found = pagerank(edges, 30, personalization=jump)
    expected = surf(edges, 30, jump=jump)
    assert np.abs(found.scores - expected).sum() <= 1e-6
    np.testing.assert_allclose(
        pagerank(edges, 30, personalization=10 * jump).scores, found.scores, rtol=1e-6
    )


def test_pagerank_counts_an_edge_once_and_a_loop_as_an_edge():
    edges = jnp.array([[0, 1], [0, 1], [0, 2], [2, 2], [1, 0]])
    np.testing.assert_allclose(
        pagerank(edges, 3).scores, surf(edges, 3), rtol=0, atol=3e-7
    )


def test_pagerank_of_a_graph_without_edges_is_where_jumps_lead():
    none = jnp.zeros((0, 2), jnp.int32)
    np.testing.assert_allclose(pagerank(none, 4).scores, np.full(4, 0.25))
    jump = jnp.array([1.0, 3.0])
    found = pagerank(none, 2, personalization=jump)
    np.testing.assert_allclose(found.scores, [0.25, 0.75])


def test_pagerank_says_when_it_did_not_converge_and_bounds_its_error():
    edges = make_graph(60, 300)
    expected = surf(edges, 60)
    for count in (1, 3, 10):
        found = pagerank(edges, 60, max_iterations=count)
        assert not found.converged and found.num_iterations == count
        assert np.abs(found.scores - expected).sum() <= found.error <= 2 * 0.85**count


def test_pagerank_under_jit_equals_eager_and_marks_bad_edges():
    edges = make_graph(60, 300)
    compiled = jax.jit(pagerank, static_argnums=1)
    np.testing.assert_allclose(
        compiled(edges, 60).scores, pagerank(edges, 60).scores, rtol=1e-6
    )
    assert jnp.isnan(compiled(edges, 20).scores).all()
    assert not compiled(edges, 20).converged


def test_pagerank_has_the_precision_of_float64_where_it_is_on():
    with jax.enable_x64(True):
        edges = make_graph(60, 300)
        found = pagerank(edges, 60, tol=1e-13)
        assert np.abs(found.scores - surf(edges, 60)).sum() <= 1e-12


@pytest.mark.parametrize(
    ("edges", "num_nodes", "arguments", "words"),
    [
        ([[0, 3]], 3, {}, r"nodes in \[0, 3\), got 0 to 3"),
        ([[-1, 0]], 3, {}, r"nodes in \[0, 3\), got -1 to 0"),
        ([[0, 1, 2]], 3, {}, r"shape \(E, 2\), got \(1, 3\)"),
        ([[0.0, 1.0]], 3, {}, "edges of integers, got float32"),
        ([[0, 1]], 0, {}, "num_nodes must be at least 1, got 0"),
        ([[0, 1]], 2, {"damping": 1.0}, r"damping must be in \[0, 1\), got 1.0"),
        ([[0, 1]], 2, {"tol": 0.0}, "tol must be above 0, got 0.0"),
        ([[0, 1]], 2, {"max_iterations": 0}, "max_iterations must be at least 1"),
        ([[0, 1]], 2, {"personalization": [1.0]}, r"shape \(2,\), got \(1,\)"),
        ([[0, 1]], 2, {"personalization": [1.0, -1.0]}, "at least 0, not all 0"),
        ([[0, 1]], 2, {"personalization": [0.0, 0.0]}, "sum of 0.0"),
    ],
)
def test_pagerank_names_what_is_wrong(monkeypatch, edges, num_nodes, arguments, words):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    if "personalization" in arguments:
        arguments = {"personalization": jnp.array(arguments["personalization"])}
    with pytest.raises(ValueError, match=f"pagerank: .*{words}"):
        pagerank(jnp.array(edges), num_nodes, **arguments)


def test_pagerank_of_a_real_graph_equals_float64(find_data):
    path = find_data("wiki_vote/wiki-Vote.txt")
    pairs = np.loadtxt(path, comments="#", dtype=np.int64)
    names, edges = np.unique(pairs, return_inverse=True)
    edges, count = np.int32(edges.reshape(-1, 2)), len(names)
    assert (len(edges), count) == (103_689, 7_115)
    degree = np.bincount(edges[:, 0], minlength=count)
    expected = np.full(count, 1 / count)
    for _ in range(200):
        sent = expected[edges[:, 0]] / degree[edges[:, 0]]
        arrived = np.bincount(edges[:, 1], sent, minlength=count)
        dangling = expected[degree == 0].sum()
        expected = 0.85 * (arrived + dangling / count) + 0.15 / count
    found = pagerank(jnp.asarray(edges), count)
    assert np.abs(np.float64(found.scores) - expected).sum() <= 1e-6
    order = np.argsort(-np.asarray(found.scores))
    np.testing.assert_array_equal(order[:20], np.argsort(-expected)[:20])
