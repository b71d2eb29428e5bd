"""The k-means loss."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.losses import cluster_loss

DISTANCES = np.random.default_rng(0).uniform(0, 9, size=(7, 4)).astype(np.float32)
WIDTHS = np.float32([0.5, 1.0, 2.0, 3.0])


@pytest.mark.parametrize("widths", [None, WIDTHS])
def test_cluster_loss_matches_float64(widths):
    scaled = DISTANCES / (1 if widths is None else widths.astype(np.float64) ** 2)
    widths = None if widths is None else jnp.asarray(widths)
    got = cluster_loss(jnp.asarray(DISTANCES), widths=widths)
    np.testing.assert_allclose(got, scaled.min(1), rtol=1e-6)


def test_cluster_loss_reaches_the_nearest_centre_only():
    widths = jnp.asarray(WIDTHS)
    loss = lambda distances: jnp.sum(cluster_loss(distances, widths=widths))
    grads = jax.grad(loss)(DISTANCES)
    nearest = (DISTANCES / WIDTHS**2).argmin(1)
    wanted = np.zeros_like(DISTANCES)
    wanted[np.arange(7), nearest] = 1 / WIDTHS[nearest] ** 2
    np.testing.assert_allclose(grads, wanted, rtol=1e-6)


def test_cluster_loss_shares_the_gradient_of_equal_centres():
    grads = jax.grad(lambda d: jnp.sum(cluster_loss(d)))(jnp.array([[2.0, 2.0, 3.0]]))
    np.testing.assert_allclose(grads, [[0.5, 0.5, 0.0]])


def test_cluster_loss_names_widths_that_do_not_fit(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"widths must be of shape \(4,\)"):
        cluster_loss(jnp.asarray(DISTANCES), widths=jnp.ones(3))
