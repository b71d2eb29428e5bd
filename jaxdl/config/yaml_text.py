"""YAML text to nodes that know their lines, nodes to plain values, and back.

Scalars follow YAML 1.2, where `1e-3` is a number and `no` is text. What could make a
small file large, slow or dangerous is refused: aliases, deep nesting, tags, `${...}`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from jaxdl.config.wording import show
from jaxdl.errors import ConfigError

_MAX_BYTES = 64 * 1024  # bounds the time a hostile file can take
_MAX_DEPTH = 16
_TAG = "tag:yaml.org,2002:"
_SCALARS = ("null", "str", "bool", "int", "float")


class Loader(yaml.SafeLoader):
    """YAML 1.2 scalars, no aliases, bounded depth."""

    yaml_implicit_resolvers = {}
    depth = 0

    def compose_node(self, parent, index):
        """Composes one node; refuses what could make a small file large."""
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are refused", problem_mark=mark)
        if self.depth == _MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class Dumper(yaml.SafeDumper):
    """Quotes the text that `Loader` would read as something else."""

    yaml_implicit_resolvers = {}


# 010 and 1:30 stay text (YAML 1.1 reads 8 and 90), so a numeric field refuses them.
for _name, _pattern, _first in [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
]:
    for _class in (Loader, Dumper):
        _class.add_implicit_resolver(
            _TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_first)
        )


def compose_file(file: Path) -> yaml.Node | None:
    """Parses a config file; None if it's empty, ConfigError if it can't be read."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{file}: is a folder, wanted a YAML file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{file}: can't be read: {reason}") from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{file}: is larger than {_MAX_BYTES} bytes")
    try:
        node = compose(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else f"{file}"
        raise ConfigError(f"{place}: {explain(error)}") from None
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{file}: wanted sections such as 'data:', got a lone value")
    return node


def compose(text: str) -> yaml.Node | None:
    """Parses one YAML document; None if it's empty, YAMLError if it can't be read."""
    try:
        return yaml.compose(text, Loader=Loader)
    except (ValueError, OverflowError) as error:  # "\UFFFFFFFF" slips past PyYAML
        raise yaml.YAMLError(str(error)) from None


def explain(error: yaml.YAMLError) -> str:
    """Says on one line what the parser didn't like."""
    text = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    return " ".join(str(text).split())


def is_mapping(node: yaml.Node) -> TypeGuard[yaml.MappingNode]:
    """Tells whether a node is a plain mapping, without a tag of its own."""
    return isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map"


def is_null(node: yaml.Node) -> bool:
    """Tells whether a node is `null`, `~` or empty."""
    return node.tag == _TAG + "null"


def read_name(node: yaml.Node) -> str | None:
    """Reads the name before a colon; None if it's a list, a mapping or tagged."""
    plain = isinstance(node, yaml.ScalarNode) and node.tag.startswith(_TAG)
    return node.value if plain and node.tag.removeprefix(_TAG) in _SCALARS else None


def read_value(node: yaml.Node, *, as_text: bool) -> Any:
    """Converts a node to plain Python values; text fields take scalars as written."""
    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [read_value(item, as_text=as_text) for item in node.value]
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return {
            str(read_value(name, as_text=True)): read_value(value, as_text=as_text)
            for name, value in node.value
        }
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError(f"the tag {show(node.tag)} is refused; wanted a plain value")
    return _read_scalar(node.value, kind, as_text=as_text)


def find_repeated(node: yaml.Node, path: str) -> Iterator[tuple[str, int, int]]:
    """Finds the keys that a mapping within a value holds twice.

    Args:
        node: Of a value that `read_value` takes.
        path: Its dotted key.

    Yields:
        The dotted key, the line of its first appearance and that of a later one.
    """
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from find_repeated(item, f"{path}.{place}")
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for name, value in node.value:
            key = f"{path}.{read_value(name, as_text=True)}"
            line = name.start_mark.line + 1
            if key in lines:
                yield key, lines[key], line
            else:
                lines[key] = line
                yield from find_repeated(value, key)


def _read_scalar(text: str, kind: str, *, as_text: bool) -> Any:
    if "${" in text:
        raise ValueError(f"{show(text)}: '${{...}}' is not filled in; write the value")
    if kind not in _SCALARS:
        raise ValueError(f"the tag {show(kind)} is refused; wanted a plain value")
    if not text.isprintable():
        raise ValueError(f"{show(text)} holds characters that can't be printed")
    if kind == "null":
        return None
    if as_text or kind == "str":
        return text
    if kind == "bool":
        return text.lower() == "true"
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        return text  # .inf, .nan, !!int x, over 4300 digits: no number that is wanted
