"""Linear regression of clients of several sizes, also in NumPy's float64."""

import jax.numpy as jnp
import numpy as np

SIZES = (5, 2, 7, 3, 4)


def make_data(sizes=SIZES, *, features=3):
    """Examples of all clients, and the positions of each."""
    generator = np.random.default_rng(0)
    total = sum(sizes)
    data = {
        "x": generator.normal(size=(total, features)).astype(np.float32),
        "y": generator.normal(size=total).astype(np.float32),
    }
    cuts = np.cumsum(sizes)[:-1]
    return data, np.split(generator.permutation(total), cuts)


def make_params(features=3):
    """Weights and a bias that are not zero."""
    return {
        "w": jnp.linspace(-1.0, 1.0, features),
        "b": jnp.full((), 0.25, jnp.float32),
    }


def mean_square(params, batch, mask):
    """The masked mean of squared errors; NaN where no example is."""
    left = batch["x"] @ params["w"] + params["b"] - batch["y"]
    return jnp.sum(jnp.where(mask, left**2, 0.0)) / jnp.sum(mask, dtype=jnp.float32)


def train_in_numpy(params, data, batches, *, learning_rate, proximal=0.0, momentum=0.0):
    """The weights (the bias is the last) after the batches of one client."""
    start = np.append(np.asarray(params["w"], float), float(params["b"]))
    weights, velocity = start.copy(), np.zeros_like(start)
    for rows in batches:
        x = np.c_[data["x"][rows].astype(float), np.ones(len(rows))]
        left = x @ weights - data["y"][rows].astype(float)
        grad = 2 * x.T @ left / len(rows) + proximal * (weights - start)
        velocity = momentum * velocity + grad
        weights = weights - learning_rate * velocity
    return weights


def flatten(params):
    """Weights and bias as `train_in_numpy` has them."""
    return np.append(np.asarray(params["w"]), np.asarray(params["b"]))
