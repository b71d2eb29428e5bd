"""The Barlow Twins loss by its definition, in NumPy's float64, and views for it."""

import jax.numpy as jnp
import numpy as np


def standardize_float64(x):
    x = np.asarray(x, float)
    scale = 1 / np.sqrt(x.var(0) + 1e-5)
    return (x - x.mean(0)) * scale, scale


def correlate_float64(x1, x2):
    z1, z2 = (standardize_float64(x)[0] for x in (x1, x2))
    return z1.T @ z2 / len(z1)


def differentiate_float64(x1, x2, weight=5.1e-3):
    """The loss by its definition, and its gradients by the chain rule."""
    (z1, scale1), (z2, scale2) = (standardize_float64(x) for x in (x1, x2))
    c = z1.T @ z2 / len(z1)
    error = c - np.eye(len(c))
    weights = np.full_like(c, weight)
    np.fill_diagonal(weights, 1)
    of_c = 2 * weights * error / len(z1)

    def through(z, scale, grads):
        return scale * (grads - grads.mean(0) - z * (grads * z).mean(0))

    grads = through(z1, scale1, z2 @ of_c.T), through(z2, scale2, z1 @ of_c)
    return (weights * error**2).sum(), grads


def make_views(num_examples, num_features, seed=0):
    generator = np.random.default_rng(seed)
    shared = 3 + generator.normal(size=(num_examples, num_features))
    return [
        jnp.asarray(shared + 0.7 * generator.normal(size=shared.shape), jnp.float32)
        for _ in range(2)
    ]
