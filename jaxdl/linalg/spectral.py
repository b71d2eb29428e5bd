"""Functions of singular values, with exact gradients where values repeat or are 0."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.svd import thin_svd
from jaxdl.typing import Array, Float, Shaped

_Elementwise = Callable[[Array], Array]

_ULPS = 32
"""Rounding errors of `f` that are reckoned with, in units of eps * max |f|."""


@full_precision
def spectral_function(
    a: Shaped[Array, "*batch rows columns"], f: _Elementwise
) -> Float[Array, "*batch rows columns"]:
    """U f(S) V.T, differentiable wherever the function of the matrix is.

    Derivatives through the vectors of an SVD fail at repeated singular values (NaN,
    or a finite wrong answer); here the function is differentiated as a whole, by
    quotients (f(x) - f(y)) / (x - y) over pairs of singular values.

    Needed of `f`: f(0) = 0, as the vectors of zero singular values are arbitrary (so
    are the columns by which a matrix isn't square), and a derivative at each singular
    value, at 0 one from the right. Kinks and jumps between the values do no harm. If
    f(0) isn't 0 the result holds only for matrices of full rank; where the derivative
    at 0 isn't finite (`jnp.sqrt`), that of pairs of zeros is taken as 0.

    Args:
      a: as for `thin_svd`.
      f: elementwise, of JAX functions, given arrays of the shape of the singular
        values; may close over traced numbers, and gradients reach those too.

    Returns:
      Matrices of the shape of `a`. Second derivatives are right where singular values
      differ and are not 0.

    Raises:
      ValueError: as for `thin_svd`, or `f` changes shape or dtype.

    Source:
      Noferini, "A formula for the Frechet derivative of a generalized matrix
      function" (2017). Where two values are so near that the quotient is rounding
      error, the mean derivative between them replaces it (Simpson's rule).

    Example:
      >>> spectral_function(jnp.diag(jnp.array([3.0, -2.0])), jnp.square)
      Array([[ 9.,  0.],
             [ 0., -4.]], dtype=float32)
    """
    a = as_matrix("spectral_function", a, batched=True)
    values = jax.ShapeDtypeStruct((*a.shape[:-2], min(a.shape[-2:])), a.dtype)
    result = jax.eval_shape(f, values)
    if (result.shape, result.dtype) != (values.shape, values.dtype):
        raise ValueError(
            f"spectral_function: f made {result.dtype}{list(result.shape)} of "
            f"{values.dtype}{list(values.shape)}; wanted shape and dtype kept"
        )
    pure, constants = jax.closure_convert(f, jnp.zeros(values.shape, values.dtype))
    return _apply(pure, a, tuple(constants))[0]


@full_precision
def nuclear_norm(a: Shaped[Array, "*batch rows columns"]) -> Float[Array, "*batch"]:
    """The sum of the singular values.

    The gradient is U V.T over the values that are not numerically 0: at matrices of
    lower rank, where there is no gradient, the smallest subgradient.

    Args:
      a: as for `thin_svd`.

    Returns:
      One number per matrix, in the unit of its entries; 0 for one without entries.

    Raises:
      ValueError: as for `thin_svd`.

    Example:
      >>> nuclear_norm(jnp.diag(jnp.array([3.0, -2.0])))
      Array(5., dtype=float32)
    """
    return _nuclear_norm(as_matrix("nuclear_norm", a, batched=True))


@full_precision
def singular_value_threshold(
    a: Shaped[Array, "*batch rows columns"], threshold: float | Float[Array, "*batch"]
) -> Float[Array, "*batch rows columns"]:
    """The matrix with each singular value made smaller by `threshold`, but not below 0.

    It minimises |x - a|**2 / 2 + threshold * nuclear_norm(x) over x.

    Args:
      a: as for `thin_svd`.
      threshold: at least 0, one number or one per matrix of the batch, in the unit of
        the entries. Gradients with respect to it are exact, too, except where it
        equals a singular value.

    Returns:
      Matrices of the shape of `a`, of lower rank.

    Raises:
      ValueError: `threshold` is concrete and negative or NaN; or as for `thin_svd`.

    Source:
      Cai, Candes and Shen, "A singular value thresholding algorithm for matrix
      completion" (2010), theorem 2.1.

    Example:
      >>> singular_value_threshold(jnp.diag(jnp.array([3.0, -2.0])), 2.5)
      Array([[0.5, 0. ],
             [0. , 0. ]], dtype=float32)
    """
    a = as_matrix("singular_value_threshold", a, batched=True)
    threshold = jnp.asarray(threshold, a.dtype)
    if not isinstance(threshold, Tracer) and not (threshold >= 0).all():
        raise ValueError(
            f"singular_value_threshold: wanted a threshold of at least 0, "
            f"got {threshold}"
        )
    threshold = jnp.broadcast_to(threshold, a.shape[:-2])[..., None]
    return _apply(_shrink, a, (threshold,))[0]


def _shrink(s, threshold):
    """The soft threshold."""
    return jnp.maximum(s - threshold, 0)


def _is_positive(s, *, size):
    """1 for singular values that are not numerically 0, else 0."""
    noise = size * jnp.finfo(s.dtype).eps * s.max(axis=-1, keepdims=True, initial=0)
    return (s > noise).astype(s.dtype)


@jax.custom_jvp
def _nuclear_norm(a):
    """The norm of each matrix."""
    return thin_svd(a).s.sum(axis=-1)


@_nuclear_norm.defjvp
@full_precision
def _differentiate_norm(primals, tangents):
    """The direction is a spectral function: the gradient has exact gradients, too."""
    (a,), (da,) = primals, tangents
    kept = functools.partial(_is_positive, size=max(a.shape[-2:]))
    direction, s = _apply(kept, a, ())
    return s.sum(axis=-1), (direction * da).sum(axis=(-2, -1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _apply(f, a, constants):
    """U f(S) V.T, and S."""
    u, s, vt = thin_svd(a)
    return (u * f(s, *constants)[..., None, :]) @ vt, s


@_apply.defjvp
@full_precision
def _differentiate(f, primals, tangents):
    """What `a` changes through sums and differences of pairs, and what `f` does.

    With P = U.T da V the symmetric part of P is multiplied by the quotients of
    f(s_i) - f(s_j), the skew part by those of f(s_i) + f(s_j), and what lies outside
    of the span of U or V by f(s) / s.
    """
    (a, constants), (da, dconstants) = primals, tangents
    u, s, vt = thin_svd(a)
    values, change = jax.jvp(lambda *c: f(s, *c), constants, dconstants)
    result = (u * values[..., None, :]) @ vt
    if a.size == 0:
        return (result, s), (result, s)
    left, right = jnp.swapaxes(u, -1, -2) @ da, da @ jnp.swapaxes(vt, -1, -2)
    inner = left @ jnp.swapaxes(vt, -1, -2)
    flipped = jnp.swapaxes(inner, -1, -2)
    quotients = functools.partial(_quotients, lambda x: f(x, *constants), s)
    same, across = quotients(1, max(a.shape[-2:])), quotients(-1, max(a.shape[-2:]))
    turn = same * (inner + flipped) / 2 + across * (inner - flipped) / 2
    tangent = (u @ turn + u * change[..., None, :]) @ vt
    ratio = jnp.diagonal(across, axis1=-2, axis2=-1)[..., None, :]
    if a.shape[-2] > a.shape[-1]:
        tangent += ((right - u @ inner) * ratio) @ vt
    if a.shape[-2] < a.shape[-1]:
        tangent += (u * ratio) @ (left - inner @ vt)
    return (result, s), (tangent, jnp.diagonal(inner, axis1=-2, axis2=-1))


def _quotients(f, s, sign, size):
    """(f(x) - f(y)) / (x - y) for x = s_i, y = sign * s_j, where f(-x) = -f(x).

    Where x and y are equal but for rounding errors, or the rise of `f` between them is
    by Simpson's rule what the difference says up to its rounding error, Simpson's rule
    is better. Otherwise `f` may have a kink or jump between them.
    """
    eps = jnp.finfo(s.dtype).eps
    values, slopes = f(s), _slope(f, s)
    x, y = s[..., :, None] / 2, sign * s[..., None, :] / 2
    rise = values[..., :, None] / 2 - sign * values[..., None, :] / 2
    run = x - y
    between = jax.vmap(functools.partial(_slope, f), in_axes=-1, out_axes=-1)
    ends = slopes[..., :, None] + slopes[..., None, :]
    smooth = (4 * between(jnp.abs(x + y)) + ends) / 6
    defined = jnp.isfinite(smooth)
    smooth = jnp.where(defined, smooth, 0)
    error = jnp.abs(rise - smooth * run)
    top = s.max(axis=-1)[..., None, None]
    scale = jnp.abs(values)
    own = scale[..., :, None] + scale[..., None, :]
    near = error <= _ULPS * eps * own
    # Cancellation within f, as in exp(s) - 1, leaves errors of the size of its top.
    worst = _ULPS * eps * scale.max(axis=-1)[..., None, None]
    near |= (jnp.abs(run) <= eps ** (1 / 3) * top) & (error <= worst)
    tied = jnp.abs(run) <= jnp.maximum(size * eps * top, jnp.finfo(s.dtype).tiny)
    direct = rise / jnp.where(tied, 1, run)
    return jnp.where(tied | (near & defined), smooth, direct)


def _slope(f, x):
    """The derivative of an elementwise function."""
    return jax.jvp(f, (x,), (jnp.ones_like(x),))[1]
