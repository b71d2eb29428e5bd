"""The config of a search for hyper-parameters. Imports no JAX."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.errors import ConfigError
from jaxdl.recipes.search_space import read_space
from jaxdl.recipes.study_configs import StudyRunSection

RESERVED = ("run.folder", "run.name", "run.resume")
"""What the search itself sets in every trial."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SearchRunSection(StudyRunSection):
    """The run folder of a search, which can be continued and lengthened."""

    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="Seed of the values; that of a trial is its own run.seed.",
    )
    num_trials: int = Field(
        default=20, ge=1, description="Trials; resume with more to lengthen a search."
    )
    resume: bool = Field(
        default=False, description="Continue the search in its folder if there is one."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SearchConfig:
    """Which experiment to repeat with which values, and what to judge them by."""

    experiment: str = Field(
        default="train_classifier",
        min_length=1,
        description="Script to run, as experiments/<this>.py.",
    )
    config: str = Field(
        default="configs/train_classifier/quick.yaml",
        min_length=1,
        description="Its config file.",
    )
    overrides: dict = Field(
        default_factory=dict, description="What is set otherwise in every trial."
    )
    space: dict = Field(
        default_factory=dict,
        description="By key: {low, high, scale: log, integer: true} or {values}.",
    )
    metric: str = Field(
        default="final.validation.accuracy",
        min_length=1,
        description="Where in a trial's summary.json its score is.",
    )
    goal: Literal["maximise", "minimise"] = Field(
        default="maximise", description="Whether a high or a low score is good."
    )
    run: SearchRunSection = Field(default_factory=SearchRunSection)

    def find_conflicts(self) -> list[Conflict]:
        """Checks the space by itself; what it is a space of is known later."""
        conflicts = []
        try:
            read_space(self.space)
        except ConfigError as error:
            conflicts += [Conflict(("space",), line) for line in error.messages]
        given = _list_keys(self.overrides)
        for name, keys in (("space", list(self.space)), ("overrides", given)):
            for key in sorted(set(keys) & set(RESERVED)):
                message = f"{key}: is set by the search, see run"
                conflicts.append(Conflict((name,), message))
        for key in sorted(set(given) & set(self.space)):
            message = f"{key}: each trial has its own, see space"
            conflicts.append(Conflict(("overrides", "space"), message))
        return conflicts


def _list_keys(values: dict, prefix: str = "") -> list[str]:
    """The dotted keys of what is written either by dotted key or by section."""
    keys = []
    for name, value in values.items():
        if isinstance(value, dict):
            keys += _list_keys(value, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys
