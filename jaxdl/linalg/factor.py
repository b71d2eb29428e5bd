"""Kernels of layers as products of smaller ones, nearest in the sense of the SVD.

A dense kernel becomes two, a convolution two or three, to be applied one after the
other. At full rank the layer stays what it was; `jaxdl.layers.FactoredConv` says which
of the parts has which stride, padding and dilation.
"""

import functools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.svd import thin_svd
from jaxdl.typing import Array, Float

ConvMethod = Literal["channel", "spatial", "tucker2"]

_SWEEPS = 3
"""Of the alternation for Tucker-2: from the second on, errors fall by under 1 %."""


class Factors(NamedTuple):
    """Kernels that stand for one.

    Attributes:
      kernels: in the order in which they are applied, float32 or float64.
      relative_error: of the Frobenius norm of the kernel, in [0, 1]; with the Gram
        matrix of inputs, of the outputs for these inputs (of `spatial`, see there).
    """

    kernels: tuple[Float[Array, "..."], ...]
    relative_error: Float[Array, ""]


@full_precision
def factor_dense(
    kernel: Float[Array, "inputs features"],
    rank: int,
    *,
    inputs_gram: Float[Array, "inputs inputs"] | None = None,
) -> Factors:
    """Splits a dense layer into one of `rank` outputs and one that follows it.

    Args:
      kernel: of any float dtype.
      rank: at least 1, at most the smaller side of the kernel.
      inputs_gram: `x.T @ x` of the layer's inputs `x`, examples in rows. With it the
        error of the outputs is least, without it that of the kernel. Directions that
        the inputs lack count as if they had a variance of rounding errors.

    Returns:
      Kernels of shapes (inputs, rank) and (rank, features), of equal singular values.
      They save parameters below rank `inputs * features / (inputs + features)`.

    Raises:
      ValueError: the rank is out of range, or shapes do not fit.

    Source:
      Eckart and Young 1936. With inputs: the SVD of `L.T @ kernel` where
      `x.T @ x = L @ L.T`, from the left freed of `L.T` again.

    Example:
      >>> factors = factor_dense(jnp.diag(jnp.array([4.0, 3.0])), 1)
      >>> [kernel.shape for kernel in factors.kernels], float(factors.relative_error)
      ([(2, 1), (1, 2)], 0.6000000238418579)
    """
    kernel = as_matrix("factor_dense", kernel)
    _check_rank("factor_dense", rank, min(kernel.shape))
    gram = _check_gram("factor_dense", inputs_gram, kernel.shape[0], 1)
    factors = _factor_matrix(kernel[None, None], rank, gram, "channel", 1)
    first, second = factors.kernels
    return Factors((first[0, 0], second[0, 0]), factors.relative_error)


