"""Principal component analysis: directions of largest variance of examples."""

import dataclasses
import functools
from operator import index
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from jaxdl.linalg.arrays import as_matrix, full_precision
from jaxdl.linalg.randomized import power_above, randomized_svd
from jaxdl.linalg.svd import SVD, fix_signs, thin_svd
from jaxdl.linalg.tall_skinny import tall_skinny_svd
from jaxdl.typing import Array, Float, Int, PRNGKey, Shaped

Solver = Literal["auto", "full", "covariance", "randomized"]


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "mean",
        "components",
        "explained_variance",
        "explained_variance_ratio",
        "singular_values",
        "num_examples",
    ],
    meta_fields=["whiten"],
)
@dataclasses.dataclass(frozen=True)
class PCA:
    """What `pca` found: a tree of arrays that passes through `jit`.

    Attributes:
      mean: of each feature.
      components: orthonormal rows, largest variance first; the entry of largest
        magnitude in each is positive.
      explained_variance: of the scores on each component, with examples - 1 as divisor.
      explained_variance_ratio: the same as parts of the features' total; 0 for
        examples that are all equal.
      singular_values: of the centred examples.
      num_examples: seen.
      whiten: whether `transform` divides the scores by their standard deviations.
    """

    mean: Float[Array, " features"]
    components: Float[Array, "components features"]
    explained_variance: Float[Array, " components"]
    explained_variance_ratio: Float[Array, " components"]
    singular_values: Float[Array, " components"]
    num_examples: Int[Array, ""]
    whiten: bool = False


@full_precision
def pca(
    x: Shaped[Array, "examples features"],
    num_components: int,
    *,
    whiten: bool = False,
    solver: Solver = "auto",
    key: PRNGKey | None = None,
) -> PCA:
    """The directions in which examples vary most, and how much.

    The solvers, all after the mean is subtracted in two passes, so that an offset
    costs no accuracy beyond the rounding of `x` itself:

    - "full": the exact singular value decomposition of the examples.
    - "covariance": eigenvectors of the features' covariance; the fastest for many
      examples of up to about 1000 features. Variances below 1e-6 of the largest are
      lost in rounding errors (float32).
    - "randomized": `randomized_svd`, for few of many components; needs `key`.
    - "auto": "covariance" for at most 1000 features and 10 times as many examples,
      replaced by "full" at run time if the smallest variance wanted is below 1e-4 of
      the largest; else "randomized" if a `key` is given and num_components is below a
      tenth of both sizes; else "full".

    Args:
      x: one example per row, at least 2. Integers and 16-bit floats become float32.
      num_components: within 1..min(examples, features), static.
      whiten: what `transform` does, static.
      solver: one of the above, static.
      key: for "randomized".

    Returns:
      `PCA`. All NaN where a traced `x` is not finite.

    Raises:
      ValueError: a size is out of range, `solver` is not one of the above,
        "randomized" has no key, or `x` isn't a matrix of finite numbers.

    Source:
      Halko, Martinsson, Shkolnisky and Tygert, arXiv:1007.5510, for "randomized".

    Example:
      >>> x = jnp.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
      >>> print(pca(x, 1).explained_variance.round())
      [5.]
    """
    x = as_matrix("pca", x)
    num_components = check_components("pca", num_components, *x.shape)
    if solver not in ("auto", "full", "covariance", "randomized"):
        raise ValueError(
            'pca: wanted solver "auto", "full", "covariance" or "randomized", '
            f"got {solver!r}"
        )
    if solver == "randomized" and key is None:
        raise ValueError('pca: solver="randomized" needs a key')
    chosen = solver
    if solver == "auto":
        chosen = _choose_solver(x.shape, num_components, key)
    if chosen == "guarded" and not isinstance(x, Tracer):
        # Decided here, as a compiled branch takes half as long again on CPU.
        found = _fit(x, num_components, "covariance", key)
        if _is_lost(found.explained_variance_ratio):
            found = _fit(x, num_components, "full", key)
    else:
        found = _fit(x, num_components, chosen, key)
    return dataclasses.replace(found, whiten=whiten)


@full_precision
def transform(
    pca: PCA, x: Shaped[Array, "*batch features"]
) -> Float[Array, "*batch components"]:
    """The scores of examples: coordinates along the components.

    Args:
      pca: as `pca` or `finish_incremental_pca` returned it.
      x: examples, the last axis the features.

    Returns:
      Scores; with whitening in standard deviations, and 0 along components without
      variance.

    Raises:
      ValueError: the number of features differs.

    Example:
      >>> found = pca(jnp.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), 1)
      >>> print(transform(found, jnp.array([[5.0, 7.0]])))
      [[4.]]
    """
    x = _match(x, "transform", "features", pca.components.shape[1], pca.mean.dtype)
    scores = (x - _expand(pca.mean, x)) @ pca.components.T
    if not pca.whiten:
        return scores
    deviations = _expand(_deviations(pca), scores)
    has_variance = deviations > 0
    return jnp.where(has_variance, scores / jnp.where(has_variance, deviations, 1), 0)


@full_precision
def inverse_transform(
    pca: PCA, z: Shaped[Array, "*batch components"]
) -> Float[Array, "*batch features"]:
    """The examples nearest to the mean that have given scores.

    Args:
      pca: as for `transform`.
      z: scores, the last axis the components.

    Returns:
      Examples; `inverse_transform(pca, transform(pca, x))` is the projection of `x`.

    Raises:
      ValueError: the number of components differs.

    Example:
      >>> found = pca(jnp.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), 1)
      >>> print(inverse_transform(found, jnp.array([[4.0]])))
      [[5. 1.]]
    """
    count = pca.components.shape[0]
    z = _match(z, "inverse_transform", "components", count, pca.mean.dtype)
    if pca.whiten:
        z = z * _expand(_deviations(pca), z)
    x = z @ pca.components
    return x + _expand(pca.mean, x)


