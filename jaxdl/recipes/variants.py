"""Variants of a config, to be trained and compared. Imports no JAX."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, find_conflicts, flatten_config, show
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.sections import RunSection


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the trainings that are compared.

    Attributes:
      name: what its run folders begin with.
      settings: what sets it apart, by column of the table.
      config: how it is trained.
      label: its name in the figure.
      panel: heading of the panel it is drawn in, with those it is compared to.
    """

    name: str
    settings: Mapping[str, Any]
    config: ClassifierConfig | RBFConfig
    label: str
    panel: str


def vary(
    config: Any, changes: Mapping[str, Any], *, schema: type[Any] = ClassifierConfig
) -> Any:
    """A config with other values.

    Args:
      config: has all the sections of the schema, and maybe more.
      changes: new values by dotted key, `section.field`.
      schema: of the result.

    Returns:
      A config of that schema; its values have been checked one by one, but not yet
      whether they go together.

    Example:
      >>> vary(ClassifierConfig(), {"data.batch_size": 4}).data.batch_size
      4
    """
    names = [field.name for field in dataclasses.fields(schema)]
    values = {name: getattr(config, name) for name in names}
    for key, value in changes.items():
        section, _, field = key.partition(".")
        values[section] = dataclasses.replace(values[section], **{field: value})
    return schema(**values)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ComparisonSection:
    """What all comparisons have in common."""

    num_seeds: int = Field(
        default=1,
        ge=1,
        description="Runs per variant, of the seeds run.seed, run.seed + 1, ...",
    )


@runtime_checkable
class Comparison(Protocol):
    """What a config of any comparison has."""

    @property
    def study(self) -> ComparisonSection:
        """How many seeds."""
        ...

    @property
    def run(self) -> RunSection:
        """Where the comparison is written, and its first seed."""
        ...

    def list_variants(self) -> list[Variant]:
        """What to compare, in the order of the table."""
        ...

    def find_varied(self) -> dict[str, str]:
        """The keys that the variants set themselves, by the key that says to what."""
        ...


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ComparisonConfig(ClassifierConfig):
    """A classifier config, and in its section `study` what is varied."""

    study: ComparisonSection = Field(default_factory=ComparisonSection)

    def list_variants(self) -> list[Variant]:
        """The classifiers to compare, in the order of the table."""
        raise NotImplementedError

    def find_varied(self) -> dict[str, str]:
        """The keys that the variants set themselves, by the key that says to what."""
        raise NotImplementedError

    def find_conflicts(self) -> list[Conflict]:
        """Checks every variant as if it were a config of its own."""
        return find_variant_conflicts(self)


def find_variant_conflicts(config: Comparison) -> list[Conflict]:
    """Checks every variant of a comparison as if it were a config of its own.

    Args:
      config: its single sections have been checked.

    Returns:
      The conflicts, by keys of the whole config.
    """
    return [
        *_find_hosts(config),
        *_find_overruled(config),
        *_find_repeated(config),
        *_find_in_each(config),
    ]


def _find_hosts(config: Any) -> Iterator[Conflict]:
    hosts = getattr(config, "hosts", None)
    if hosts is not None and hosts.start != "alone":
        yield Conflict(("hosts.start",), "a study runs in one process; wanted alone")


def _find_overruled(config: Comparison) -> Iterator[Conflict]:
    """What is set but would not be read."""
    values, defaults = flatten_config(config), flatten_config(type(config)())
    for study_key, key in config.find_varied().items():
        if values[key] != defaults[key]:
            message = f"each variant has its own, see {study_key}"
            yield Conflict((key, study_key), message)


def _find_repeated(config: Comparison) -> Iterator[Conflict]:
    names = [variant.name for variant in config.list_variants()]
    for name in sorted({name for name in names if names.count(name) > 1}):
        keys = tuple(config.find_varied())
        yield Conflict(keys, f"names the variant {show(name)} more than once")


def _find_in_each(config: Any) -> Iterator[Conflict]:
    # Those of a single section are found without this, once and without a name.
    values = [getattr(config, field.name) for field in dataclasses.fields(config)]
    sections = [value for value in values if dataclasses.is_dataclass(value)]
    known = {
        conflict.message for section in sections for conflict in find_conflicts(section)
    }
    for variant in config.list_variants():
        for keys, message in find_conflicts(variant.config):
            if message not in known:
                known.add(message)
                yield Conflict(keys, f"{message} (variant {variant.name})")
