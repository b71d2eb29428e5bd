"""Typed, frozen configs from a YAML file and `key=value` overrides.

A schema is a pydantic dataclass of sections, themselves dataclasses; every field has a
default, bounds and one line of documentation. Its defaults are the base config: a file
holds only what differs, and an override wins over the file. Imports no JAX.
"""

from jaxdl.config.loading import find_conflicts, load_config
from jaxdl.config.schema import STRICT, Conflict, FieldDescription, describe_fields
from jaxdl.config.values import changed_fields, dump_config, flatten_config
from jaxdl.config.wording import show, suggest

__all__ = [
    "STRICT",
    "Conflict",
    "FieldDescription",
    "changed_fields",
    "describe_fields",
    "dump_config",
    "find_conflicts",
    "flatten_config",
    "load_config",
    "show",
    "suggest",
]
