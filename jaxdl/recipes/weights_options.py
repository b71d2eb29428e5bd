"""What a weights file is told on the command line, or tells itself. Imports no JAX.

A run folder knows its network, its data and their preparation. A file in PyTorch's
layout knows nothing but tensors, so the command line says it all; a file exported from
a run has it in its header, which the command line overrides.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Annotated, Any, TypeGuard

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, load_config
from jaxdl.errors import CheckpointError, ConfigError

WEIGHTS_SUFFIXES = (".safetensors", ".npz", ".pth", ".pt", ".th", ".bin")

EXPORTED_KEYS = ("model", "data", "dataset")
"""What the config in the header of an exported file holds, besides the step."""

_SECTIONS = ("model", "data", "augment")
"""What only a weights file is told."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PreparationSection:
    """How images are prepared for the network of a weights file."""

    mean: tuple[float, ...] | None = Field(
        default=None,
        description="Of a weights file: channel means; null: the published ones.",
    )
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None,
        description="Of a weights file: deviations; null: the published ones.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the mean and the deviation go together."""
        lengths = [None if v is None else len(v) for v in (self.mean, self.std)]
        if lengths[0] == lengths[1]:
            return []
        message = "wanted augment.mean and augment.std of as many channels, or neither"
        return [Conflict(("mean", "std"), message)]


def is_weights_file(path: str) -> bool:
    """Tells a weights file from a run folder.

    Args:
        path: As on the command line; a missing file counts by its name.

    Returns:
        Whether it is a file, or would be one.

    Example:
        >>> is_weights_file("resnet18.pth"), is_weights_file("runs/first")
        (True, False)
    """
    looks_like_one = path.lower().endswith(WEIGHTS_SUFFIXES)
    return os.path.isfile(path) or (looks_like_one and not os.path.isdir(path))


def is_exported(config: Any) -> TypeGuard[dict[str, Any]]:
    """Tells the header of an exported run from one with anything else in it.

    Args:
        config: That of a header.

    Returns:
        Whether `export_weights` made it: it has a network, data and their card.

    Example:
        >>> is_exported({"dataset": "cifar10"})
        False
    """
    return isinstance(config, dict) and all(
        isinstance(config.get(key), dict) for key in EXPORTED_KEYS
    )


def read_weights_defaults(
    schema: type, path: str, overrides: Sequence[str]
) -> list[str]:
    """Reads from a weights file what its header says about the fields of a script.

    Args:
        schema: The script's schema.
        path: A run folder or a weights file.
        overrides: The `key=value` texts on the command line.

    Returns:
        More such texts, to be put before those given; none for a run folder or a file
        in PyTorch's layout.

    Raises:
        ConfigError: An option does not go with the path, the path is some other file,
            or the network's name is nowhere.
        CheckpointError: The file is missing, or its header is damaged or does not fit
            the schema.

    Example:
        >>> read_weights_defaults(PreparationSection, "runs/first", ["split=test"])
        []
    """
    keys = [override.partition("=")[0].strip() for override in overrides]
    if not is_weights_file(path):
        for key in keys:
            if key.partition(".")[0] in _SECTIONS:
                raise ConfigError(
                    f"command line: {key}: only for a weights file "
                    f"({', '.join(WEIGHTS_SUFFIXES)}); a run folder has its own"
                )
        return []
    if not path.lower().endswith(WEIGHTS_SUFFIXES):
        raise ConfigError(
            f"{path}: neither a run folder nor a weights file "
            f"({', '.join(WEIGHTS_SUFFIXES)})"
        )
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such file")
    if "checkpoint" in keys:
        raise ConfigError("command line: checkpoint: only for a run folder")
    header = _read_header(schema, path)
    if header is None and not {"model", "model.name"} & set(keys):
        raise ConfigError(
            f"command line: model.name: missing; {path} does not say which network its "
            "tensors are of"
        )
    return header or []


def _read_header(schema: type, path: str) -> list[str] | None:
    """The header of a file of our own as overrides; None for any other file."""
    if not path.lower().endswith(".safetensors"):
        return None
    # Imported late, as it brings JAX.
    from jaxdl.weights import read_safetensors_header

    header = read_safetensors_header(path)
    if header is None:
        return None
    sections: dict[str, dict] = {"model": {}}
    config = header.config
    if is_exported(config):
        card = config["dataset"]
        preparation = {key: card[key] for key in ("mean", "std") if key in card}
        sections = {key: config[key] for key in ("model", "data")}
        sections["augment"] = preparation
    sections["model"] = {**sections["model"], "name": header.model_name}
    known = {field.name for field in dataclasses.fields(schema)}
    overrides = [
        f"{section}.{key}={json.dumps(value)}"
        for section, values in sections.items()
        if section in known
        for key, value in values.items()
    ]
    try:
        load_config(schema, None, overrides)
    except ConfigError as error:
        reasons = "; ".join(m.removeprefix("command line: ") for m in error.messages)
        raise CheckpointError(f"{path}: its header does not fit: {reasons}") from None
    return overrides
