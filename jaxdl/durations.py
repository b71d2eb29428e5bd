"""Lengths of training written as "30 epochs", "5000 steps" or "2e6 examples"."""

import dataclasses
import math
import re
from typing import Literal

Unit = Literal["epochs", "steps", "examples"]

_PATTERN = re.compile(r"\s*(\S+?)\s+(epoch|step|example)s?\s*")
_UNITS: dict[str, Unit] = {"epoch": "epochs", "step": "steps", "example": "examples"}


@dataclasses.dataclass(frozen=True)
class Duration:
    """A length of training in the unit it was written in.

    Attributes:
        value: How many, zero or more; whole when the unit is steps.
        unit: What is counted.
    """

    value: float
    unit: Unit

    def __str__(self) -> str:
        """Writes the duration so that `parse_duration` reads it back."""
        return f"{self.value!r} {self.unit}"


def parse_duration(text: str) -> Duration:
    """Reads a duration such as "30 epochs".

    Args:
        text: A number of zero or more, a space, and `epochs`, `steps` or `examples`
            (the singular is fine too). Fractions and exponents are allowed, but steps
            are whole.

    Returns:
        The number and its unit.

    Raises:
        ValueError: The text is no duration, or its number is negative, not finite, or
            a fraction of a step.

    Example:
        >>> parse_duration("2e6 examples")
        Duration(value=2000000.0, unit='examples')
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is no duration; wanted a number and a unit, as in '30 epochs', "
            "'5000 steps' or '2e6 examples'"
        )
    try:
        value = float(match[1])
    except ValueError:
        raise ValueError(f"{match[1]!r} in {text!r} is not a number") from None
    unit = _UNITS[match[2]]
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{text!r} must be finite and not negative")
    if unit == "steps" and not value.is_integer():
        raise ValueError(f"{text!r} is not a whole number of steps")
    return Duration(value, unit)


def duration_steps(duration: Duration, *, num_examples: int, batch_size: int) -> int:
    """Converts a duration to a number of optimizer steps.

    Args:
        duration: The duration.
        num_examples: Examples in one epoch, at least 1.
        batch_size: Examples in one step over all devices, at least 1.

    Returns:
        The nearest whole number of steps; at least 1 unless the duration is zero, so
        that "every 0.001 epochs" never means "never".

    Raises:
        ValueError: `num_examples` or `batch_size` is below 1.

    Example:
        >>> duration = parse_duration("30 epochs")
        >>> duration_steps(duration, num_examples=50_000, batch_size=128)
        11719
    """
    if num_examples < 1:
        raise ValueError(f"num_examples is {num_examples}; wanted at least 1")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; wanted at least 1")
    if duration.value == 0:
        return 0
    steps = {
        "epochs": duration.value * num_examples / batch_size,
        "steps": duration.value,
        "examples": duration.value / batch_size,
    }[duration.unit]
    return max(1, round(steps))
