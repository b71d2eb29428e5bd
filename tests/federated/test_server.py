"""The server's rules, written out in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.federated import SERVER_OPTIMIZERS, make_server_optimizer

RATE, B1, B2, TAU = 0.05, 0.8, 0.95, 1e-3


def move_in_numpy(name, w, averages):
    """Parameters after each round, by the formulas of the papers."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for average in averages:
        delta = average - w
        if name == "fedavg":
            w = w + RATE * delta
        elif name == "fedavgm":
            m = B1 * m + delta
            w = w + RATE * m
        else:
            m = B1 * m + (1 - B1) * delta
            v = {
                "fedadam": B2 * v + (1 - B2) * delta**2,
                "fedyogi": v - (1 - B2) * delta**2 * np.sign(v - delta**2),
                "fedadagrad": v + delta**2,
            }[name]
            w = w + RATE * m / (np.sqrt(v) + TAU)
        yield w


@pytest.mark.parametrize("name", SERVER_OPTIMIZERS)
def test_server_optimizer_follows_its_formula(name):
    generator = np.random.default_rng(0)
    start = generator.normal(size=(4, 3)).astype(np.float32)
    # Rounds of very different size: Yogi's sign goes both ways.
    sizes = np.array([1.0, 0.01, 3.0, 0.1, 0.001]).reshape(5, 1, 1)
    averages = (start + sizes * generator.normal(size=(5, 4, 3))).astype(np.float32)
    rates = {"learning_rate": RATE, "b1": B1, "b2": B2, "tau": TAU}
    server = make_server_optimizer(name, **rates)
    params = {"a": {"w": jnp.asarray(start)}}
    state = server.init(params)
    expected = move_in_numpy(name, start.astype(float), averages.astype(float))
    for average, wanted in zip(averages, expected, strict=True):
        given = {"a": {"w": jnp.asarray(average)}}
        params, state = server.update(state, params, given)
        np.testing.assert_allclose(params["a"]["w"], wanted, rtol=2e-5, atol=2e-6)


def test_server_optimizer_fedavg_takes_the_average_bit_for_bit():
    params = {"w": jnp.array([1e8, 3.0, -2.0], jnp.float32)}
    average = {"w": jnp.array([0.1, 1e-7, 5.0], jnp.float32)}
    server = make_server_optimizer("fedavg")
    moved, _ = server.update(server.init(params), params, average)
    np.testing.assert_array_equal(moved["w"], average["w"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "fednova"}, "name must be one of .*, got 'fednova'"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"tau": 0.0}, "tau must be above 0, got 0.0"),
        ({"b1": 1.0}, r"b1 must be in \[0, 1\), got 1.0"),
        ({"b2": -0.1}, r"b2 must be in \[0, 1\), got -0.1"),
    ],
)
def test_make_server_optimizer_names_what_is_wrong(monkeypatch, options, message):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        make_server_optimizer(**{"name": "fedadam", **options})
