"""The two sums of Barlow Twins' loss and their gradients, written out."""

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxdl.losses.barlow_twins_routes import count_halvings

EPSILON = 1e-5
"""Added to variances, as by the batch norm in the authors' code."""

AxisName = str | tuple[str, ...] | None

_T = TypeVar("_T")

_FEW = 16
"""Examples below which it costs nothing to take more care."""

_BLOCK = 2**17
"""Numbers of a block of features: a few of them stay in a core's cache."""


def count_examples(x: Any, axis_name: AxisName) -> int:
    """Rows of the global batch."""
    return len(x) * (1 if axis_name is None else lax.axis_size(axis_name))


def count_devices(x: Any, axis_name: AxisName) -> int:
    """Devices that the batch is split over; all of a mesh that only `jit` sees."""
    if axis_name is not None:
        return lax.axis_size(axis_name)
    mesh = jax.typeof(x).sharding.mesh
    axes = zip(mesh.axis_types, mesh.axis_sizes, strict=True)
    return math.prod(size for kind, size in axes if kind != AxisType.Manual)


def add_up(x: Any, axis_name: AxisName) -> Any:
    """The sum over the devices of a mapped axis, if there is one."""
    return x if axis_name is None else lax.psum(x, axis_name)


def multiply(a: Any, b: Any, *, over: tuple[int, int] = (1, 0)) -> Any:
    """A matrix product that keeps all bits of float32 on every device.

    Args:
      a: a matrix.
      b: another.
      over: the axes that are summed over.
    """
    axes = (over[:1], over[1:]), ((), ())
    return lax.dot_general(a, b, axes, precision=lax.Precision.HIGHEST)


def standardize(x: Any, axis_name: AxisName = None) -> tuple[Any, Any, Any]:
    """Columns of mean 0 and variance 1 over the global batch; their means and scales.

    Args:
      x: float32, the rows that this device holds.
      axis_name: as for the loss.
    """
    count = count_examples(x, axis_name)
    mean = add_up(jnp.sum(x, axis=0), axis_name) / count
    centered = x - mean[None]
    # From centred numbers: the mean of squares less the squared mean loses all digits
    # of a feature that is far from 0.
    variance = add_up(jnp.sum(jnp.square(centered), axis=0), axis_name) / count
    scale = lax.rsqrt(variance + EPSILON)
    return centered * scale[None], mean, scale


def make_gram(z: Any, axis_name: AxisName) -> tuple[Any, Any]:
    """This device's rows of Z Z^T, and the rows of Z of all devices."""
    if axis_name is not None:
        everyone = lax.all_gather(z, axis_name, tiled=True)
    elif count_devices(z, None) > 1:
        # Said outright: XLA would gather the rows for this product and again for the
        # next. Blocks of the rows, it would move about.
        mesh = jax.typeof(z).sharding.mesh
        spec = P(None, P.UNCONSTRAINED)
        everyone = lax.with_sharding_constraint(z, NamedSharding(mesh, spec))
    else:
        return _join_gram(_split_gram(z, count_halvings(len(z)))), z
    return multiply(z, everyone, over=(1, 1)), everyone


def drop_diagonal(matrix: Any, *, first: int = 0) -> Any:
    """The matrix with 0 on its diagonal, which starts in column `first`."""
    rows = lax.broadcasted_iota(jnp.int32, matrix.shape, 0)
    columns = lax.broadcasted_iota(jnp.int32, matrix.shape, 1)
    return jnp.where(rows + first == columns, 0.0, matrix)


def sum_correlations(x1: Any, x2: Any, route: str, axis_name: AxisName) -> Any:
    """Sums of (1 - C_ii)^2 and of C_ij^2 off the diagonal: this device's shares.

    Args:
      x1: float32 embeddings, the rows that this device holds.
      x2: those of the other view.
      route: `"correlation"` or `"gram"`.
      axis_name: as for the loss. The shares' sums over it are the values: so gradients
        are right whether or not `shard_map` keeps track of what varies.

    Returns:
      Two scalars.
    """
    alone = axis_name is None and count_devices(x1, None) == 1
    if route == "gram" and alone and jax.default_backend() == "cpu":
        return _sum_by_blocks(x1, x2)
    return _sum_whole(x1, x2, route, axis_name)


# --- All features at once ------------------------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _sum_whole(x1, x2, route, axis_name):
    return _whole_forward(x1, x2, route, axis_name)[0]


def _whole_forward(x1, x2, route, axis_name):
    count = count_examples(x1, axis_name)
    z1, _, scale1 = standardize(x1, axis_name)
    z2, _, scale2 = standardize(x2, axis_name)
    diagonal = add_up(jnp.sum(z1 * z2, axis=0), axis_name) / count
    if route == "gram":
        (gram1, all1), (gram2, all2) = (make_gram(z, axis_name) for z in (z1, z2))
        everything = add_up(jnp.sum(gram1 * gram2), axis_name)
        sums = _sums_of_gram(everything, diagonal, count)
        saved = gram1, gram2, all1, all2
    else:
        saved = add_up(multiply(z1, z2, over=(0, 0)), axis_name) / count
        off = jnp.sum(jnp.square(drop_diagonal(saved)))
        sums = jnp.sum(jnp.square(1.0 - diagonal)), off
    if axis_name is not None:  # all have the sums: the first device's share is all
        first = jnp.float32(lax.axis_index(axis_name) == 0)
        sums = sums[0] * first, sums[1] * first
    return sums, (z1, z2, scale1, scale2, diagonal, saved)


def _whole_backward(route, axis_name, residuals, grads):
    z1, z2, scale1, scale2, diagonal, saved = residuals
    count = count_examples(z1, axis_name)
    slope, weight = _slopes(grads, diagonal, count)
    if route == "gram":
        gram1, gram2, all1, all2 = saved
        product1 = multiply(gram2 * (weight / count), all1)
        product2 = multiply(gram1 * (weight / count), all2)
    else:
        weighted = saved * weight
        product1 = multiply(z2, weighted, over=(1, 1))
        product2 = multiply(z1, weighted)
    finish = functools.partial(_through, slope, diagonal, axis_name)
    return finish(z1, scale1, z2, product1), finish(z2, scale2, z1, product2)


_sum_whole.defvjp(_whole_forward, _whole_backward)


def _sums_of_gram(everything, diagonal, count):
    """From <Z1 Z1^T, Z2 Z2^T> = |Z1^T Z2|^2: all of C, whose entries are never made."""
    everything = everything / count**2 - jnp.sum(jnp.square(diagonal))
    return jnp.sum(jnp.square(1.0 - diagonal)), jnp.maximum(everything, 0.0)


def _slopes(grads, diagonal, count):
    """Gradients with respect to C_ii and to C_ij / C_ij, over the examples.

    The second holds for i = j too in what it multiplies, so the first makes up for it.
    """
    on, off = grads
    slope = -2.0 * (on * (1.0 - diagonal) + off * diagonal) / count
    return slope, 2.0 * off / count


def _through(slope, diagonal, axis_name, z, scale, other, product):
    """The gradient with respect to a view that was standardised to `z`.

    Its mean over the examples is 0 by itself: it is a combination of the other view's
    rows, or of its Gram matrix's, whose means are 0.
    """
    count = count_examples(z, axis_name)
    average = lambda x: add_up(jnp.sum(x, axis=0), axis_name) / count
    along = average(z * product) + slope * diagonal
    grads = product + slope[None] * other - along[None] * z
    if count < _FEW:
        # So little is left of what two examples differ by that rounding shows.
        grads -= average(grads)[None]
        along = average(z * grads) - along * EPSILON * jnp.square(scale)
        grads -= along[None] * z
    return scale[None] * grads


# --- Block by block of the features, on one CPU --------------------------------------
#
# The embeddings pass through the caches once forward and once backward, and next to no
# memory is needed beside them.


@jax.custom_vjp
def _sum_by_blocks(x1, x2):
    return _blocks_forward(x1, x2)[0]


def _blocks_forward(x1, x2):
    count, num_features = x1.shape

    def visit(carry, start, size):
        grams, statistics = carry
        parts = [standardize(_take(x, start, size)) for x in (x1, x2)]
        (z1, *own1), (z2, *own2) = parts
        new = [_split_gram(z, count_halvings(count)) for z in (z1, z2)]
        own = (jnp.sum(z1 * z2, axis=0) / count, *own1, *own2)
        return (
            jax.tree.map(jnp.add, grams, new),
            [_put(all_, x, start) for all_, x in zip(statistics, own, strict=True)],
        )

    empty = jax.eval_shape(lambda x: _split_gram(x, count_halvings(count)), x1)
    empty = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), empty)
    start = [empty, empty], [jnp.zeros(num_features, x1.dtype)] * 5
    grams, statistics = _visit_blocks(visit, start, x1.shape)
    gram1, gram2 = (_join_gram(parts) for parts in grams)
    sums = _sums_of_gram(jnp.sum(gram1 * gram2), statistics[0], count)
    return sums, (x1, x2, gram1, gram2, statistics)


def _blocks_backward(residuals, grads):
    x1, x2, gram1, gram2, statistics = residuals
    count = len(x1)
    slope, weight = _slopes(grads, statistics[0], count)
    gram1, gram2 = (gram * (weight / count) for gram in (gram1, gram2))

    def visit(carry, start, size):
        take = lambda x: _take(x, start, size)
        diagonal, mean1, scale1, mean2, scale2 = map(take, statistics)
        z1 = (take(x1) - mean1[None]) * scale1[None]
        z2 = (take(x2) - mean2[None]) * scale2[None]
        finish = functools.partial(_through, take(slope), diagonal, None)
        grads1 = finish(z1, scale1, z2, multiply(gram2, z1))
        grads2 = finish(z2, scale2, z1, multiply(gram1, z2))
        return _put(carry[0], grads1, start), _put(carry[1], grads2, start)

    return _visit_blocks(visit, (jnp.zeros_like(x1), jnp.zeros_like(x2)), x1.shape)


_sum_by_blocks.defvjp(_blocks_forward, _blocks_backward)


def _visit_blocks(
    visit: Callable[[_T, Any, int], _T], carry: _T, shape: tuple[int, ...]
) -> _T:
    """Calls `visit(carry, start, size)` on blocks of features; the last is smaller."""
    count, num_features = shape
    size = min(num_features, max(512, _BLOCK // count))
    full, rest = divmod(num_features, size)
    carry = lax.fori_loop(0, full, lambda i, carry: visit(carry, i * size, size), carry)
    return visit(carry, full * size, rest) if rest else carry


def _take(x, start, size):
    return lax.dynamic_slice_in_dim(x, start, size, axis=-1)


def _put(x, part, start):
    return lax.dynamic_update_slice_in_dim(x, part, start, axis=-1)


def _split_gram(z, halvings):
    """The blocks of Z Z^T on the diagonal and below."""
    if not halvings:
        return multiply(z, z, over=(1, 1))
    top, bottom = z[: len(z) // 2], z[len(z) // 2 :]
    corner = multiply(bottom, top, over=(1, 1))
    return _split_gram(top, halvings - 1), corner, _split_gram(bottom, halvings - 1)


def _join_gram(parts):
    if not isinstance(parts, tuple):
        return parts
    top, corner, bottom = parts
    return jnp.block([[_join_gram(top), corner.T], [corner, _join_gram(bottom)]])
