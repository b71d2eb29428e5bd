"""Words for messages: what was meant, and what was given."""

import difflib
import json
from collections.abc import Sequence
from typing import Any


def suggest(word: str, choices: Sequence[str]) -> str:
    """Finds what a mistyped word was meant to be.

    Args:
        word: What was typed.
        choices: What is allowed.

    Returns:
        `. Did you mean 'x'?` to end a message with, or nothing if no choice is close.

    Example:
        >>> suggest("adamv", ["sgd", "adamw"])
        ". Did you mean 'adamw'?"
    """
    lower = {choice.lower(): choice for choice in choices}
    # The start of a long name is closer in meaning than a short name that looks alike.
    close = [name for name in lower if len(word) > 2 and name.startswith(word.lower())]
    close += difflib.get_close_matches(word.lower(), list(lower), n=1, cutoff=0.6)
    return f". Did you mean {lower[close[0]]!r}?" if close else ""


def show(value: Any) -> str:
    """Writes a value as YAML would, on one line and not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = text if text.isprintable() else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
