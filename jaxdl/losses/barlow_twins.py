"""Barlow Twins: two views' embeddings agree, and their features are not redundant.

N is the number of examples of the global batch, D of features. C is the D x D matrix
of correlations between the features of one view and those of the other.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jaxdl.losses.barlow_twins_routes import choose_barlow_twins_route
from jaxdl.losses.barlow_twins_sums import (
    AxisName,
    add_up,
    count_devices,
    count_examples,
    drop_diagonal,
    make_gram,
    multiply,
    standardize,
    sum_correlations,
)
from jaxdl.typing import Array, Float

_ROUTES = ("auto", "correlation", "gram")


class BarlowTwinsStatistics(NamedTuple):
    """What to log of a batch; float32 scalars."""

    loss: Float[Array, ""]
    """on_diagonal + off_diagonal_weight * off_diagonal."""
    on_diagonal: Float[Array, ""]
    """Sum of (1 - C_ii)^2."""
    off_diagonal: Float[Array, ""]
    """Sum of C_ij^2 over i != j, not weighted."""
    mean_correlation: Float[Array, ""]
    """Mean of |C_ij| over i != j, in [0, 1]."""
    effective_rank: Float[Array, ""]
    """Of the embeddings' covariance, in [1, min(2 N, D)]; 0 if nothing varies."""
    minimum: Float[Array, ""]
    """The least loss that this N and D allow, see `barlow_twins_minimum`."""


