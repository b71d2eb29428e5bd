"""Reads a config from a YAML file and overrides, reporting all mistakes at once."""

import dataclasses
import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pydantic
import yaml
from pydantic.fields import FieldInfo

from jaxdl.config.schema import (
    Conflict,
    collect_fields,
    collect_sections,
    describe_mismatch,
    describe_type,
    wants_text,
)
from jaxdl.config.wording import show, suggest
from jaxdl.config.yaml_text import (
    compose,
    compose_file,
    explain,
    find_repeated,
    is_mapping,
    is_null,
    read_name,
    read_value,
)
from jaxdl.errors import ConfigError

Schema = TypeVar("Schema")


class _Place(NamedTuple):
    """Where something was written: sorts by file line, the command line last."""

    on_command_line: bool
    line: int
    label: str


_COMMAND_LINE = _Place(True, 0, "command line")


def load_config(
    schema: type[Schema], file: str | Path | None = None, overrides: Sequence[str] = ()
) -> Schema:
    """Loads a config: the schema's defaults, then a YAML file, then overrides.

    Args:
        schema: A pydantic dataclass declared with `config=STRICT`; fields that are
            dataclasses too are its sections.
        file: A YAML file that holds only what differs from the defaults.
        overrides: `key=value` texts, as `"optimizer.learning_rate=1e-3"`; the value is
            YAML, and the last one wins. Text needs no quotes.

    Returns:
        The frozen config.

    Raises:
        ConfigError: One line per mistake, in the order of the file and then of the
            command line: `<file>:<line>: <key>: <message>` or
            `command line: <key>: <message>`.

    Example:
        >>> from pydantic import Field
        >>> from pydantic.dataclasses import dataclass
        >>> from jaxdl.config import STRICT
        >>> @dataclass(frozen=True, config=STRICT)
        ... class Training:
        ...     learning_rate: float = Field(default=0.1, gt=0, description="Step.")
        >>> load_config(Training, overrides=["learning_rate=1e-3"]).learning_rate
        0.001
    """
    reading = _Reading(collect_fields(schema), collect_sections(schema))
    if file is not None:
        node = compose_file(Path(file))
        if node is not None:
            place_at = lambda line: _Place(False, line, f"{file}:{line}")
            reading.read_entry("", node, 1, place_at, {})
    for override in overrides:
        reading.read_override(override)
    config = reading.validate(schema)
    if reading.mistakes:
        reading.mistakes.sort(key=lambda mistake: mistake[0])
        lines = [f"{place.label}: {text}" for place, text in reading.mistakes]
        raise ConfigError(*dict.fromkeys(lines))
    return config


