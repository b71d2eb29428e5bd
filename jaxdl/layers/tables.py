"""Choosing a block by its name."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

Choice = TypeVar("Choice")


def choose(table: Mapping[str, Choice], name: str, *, what: str) -> Choice:
    """Looks a name up in a table of blocks.

    Args:
      table: blocks by name.
      name: the one wanted.
      what: what the table holds, in the singular, for the message.

    Returns:
      The block of that name.

    Raises:
      ValueError: the table has no such name; the message lists those it has.

    Example:
      >>> choose({"relu": max}, "rellu", what="activation")
      Traceback (most recent call last):
      ...
      ValueError: unknown activation 'rellu': choose relu; did you mean 'relu'?
    """
    if name in table:
        return table[name]
    close = difflib.get_close_matches(str(name), table, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"unknown {what} {name!r}: choose {', '.join(table)}{hint}")
