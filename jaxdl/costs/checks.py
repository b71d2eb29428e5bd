"""Refusing numbers that a formula has no meaning for."""

import math
import operator

Number = int | float
"""A plain number; sums and products of them are floats."""

_WORDS = {operator.gt: "above", operator.ge: "at least"}


def check_number(
    value: Number,
    name: str,
    *,
    where: str,
    low: Number = 0,
    high: Number = math.inf,
    may_be_low: bool = True,
) -> float:
    """A finite number of a range, as a float.

    Args:
      value: the number.
      name: what it is called.
      where: the routine it was given to.
      low: the least it can be.
      high: the most it can be.
      may_be_low: whether it can be `low` itself.

    Returns:
      The number.

    Raises:
      ValueError: it is out of range or not finite.

    Example:
      >>> check_number(3, "seconds", where="energy_kwh")
      3.0
    """
    compare = operator.ge if may_be_low else operator.gt
    if not (math.isfinite(value) and compare(value, low) and value <= high):
        upper = f" and at most {high:g}" if math.isfinite(high) else ""
        raise ValueError(
            f"{where}: {name} must be finite, {_WORDS[compare]} {low:g}{upper}, "
            f"got {value!r}"
        )
    return float(value)


def check_count(value: int, name: str, *, where: str, low: int = 1) -> int:
    """A whole number that is not below a bound.

    Args:
      value: the number.
      name: what it is called.
      where: the routine it was given to.
      low: the least it can be.

    Returns:
      The number.

    Raises:
      ValueError: it is no whole number, or too low.

    Example:
      >>> check_count(8, "num_devices", where="forecast")
      8
    """
    try:
        count = operator.index(value)
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or count < low:
        raise ValueError(
            f"{where}: {name} must be a whole number, at least {low}, got {value!r}"
        )
    return count
