"""What every routine here does with its arguments: dtypes, checks, precision."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from jaxdl.typing import Array, Float, Int

_P = ParamSpec("_P")
_R = TypeVar("_R")


def full_precision(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorates a routine so that its matrix products are accurate to its dtype.

    On GPU and TPU the default for float32 keeps 10 or 8 bits of each factor, which
    singular values and orthogonality show at once.

    Args:
      function: the routine.

    Returns:
      The routine, traced with products of the highest precision.

    Example:
      >>> full_precision(jnp.dot)(jnp.ones(2), jnp.ones(2))
      Array(2., dtype=float32)
    """

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return run


def as_matrix(name: str, a: Array, *, batched: bool = False) -> Array:
    """An array ready for decomposition.

    Args:
      name: of the routine, for messages.
      a: a matrix of real numbers, concrete or traced. Integers and 16-bit floats become
        float32: factors rounded to 16 bits would not be orthonormal.
      batched: whether leading axes are allowed.

    Returns:
      The same numbers as float32, or float64 if they are.

    Raises:
      ValueError: the number of axes or the dtype does not fit, or a concrete array
        holds NaN or infinity. Traced ones can't be looked at: NaN comes out.

    Example:
      >>> as_matrix("thin_svd", jnp.ones((2, 1), jnp.int32)).dtype
      dtype('float32')
    """
    a = jnp.asarray(a)
    if a.ndim < 2 or (a.ndim > 2 and not batched):
        wanted = "a matrix (or a batch of them)" if batched else "a matrix"
        raise ValueError(f"{name}: wanted {wanted}, got shape {a.shape}")
    if jnp.issubdtype(a.dtype, jnp.complexfloating):
        raise ValueError(f"{name}: wanted real numbers, got {a.dtype}")
    if a.dtype not in (jnp.float32, jnp.float64):
        a = a.astype(jnp.float32)
    check_finite(name, a)
    return a


def check_finite(name: str, a: Array) -> None:
    """Refuses NaN and infinity where the numbers can be looked at.

    Args:
      name: of the routine, for the message.
      a: an array, concrete or traced.

    Raises:
      ValueError: a concrete array holds NaN or infinity.

    Example:
      >>> check_finite("pca", jnp.ones(3))
    """
    if isinstance(a, Tracer):
        return
    if not bool(jnp.isfinite(a).all()):
        count = int(np.sum(~np.isfinite(np.asarray(a))))
        raise ValueError(
            f"{name}: {count} of {a.size} numbers are NaN or infinite; remove or fill "
            "them first"
        )


def unit_scale(
    a: Float[Array, "*batch rows columns"],
) -> tuple[Float[Array, "*batch rows columns"], Int[Array, "*batch 1 1"]]:
    """Matrices times the power of two that makes their largest magnitude about 1.

    Exact, for subnormal numbers too, which compiled arithmetic on CPU takes for 0:
    those are read as the integers that their bits are.

    Args:
      a: float32 or float64, not empty.

    Returns:
      The scaled matrices, largest magnitude in [2, 4) or less (subnormal ones only),
      zeros for a matrix that is not finite; and exponents for `restore_scale`.

    Example:
      >>> unit_scale(jnp.array([[1e30, 0.0]]))[0]
      Array([[3.1554437, 0.       ]], dtype=float32)
    """
    integer, mantissa, bias = _layout(a.dtype)
    raw = lax.bitcast_convert_type(a, integer)
    bits = raw & jnp.iinfo(integer).max
    exponent = bits.max(axis=(-2, -1), keepdims=True) >> mantissa
    top = 2 * bias + 1
    normal = a * _power_of_two(top - exponent, a.dtype)
    unit = _power_of_two(bias + 2 - mantissa - exponent, a.dtype)
    tiny = bits.astype(a.dtype) * unit
    tiny = jnp.where(raw < 0, -tiny, tiny)
    scaled = jnp.where(bits < 1 << mantissa, tiny, normal)
    return jnp.where(exponent == top, 0, scaled), exponent


def restore_scale(
    s: Float[Array, "*batch values"], exponent: Int[Array, "*batch 1"]
) -> Float[Array, "*batch values"]:
    """Singular values of matrices from those of the matrices that `unit_scale` made.

    Args:
      s: at least 0.
      exponent: as `unit_scale` returned it, without the last axis.

    Returns:
      The values, rounded once where they are subnormal; NaN for those of a matrix
      that was not finite.

    Example:
      >>> scaled, exponent = unit_scale(jnp.array([[1e-30]]))
      >>> restore_scale(scaled[0], exponent[0])
      Array([1.e-30], dtype=float32)
    """
    integer, mantissa, bias = _layout(s.dtype)
    top = 2 * bias + 1
    bits = lax.bitcast_convert_type(s, integer)
    before, change = bits >> mantissa, exponent - bias - 1
    after = before + change
    # As integers: a product with a power of two that is itself subnormal would be 0.
    shift = jnp.clip(1 - after, 1, mantissa + 2)
    fraction = bits & ((1 << mantissa) - 1) | (1 << mantissa)
    subnormal = ((fraction >> (shift - 1)) + 1) >> 1
    moved = jnp.where(after > 0, bits + (change << mantissa), subnormal)
    moved = jnp.where(after < top, moved, top << mantissa)
    moved = jnp.where(before == 0, 0, jnp.where(before == top, bits, moved))
    return jnp.where(exponent == top, jnp.nan, lax.bitcast_convert_type(moved, s.dtype))


def _layout(dtype):
    """The integers as wide as a float, its bits of mantissa and its exponent's bias."""
    info = jnp.finfo(dtype)
    return (jnp.int32 if info.bits == 32 else jnp.int64), info.nmant, info.maxexp - 1


def _power_of_two(biased, dtype):
    """2**(biased - bias), within the range of normal numbers and 0."""
    integer, mantissa, bias = _layout(dtype)
    bits = jnp.clip(biased, 0, 2 * bias).astype(integer) << mantissa
    return lax.bitcast_convert_type(bits, dtype)
