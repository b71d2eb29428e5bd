"""The effective receptive field: which pixels really move a unit, and how much.

Most of the theoretical field barely counts. Under random weights the squared gradient
of a unit, as a function of the pixel, is a sum of many independent paths: close to a
Gaussian whose width grows with the square root of the depth.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float as HostFloat

from jaxdl.diagnose.receptive_field import Window, stack_windows
from jaxdl.typing import Array, Float, PRNGKey


def measure_effective_fields(
    function: Callable[..., Mapping[str, Array]],
    images: Float[Array, "batch height width channels"],
    *others: Any,
    names: Sequence[str] | None = None,
    key: PRNGKey,
) -> dict[str, np.ndarray]:
    """The share of each pixel in the squared gradient of a map's centre unit.

    For each image, the gradient of one random combination of the centre unit's
    channels (each plus or minus one) is taken; the mean of its square over
    combinations is the sum of the squares over channels. Summed over the channels of
    the image and the batch, it is divided by its total.

    Args:
      function: takes images first; gives maps (batch, height, width, channels) by
        name. Anything else it gives is left out.
      images: normalised images; the more, the smoother the result.
      *others: the other arguments, such as variables.
      names: the maps to measure; all of them by default.
      key: seeds the combinations.

    Returns:
      Float64 arrays (height, width) that sum to 1, by name; zeros where no pixel
      moves the unit.

    Raises:
      ValueError: the function gives no map of a name asked for.

    Source:
      Luo et al. 2016, section 3, arXiv:1701.04128. Differs from it: the squared
      gradient instead of its absolute value, over all channels instead of one.

    Example:
      >>> blur = lambda images: {"sum": images[:, 1:] + images[:, :-1]}
      >>> images = jnp.ones((1, 4, 3, 1))
      >>> measure_effective_fields(blur, images, key=jax.random.key(0))["sum"]
      array([[0. , 0. , 0. ],
             [0. , 0.5, 0. ],
             [0. , 0.5, 0. ],
             [0. , 0. , 0. ]])
    """
    shapes = jax.eval_shape(lambda: _find_maps(function(images, *others)))
    names = list(shapes) if names is None else names
    for name in names:
        if name not in shapes:
            raise ValueError(
                f"measure_effective_fields: no map {name!r} among {', '.join(shapes)}"
            )
    fields = {}
    for name, name_key in zip(names, jax.random.split(key, len(names)), strict=True):
        weights = OrderedDict(
            (other, jnp.zeros((len(images), shape.shape[-1]), shape.dtype))
            for other, shape in shapes.items()
        )
        signs = jax.random.rademacher(name_key, weights[name].shape)
        weights[name] = signs.astype(weights[name].dtype)
        energy = _measure_energy(function, images, others, weights)
        total = np.asarray(energy, np.float64)
        fields[name] = total / (total.sum() or 1.0)
    return fields


@functools.partial(jax.jit, static_argnums=0)
def _measure_energy(function, images, others, weights):
    """One compiled function for all maps: their weights choose among them."""

    def combine(images):
        maps = _find_maps(function(images, *others))
        centres = {
            name: x[:, x.shape[1] // 2, x.shape[2] // 2] for name, x in maps.items()
        }
        return sum(jnp.sum(centres[name] * weights[name]) for name in centres)

    gradient = jax.grad(combine)(images).astype(jnp.float32)
    # Deep random networks have gradients whose squares overflow.
    largest = jnp.max(jnp.abs(gradient))
    gradient = gradient / jnp.where(largest > 0, largest, 1.0)
    return jnp.sum(jnp.square(gradient), axis=(0, 3))


def _find_maps(outputs):
    # Ordered, as JAX would sort the names of a plain dictionary.
    return OrderedDict((name, x) for name, x in outputs.items() if x.ndim == 4)


@dataclass(frozen=True)
class FieldShape:
    """Where the energy of an effective field lies.

    Attributes:
      std: standard deviation in pixels, the root of the mean of the variances along
        the two axes.
      radius_68: radius in pixels of the smallest disc around the centre that holds
        68 % of the energy.
      radius_95: the same for 95 %.
    """

    std: float
    radius_68: float
    radius_95: float


def describe_field(
    energy: HostFloat[np.ndarray, "height width"], *, centre: tuple[float, float]
) -> FieldShape:
    """Width and radii of an effective field around a point.

    Args:
      energy: shares of the pixels, which sum to 1.
      centre: vertical and horizontal place in pixels, that of the first pixel being
        0.

    Returns:
      Its shape; NaN for a field without energy.

    Example:
      >>> energy = np.zeros((5, 5))
      >>> energy[2, 1] = energy[2, 3] = 0.5
      >>> describe_field(energy, centre=(2.0, 2.0)).radius_95
      1.0
    """
    if not energy.sum() > 0:
        return FieldShape(*[float("nan")] * 3)
    rows, columns = np.indices(energy.shape)
    distances = np.hypot(rows - centre[0], columns - centre[1]).ravel()
    order = np.argsort(distances, kind="stable")
    inside = np.cumsum(energy.ravel()[order])
    # Rounding may leave the last sum below the share.
    radii = [
        distances[order][min(np.searchsorted(inside, share), len(order) - 1)]
        for share in (0.68 - 1e-9, 0.95 - 1e-9)
    ]
    variances = [
        np.average(place**2, weights=energy) - np.average(place, weights=energy) ** 2
        for place in (rows, columns)
    ]
    return FieldShape(float(np.sqrt(np.mean(variances))), *map(float, radii))


def expected_std(windows: Sequence[Window | Sequence[int]]) -> float:
    """The width of the effective field of a linear stack with random weights.

    Independent weights of equal variance spread the energy evenly over the taps of
    each window, and the spreads of the layers add like those of independent steps.

    Args:
      windows: see `stack_windows`.

    Returns:
      Standard deviation in pixels along one axis: the root of the sum over layers of
      (jump * dilation)^2 * (kernel^2 - 1) / 12.

    Source:
      Luo et al. 2016, section 2, arXiv:1701.04128.

    Example:
      >>> round(expected_std([(3, 1, 1)] * 6), 6)
      2.0
    """
    jumps = [1, *(field.jump or 1 for field in stack_windows(windows))]
    variances = [
        (jump * Window(*window).dilation) ** 2 * (Window(*window).kernel ** 2 - 1) / 12
        for jump, window in zip(jumps, windows, strict=False)
    ]
    return float(np.sqrt(sum(variances)))
