"""How many singular values of a matrix count, and how many are worth keeping."""

import math

import jax.numpy as jnp

from jaxdl.linalg.arrays import as_matrix, check_finite, full_precision
from jaxdl.typing import Array, Float, Int, Shaped


@full_precision
def numerical_rank(
    a: Shaped[Array, "*batch rows columns"], *, rtol: float | None = None
) -> Int[Array, "*batch"]:
    """Number of singular values that rounding errors do not explain.

    Args:
      a: one or more matrices of any shape.
      rtol: values up to this share of the largest count as 0; by default
        max(rows, columns) times the dtype's epsilon.

    Returns:
      The rank, an integer array: jit-able.

    Raises:
      ValueError: not matrices of real numbers, or NaN or infinity in a concrete one.

    Example:
      >>> print(numerical_rank(jnp.array([[1.0, 2.0], [2.0, 4.0]])))
      1
    """
    a = as_matrix("numerical_rank", a, batched=True)
    if a.size == 0:
        return jnp.zeros(a.shape[:-2], jnp.int32)
    s = jnp.linalg.svd(a, compute_uv=False)
    return (s > rank_tolerance(a, rtol) * s[..., :1]).sum(-1).astype(jnp.int32)


@full_precision
def condition_number(
    a: Shaped[Array, "*batch rows columns"],
) -> Float[Array, "*batch"]:
    """Largest over smallest of the min(rows, columns) singular values.

    Args:
      a: one or more matrices, not empty. Values above 1 / epsilon of the dtype (8e6
        in float32) say no more than that the matrix is singular to rounding errors.

    Returns:
      The condition number, at least 1; infinite where the smallest is 0.

    Raises:
      ValueError: not matrices of real numbers, an empty one, or NaN or infinity in a
        concrete one.

    Example:
      >>> print(condition_number(jnp.array([[4.0, 0.0], [0.0, 0.5]])))
      8.0
    """
    a = as_matrix("condition_number", a, batched=True)
    if a.size == 0:
        raise ValueError(f"condition_number: the matrix is empty, of shape {a.shape}")
    s = jnp.linalg.svd(a, compute_uv=False)
    is_zero = s[..., -1] == 0
    return jnp.where(is_zero, jnp.inf, s[..., 0] / jnp.where(is_zero, 1, s[..., -1]))


@full_precision
def choose_rank(
    a: Shaped[Array, "rows columns"] | Shaped[Array, " values"],
    *,
    energy: float | None = None,
    psnr: float | None = None,
    noise: float | str | None = None,
    peak: float = 1.0,
    shape: tuple[int, int] | None = None,
) -> Int[Array, ""]:
    """The smallest rank that is good enough, by one of three rules.

    Args:
      a: a matrix, or its singular values in decreasing order.
      energy: share of the squared singular values to keep, in (0, 1].
      psnr: ratio of `peak` to the root mean square error to reach, in decibels.
      noise: standard deviation of noise in the entries, above 0, or "unknown" to take
        it from the median singular value: keeps the values above Gavish and Donoho's
        threshold, which is optimal in mean square for large matrices.
      peak: the largest value an entry can have, 255 for bytes; only for `psnr`.
      shape: of the matrix; needed for `psnr` and `noise` if `a` holds its singular
        values.

    Returns:
      The rank, an integer array of no axes; 0 where nothing need be kept.

    Raises:
      ValueError: not exactly one rule, a value out of its range, or no `shape` where
        it is needed.

    Source:
      Gavish and Donoho, The optimal hard threshold for singular values is 4/sqrt(3),
      IEEE Trans. Inf. Theory 60(8), 2014: equation 11, and equation 5 for unknown
      noise (its polynomial is within 0.02 of the exact factor).

    Example:
      >>> s = jnp.array([3.0, 1.0, 0.1])
      >>> print(choose_rank(s, energy=0.8), choose_rank(s, psnr=20.0, shape=(4, 3)))
      1 2
    """
    rules = {"energy": energy, "psnr": psnr, "noise": noise}
    given = [name for name, value in rules.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            "choose_rank: wanted one of energy, psnr and noise, got "
            f"{' and '.join(given) or 'none'}"
        )
    s, shape = _read_values(a, shape, is_shape_needed=energy is None)
    if noise is not None:
        return _count_above_noise(s, shape, noise)
    # Both rules are bounds of what is left out, scaled so that squares stay in range.
    largest = jnp.where(s.max(initial=0) > 0, s.max(initial=0), 1)
    squares = (s / largest) ** 2
    left_out = jnp.pad(jnp.cumsum(squares[::-1])[::-1], (0, 1))
    if energy is not None:
        if not 0 < energy <= 1:
            raise ValueError(f"choose_rank: energy {energy} is not in (0, 1]")
        allowed = (1 - energy) * left_out[0]
    else:
        if psnr is None or not (math.isfinite(psnr) and peak > 0):
            raise ValueError(
                f"choose_rank: wanted finite psnr and positive peak, got {psnr} dB "
                f"and {peak}"
            )
        root = peak * 10 ** (-psnr / 20) * math.sqrt(math.prod(shape))
        allowed = (root / largest) ** 2
    return (left_out > allowed).sum().astype(jnp.int32)


def rank_tolerance(a: Array, rtol: float | None) -> float:
    """The share of the largest singular value up to which others count as 0.

    Args:
      a: matrices; only the last two sizes and the dtype matter.
      rtol: the share the user wants, or None.

    Returns:
      rtol, or max(rows, columns) times the dtype's epsilon.

    Example:
      >>> round(rank_tolerance(jnp.ones((1000, 3)), None), 6)
      0.000119
    """
    if rtol is not None:
        return rtol
    return max(a.shape[-2:]) * float(jnp.finfo(a.dtype).eps)


def _read_values(
    a: Array, shape: tuple[int, int] | None, *, is_shape_needed: bool
) -> tuple[Array, tuple[int, int]]:
    """The singular values, and the shape of their matrix; (0, 0) where unneeded."""
    if jnp.ndim(a) != 1:
        a = as_matrix("choose_rank", a)
        values = jnp.linalg.svd(a, compute_uv=False) if a.size else jnp.zeros(0)
        return values, (a.shape[0], a.shape[1])
    check_finite("choose_rank", a)
    if not jnp.issubdtype(a.dtype, jnp.floating):
        a = a.astype(jnp.float32)
    if is_shape_needed and (shape is None or min(shape) != len(a)):
        raise ValueError(
            f"choose_rank: wanted the shape of the matrix that has these {len(a)} "
            f"singular values, got shape={shape}"
        )
    return a, shape or (0, 0)


def _count_above_noise(s: Array, shape: tuple[int, int], noise: float | str) -> Array:
    if not len(s):
        return jnp.int32(0)
    beta, size = min(shape) / max(shape), max(shape)
    if isinstance(noise, str):
        if noise != "unknown":
            raise ValueError(f"choose_rank: noise {noise!r} is no number or 'unknown'")
        factor = ((0.56 * beta - 0.95) * beta + 1.82) * beta + 1.43
        threshold = factor * jnp.median(s)
    else:
        if not 0 < noise < math.inf:
            raise ValueError(f"choose_rank: noise {noise} is not above 0 and finite")
        root = beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)
        factor = math.sqrt(2 * (beta + 1) + 8 * beta / root)
        threshold = factor * math.sqrt(size) * noise
    return (s > threshold).sum().astype(jnp.int32)