def barlow_twins_loss(
    z1: Float[Array, "batch features"],
    z2: Float[Array, "batch features"],
    *,
    off_diagonal_weight: float = 5.1e-3,
    route: str = "auto",
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    """Squared distance of C to the identity, off the diagonal weighted; of a batch.

    Both views are standardised on their own over the global batch. Computed in float32
    with full products, whatever the inputs are.

    Args:
      z1: one view's embeddings, of any float dtype; row n belongs to row n of `z2`.
      z2: the other view's.
      off_diagonal_weight: lambda of the paper, at least 0.
      route: `"correlation"` makes the D x D matrix, `"gram"` two N x N matrices whose
        product is the sum of its squares, for small batches: both give the same
        numbers. `"auto"` takes the cheaper one, see `choose_barlow_twins_route`.
      axis_name: of a mapped axis (of `shard_map` or `pmap`), or several, over which the
        global batch is split: each device gives as many rows. Not needed in code that
        sees the global batch, such as `jit` of sharded arrays.

    Returns:
      A float32 scalar, the same on all devices; NaN if an input is not finite. Sums, as
      the paper's: random embeddings start at D + lambda D (D - 1) / N. The gradients
      come back in the inputs' dtypes, and are finite for a feature that is constant.
      They are written out: `jax.jvp` of the loss raises, `jax.hessian` works.
      Inside `shard_map` they are those of the global loss; where it does not track what
      varies (`check_vma=False`, `pmap`), reduce the parameters' with `pmean`.

    Raises:
      ValueError: not two matrices of one shape, fewer than 2 examples in all, no
        feature, a negative weight, or an unknown route.

    Source:
      Zbontar et al. 2021, eq. 1 and 2, arXiv:2103.03230, with the standardisation of
      the authors' code (1/N, 1e-5 added to the variance) and its weight. Differs from
      it: gradients on several devices are the global loss's, not 1/devices of it; the
      Gram route is ours.

    Example:
      >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
      >>> barlow_twins_loss(x, 2 * x + 4).round(3)
      Array(0., dtype=float32)
    """
    name = "barlow_twins_loss"
    on, off = _add_sums(name, z1, z2, off_diagonal_weight, route, axis_name)
    return on + off_diagonal_weight * off


def barlow_twins_terms(
    z1: Float[Array, "batch features"],
    z2: Float[Array, "batch features"],
    *,
    route: str = "auto",
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The two sums that the loss weighs, for those who log them beside it.

    Args:
      z1: one view's embeddings, as for `barlow_twins_loss`.
      z2: the other view's.
      route: as for `barlow_twins_loss`.
      axis_name: as for `barlow_twins_loss`.

    Returns:
      Sum of (1 - C_ii)^2, and of C_ij^2 over i != j; with derivatives as the loss has.

    Raises:
      ValueError: as `barlow_twins_loss`.

    Source:
      Zbontar et al. 2021, eq. 1, arXiv:2103.03230.

    Example:
      >>> x = jnp.array([[1.0], [-1.0]])
      >>> [float(term.round(2)) for term in barlow_twins_terms(x, -x)]
      [4.0, 0.0]
    """
    return _add_sums("barlow_twins_terms", z1, z2, 0.0, route, axis_name)


def cross_correlation(
    z1: Float[Array, "batch features"],
    z2: Float[Array, "batch features"],
    *,
    axis_name: AxisName = None,
) -> Float[Array, "features features"]:
    """C: entry (i, j) correlates feature i of one view with feature j of the other.

    Args:
      z1: one view's embeddings, as for `barlow_twins_loss`.
      z2: the other view's.
      axis_name: as for `barlow_twins_loss`.

    Returns:
      Float32 numbers in [-1, 1], the same on all devices.

    Raises:
      ValueError: as `barlow_twins_loss`.

    Source:
      Zbontar et al. 2021, eq. 2, arXiv:2103.03230.

    Example:
      >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
      >>> (cross_correlation(x, -x).round(2) + 0.0).tolist()
      [[-1.0, 0.0], [0.0, -1.0]]
    """
    count = _count_checked("cross_correlation", z1, z2, 0.0, axis_name)
    views = (jnp.asarray(z).astype(jnp.float32) for z in (z1, z2))
    first, second = (standardize(x, axis_name)[0] for x in views)
    return add_up(multiply(first, second, over=(0, 0)), axis_name) / count


def barlow_twins_minimum(
    num_examples: int, num_features: int, *, off_diagonal_weight: float = 5.1e-3
) -> float:
    """The least loss that a batch of this size allows.

    C has at most the rank N - 1, so more features than that cannot all be uncorrelated:
    the loss of small batches stays large however good the embeddings are.

    Args:
      num_examples: N, of the global batch; at least 2.
      num_features: D, of the embeddings; at least 1.
      off_diagonal_weight: as for the loss, in [0, 1].

    Returns:
      D w r / (1 + w r) for the weight w and r = D / (N - 1) - 1, or 0 if that is
      negative. It is attained, with equal C_ii = 1 / (1 + w r).

    Raises:
      ValueError: a number is out of its range.

    Example:
      >>> round(barlow_twins_minimum(256, 8192, off_diagonal_weight=0.005))
      1103
    """
    if num_examples < 2 or num_features < 1 or not 0 <= off_diagonal_weight <= 1:
        raise ValueError(
            "barlow_twins_minimum: wanted num_examples of at least 2, num_features of "
            "at least 1 and off_diagonal_weight in [0, 1], got "
            f"{num_examples}, {num_features} and {off_diagonal_weight}"
        )
    excess = max(0.0, num_features / (num_examples - 1) - 1)
    weight = off_diagonal_weight * excess
    return num_features * weight / (1 + weight)


def barlow_twins_statistics(
    z1: Float[Array, "batch features"],
    z2: Float[Array, "batch features"],
    *,
    off_diagonal_weight: float = 5.1e-3,
    axis_name: AxisName = None,
) -> BarlowTwinsStatistics:
    """The parts of the loss and how redundant the embeddings are, for a log.

    Takes 2 N D^2 flops for the mean of |C_ij|, by blocks of C, and the eigenvalues of
    the smaller side of the covariance, min(2 N, D): more than the loss by the Gram
    route, so every so many steps.

    Args:
      z1: one view's embeddings, as for `barlow_twins_loss`.
      z2: the other view's.
      off_diagonal_weight: in [0, 1].
      axis_name: as for `barlow_twins_loss`.

    Returns:
      Scalars, the same on all devices; see `BarlowTwinsStatistics`.

    Raises:
      ValueError: as `barlow_twins_loss` and `barlow_twins_minimum`.

    Source:
      Effective rank: Roy and Vetterli, "The effective rank: a measure of effective
      dimensionality", EUSIPCO 2007, definition 1; of the mean of both views'
      covariances (centred, not scaled).

    Example:
      >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
      >>> barlow_twins_statistics(x, x).effective_rank
      Array(2., dtype=float32)
    """
    name = "barlow_twins_statistics"
    count = _count_checked(name, z1, z2, off_diagonal_weight, axis_name)
    num_features = z1.shape[1]
    minimum = barlow_twins_minimum(
        count, num_features, off_diagonal_weight=off_diagonal_weight
    )
    views = [
        standardize(jnp.asarray(z).astype(jnp.float32), axis_name) for z in (z1, z2)
    ]
    on, off, absolute = _sum_by_blocks(views[0][0], views[1][0], count, axis_name)
    centered = jnp.concatenate([z / scale[None] for z, _, scale in views])
    return BarlowTwinsStatistics(
        loss=on + off_diagonal_weight * off,
        on_diagonal=on,
        off_diagonal=off,
        mean_correlation=absolute / max(1, num_features * (num_features - 1)),
        effective_rank=_effective_rank(centered, axis_name),
        minimum=jnp.float32(minimum),
    )


def _add_sums(name, z1, z2, weight, route, axis_name):
    """The two sums over the global batch, once the arguments are checked."""
    count = _count_checked(name, z1, z2, weight, axis_name)
    if route not in _ROUTES:
        raise ValueError(f"{name}: route must be one of {_ROUTES}, got {route!r}")
    x1, x2 = (jnp.asarray(z).astype(jnp.float32) for z in (z1, z2))
    if route == "auto":
        num_devices = count_devices(x1, axis_name)
        route = choose_barlow_twins_route(count, x1.shape[1], num_devices=num_devices)
    on, off = sum_correlations(x1, x2, route, axis_name)
    return add_up(on, axis_name), add_up(off, axis_name)


def _sum_by_blocks(z1, z2, count, axis_name):
    """Sums of (1 - C_ii)^2, and of C_ij^2 and |C_ij| off the diagonal."""
    num_features = z1.shape[1]
    size = max(1024, -(-num_features // 16))  # at most 16 blocks, or compiling is slow
    on = off = absolute = jnp.float32(0.0)
    for start in range(0, num_features, size):
        block = multiply(z1[:, start : start + size], z2, over=(0, 0))
        block = add_up(block, axis_name) / count
        rest = drop_diagonal(block, first=start)
        on += jnp.sum(jnp.square(1.0 - jnp.diagonal(block, offset=start)))
        off += jnp.sum(jnp.square(rest))
        absolute += jnp.sum(jnp.abs(rest))
    return on, off, absolute


def _effective_rank(rows, axis_name):
    """Exp of the entropy of the spectrum of rows^T rows, by its smaller side."""
    count = count_examples(rows, axis_name)
    if count >= rows.shape[1]:
        matrix = add_up(multiply(rows, rows, over=(0, 0)), axis_name)
    else:
        matrix, _ = make_gram(rows, axis_name)
        if axis_name is not None:  # by a sum, as all devices are known to have that
            start = len(rows) * lax.axis_index(axis_name)
            whole = jnp.zeros((count, count), matrix.dtype)
            matrix = lax.dynamic_update_slice_in_dim(whole, matrix, start, axis=0)
            matrix = lax.psum(matrix, axis_name)
    values = jnp.maximum(jnp.linalg.eigvalsh(matrix), 0.0)
    total = jnp.sum(values)
    shares = values / jnp.where(total > 0, total, 1.0)
    logs = jnp.log(jnp.where(shares > 0, shares, 1.0))
    return jnp.where(total > 0, jnp.exp(-jnp.sum(shares * logs)), total)


def _count_checked(name, z1, z2, weight, axis_name):
    """Examples of the global batch, if the arguments fit."""
    if z1.ndim != 2 or z1.shape != z2.shape:
        raise ValueError(
            f"{name}: wanted two matrices of one shape (batch, features), "
            f"got {z1.shape} and {z2.shape}"
        )
    count = count_examples(z1, axis_name)
    if count < 2 or not z1.shape[1]:
        raise ValueError(
            f"{name}: wanted at least 2 examples in the global batch and a feature, "
            f"got {count} and {z1.shape[1]}"
        )
    if weight < 0:
        raise ValueError(
            f"{name}: off_diagonal_weight must be at least 0, got {weight}"
        )
    return count