@full_precision
def factor_conv(
    kernel: Float[Array, "height width group_channels features"],
    rank: int | tuple[int, int],
    *,
    method: ConvMethod = "channel",
    groups: int = 1,
    inputs_gram: Float[Array, "..."] | None = None,
) -> Factors:
    """Splits a convolution into two or three that are applied one after the other.

    - `channel`: the window to `rank` channels, then 1x1 to the features.
    - `spatial`: a column of the window to `rank` channels, then a row of it.
    - `tucker2`: 1x1 to the first rank, the window to the second one, 1x1 to the
      features.

    Args:
      kernel: of any float dtype.
      rank: of each group, at least 1; for `tucker2` one number or two, of input and
        output channels.
      method: see above.
      groups: of the convolution; all parts have as many.
      inputs_gram: `x.T @ x` of the windows `x` that the kernel is laid over, in rows,
        in the order (height, width, channels); for several groups an array of one
        such matrix for each. `channel` then changes the outputs least, as
        `factor_dense`; `spatial` the sum of the squared changes that come from each
        column of the window, as if columns were not correlated. Not for `tucker2`.

    Returns:
      The kernels, for g groups of shapes
      (height, width, group_channels, g * rank) and (1, 1, rank, features);
      (height, 1, group_channels, g * rank) and (1, width, rank, features);
      (1, 1, group_channels, g * rank), (height, width, rank, g * second rank) and
      (1, 1, second rank, features).

    Raises:
      ValueError: the rank is out of range, groups, shapes and method do not fit.

    Source:
      `channel`: Zhang et al. 2015, arXiv:1505.06798, without its centring. `spatial`:
      Jaderberg et al. 2014, arXiv:1405.3866, by the SVD as in Tai et al. 2015,
      arXiv:1511.06067. `tucker2`: Kim et al. 2015, arXiv:1511.06530; De Lathauwer et
      al. 2000, doi:10.1137/S0895479898346995, for the alternation.

    Example:
      >>> kernel = jnp.ones((3, 3, 4, 8))
      >>> factors = factor_conv(kernel, 1, method="spatial")
      >>> [kernel.shape for kernel in factors.kernels]
      [(3, 1, 4, 1), (1, 3, 1, 8)]
    """
    kernel = _check_kernel("factor_conv", kernel, method, groups)
    if method == "tucker2":
        if inputs_gram is not None:
            raise ValueError("factor_conv: inputs_gram is not for method 'tucker2'")
        return _factor_tucker(kernel, _check_ranks(rank, kernel, groups), groups)
    if isinstance(rank, tuple):
        raise ValueError(f"factor_conv: {method!r} has one rank, got {rank}")
    height, width, channels, features = kernel.shape
    split = (height * width, 1) if method == "channel" else (height, width)
    sides = split[0] * channels, split[1] * features // groups
    _check_rank("factor_conv", rank, min(sides))
    size = height * width * channels
    gram = _check_gram("factor_conv", inputs_gram, size, groups)
    return _factor_matrix(kernel, rank, gram, method, groups)


@full_precision
def kernel_spectra(
    kernel: Float[Array, "*window channels features"],
    *,
    method: ConvMethod = "channel",
    groups: int = 1,
    inputs_gram: Float[Array, "..."] | None = None,
) -> tuple[Float[Array, "..."], ...]:
    """The singular values by which the rank of a layer is chosen.

    The squares after the first `rank` of them, added up, are the squared error of
    factoring at that rank.

    Args:
      kernel: of a dense layer or a convolution.
      method: as in `factor_conv`; not used for dense layers.
      groups: as in `factor_conv`.
      inputs_gram: as in `factor_conv` and `factor_dense`.

    Returns:
      The values, largest first; of several groups the root of the sum of squares. For
      `tucker2` those of input and of output channels, whose tails together bound the
      squared error.

    Raises:
      ValueError: groups, shapes and method do not fit.

    Example:
      >>> kernel_spectra(jnp.diag(jnp.array([3.0, 4.0])))[0].tolist()
      [4.0, 3.0]
    """
    if kernel.ndim == 2:
        kernel, method, groups = kernel[None, None], "channel", 1
    kernel = _check_kernel("kernel_spectra", kernel, method, groups)
    size = math.prod(kernel.shape[:3])
    gram = _check_gram("kernel_spectra", inputs_gram, size, groups)
    return _measure_spectra(kernel, gram, method=method, groups=groups)


def _check_kernel(name, kernel, method, groups):
    """The kernel in float32 or float64."""
    if method not in ("channel", "spatial", "tucker2"):
        raise ValueError(
            f"{name}: method must be 'channel', 'spatial' or 'tucker2', got {method!r}"
        )
    if kernel.ndim != 4 or groups < 1 or kernel.shape[-1] % groups:
        raise ValueError(
            f"{name}: wanted a kernel (height, width, channels, features) whose "
            f"features divide into the groups, got {kernel.shape} and groups={groups}"
        )
    return as_matrix(name, kernel, batched=True)


