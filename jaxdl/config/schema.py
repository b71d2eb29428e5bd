"""What a schema says: its fields and sections, and their types in words."""

import types
from collections.abc import Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Union,
    cast,
    get_args,
    get_origin,
)

import pydantic
from pydantic.fields import FieldInfo

from jaxdl.config.wording import show, suggest

STRICT = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""The settings each section is declared with: no extra keys, no silent conversions."""

_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


class Conflict(NamedTuple):
    """Fields whose values are each fine but not together.

    A section or schema with a method `find_conflicts() -> list[Conflict]` is asked for
    them once its fields are valid.

    Attributes:
        keys: The fields involved, relative to the section; reported at the first of
            them that was written somewhere.
        message: What is wrong and what would be right.
    """

    keys: tuple[str, ...]
    message: str


class FieldDescription(NamedTuple):
    """One field as `--help` shows it.

    Attributes:
        key: The dotted key, as `optimizer.learning_rate`.
        type: The type and bounds, as `float > 0`.
        default: The default, written as in YAML.
        doc: One line of documentation.
    """

    key: str
    type: str
    default: str
    doc: str


def describe_fields(schema: type) -> list[FieldDescription]:
    """Lists every field of a schema with its type, default and documentation.

    Args:
        schema: A pydantic dataclass.

    Returns:
        One description per field, in the order of declaration.

    Example:
        >>> from pydantic import Field
        >>> from pydantic.dataclasses import dataclass
        >>> from jaxdl.config import STRICT
        >>> @dataclass(frozen=True, config=STRICT)
        ... class Training:
        ...     learning_rate: float = Field(default=0.1, gt=0, description="Step.")
        >>> describe_fields(Training)[0].type
        'float > 0'
    """
    return [
        FieldDescription(
            key,
            describe_type(field),
            "required" if field.is_required() else show(_default(field)),
            field.description or "",
        )
        for key, field in collect_fields(schema).items()
    ]


def collect_fields(schema: type, prefix: str = "") -> dict[str, FieldInfo]:
    """Finds the fields of a schema and its sections by dotted key."""
    fields = {}
    for name, field in _own_fields(schema).items():
        if _is_section(field.annotation):
            fields.update(
                collect_fields(cast(type, field.annotation), f"{prefix}{name}.")
            )
        else:
            fields[prefix + name] = field
    return fields


def collect_sections(schema: type, key: str = "") -> dict[str, list[str]]:
    """Names the keys of each section, the schema itself being section ""."""
    sections = {key: list(_own_fields(schema))}
    for name, field in _own_fields(schema).items():
        if _is_section(field.annotation):
            inner = f"{key}.{name}" if key else name
            sections.update(collect_sections(cast(type, field.annotation), inner))
    return sections


def _is_section(annotation: Any) -> bool:
    return pydantic.dataclasses.is_pydantic_dataclass(annotation)


def _own_fields(schema: Any) -> dict[str, FieldInfo]:
    return schema.__pydantic_fields__


def wants_text(annotation: Any) -> bool:
    """Tells whether a field (or its items) takes text, so that 007 stays as it is."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is str or origin is Literal:
        return True
    if origin in (Union, types.UnionType):
        return all(wants_text(a) for a in arguments if a is not type(None))
    return bool(arguments) and wants_text(arguments[0])  # a list, or Annotated


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def describe_mismatch(field: FieldInfo, value: Any) -> str:
    """Says what a field wanted and got, and what may have been meant."""
    choices = _choices(field.annotation)
    hint = suggest(value, choices) if isinstance(value, str) else ""
    return f"wanted {describe_type(field)}, got {show(value)}{hint}"


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [choice for inner in get_args(annotation) for choice in _choices(inner)]


def describe_type(field: FieldInfo) -> str:
    """Writes the type and bounds of a field, as `float > 0 or null`."""
    return _describe_annotation(field.annotation, _describe_bounds(field.metadata))


def _describe_bounds(metadata: Sequence[Any]) -> str:
    bounds = [
        f"{symbol} {getattr(item, name)}"
        for item in metadata
        for name, symbol in _BOUNDS.items()
        if hasattr(item, name)
    ]
    return f" {', '.join(bounds)}" if bounds else ""


def _describe_annotation(annotation: Any, bounds: str = "") -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        *others, last = [str(choice) for choice in arguments]
        return f"{', '.join(others)} or {last}" if others else last
    if origin in (Union, types.UnionType):
        return " or ".join(_describe_annotation(a, bounds) for a in arguments)
    if origin in (tuple, list):
        return f"list of {_describe_annotation(arguments[0])}"
    if origin is dict:
        keys, values = map(_describe_annotation, arguments)
        return f"mapping of {keys} to {values}"
    if origin is Annotated:
        inner = [item for item in arguments[1:] if isinstance(item, FieldInfo)]
        metadata = [bound for item in inner for bound in item.metadata]
        return _describe_annotation(arguments[0], _describe_bounds(metadata))
    if annotation in (int, float):
        return annotation.__name__ + bounds
    names = {bool: "true or false", str: "text", type(None): "null"}
    return names.get(annotation) or annotation.__name__
