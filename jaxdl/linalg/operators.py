"""Matrices that are known by their products: functions, sparse or dense arrays."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.experimental.sparse import BCOO
from jax.typing import DTypeLike

from jaxdl.linalg.arrays import as_matrix
from jaxdl.typing import Array, Shaped


@dataclasses.dataclass(frozen=True)
class LinearOperator:
    """A matrix given by its products with blocks of columns.

    Attributes:
      shape: rows and columns.
      matvec: takes (columns, k), returns (rows, k): the product with the matrix.
      rmatvec: takes (rows, k), returns (columns, k): with its transpose. For a
        symmetric matrix the same function as `matvec`.
      dtype: of what both take and return, float32 or float64.

    Example:
      >>> double = LinearOperator((3, 3), lambda x: 2 * x, lambda x: 2 * x)
      >>> double.matvec(jnp.ones((3, 1))).ravel()
      Array([2., 2., 2.], dtype=float32)
    """

    shape: tuple[int, int]
    matvec: Callable[[Array], Array]
    rmatvec: Callable[[Array], Array]
    dtype: DTypeLike = jnp.float32

    @property
    def T(self) -> "LinearOperator":
        """The transpose."""
        rows, columns = self.shape
        return LinearOperator((columns, rows), self.rmatvec, self.matvec, self.dtype)


Matrix = Shaped[Array, "rows columns"] | BCOO | LinearOperator
"""What the routines that need nothing but products accept."""


def as_operator(a: Matrix) -> LinearOperator:
    """The products with a matrix, whatever it is kept as.

    Args:
      a: an array, a sparse `BCOO` matrix, or an operator, which comes back as it is.
        Integers and 16-bit floats become float32.

    Returns:
      An operator that holds the array.

    Raises:
      ValueError: not one matrix of real numbers, or NaN or infinity in a concrete one.

    Example:
      >>> as_operator(jnp.ones((3, 2))).matvec(jnp.ones((2, 1))).ravel()
      Array([2., 2., 2.], dtype=float32)
    """
    held = check_operand("as_operator", a)
    if isinstance(held, LinearOperator):
        return held
    return wrap_products(held)


def check_operand(name: str, a: Matrix, *, look: bool = True) -> Matrix:
    """A matrix ready for products, or an error that names the routine.

    Args:
      name: of the routine, for messages.
      a: an array, a `BCOO` matrix or an operator.
      look: whether to look for NaN and infinity in a concrete array.

    Returns:
      The same, float32 or float64.

    Raises:
      ValueError: not one matrix of real numbers, an operator whose shape is not two
        sizes of at least 1, or NaN or infinity in a concrete array.

    Example:
      >>> check_operand("pca", jnp.ones((2, 2), jnp.int32)).dtype
      dtype('float32')
    """
    if not isinstance(a, BCOO | LinearOperator):
        is_ready = isinstance(a, jax.Array) and a.dtype in (jnp.float32, jnp.float64)
        if look or not is_ready or a.ndim != 2:
            a = as_matrix(name, a)
    if len(a.shape) != 2 or min(a.shape) < 1:
        raise ValueError(
            f"{name}: wanted a matrix with at least one row and column, "
            f"got shape {tuple(a.shape)}"
        )
    if isinstance(a, LinearOperator):
        if jnp.dtype(a.dtype) not in (jnp.float32, jnp.float64):
            raise ValueError(
                f"{name}: wanted an operator of float32 or float64, got {a.dtype}"
            )
        return a
    if isinstance(a, BCOO):
        if a.n_batch or a.n_dense:
            raise ValueError(
                f"{name}: wanted a BCOO matrix without batch and dense axes, got "
                f"n_batch={a.n_batch}, n_dense={a.n_dense}"
            )
        numbers = as_matrix(name, a.data[:, None])[:, 0]
        return BCOO(
            (numbers, a.indices),
            shape=a.shape,
            indices_sorted=a.indices_sorted,
            unique_indices=a.unique_indices,
        )
    return a


def wrap_products(a: Array | BCOO) -> LinearOperator:
    """The operator of a checked array or sparse matrix, which may be traced."""
    shape = (a.shape[0], a.shape[1])
    if isinstance(a, BCOO):
        return LinearOperator(shape, a.__matmul__, a.transpose().__matmul__, a.dtype)
    # (y.T a).T and not a.T y: a row-major `a` is then read along its rows, which
    # on CPU takes two thirds of the time.
    return LinearOperator(shape, lambda x: a @ x, lambda y: (y.T @ a).T, a.dtype)


def as_dense(operator: LinearOperator) -> Array:
    """All entries of an operator, from its product with the identity."""
    return operator.matvec(jnp.eye(operator.shape[1], dtype=operator.dtype))
