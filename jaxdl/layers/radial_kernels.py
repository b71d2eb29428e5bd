"""How a radial basis function falls, or grows, with the distance to its centre."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxdl.typing import Array, Float

RadialKernel = Callable[
    [Float[Array, "*batch centers"], Float[Array, " centers"]],
    Float[Array, "*batch centers"],
]
"""`kernel(squared_distances, widths) -> activations`."""


def _quadratic(u):
    """1 - r^2: its gradient does not vanish far away."""
    return 1.0 - u


def _gaussian(u):
    return jnp.exp(-0.5 * u)


def _linear(u):
    """r, with the gradient 0 at the centre, where it has none."""
    is_away = u > 0
    return jnp.where(is_away, jnp.sqrt(jnp.where(is_away, u, 1.0)), 0.0)


def _thin_plate(u):
    """r^2 log r, which is 0 at the centre, as is its gradient in x."""
    is_away = u > 0
    return jnp.where(is_away, 0.5 * u * jnp.log(jnp.where(is_away, u, 1.0)), 0.0)


def _multiquadric(u):
    return jnp.sqrt(1.0 + u)


def _inverse_multiquadric(u):
    return jax.lax.rsqrt(1.0 + u)


def _rational(u):
    return 1.0 / (1.0 + u)


def _logistic(u):
    """1/2 at the centre."""
    return jax.nn.sigmoid(-u)


def _scaled(profile: Callable[[Array], Array]) -> RadialKernel:
    def kernel(
        squared_distances: Float[Array, "*batch centers"],
        widths: Float[Array, " centers"],
    ) -> Float[Array, "*batch centers"]:
        inverse = 1.0 / jnp.square(widths.astype(jnp.float32))
        shape = (1,) * (squared_distances.ndim - 1) + widths.shape
        return profile(squared_distances.astype(jnp.float32) * inverse.reshape(shape))

    return kernel


RADIAL_KERNELS: dict[str, RadialKernel] = {
    "quadratic": _scaled(_quadratic),
    "gaussian": _scaled(_gaussian),
    "linear": _scaled(_linear),
    "thin_plate": _scaled(_thin_plate),
    "multiquadric": _scaled(_multiquadric),
    "inverse_multiquadric": _scaled(_inverse_multiquadric),
    "rational": _scaled(_rational),
    "logistic": _scaled(_logistic),
}
"""Activations from squared distances and widths, by name; with r = distance / width:
quadratic 1 - r^2, gaussian exp(-r^2 / 2), linear r, thin_plate r^2 log r, multiquadric
sqrt(1 + r^2), inverse_multiquadric its inverse, rational 1 / (1 + r^2), logistic
1 / (1 + exp(r^2)). Values and gradients in x are finite at the centre too."""