def _check_rank(name, rank, limit):
    if not 1 <= rank <= limit:
        raise ValueError(f"{name}: rank must be in [1, {limit}], got {rank}")


def _check_ranks(rank, kernel, groups):
    """Both ranks; more than the window times the other one can't be used."""
    height, width, channels, features = kernel.shape
    inner, outer = rank if isinstance(rank, tuple) else (rank, rank)
    limits = (
        min(channels, height * width * outer),
        min(features // groups, height * width * inner),
    )
    if not (1 <= inner <= limits[0] and 1 <= outer <= limits[1]):
        raise ValueError(
            f"factor_conv: ranks must be in [1, {limits[0]}] and [1, {limits[1]}], got "
            f"({inner}, {outer})"
        )
    return inner, outer


def _check_gram(name, gram, size, groups):
    """The Gram matrix with a leading axis of groups, or None."""
    if gram is None:
        return None
    gram = as_matrix(name, gram, batched=True)
    gram = gram if gram.ndim == 3 else gram[None]
    if gram.shape != (groups, size, size):
        raise ValueError(
            f"{name}: inputs_gram must be of shape {(groups, size, size)} for this "
            f"kernel, got {gram.shape}"
        )
    return gram


def _unfold(kernel, method, groups):
    """For each group the matrix whose SVD is wanted; for Tucker-2 two of them."""
    height, width, channels, features = kernel.shape
    k = kernel.reshape(height, width, channels, groups, features // groups)
    if method == "spatial":
        rows = k.transpose(3, 0, 2, 1, 4)
        return [rows.reshape(groups, height * channels, -1)]
    by_feature = k.transpose(3, 0, 1, 2, 4).reshape(groups, -1, features // groups)
    if method == "channel":
        return [by_feature]
    by_channel = k.transpose(3, 2, 0, 1, 4).reshape(groups, channels, -1)
    return [by_channel, by_feature.swapaxes(1, 2)]


@functools.partial(jax.jit, static_argnames=("method", "groups"))
def _measure_spectra(kernel, gram, *, method, groups):
    matrices = _unfold(kernel, method, groups)
    if gram is not None:
        matrices = [_whiten(_fold(gram, kernel, method))[0] @ matrices[0]]
    values = [jnp.linalg.svd(matrix, compute_uv=False) for matrix in matrices]
    return tuple(jnp.sqrt(jnp.sum(s**2, axis=0)) for s in values)


def _fold(gram, kernel, method):
    """The Gram matrix of what the first part sees, in the kernel's dtype."""
    height, width, channels, _ = kernel.shape
    gram = gram.astype(kernel.dtype)
    if method == "channel":
        return gram
    sides = (height, width, channels)
    blocks = gram.reshape(-1, *sides, *sides)
    size = height * channels
    return jnp.einsum("ghwckwd->ghckd", blocks).reshape(-1, size, size)


def _whiten(gram):
    """`L.T` and its inverse, where the Gram matrix is `L @ L.T`, singular or not.

    From eigenvalues, as a Cholesky factorisation fails where a channel is dead.
    """
    values, vectors = jnp.linalg.eigh(gram)
    eps = gram.shape[-1] * jnp.finfo(gram.dtype).eps
    largest = values[..., -1:]
    floor = jnp.where(largest > 0, eps * largest, 1.0)
    roots = jnp.sqrt(jnp.maximum(values, floor))
    return roots[..., None] * vectors.swapaxes(-1, -2), vectors / roots[..., None, :]


def _factor_matrix(kernel, rank, gram, method, groups):
    options = {"method": method, "groups": groups}
    first, second, error = _split(kernel, gram, rank, **options)
    shape = kernel.shape
    kernels = _lay_out(first, second, rank=rank, shape=shape, **options)
    return Factors(kernels, error)


# Here and below the rank is traced and the arrays have their full size: layers of one
# shape share one compiled decomposition whatever their ranks.
@functools.partial(jax.jit, static_argnames=("method", "groups"))
def _split(kernel, gram, rank, *, method, groups):
    """Both factors for each group, and the relative error of all together."""
    matrix = _unfold(kernel, method, groups)[0]
    if gram is None:
        u, s, vt = known = thin_svd(matrix)
    else:
        root, inverse = _whiten(_fold(gram, kernel, method))
        known = thin_svd(root @ matrix)
        # The rest brings the product, the best of its rank, to its own SVD.
        s = jnp.where(jnp.arange(known.s.shape[-1]) < rank, known.s, 0.0)
        q, r = jnp.linalg.qr((inverse @ known.u) * s[..., None, :])
        u, s, vt = thin_svd(r @ known.vt)
        u = q @ u
    half = jnp.sqrt(s)
    is_beyond = jnp.arange(known.s.shape[-1]) >= rank
    tail = jnp.sum(jnp.where(is_beyond, known.s, 0.0) ** 2)
    error = _ratio(tail, jnp.sum(known.s**2))
    return u * half[..., None, :], half[..., None] * vt, error


@functools.partial(jax.jit, static_argnames=("rank", "method", "groups", "shape"))
def _lay_out(first, second, *, rank, method, groups, shape):
    height, width, channels, features = shape
    side = width if method == "channel" else 1
    first = first[..., :rank].reshape(groups, height, side, channels, rank)
    first = first.transpose(1, 2, 3, 0, 4).reshape(height, side, channels, -1)
    second = second[:, :rank].reshape(groups, rank, width // side, -1)
    second = second.transpose(2, 1, 0, 3).reshape(1, width // side, rank, features)
    return first, second


def _ratio(squares, total):
    return jnp.sqrt(squares / jnp.where(total > 0, total, 1.0))


def _factor_tucker(kernel, ranks, groups):
    inner, core, outer, error = _alternate(kernel, ranks, groups=groups)
    kernels = _lay_out_tucker(inner, core, outer, ranks=ranks, shape=kernel.shape)
    return Factors(kernels, error)


@functools.partial(jax.jit, static_argnames="groups")
def _alternate(kernel, ranks, *, groups):
    """Bases of input and output channels, the core between them, the error."""
    by_channel, by_feature = _unfold(kernel, "tucker2", groups)
    channels, features = by_channel.shape[1], by_feature.shape[1]
    k = by_feature.reshape(groups, features, -1, channels)

    def lead(matrix, rank):
        u = thin_svd(matrix).u
        return jnp.where(jnp.arange(u.shape[-1]) < rank, u, 0.0)

    def sweep(_, bases):
        part = jnp.einsum("gowi,gos->giws", k, bases[1])
        inner = lead(part.reshape(groups, channels, -1), ranks[0])
        part = jnp.einsum("gowi,gir->gowr", k, inner)
        return inner, lead(part.reshape(groups, features, -1), ranks[1])

    bases = lead(by_channel, ranks[0]), lead(by_feature, ranks[1])
    inner, outer = lax.fori_loop(0, _SWEEPS, sweep, bases)
    core = jnp.einsum("gowi,gir,gos->wrgs", k, inner, outer)
    rest = k - jnp.einsum("wrgs,gir,gos->gowi", core, inner, outer)
    return inner, core, outer, _ratio(jnp.sum(rest**2), jnp.sum(k**2))


@functools.partial(jax.jit, static_argnames=("ranks", "shape"))
def _lay_out_tucker(inner, core, outer, *, ranks, shape):
    height, width, channels, features = shape
    inner, outer = inner[..., : ranks[0]], outer[..., : ranks[1]]
    core = core[:, : ranks[0], :, : ranks[1]]
    return (
        inner.transpose(1, 0, 2).reshape(1, 1, channels, -1),
        core.reshape(height, width, ranks[0], -1),
        outer.transpose(2, 0, 1).reshape(1, 1, ranks[1], features),
    )
