"""Any function, and any matrix, as onto, then a bijection, then one-to-one.

What a function does not tell apart falls together first, what is left is in bijection
with the values, and the values lie in the codomain. For a matrix the three parts are
wide, square and tall; the SVD is the case where the square one is diagonal and the
others are orthonormal.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.svd import compact_svd
from jaxdl.typing import Array, Float, Int, Shaped


class Refactored(NamedTuple):
    """A function f on a finite domain in three steps; calling it gives f's values.

    Attributes:
      surjection: the class of each element of the domain: the set of all elements with
        the same value. Every class is reached.
      bijection: the value of each class; no two classes share one.
      injection: each value as an element of the codomain; the codomain may have more.
      codomain: where the values lie.
    """

    surjection: dict[Hashable, frozenset[Hashable]]
    bijection: dict[frozenset[Hashable], Hashable]
    injection: dict[Hashable, Hashable]
    codomain: tuple[Hashable, ...]

    def __call__(self, x: Any) -> Any:
        """The value at an element of the domain, by way of its class."""
        return self.injection[self.bijection[self.surjection[x]]]


def refactor(
    f: Callable[[Any], Any],
    domain: Iterable[Any],
    *,
    codomain: Iterable[Any] | None = None,
) -> Refactored:
    """Splits a function on a finite domain into onto ∘ bijection ∘ one-to-one.

    Pure Python, one call of `f` per element.

    Args:
      f: a function; its values are hashable. Two values are the same if `==` says so.
      domain: hashable elements; one that comes again counts once.
      codomain: what the values are taken from; by default the values themselves, and
        the last step then changes nothing.

    Returns:
      The three steps, each a dictionary in the order of the domain.

    Raises:
      ValueError: an element or a value is not hashable, or a value is not in the
        codomain.

    Source:
      The canonical decomposition of a map (first isomorphism theorem of sets).

    Example:
      >>> square = refactor(lambda n: n * n % 7, range(7), codomain=range(7))
      >>> {value: sorted(members) for members, value in square.bijection.items()}
      {0: [0], 1: [1, 6], 4: [2, 5], 2: [3, 4]}
      >>> square(5), square.codomain
      (4, (0, 1, 2, 3, 4, 5, 6))
    """
    members: dict[Hashable, dict[Hashable, None]] = {}
    for x in dict.fromkeys(_check_hashable("domain", domain)):
        (value,) = _check_hashable("values", [f(x)])
        members.setdefault(value, {})[x] = None
    known = list(members) if codomain is None else codomain
    where = {y: y for y in _check_hashable("codomain", known)}
    missing = [value for value in members if value not in where]
    if missing:
        raise ValueError(f"refactor: value {missing[0]!r} is not in the codomain")
    # A frozen set remembers its hash: a call costs the same however large its class.
    classes = {value: frozenset(same) for value, same in members.items()}
    return Refactored(
        surjection={x: classes[value] for value, same in members.items() for x in same},
        bijection={same: value for value, same in classes.items()},
        injection={value: where[value] for value in members},
        codomain=tuple(where),
    )


class RefactoredMatrix(NamedTuple):
    """A matrix of rank r as tall @ square @ wide.

    Attributes:
      tall: one-to-one, (rows, r): independent columns. How the image lies in space.
      square: invertible, (r, r): the bijection between what is left of the two spaces.
      wide: onto, (r, columns): independent rows. What the matrix does not tell apart
        (its null space) falls together here.
      row_indices: which rows of the matrix the wide part holds, in order; None if it
        holds others.
      column_indices: which columns of the matrix the tall part holds, likewise.
    """

    tall: Float[Array, "rows rank"]
    square: Float[Array, "rank rank"]
    wide: Float[Array, "rank columns"]
    row_indices: Int[Array, "rank"] | None = None
    column_indices: Int[Array, "rank"] | None = None


@full_precision
def refactor_matrix(
    m: Shaped[Array, "rows columns"],
    *,
    rtol: float | None = None,
    form: Literal["svd", "columns", "skeleton"] = "svd",
) -> RefactoredMatrix:
    """Splits a matrix of rank r into tall @ square @ wide: `refactor` for linear maps.

    The three maps are unique up to the bases chosen for the image and for what is left
    of the domain, and these make the forms:

    - `"svd"`: orthonormal bases that make the square diagonal: U, diag(s), V^T.
    - `"columns"`: the tall part is r columns of the matrix, and the wide one holds the
      coefficients that combine them to all columns; the square is the identity.
    - `"skeleton"`: the tall part is r columns of the matrix, the wide one r rows; the
      square is the inverse of the r x r block where they cross.

    Eager only: the shapes depend on the rank.

    Args:
      m: a real matrix, concrete; any shape.
      rtol: singular values up to `rtol` times the largest count as zero; by default
        what rounding explains, max(rows, columns) times the dtype's epsilon.
      form: which bases.

    Returns:
      The three factors, float32 or float64. Where `rtol` cuts values that are not
      zero, the product of the SVD is the nearest matrix of that rank; the other forms
      stay within a moderate factor of its error.

    Raises:
      ValueError: not a matrix of finite real numbers, or an unknown form.

    Source:
      G. H. Golub, V. Klema and G. W. Stewart, Rank degeneracy and least squares
      problems, 1976 (columns by pivoting on the right singular vectors); S. A.
      Goreinov et al., A theory of pseudoskeleton approximations, 1997.

    Example:
      >>> m = jnp.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
      >>> parts = refactor_matrix(m, form="skeleton")
      >>> [part.shape for part in parts[:3]]
      [(2, 1), (1, 1), (1, 3)]
      >>> bool(jnp.allclose(parts.tall @ parts.square @ parts.wide, m))
      True
    """
    if form not in ("svd", "columns", "skeleton"):
        raise ValueError(
            f"refactor_matrix: form {form!r} is not one of svd, columns, skeleton"
        )
    m = as_matrix("refactor_matrix", m)
    u, s, vt = compact_svd(m, rtol=rtol)
    if form == "svd":
        return RefactoredMatrix(u, jnp.diag(s), vt)
    if len(s) == 0:
        none = jnp.zeros(0, jnp.int32)
        rows = none if form == "skeleton" else None
        return RefactoredMatrix(u, jnp.diag(s), vt, rows, none)
    columns = _choose_columns(vt)
    if form == "columns":
        # With M = U S V^T the chosen columns are U S W, W those of V^T.
        wide = jnp.linalg.solve(vt[:, columns], vt)
        square = jnp.eye(len(s), dtype=m.dtype)
        return RefactoredMatrix(m[:, columns], square, wide, None, columns)
    rows = _choose_columns(u.T)
    # The inverse of the crossing block U_rows S W, without forming the block: that
    # keeps a large spread of singular values out of the elimination.
    square = jnp.linalg.inv(vt[:, columns]) / s[None] @ jnp.linalg.inv(u[rows])
    return RefactoredMatrix(m[:, columns], square, m[rows], rows, columns)


@jax.jit
def _choose_columns(vt: Float[Array, "rank columns"]) -> Int[Array, "rank"]:
    """As many columns as there are rows, far from dependent: pivoted Gram-Schmidt."""
    rank = vt.shape[0]

    def choose(step, carry):
        rest, chosen = carry
        squares = jnp.sum(rest**2, axis=0)
        pivot = jnp.argmax(squares)
        direction = rest[:, pivot] / jnp.sqrt(squares[pivot])
        rest = rest - jnp.outer(direction, direction @ rest)
        # What rounding leaves of a column that was chosen must not be chosen again.
        rest = rest.at[:, pivot].set(0)
        return rest, chosen.at[step].set(pivot.astype(jnp.int32))

    _, chosen = jax.lax.fori_loop(0, rank, choose, (vt, jnp.zeros(rank, jnp.int32)))
    return jnp.sort(chosen)


def _check_hashable(name: str, items: Iterable[Any]) -> list[Any]:
    items = list(items)
    for item in items:
        try:
            hash(item)
        except TypeError:
            raise ValueError(
                f"refactor: wanted hashable {name}, got a {type(item).__name__}"
            ) from None
    return items
