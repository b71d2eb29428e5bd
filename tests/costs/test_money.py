"""Prices against a published estimate, and by hand."""

import pytest

from jaxdl.costs import (
    electricity_price,
    purchase_price,
    purchase_share,
    rental_price,
)


@pytest.mark.parametrize(
    ("network", "storage", "compounds", "millions"),
    [(0, 0, False, 56.0), (0.15, 0.2, False, 75.6), (0.15, 0.2, True, 77.28)],
)
def test_purchase_price_agrees_with_the_estimate(network, storage, compounds, millions):
    price = purchase_price(
        200_000, 280, network=network, storage=storage, compounds=compounds
    )
    assert price == pytest.approx(millions * 1e6, rel=1e-12)


def test_rental_price_of_three_years_agrees_with_the_estimate():
    seconds = 3 * 8766 * 3600
    assert rental_price(2240, seconds, price_per_device_hour=1.36) == pytest.approx(
        80e6, rel=2e-3
    )
    # About 3,000 devices, of which the estimate speaks too, are not what it prices.
    assert 80e6 / (3000 * 3 * 8766) == pytest.approx(1.01, abs=5e-3)


def test_purchase_share_of_a_lifetime_is_the_price():
    assert purchase_share(500.0, 2 * 8766 * 3600, lifetime_years=2) == 500.0
    assert purchase_share(500.0, 8766 * 3600, lifetime_years=2) == 250.0


def test_electricity_price_is_energy_times_price():
    assert electricity_price(120, price_per_kwh=0.25) == 30.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: purchase_price(-1, 1), "purchase_price: unit_price .* got -1"),
        (lambda: purchase_price(1, -1), "purchase_price: count .* at least 0, got -1"),
        (lambda: purchase_price(1, 1, network=-0.1), "network .* got -0.1"),
        (lambda: purchase_price(1, 1, storage=-0.1), "storage .* got -0.1"),
        (lambda: purchase_share(1, 1, lifetime_years=0), "lifetime_years .* above 0"),
        (lambda: purchase_share(-1, 1), "purchase_share: price"),
        (lambda: purchase_share(1, -1), "purchase_share: seconds"),
        (lambda: rental_price(-1, 1, price_per_device_hour=1), "num_devices .* got -1"),
        (lambda: rental_price(1, -1, price_per_device_hour=1), "seconds .* got -1"),
        (lambda: rental_price(1, 1, price_per_device_hour=-1), "device_hour .* got -1"),
        (lambda: electricity_price(-1, price_per_kwh=1), "kwh .* got -1"),
        (lambda: electricity_price(1, price_per_kwh=-1), "price_per_kwh .* got -1"),
    ],
)
def test_prices_refuse_what_has_no_meaning(call, words):
    with pytest.raises(ValueError, match=words):
        call()