def make_pca(
    svd: SVD,
    mean: Array,
    total: Array,
    num_examples: Array,
    *,
    scale: Array | float = 1.0,
) -> PCA:
    """A `PCA` from the decomposition of centred examples.

    Args:
      svd: its `s` and `vt` are used.
      mean: of the features.
      total: sum of squares of the centred examples.
      num_examples: an integer array.
      scale: what the examples were divided by after centring.

    Returns:
      `PCA` without whitening.

    Example:
      >>> svd = thin_svd(jnp.array([[1.0], [-1.0]]))
      >>> make_pca(svd, jnp.zeros(1), jnp.array(2.0), jnp.array(2))
      ... # doctest: +ELLIPSIS
      PCA(mean=Array([0.], dtype=float32), ...
    """
    divisor = jnp.maximum(num_examples - 1, 1).astype(svd.s.dtype)
    ratio = jnp.square(svd.s / jnp.sqrt(jnp.where(total > 0, total, 1)))
    return PCA(
        mean=mean,
        components=svd.vt,
        explained_variance=jnp.square(svd.s * scale / jnp.sqrt(divisor)),
        explained_variance_ratio=ratio,
        singular_values=svd.s * scale,
        num_examples=num_examples,
    )


def check_components(
    name: str, num_components: int, num_examples: int | None, num_features: int
) -> int:
    """The number of components as an int, or an error that names the routine."""
    num_components = index(num_components)
    if num_examples is not None and num_examples < 2:
        raise ValueError(f"{name}: wanted at least 2 examples, got {num_examples}")
    sizes = [num_features] if num_examples is None else [num_examples, num_features]
    if not 1 <= num_components <= min(sizes):
        raise ValueError(
            f"{name}: wanted num_components within 1..{min(sizes)}, "
            f"got {num_components}"
        )
    return num_components


def _choose_solver(shape, num_components, key):
    """A solver, or "guarded": covariance where its rounding errors don't matter."""
    examples, features = shape
    if features <= 1000 and examples >= 10 * features:
        return "guarded"
    is_small_part = 10 * num_components <= min(shape)
    return "randomized" if key is not None and is_small_part else "full"


@functools.partial(jax.jit, static_argnums=(1, 2))
def _fit(x, num_components, solver, key):
    mean, centred, scale = _centre(x)
    if solver == "randomized":
        svd = randomized_svd(centred, num_components, key=key)
    elif solver == "full":
        svd = _decompose_fully(centred, num_components)
    else:
        svd = _decompose_covariance(centred, num_components, solver != "covariance")
    total, count = jnp.square(centred).sum(), jnp.int32(x.shape[0])
    return make_pca(svd, mean, total, count, scale=scale)


def _centre(x):
    """The mean, the examples without it divided by a scale, and that scale.

    A second pass mends the rounding errors of the first's sums; the scale keeps the
    squares to come in range.
    """
    guess = x.mean(axis=0, keepdims=True)
    rest = (x - guess).mean(axis=0, keepdims=True)
    scale = power_above(x - guess)
    return (guess + rest)[0], (x - guess - rest) / scale, scale


def _decompose_fully(centred, num_components):
    is_tall = centred.shape[0] >= centred.shape[1]
    svd = (tall_skinny_svd if is_tall else thin_svd)(centred)
    vt = svd.vt[:num_components]
    return SVD(jnp.zeros((0, num_components), vt.dtype), svd.s[:num_components], vt)


def _decompose_covariance(centred, num_components, is_guarded):
    """Eigenvectors of the inner products, or what replaces them when guarded."""
    values, vectors = jnp.linalg.eigh(centred.T @ centred)
    values = jnp.flip(values)[:num_components]

    def use_eigenvectors():
        vt = jnp.flip(vectors, axis=1)[:, :num_components].T
        none = jnp.zeros((0, num_components), vt.dtype)
        return fix_signs(SVD(none, jnp.sqrt(jnp.maximum(values, 0)), vt))

    if not is_guarded:
        return use_eigenvectors()
    return lax.cond(
        _is_lost(values),
        lambda: _decompose_fully(centred, num_components),
        use_eigenvectors,
    )


def _is_lost(values):
    """Whether the smallest eigenvalue may be a rounding error of the largest."""
    return values[-1] < 1000 * jnp.finfo(values.dtype).eps * values[0]


def _deviations(pca):
    """Of the scores; 0 where the variance is only rounding errors."""
    deviations = jnp.sqrt(pca.explained_variance)
    size = max(pca.components.shape)
    noise = size * jnp.finfo(deviations.dtype).eps * deviations[:1]
    return jnp.where(deviations > noise, deviations, 0)


def _match(x, name, axis, size, dtype):
    """An array of the analysis's dtype with `size` entries along its last axis."""
    x = jnp.asarray(x)
    if x.ndim < 1 or x.shape[-1] != size:
        raise ValueError(
            f"{name}: wanted {size} {axis} along the last axis, got shape {x.shape}"
        )
    return x.astype(dtype)


def _expand(row, x):
    """A vector with as many axes as x."""
    return row.reshape((1,) * (x.ndim - 1) + row.shape)
