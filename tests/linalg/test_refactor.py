"""Functions and matrices in three parts: each part what it should be, nothing lost."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl.linalg import refactor, refactor_matrix

FORMS = ("svd", "columns", "skeleton")
values = st.one_of(st.integers(-3, 3), st.text("ab", max_size=2), st.none())


def check_steps(parts, f, domain):
    """The definitions of onto, bijection and one-to-one, spelled out."""
    assert [parts(x) for x in domain] == [f(x) for x in domain]
    assert set(parts.surjection) == set(domain)
    assert set(parts.surjection.values()) == set(parts.bijection)  # onto
    assert set(parts.bijection.values()) == set(parts.injection)
    for step in (parts.bijection, parts.injection):
        assert len(set(step.values())) == len(step)  # one-to-one
    assert set(parts.injection.values()) <= set(parts.codomain)
    for x, members in parts.surjection.items():
        assert members == {other for other in domain if f(other) == f(x)}


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(values, values, max_size=8), st.lists(values, max_size=3))
def test_refactor_splits_any_function(table, unreached):
    codomain = [*unreached, *table.values()]
    check_steps(refactor(table.get, table), table.get, table)
    parts = refactor(table.get, table, codomain=codomain)
    check_steps(parts, table.get, table)
    assert list(parts.codomain) == list(dict.fromkeys(codomain))


def test_refactor_squares_modulo_seven():
    parts = refactor(lambda n: n * n % 7, range(7), codomain=range(7))
    assert set(parts.bijection) == {
        frozenset(members) for members in ({0}, {1, 6}, {2, 5}, {3, 4})
    }
    assert set(parts.codomain) - set(parts.injection) == {3, 5, 6}  # non-residues


def test_refactor_knows_one_to_one_onto_and_constant_functions():
    successor = refactor(lambda n: n + 1, range(3), codomain=range(9))
    assert all(len(members) == 1 for members in successor.bijection)
    assert len(successor.codomain) > len(successor.injection)
    constant = refactor(lambda n: "same", range(5))
    assert constant.bijection == {frozenset(range(5)): "same"}
    assert constant.injection == {"same": "same"}
    assert refactor(abs, []).surjection == {}


def test_refactor_calls_a_large_function_quickly_and_once_per_element():
    calls = []
    domain = range(20_000)
    parts = refactor(lambda n: calls.append(n) or n % 2, [*domain, *domain])
    assert calls == list(domain)
    # Minutes if each call went through the members of a class.
    assert sum(parts(n) for n in domain) == len(domain) // 2


@pytest.mark.parametrize(
    ("f", "domain", "codomain", "words"),
    [
        (lambda x: x, [[1]], None, "wanted hashable domain, got a list"),
        (lambda x: [x], [1], None, "wanted hashable values, got a list"),
        (lambda x: x, [1], [{}], "wanted hashable codomain, got a dict"),
        (lambda x: x, [1, 2], [1, 3], "value 2 is not in the codomain"),
    ],
)
def test_refactor_refuses_what_it_cannot_split(f, domain, codomain, words):
    with pytest.raises(ValueError, match=words):
        refactor(f, domain, codomain=codomain)


def draw_matrix(rows, columns, rank, *, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, rank)) @ generator.normal(size=(rank, columns))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("rows", "columns", "rank"),
    [(9, 5, 2), (5, 9, 3), (4, 4, 4), (9, 5, 0), (0, 3, 0), (3, 0, 0)],
)
def test_refactor_matrix_has_the_rank_in_the_middle(form, rows, columns, rank):
    m = draw_matrix(rows, columns, rank)
    parts = refactor_matrix(jnp.asarray(m, jnp.float32), form=form)
    shapes = [part.shape for part in parts[:3]]
    assert shapes == [(rows, rank), (rank, rank), (rank, columns)]
    tall, square, wide = (np.asarray(part, np.float64) for part in parts[:3])
    np.testing.assert_allclose(tall @ square @ wide, m, atol=2e-4)
    if rank:
        assert [np.linalg.matrix_rank(p, 1e-4) for p in (tall, square, wide)] == [
            rank,
            rank,
            rank,
        ]


def test_refactor_matrix_svd_is_the_orthonormal_case():
    m = draw_matrix(9, 5, 2)
    parts = refactor_matrix(jnp.asarray(m, jnp.float32))
    tall, square, wide = (np.asarray(part, np.float64) for part in parts[:3])
    np.testing.assert_allclose(tall.T @ tall, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(wide @ wide.T, np.eye(2), atol=1e-5)
    expected = np.linalg.svd(m, compute_uv=False)[:2]
    np.testing.assert_allclose(square, np.diag(expected), atol=1e-5)
    assert parts.row_indices is None and parts.column_indices is None


def test_refactor_matrix_columns_holds_columns_and_their_coefficients():
    m = draw_matrix(9, 5, 2)
    parts = refactor_matrix(jnp.asarray(m, jnp.float32), form="columns")
    chosen = np.asarray(parts.column_indices)
    assert len(set(chosen.tolist())) == 2 and parts.row_indices is None
    np.testing.assert_array_equal(parts.tall, m[:, chosen].astype(np.float32))
    np.testing.assert_array_equal(parts.square, np.eye(2))
    expected = np.linalg.lstsq(m[:, chosen], m)[0]
    np.testing.assert_allclose(parts.wide, expected, atol=1e-5)


def test_refactor_matrix_skeleton_is_made_of_pieces():
    m = draw_matrix(9, 5, 2)
    parts = refactor_matrix(jnp.asarray(m, jnp.float32), form="skeleton")
    rows, columns = np.asarray(parts.row_indices), np.asarray(parts.column_indices)
    np.testing.assert_array_equal(parts.tall, m[:, columns].astype(np.float32))
    np.testing.assert_array_equal(parts.wide, m[rows].astype(np.float32))
    expected = np.linalg.inv(m[np.ix_(rows, columns)])
    np.testing.assert_allclose(parts.square, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("form", ["columns", "skeleton"])
def test_refactor_matrix_chooses_columns_far_from_dependent(form):
    # The first two columns are nearly one: both together would lose five digits, but
    # each of them stands out more than each of the other three.
    a, b = np.random.default_rng(0).normal(size=(2, 9))
    m = np.stack([10 * a, 10 * a + 1e-4 * b, b, b, b], axis=1)
    parts = refactor_matrix(jnp.asarray(m, jnp.float32), form=form)
    assert parts.column_indices[1] > 1
    found = np.linalg.multi_dot([np.asarray(part, np.float64) for part in parts[:3]])
    np.testing.assert_allclose(found, m, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_refactor_matrix_is_exact_in_float64(form):
    m = draw_matrix(9, 5, 2)
    with jax.enable_x64(True):
        parts = refactor_matrix(jnp.asarray(m), form=form)
        assert parts.tall.dtype == jnp.float64 and parts.square.shape == (2, 2)
        found = np.linalg.multi_dot([np.asarray(part) for part in parts[:3]])
    np.testing.assert_allclose(found, m, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_refactor_matrix_takes_any_scale(form, scale):
    m = (draw_matrix(9, 5, 2) * scale).astype(np.float32)
    parts = refactor_matrix(jnp.asarray(m), form=form)
    found = np.linalg.multi_dot([np.asarray(part, np.float64) for part in parts[:3]])
    np.testing.assert_allclose(found / scale, m / scale, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_refactor_matrix_cuts_small_singular_values(form):
    u = np.linalg.qr(draw_matrix(9, 3, 3))[0]
    v = np.linalg.qr(draw_matrix(5, 3, 3, seed=1))[0]
    m = u @ np.diag([1.0, 0.5, 1e-3]) @ v.T
    parts = refactor_matrix(jnp.asarray(m, jnp.float32), rtol=0.01, form=form)
    assert parts.square.shape == (2, 2)
    found = np.linalg.multi_dot([np.asarray(part, np.float64) for part in parts[:3]])
    error = np.linalg.norm(found - m, 2)
    # Eckart-Young: 1e-3 is the least there is.
    assert error <= (1.001e-3 if form == "svd" else 1e-2)


def test_refactor_matrix_takes_integers():
    parts = refactor_matrix(jnp.array([[1, 2], [2, 4], [3, 6]]), form="columns")
    assert parts.tall.dtype == jnp.float32
    np.testing.assert_array_equal(parts.tall, [[2], [4], [6]])
    np.testing.assert_allclose(parts.wide, [[0.5, 1]], atol=1e-6)


def test_refactor_matrix_refuses_other_arguments():
    with pytest.raises(ValueError, match="refactor_matrix: 1 of 4 numbers are NaN"):
        refactor_matrix(jnp.array([[1.0, jnp.nan], [0.0, 1.0]]))


def test_refactor_matrix_says_what_it_wants(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="refactor_matrix: wanted a matrix, got shape"):
        refactor_matrix(jnp.ones(3))
    with pytest.raises(ValueError, match="'qr' is not one of svd, columns, skeleton"):
        refactor_matrix(jnp.ones((2, 2)), form="qr")
