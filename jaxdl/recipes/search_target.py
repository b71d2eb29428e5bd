"""The experiment that a search repeats: its script, its config. Imports no JAX."""

import dataclasses
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.config import load_config, suggest
from jaxdl.errors import ConfigError
from jaxdl.recipes.search_config import SearchConfig
from jaxdl.recipes.search_space import Dimension, read_space, write_override

_PLACE = "command line: "


@dataclasses.dataclass(frozen=True)
class Target:
    """What every trial of a search has in common.

    Attributes:
      script: the experiment's file.
      config: its config, without the values that are searched.
      space: the dimensions by key of that config.
    """

    script: Path
    config: Any
    space: Mapping[str, Dimension]


def load_target(config: SearchConfig, *, scripts: Path) -> Target:
    """Loads the config that is searched, and tries each value of the space in it.

    Args:
      config: tells the script, the file, the overrides and the space.
      scripts: the folder of the experiments' scripts.

    Returns:
      What the trials have in common.

    Raises:
      ConfigError: there is no such script or file, or the config refuses a key, an
        override, the end of a range or one of the values; one line for each. Values
        that are refused only together are not found: such a trial fails.
    """
    script = _find_script(config.experiment, scripts)
    schema = _load_schema(script)
    words = [write_override(*item) for item in config.overrides.items()]
    try:
        base = load_config(schema, config.config, words)
    except ConfigError as error:
        raise ConfigError(*map(_rename_place, error.messages)) from None
    space = read_space(config.space)
    mistakes = [
        line
        for key, dimension in space.items()
        for line in _find_refusals(schema, config.config, words, key, dimension)
    ]
    if mistakes:
        raise ConfigError(*dict.fromkeys(mistakes))
    return Target(script, base, space)


def _find_script(name: str, scripts: Path) -> Path:
    files = {path.stem: path for path in sorted(scripts.glob("*.py"))}
    if name not in files:
        raise ConfigError(
            f"experiment: no {name}.py in {scripts}{suggest(name, list(files))}"
        )
    return files[name]


def _load_schema(script: Path) -> type:
    spec = importlib.util.spec_from_file_location(f"searched_{script.stem}", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    schema = getattr(module, "Config", None)
    if schema is None:
        raise ConfigError(
            f"experiment: {script.stem} works on a run folder; wanted a script that "
            "takes a config"
        )
    if schema is SearchConfig:
        raise ConfigError("experiment: a search can't search itself")
    return schema


def _find_refusals(
    schema: type, file: str, words: Sequence[str], key: str, dimension: Dimension
) -> Iterator[str]:
    for value in dimension.list_ends():
        word = write_override(key, value)
        try:
            load_config(schema, file, [*words, word])
        except ConfigError as error:
            start = f"{_PLACE}{key}: "
            for line in error.messages:
                if not line.startswith(start):  # it contradicts another field
                    yield f"space: {word}: {_rename_place(line)}"
                    continue
                message = line.removeprefix(start)
                is_whole = dimension.integer or dimension.values
                if "wanted int" in message and not is_whole:
                    message += "; integer: true draws whole numbers"
                # A message about a single field tells the value itself.
                says_all = "got " in message or message.startswith("unknown")
                yield f"space: {key if says_all else word}: {message}"


def _rename_place(line: str) -> str:
    return f"overrides: {line[len(_PLACE) :]}" if line.startswith(_PLACE) else line
