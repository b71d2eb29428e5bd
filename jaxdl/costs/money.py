"""Prices of devices, bought or rented, and of electricity."""

from jaxdl.costs.checks import Number, check_count, check_number

HOURS_PER_YEAR = 8766.0
"""Of 365.25 days."""


def purchase_price(
    unit_price: Number,
    count: int,
    *,
    network: Number = 0.0,
    storage: Number = 0.0,
    compounds: bool = False,
) -> float:
    """What nodes cost with the network and the storage that they need.

    Args:
      unit_price: of one node, at least 0.
      count: nodes, at least 0.
      network: share of the price to add, such as 0.15, at least 0.
      storage: share of the price to add, at least 0.
      compounds: whether storage is a share of what nodes and network cost together;
        else both are shares of the price of the nodes.

    Returns:
      In the currency of `unit_price`.

    Raises:
      ValueError: an argument out of range.

    Source:
      An estimate for large language models: 280 nodes of 8 A100 at $200,000 are $56.0M;
      15 % of that for the network and 20 % for storage make $75.6M, which it calls 75
      million. Compounded it would be $77.28M. Its nodes hold 2,240 devices, although it
      speaks of about 3,000: one of its numbers is wrong, and we do not know which.

    Example:
      >>> f"{purchase_price(200_000, 280, network=0.15, storage=0.20):,.0f}"
      '75,600,000'
    """
    where = "purchase_price"
    price = check_number(unit_price, "unit_price", where=where)
    base = price * check_count(count, "count", where=where, low=0)
    first = check_number(network, "network", where=where)
    second = check_number(storage, "storage", where=where)
    return base * ((1 + first) * (1 + second) if compounds else 1 + first + second)


def purchase_share(
    price: Number, seconds: Number, *, lifetime_years: Number = 3.0
) -> float:
    """Part of a purchase that a run uses up, if devices are never idle.

    Args:
      price: of all that the run occupies, at least 0.
      seconds: how long it does, at least 0.
      lifetime_years: until the devices are worth nothing, above 0; of 8,766 hours.

    Returns:
      In the currency of `price`; more than `price` if the run outlives the devices.

    Raises:
      ValueError: an argument out of range.

    Source:
      Straight-line depreciation.

    Example:
      >>> f"{purchase_share(8766, 3600, lifetime_years=1):.2f}"
      '1.00'
    """
    where = "purchase_share"
    years = check_number(
        lifetime_years, "lifetime_years", where=where, may_be_low=False
    )
    hours = check_number(seconds, "seconds", where=where) / 3600
    total = check_number(price, "price", where=where)
    return total * hours / (years * HOURS_PER_YEAR)


def rental_price(
    num_devices: int, seconds: Number, *, price_per_device_hour: Number
) -> float:
    """What renting devices costs, by the second.

    Args:
      num_devices: at least 0.
      seconds: for how long, at least 0.
      price_per_device_hour: at least 0.

    Returns:
      In the currency of the price.

    Raises:
      ValueError: an argument out of range.

    Source:
      The estimate of `purchase_price` puts three years of rent at about $80M: $1.36 per
      hour of one of 2,240 devices ($1.01 of one of 3,000).

    Example:
      >>> rental_price(8, 7200, price_per_device_hour=2.5)
      40.0
    """
    where = "rental_price"
    price = check_number(price_per_device_hour, "price_per_device_hour", where=where)
    count = check_count(num_devices, "num_devices", where=where, low=0)
    return count * check_number(seconds, "seconds", where=where) / 3600 * price


def electricity_price(kwh: Number, *, price_per_kwh: Number) -> float:
    """What energy costs.

    Args:
      kwh: at least 0.
      price_per_kwh: at least 0.

    Returns:
      In the currency of the price.

    Raises:
      ValueError: an argument out of range.

    Source:
      Energy times its price, without a price for peak power.

    Example:
      >>> electricity_price(1500, price_per_kwh=0.1)
      150.0
    """
    where = "electricity_price"
    energy = check_number(kwh, "kwh", where=where)
    return energy * check_number(price_per_kwh, "price_per_kwh", where=where)
