"""Every example is dealt out once; shares are those of a Dirichlet distribution."""

import numpy as np
import pytest

from jaxdl.federated import count_classes, split_dirichlet, split_evenly


def assert_dealt_once(parts, num_examples):
    dealt = np.concatenate(parts)
    np.testing.assert_array_equal(np.sort(dealt), np.arange(num_examples))
    assert all((np.diff(part) > 0).all() for part in parts)


def test_split_evenly_deals_every_example_once():
    parts = split_evenly(23, num_clients=4, seed=3)
    assert_dealt_once(parts, 23)
    assert [len(part) for part in parts] == [6, 6, 6, 5]
    again = split_evenly(23, num_clients=4, seed=3)
    other = split_evenly(23, num_clients=4, seed=4)
    assert all(map(np.array_equal, parts, again))
    assert not all(map(np.array_equal, parts, other))


@pytest.mark.parametrize("self_balancing", [False, True])
@pytest.mark.parametrize("alpha", [0.1, 100.0])
def test_split_dirichlet_deals_every_example_once(alpha, self_balancing):
    labels = np.random.default_rng(0).integers(0, 10, 2000)
    options = {"alpha": alpha, "self_balancing": self_balancing, "max_tries": 100}
    parts = split_dirichlet(labels, num_clients=7, **options, seed=5)
    assert_dealt_once(parts, 2000)
    assert min(map(len, parts)) >= 10
    again = split_dirichlet(labels, num_clients=7, **options, seed=5)
    assert all(map(np.array_equal, parts, again))


@pytest.mark.parametrize("alpha", [0.5, 20.0])
def test_split_dirichlet_shares_have_the_variance_of_the_distribution(alpha):
    clients, classes, size = 5, 400, 1000
    labels = np.repeat(np.arange(classes), size)
    parts = split_dirichlet(labels, num_clients=clients, alpha=alpha, seed=0)
    shares = count_classes(labels, parts, num_classes=classes) / size
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    variance = (1 / clients) * (1 - 1 / clients) / (clients * alpha + 1)
    np.testing.assert_allclose(shares.mean(axis=1), 1 / clients, atol=0.06)
    np.testing.assert_allclose(shares.var(axis=1).mean(), variance, rtol=0.1)


def test_split_dirichlet_balances_sizes():
    labels = np.repeat(np.arange(10), 100)
    options = {"num_clients": 10, "alpha": 0.1, "min_examples": 1, "max_tries": 200}
    for seed in range(5):
        parts = split_dirichlet(labels, **options, self_balancing=True, seed=seed)
        # A client below the average can get one more class, and then no other.
        assert max(map(len, parts)) < 100 + 100


def test_split_dirichlet_shares_what_is_left_though_drawn_as_nothing():
    # So small an alpha gives each class to one client.
    labels = np.repeat(np.arange(4), 10)
    options = {"num_clients": 4, "alpha": 1e-4, "self_balancing": True}
    parts = split_dirichlet(labels, **options, min_examples=1, max_tries=50, seed=0)
    assert_dealt_once(parts, 40)


def test_split_dirichlet_gives_up_and_says_so():
    labels = np.repeat(np.arange(2), 50)
    with pytest.raises(ValueError, match=r"in 3 tries with alpha=0.01 .*min_ex.*=10"):
        split_dirichlet(labels, num_clients=5, alpha=0.01, max_tries=3, seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.0}, "alpha must be above 0, got 0.0"),
        ({"alpha": float("nan")}, "alpha must be above 0, got nan"),
        ({"max_tries": 0}, "max_tries must be >= 1, got 0"),
        ({"num_clients": 0}, "must be at least 1, got 0 and 10"),
        ({"min_examples": 0}, "must be at least 1, got 2 and 0"),
        ({"num_clients": 11}, "100 examples are too few for 11 clients"),
        ({"seed": -1}, r"seed must be in \[0, 2\*\*64\), got -1"),
    ],
)
def test_split_dirichlet_names_what_is_wrong(options, message):
    options = {"num_clients": 2, "alpha": 1.0, "seed": 0, **options}
    with pytest.raises(ValueError, match=message):
        split_dirichlet(np.repeat(np.arange(2), 50), **options)


def test_split_evenly_refuses_more_clients_than_examples():
    with pytest.raises(ValueError, match="split_evenly: 2 examples are too few for 3"):
        split_evenly(2, num_clients=3, seed=0)
