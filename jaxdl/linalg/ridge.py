"""Ridge regression for many strengths at once, from one decomposition."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxdl.linalg.arrays import as_matrix, check_finite, full_precision
from jaxdl.linalg.least_squares import decompose_rows, invert_values, read_targets
from jaxdl.linalg.rank import rank_tolerance
from jaxdl.typing import Array, Float, Int, Shaped


class Ridge(NamedTuple):
    """Ridge regressions of the same data; the first axis of each is the strength.

    Attributes:
      coefficients: of the features.
      intercepts: the prediction where all features are 0; 0 without an intercept.
      leave_one_out: mean squared error on examples that the fit had not seen, each
        left out once; infinite where an example decides its own prediction.
      generalized: generalised cross-validation, the same with the average leverage in
        place of each example's own.
      degrees_of_freedom: trace of the map from targets to fitted values.
      best: index of the strength of the least `leave_one_out`, mean over the targets.
    """

    coefficients: (
        Float[Array, "strengths columns"] | Float[Array, "strengths columns targets"]
    )
    intercepts: Float[Array, " strengths"] | Float[Array, "strengths targets"]
    leave_one_out: Float[Array, " strengths"] | Float[Array, "strengths targets"]
    generalized: Float[Array, " strengths"] | Float[Array, "strengths targets"]
    degrees_of_freedom: Float[Array, " strengths"]
    best: Int[Array, ""]


@full_precision
def ridge(
    x: Shaped[Array, "rows columns"],
    y: Shaped[Array, " rows"] | Shaped[Array, "rows targets"],
    strengths: Shaped[Array, " strengths"],
    *,
    fit_intercept: bool = True,
) -> Ridge:
    """Minimises |x w + c - y|^2 + strength |w|^2 for all strengths at once.

    The leave-one-out errors are exact, not an estimate; they cost no further fits.

    Args:
      x: features of each example; not scaled here, which matters to a penalty.
      y: targets, of one regression or one in each column.
      strengths: at least 0, in the units of a squared singular value of x; 0 gives
        the shortest least squares solution.
      fit_intercept: whether to fit the constant c, which is not penalised.

    Returns:
      Coefficients, intercepts, errors and degrees of freedom by strength, and the
      index of the best strength.

    Raises:
      ValueError: sizes that do not match, no strength or a negative one, or NaN or
        infinity in concrete arrays.

    Source:
      Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd
      edition, sections 3.4.1 and 7.10; Golub, Heath and Wahba, Technometrics 21(2),
      1979, for generalised cross-validation.

    Example:
      >>> x, y = jnp.array([[0.0], [1.0], [2.0]]), jnp.array([1.0, 3.0, 5.0])
      >>> fit = ridge(x, y, jnp.array([0.0, 2.0]))
      >>> print(fit.coefficients.ravel(), fit.intercepts, fit.best)
      [2. 1.] [1. 2.] 0
    """
    x = as_matrix("ridge", x)
    y = read_targets("ridge", y, x)
    strengths = _read_strengths(strengths).astype(x.dtype)
    if not len(x):
        raise ValueError("ridge: there is no example")
    targets = y.reshape(len(y), -1)
    x_mean, y_mean = jnp.zeros(x.shape[1], x.dtype), jnp.zeros_like(targets[:1])
    if fit_intercept:
        x_mean, y_mean = x.mean(axis=0), targets.mean(axis=0, keepdims=True)
    fit = _fit(x - x_mean[None], targets - y_mean, strengths, fit_intercept)
    coefficients, errors, generalized, freedom = fit
    intercepts = y_mean - jnp.einsum("f,sft->st", x_mean, coefficients)
    best = jnp.argmin(errors.mean(axis=1)).astype(jnp.int32)
    if y.ndim == 1:
        coefficients = coefficients[..., 0]
        intercepts, errors, generalized = (
            each[:, 0] for each in (intercepts, errors, generalized)
        )
    return Ridge(coefficients, intercepts, errors, generalized, freedom, best)


def _read_strengths(strengths: Array) -> Array:
    strengths = jnp.asarray(strengths)
    if strengths.ndim != 1 or not len(strengths):
        raise ValueError(
            f"ridge: wanted a list of strengths, got shape {strengths.shape}"
        )
    check_finite("ridge", strengths)
    is_concrete = not isinstance(strengths, Tracer)
    if is_concrete and bool((strengths < 0).any()):
        raise ValueError(f"ridge: strength {float(strengths.min())} is negative")
    return strengths


@functools.partial(jax.jit, static_argnums=3)
def _fit(
    x: Array, y: Array, strengths: Array, fit_intercept: bool
) -> tuple[Array, Array, Array, Array]:
    """Coefficients and both errors of centred data; the degrees of freedom."""
    rows = len(x)
    u, s, vt = decompose_rows(x)
    inverses = invert_values(s, rank_tolerance(x, None))
    u = jnp.where(inverses == 0, 0, u)  # directions that x does not have
    # Shares of each direction that stay: s^2 / (s^2 + strength), free of overflow.
    ratios = strengths[:, None] * inverses[None] * inverses[None]
    shares = jnp.where(inverses == 0, 0, 1 / (1 + ratios))
    along = u.T @ y
    scaled = (shares * inverses[None])[..., None] * along[None]
    coefficients = jnp.einsum("kf,skt->sft", vt, scaled)
    # What is left of an example's target and leverage: outside of the directions, and
    # what each direction loses. Subtracting the sums from 1 would cost digits.
    lost = jnp.where(inverses == 0, 0, 1 - shares)
    lost = jnp.where(ratios < 0.5, ratios * shares, lost)
    outside = y - u @ along
    residuals = outside[None] + jnp.einsum("nk,sk,kt->snt", u, lost, along)
    free = 1 - fit_intercept / rows - (u * u).sum(axis=1)
    free = jnp.where(free > 16 * jnp.finfo(x.dtype).eps, free, 0)
    free = free[None] + jnp.einsum("nk,sk->sn", u * u, lost)
    is_free = free > 0
    left_out = residuals / jnp.where(is_free, free, 1)[..., None]
    left_out = jnp.where(is_free[..., None], left_out, jnp.inf)
    freedom = int(fit_intercept) + shares.sum(axis=1)
    average = free.mean(axis=1)[:, None]
    squares = (residuals**2).mean(axis=1)
    generalized = jnp.where(average > 0, squares / average**2, jnp.inf)
    return coefficients, (left_out**2).mean(axis=1), generalized, freedom
