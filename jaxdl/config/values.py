"""Configs as text and as flat dictionaries."""

import dataclasses
from typing import Any

import yaml

from jaxdl.config.yaml_text import Dumper


def dump_config(config: Any) -> str:
    """Writes a config with all its fields as YAML that loads back to an equal one.

    Args:
        config: An instance of a schema.

    Returns:
        The YAML text.

    Example:
        >>> from pydantic.dataclasses import dataclass
        >>> from jaxdl.config import STRICT
        >>> @dataclass(frozen=True, config=STRICT)
        ... class Training:
        ...     learning_rate: float = 0.1
        ...     name: str = "1e-3"
        >>> print(dump_config(Training()), end="")
        learning_rate: 0.1
        name: '1e-3'
    """
    return yaml.dump(
        dataclasses.asdict(config), Dumper=Dumper, sort_keys=False, allow_unicode=True
    )


def flatten_config(config: Any) -> dict[str, Any]:
    """Lists the values of a config by dotted key.

    Args:
        config: An instance of a schema.

    Returns:
        The value of each field, by keys such as `optimizer.learning_rate`.

    Example:
        >>> from pydantic.dataclasses import dataclass
        >>> from jaxdl.config import STRICT
        >>> @dataclass(frozen=True, config=STRICT)
        ... class Training:
        ...     learning_rate: float = 0.1
        >>> flatten_config(Training())
        {'learning_rate': 0.1}
    """
    values = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            inner = flatten_config(value)
            values.update({f"{field.name}.{key}": inner[key] for key in inner})
        else:
            values[field.name] = value
    return values


def changed_fields(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    """Compares two configs of one schema.

    Args:
        old: A config.
        new: Another one.

    Returns:
        The old and the new value of each field that differs, by dotted key.

    Example:
        >>> from pydantic.dataclasses import dataclass
        >>> from jaxdl.config import STRICT
        >>> @dataclass(frozen=True, config=STRICT)
        ... class Training:
        ...     learning_rate: float = 0.1
        >>> changed_fields(Training(), Training(learning_rate=0.2))
        {'learning_rate': (0.1, 0.2)}
    """
    before, after = flatten_config(old), flatten_config(new)
    return {
        key: (before.get(key), after.get(key))
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    }
