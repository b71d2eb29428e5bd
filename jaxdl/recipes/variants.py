"""Variants of a classifier config, to be trained and compared. Imports no JAX."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, find_conflicts, flatten_config, show
from jaxdl.recipes.configs import ClassifierConfig


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the classifiers that are compared.

    Attributes:
      name: what its run folders begin with.
      settings: what sets it apart, by column of the table.
      config: how it is trained.
      label: its name in the figure.
      panel: heading of the panel it is drawn in, with those it is compared to.
    """

    name: str
    settings: Mapping[str, Any]
    config: ClassifierConfig
    label: str
    panel: str


def vary(config: ClassifierConfig, changes: Mapping[str, Any]) -> ClassifierConfig:
    """A classifier config with other values.

    Args:
      config: a classifier config, or one that has all its sections.
      changes: new values by dotted key, `section.field`.

    Returns:
      A plain classifier config; its values have been checked one by one, but not yet
      whether they go together.

    Example:
      >>> vary(ClassifierConfig(), {"data.batch_size": 4}).data.batch_size
      4
    """
    names = [field.name for field in dataclasses.fields(ClassifierConfig)]
    values = {name: getattr(config, name) for name in names}
    for key, value in changes.items():
        section, _, field = key.partition(".")
        values[section] = dataclasses.replace(values[section], **{field: value})
    return ClassifierConfig(**values)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ComparisonSection:
    """What all comparisons have in common."""

    num_seeds: int = Field(
        default=1,
        ge=1,
        description="Runs per variant, of the seeds run.seed, run.seed + 1, ...",
    )


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
        return [*self._find_overruled(), *self._find_repeated(), *self._find_in_each()]

    def _find_overruled(self) -> Iterator[Conflict]:
        """What is set but would not be read."""
        values, defaults = flatten_config(self), flatten_config(ClassifierConfig())
        for study_key, key in self.find_varied().items():
            if values[key] != defaults[key]:
                message = f"each variant has its own, see {study_key}"
                yield Conflict((key, study_key), message)

    def _find_repeated(self) -> Iterator[Conflict]:
        names = [variant.name for variant in self.list_variants()]
        for name in sorted({name for name in names if names.count(name) > 1}):
            keys = tuple(self.find_varied())
            yield Conflict(keys, f"names the variant {show(name)} more than once")

    def _find_in_each(self) -> Iterator[Conflict]:
        # Those of a single section are found without this, once and without a name.
        values = [getattr(self, field.name) for field in dataclasses.fields(self)]
        sections = [value for value in values if dataclasses.is_dataclass(value)]
        known = {
            conflict.message
            for section in sections
            for conflict in find_conflicts(section)
        }
        for variant in self.list_variants():
            for keys, message in find_conflicts(variant.config):
                if message not in known:
                    known.add(message)
                    yield Conflict(keys, f"{message} (variant {variant.name})")
