"""The run whose network a script takes: its config and its data. Imports no JAX."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.rbf_config import RBFConfig

SourceConfig = BarlowTwinsConfig | ClassifierConfig | RBFConfig
"""Of a run that has a trained network."""

_SCHEMAS = {"projector": BarlowTwinsConfig, "centers": RBFConfig}
"""Of runs that have a section which those of other classifiers lack."""

_FREE = ("batch_size",)
"""What of a run's data says nothing about the data."""

_OF_THE_SOURCE = ("source", "path", "train_limit")
"""What of a run's data does not hold for data from elsewhere."""


def read_source_config(folder: str | os.PathLike[str]) -> SourceConfig:
    """The config of a run of a pre-training or of a classifier of any kind.

    Args:
        folder: The run folder.

    Returns:
        The config, by the sections in it.

    Raises:
        ConfigError: It is not a run folder, or one of something else.
    """
    file = Path(folder).resolve() / "config.yaml"
    # os.path.isfile, unlike Path.is_file, also survives a path too long.
    if not os.path.isfile(file):
        raise ConfigError(f"{file.parent}: not a run folder (it has no {file.name})")
    names = _read_names(file)
    found = [schema for section, schema in _SCHEMAS.items() if section in names]
    schema: type[SourceConfig] = (*found, ClassifierConfig)[0]
    others = names - {field.name for field in dataclasses.fields(schema)}
    if others or not names:
        has = f"; its config has {', '.join(sorted(others)) or 'no sections'}"
        raise ConfigError(
            f"{file.parent}: not the run of a pre-training or a classifier{has}"
        )
    return load_config(schema, file)


def read_classifier_config(
    folder: str | os.PathLike[str],
) -> ClassifierConfig | RBFConfig:
    """The config of a run of a classifier of any kind.

    Args:
        folder: The run folder.

    Returns:
        The config, by the sections in it.

    Raises:
        ConfigError: It is not a run folder, or one of something else.
    """
    config = read_source_config(folder)
    if isinstance(config, BarlowTwinsConfig):
        raise ConfigError(
            f"{Path(folder).resolve()}: the run of a pre-training, which knows no "
            "classes; linear_probe.py and knn_probe.py score its features"
        )
    return config


def read_data_defaults(
    schema: type, folder: str, overrides: Sequence[str]
) -> list[str]:
    """The data that a run was trained on, as overrides to put before those given.

    Data from another source are resized to the images that the run was trained on,
    unless `data.image_size` is given too.

    Args:
        schema: The script's schema, which has a `data` section.
        folder: The run folder.
        overrides: The `key=value` texts on the command line.

    Returns:
        `data.<key>=<value>` for all that the data are described by.

    Raises:
        ConfigError: See `read_source_config`.
    """
    config = read_source_config(folder)
    values = dataclasses.asdict(config.data)  # pyright: ignore[reportArgumentType]
    keys = {override.partition("=")[0].strip() for override in overrides}
    left_out = set(_FREE)
    if keys & {"data", "data.source"}:
        left_out |= set(_OF_THE_SOURCE)
        values["image_size"] = values["image_size"] or _read_side(folder)
    return [
        f"data.{key}={json.dumps(value)}"
        for key, value in values.items()
        if key not in left_out
    ]


def _read_names(file: Path) -> set[str]:
    """The names of a config's sections; none of what can't be read."""
    try:
        content = yaml.safe_load(file.read_bytes())
    except (OSError, yaml.YAMLError):
        # Read once more, by what knows how to say what is wrong with it.
        load_config(ClassifierConfig, file)
        return set()
    return set(map(str, content)) if isinstance(content, dict) else set()


def _read_side(folder: str) -> int | None:
    """The side of the images of a run; None where its card is damaged."""
    try:
        card = json.loads((Path(folder) / "dataset.json").read_bytes())
        return int(card["image_shape"][0])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None  # opening the run reports it
