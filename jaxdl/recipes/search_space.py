"""What a search draws from, and what it draws. Imports no JAX."""

import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, load_config, show
from jaxdl.errors import ConfigError

_PLAIN = re.compile(r"(?!(?:null|true|false)$)[a-z][\w./:+-]*", re.IGNORECASE)
"""Text that means the same in YAML and in a shell, with quotes or without."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Dimension:
    """The values that one key may take: a list, or all from one number to another.

    Attributes:
      low: the smallest number.
      high: the largest number.
      scale: of equal chance are equal differences (linear) or equal ratios (log).
      integer: whether only whole numbers are drawn; both ends are among them.
      values: all that may be drawn, at equal chances, in place of numbers.

    Example:
      >>> Dimension(low=1e-3, high=1.0, scale="log").list_ends()
      (0.001, 1.0)
    """

    low: float | None = Field(default=None, description="Smallest number.")
    high: float | None = Field(default=None, description="Largest number.")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="Equal chance for equal differences or ratios."
    )
    integer: bool = Field(default=False, description="Whether only whole numbers.")
    values: tuple[Any, ...] = Field(default=(), description="All that may be drawn.")

    def find_conflicts(self) -> list[Conflict]:
        """Checks that it is a list or a range, and one that can be drawn from."""
        if self.values:
            return self._find_list_conflicts()
        if self.low is None or self.high is None:
            return [
                Conflict(("values", "low", "high"), "wanted values, or low and high")
            ]
        return self._find_range_conflicts(self.low, self.high)

    def list_ends(self) -> tuple[Any, ...]:
        """The values between which, or from which, one is drawn."""
        if self.values:
            return self.values
        ends = (self.low or 0.0, self.high or 0.0)
        return tuple(map(int, ends)) if self.integer else ends

    def draw(self, place: float) -> Any:
        """The value at a place.

        Args:
          place: in [0, 1); drawn uniformly, the values have their chances.

        Returns:
          A number between the ends, or one of the values.
        """
        if self.values:
            return self.values[int(place * len(self.values))]
        low, high = self.list_ends()
        # Each whole number has the part of the scale from it to the next one.
        top = high + 1 if self.integer else high
        if self.scale == "log":
            value = math.exp(math.log(low) + place * (math.log(top) - math.log(low)))
        else:
            value = low + place * (top - low)
        # Rounding may carry a number over an end.
        return min(max(math.floor(value) if self.integer else value, low), high)

    def to_number(self, value: Any) -> float:
        """A value that was drawn as a number; one of a list by its place there."""
        if not self.values:
            return float(value)
        return float([json.dumps(v) for v in self.values].index(json.dumps(value)))

    def _find_list_conflicts(self) -> list[Conflict]:
        is_set = {
            "low": self.low is not None,
            "high": self.high is not None,
            "scale": self.scale != "linear",
            "integer": self.integer,
        }
        conflicts = [
            Conflict((name, "values"), "goes with low and high, not with values")
            for name, given in is_set.items()
            if given
        ]
        texts = [json.dumps(value) for value in self.values]
        for text in sorted({text for text in texts if texts.count(text) > 1}):
            conflicts.append(Conflict(("values",), f"has {text} more than once"))
        return conflicts

    def _find_range_conflicts(self, low: float, high: float) -> list[Conflict]:
        conflicts = []
        if low >= high:
            message = f"{low:g} is not below high, {high:g}"
            conflicts.append(Conflict(("low", "high"), message))
        if self.scale == "log" and low <= 0:
            message = f"a log scale needs numbers above 0, got {low:g}"
            conflicts.append(Conflict(("low", "scale"), message))
        for name, value in (("low", low), ("high", high)):
            if self.integer and value != int(value):
                message = f"wanted a whole number, got {value:g}"
                conflicts.append(Conflict((name, "integer"), message))
        return conflicts


def read_space(space: Mapping[str, Any]) -> dict[str, Dimension]:
    """Reads a search space as it is written in YAML.

    Args:
      space: by key of the config that is searched, the fields of a `Dimension`.

    Returns:
      The dimensions by key.

    Raises:
      ConfigError: one line for each mistake, which begins with its key.

    Example:
      >>> space = read_space({"data.batch_size": {"values": [32, 64]}})
      >>> space["data.batch_size"].values
      (32, 64)
    """
    dimensions, mistakes = {}, []
    for key, entry in space.items():
        try:
            dimensions[key] = _read_dimension(entry)
        except ConfigError as error:
            mistakes += [f"{key}: {message}" for message in error.messages]
    if not space:
        mistakes.append("is empty, wanted a key to vary")
    if mistakes:
        raise ConfigError(*mistakes)
    return dimensions


def write_override(key: str, value: Any) -> str:
    """Writes a value as a `key=value` text that reads back to it.

    Args:
      key: the dotted key.
      value: plain: a number, text, None, a list or a dictionary of such.

    Returns:
      The text, on one line.

    Example:
      >>> write_override("model.name", "mlp"), write_override("b", [1, "2 epochs"])
      ('model.name=mlp', 'b=[1, "2 epochs"]')
    """
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return f"{key}={value}"
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def sample_trials(
    space: Mapping[str, Dimension], *, num_trials: int, seed: int
) -> list[dict[str, Any]]:
    """Draws the values of every trial, each independently of all others.

    A value is a function of the seed, the number of its trial and its key alone: more
    trials begin with the same ones, and neither another key nor another order of the
    keys changes the values of a key. `random.Random` promises the same numbers of a
    text on every machine and in every later version of Python.

    Args:
      space: the dimensions by key.
      num_trials: how many, at least 0.
      seed: an integer.

    Returns:
      For each trial, the values by key.

    Source:
      J. Bergstra and Y. Bengio, Random search for hyper-parameter optimization, JMLR
      13, 2012.

    Example:
      >>> space = {"units": Dimension(low=1, high=64, scale="log", integer=True)}
      >>> trials = sample_trials(space, num_trials=3, seed=0)
      >>> trials == sample_trials(space, num_trials=9, seed=0)[:3]
      True
    """
    return [
        {
            key: dimension.draw(random.Random(f"{seed} {number} {key}").random())
            for key, dimension in space.items()
        }
        for number in range(num_trials)
    ]


def _read_dimension(entry: Any) -> Dimension:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"wanted {{low, high}} or {{values}}, got {show(entry)}")
    words: Sequence[str] = [write_override(*item) for item in entry.items()]
    try:
        return load_config(Dimension, None, words)
    except ConfigError as error:
        # Without the place, which is neither the file's nor the command line's.
        lines = [message.partition(": ")[2] for message in error.messages]
        raise ConfigError(*lines) from None
