"""The nearest matrices of a kind: of low rank, or with orthonormal columns."""

from typing import NamedTuple

import jax.numpy as jnp

from jaxdl.linalg.arrays import full_precision
from jaxdl.linalg.randomized import randomized_svd
from jaxdl.linalg.svd import thin_svd, truncated_svd
from jaxdl.typing import Array, Float, PRNGKey, Shaped


class Polar(NamedTuple):
    """A polar decomposition: a = unitary @ positive.

    Attributes:
      unitary: orthonormal columns, or rows if there are more columns than rows.
      positive: symmetric, its eigenvalues the singular values of a (and zeros).
    """

    unitary: Float[Array, "*batch rows columns"]
    positive: Float[Array, "*batch columns columns"]


@full_precision
def polar(a: Shaped[Array, "*batch rows columns"]) -> Polar:
    r"""The right polar decomposition: a rotation and a stretching.

    The unitary factor is the nearest matrix with orthonormal columns (or rows): the
    solution of the orthogonal Procrustes problem.

    Args:
      a: one or more matrices of any shape.

    Returns:
      The factors. The unitary one is unique only for full rank, the positive one
      always.

    Raises:
      ValueError: not matrices of real numbers, or NaN or infinity in a concrete one.

    Source:
      Golub and Van Loan, Matrix Computations, 4th edition, sections 6.4.1 and 9.4.3.

    Example:
      >>> unitary, positive = polar(jnp.array([[0.0, -2.0], [1.0, 0.0]]))
      >>> print(unitary + 0.0, positive + 0.0, sep="\n")
      [[ 0. -1.]
       [ 1.  0.]]
      [[1. 0.]
       [0. 2.]]
    """
    u, s, vt = thin_svd(a)
    positive = (jnp.swapaxes(vt, -1, -2) * s[..., None, :]) @ vt
    # Rounding leaves it symmetric only up to the last bits.
    positive = (positive + jnp.swapaxes(positive, -1, -2)) / 2
    return Polar(u @ vt, positive)


@full_precision
def low_rank_approximation(
    a: Shaped[Array, "*batch rows columns"], rank: int, *, key: PRNGKey | None = None
) -> Float[Array, "*batch rows columns"]:
    """The nearest matrix of a rank, in the Frobenius and in the spectral norm.

    Args:
      a: one or more matrices.
      rank: from 1 to min(rows, columns).
      key: seeds `randomized_svd`, which then replaces the exact decomposition: much
        faster where the rank is far below both sizes of a single large matrix, at an
        error slightly above the least.

    Returns:
      The approximation, as large as a.

    Raises:
      ValueError: a rank that the matrix can't have, not matrices of real numbers, or
        NaN or infinity in a concrete one.

    Source:
      Eckart and Young, Psychometrika 1(3), 1936; Mirsky, Q. J. Math. 11(1), 1960.

    Example:
      >>> print(low_rank_approximation(jnp.array([[3.0, 0.0], [0.0, 1.0]]), 1))
      [[3. 0.]
       [0. 0.]]
    """
    if key is None:
        u, s, vt = truncated_svd(a, rank)
    else:
        u, s, vt = randomized_svd(a, rank, key=key)
    return (u * s[..., None, :]) @ vt