class _Reading:
    """What has been read so far: values by key, where each was written, mistakes."""

    def __init__(self, fields: dict[str, FieldInfo], sections: dict[str, list[str]]):
        self.fields = fields
        self.sections = sections
        self.values: dict[str, Any] = {}
        self.places: dict[str, _Place] = {}
        self.faulty: set[str] = set()
        self.mistakes: list[tuple[_Place, str]] = []

    def report(self, place: _Place, key: str, message: str) -> None:
        """Notes a mistake in the value of a key."""
        self.faulty.add(key)
        name = key if key.isprintable() and len(key) <= 80 else show(key)
        self.mistakes.append((place, f"{name}: {message}" if name else message))

    def read_override(self, override: str) -> None:
        """Reads one `key=value` text."""
        key, equals, text = override.partition("=")
        key = key.strip()
        if not (equals and key and text.strip()):
            wanted = f"{show(override)}: wanted key=value, as in run.seed=1"
            self.mistakes.append((_COMMAND_LINE, wanted))
            return
        try:
            node = compose(text)
        except yaml.YAMLError as error:
            message = f"can't read {show(text)}: {explain(error)}; try quotes"
            self.report(_COMMAND_LINE, key, message)
            return
        if node is None:  # a comment only, as in run.name=#5
            self.report(_COMMAND_LINE, key, f"{show(text)} needs quotes")
            return
        self.read_entry(key, node, 1, lambda line: _COMMAND_LINE, {})

    def read_entry(
        self,
        key: str,
        node: yaml.Node,
        line: int,
        place_at: Callable[[int], _Place],
        seen: dict[str, int],
    ) -> None:
        """Reads what was written for a key: a field's value or a whole section.

        `seen` has the lines of what this file or override has given so far, by key.
        """
        place = place_at(line)
        if key in seen:
            # Both are at fault: neither is known to be the one that was meant.
            self._report_repeated(place, key, seen[key])
            return
        seen[key] = line
        if key in self.fields:
            annotation = self.fields[key].annotation
            try:
                self.values[key] = read_value(node, as_text=wants_text(annotation))
                for path, first, second in find_repeated(node, key):
                    self.faulty.add(key)
                    self._report_repeated(place_at(second), path, first)
            except ValueError as error:
                self.report(place, key, str(error))
            self.places[key] = place
        elif key not in self.sections:
            self.report(place, key, f"unknown key{self._suggest_key(key)}")
        elif is_mapping(node):
            self._read_section(key, node, place_at, seen)
        elif not is_null(node):  # an empty section is fine
            names = ", ".join(self.sections[key])
            self.report(place, key, f"wanted a section with the keys {names}")

    def _read_section(
        self,
        prefix: str,
        node: yaml.MappingNode,
        place_at: Callable[[int], _Place],
        seen: dict[str, int],
    ) -> None:
        for name_node, value in node.value:
            line = name_node.start_mark.line + 1
            name = read_name(name_node)
            if not name:
                self.report(place_at(line), prefix, "wanted plain names as keys")
                continue
            key = f"{prefix}.{name}" if prefix else name
            self.read_entry(key, value, line, place_at, seen)

    def _report_repeated(self, place: _Place, key: str, first: int) -> None:
        where = "" if place.on_command_line else f", first in line {first}"
        fix = "put all its keys under one" if key in self.sections else "keep one"
        self.report(place, key, f"written twice{where}; {fix}")

    def _suggest_key(self, key: str) -> str:
        known = [*self.fields, *(section for section in self.sections if section)]
        section, _, name = key.rpartition(".")
        siblings = [full for full in known if full.rpartition(".")[0] == section]
        for full in siblings:
            if _is_short_for(name, _last(full)):
                return f". Did you mean {full!r}?"
        close = difflib.get_close_matches(name, map(_last, siblings), n=1)
        if close:
            prefix = f"{section}." if section else ""
            return f". Did you mean {prefix + close[0]!r}?"
        # The right name in the wrong section, or in none.
        same = [full for full in known if name == _last(full)]
        same += [full for full in known if _is_short_for(name, _last(full))]
        if same:
            nearest = max(same, key=lambda full: _similarity(key, full))
            return f". Did you mean {nearest!r}?"
        return suggest(key, known)

    def validate(self, schema: type[Schema]) -> Any:
        """Builds the config; reports invalid values and conflicts between fields."""
        adapter = pydantic.TypeAdapter(schema)
        config = None
        for _ in range(2):  # again without the faulty fields, to find conflicts
            usable = {k: v for k, v in self.values.items() if k not in self.faulty}
            try:
                # JSON, as strict validation of Python values would refuse a dict for a
                # section and a list for a tuple.
                config = adapter.validate_json(json.dumps(_nest(usable)))
                break
            except pydantic.ValidationError as error:
                for item in error.errors(include_url=False):
                    self._report_invalid(item)
        if config is not None:
            for conflict in find_conflicts(config):
                if not any(map(self._is_faulty, conflict.keys)):
                    self._report_conflict(conflict)
        return config

    def _report_invalid(self, item: Any) -> None:
        parts = [str(part) for part in item["loc"]]
        keys = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
        key = next((key for key in keys if key in self.fields), keys[0])
        if self._is_faulty(key):  # pydantic names each member of a union
            return
        place = self.places.get(key, _Place(False, 0, "config"))
        if item["type"] == "value_error":
            message = str(item["ctx"]["error"])
        elif key not in self.values:
            message = f"missing; wanted {describe_type(self.fields[key])}"
        else:
            message = describe_mismatch(self.fields[key], self.values[key])
        self.report(place, key, message)

    def _is_faulty(self, key: str) -> bool:
        """Tells whether a key or a section around it was not read as it should."""
        parts = key.split(".")
        return any(
            ".".join(parts[:end]) in self.faulty for end in range(1, len(parts) + 1)
        )

    def _report_conflict(self, conflict: Conflict) -> None:
        written = [key for key in conflict.keys if key in self.places]
        key = written[0] if written else conflict.keys[0]
        place = self.places.get(key, _Place(False, 0, "defaults"))
        self.mistakes.append((place, f"{key}: {conflict.message}"))


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _similarity(a: str, b: str) -> float:
    return difflib.SequenceMatcher(None, a, b).ratio()


def _is_short_for(short: str, name: str) -> bool:
    """Tells whether a word is made of initials, as lr of learning_rate."""
    initials = "".join(word[:1] for word in name.split("_"))
    return len(short) > 1 and short == initials


def find_conflicts(config: Any, prefix: str = "") -> Iterator[Conflict]:
    """Finds the fields of a config that don't go together, section by section.

    Args:
        config: A config, or a section of one; `load_config` has asked for its
            conflicts, `dataclasses.replace` hasn't.
        prefix: Is put before each key.

    Yields:
        What each section's `find_conflicts` tells, with keys of the whole config.

    Example:
        >>> from pydantic.dataclasses import dataclass
        >>> from jaxdl.config import STRICT
        >>> @dataclass(frozen=True, config=STRICT)
        ... class Range:
        ...     low: int = 0
        ...     high: int = 1
        ...     def find_conflicts(self):
        ...         wrong = [Conflict(("low", "high"), "low is above high")]
        ...         return wrong if self.low > self.high else []
        >>> [conflict.message for conflict in find_conflicts(Range(low=2))]
        ['low is above high']
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from find_conflicts(value, f"{prefix}{field.name}.")
    if hasattr(config, "find_conflicts"):
        for keys, message in config.find_conflicts():
            yield Conflict(tuple(prefix + key for key in keys), message)


def _nest(values: dict[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for key, value in values.items():
        *sections, name = key.split(".")
        section = root
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = value
    return root
