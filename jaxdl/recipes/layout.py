"""Which device keeps which part of a training state: from a config to rules."""

import re
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict
from jaxdl.errors import ConfigError

_SHARES = {
    "nothing": (),
    "optimizer": (("^(optimizer_state|ema_params)/", "largest"),),
    "everything": (("^(params|optimizer_state|ema_params)/", "largest"),),
}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LayoutSection:
    """What is split over the devices beside the batch."""

    share: Literal["nothing", "optimizer", "everything"] = Field(
        default="nothing",
        description="What each device along mesh.data keeps a part of, not a copy: the "
        "optimiser's state and the average, or parameters too.",
    )
    rules: dict[str, Literal["outputs", "inputs", "whole"]] = Field(
        default_factory=dict,
        description="How layers are split over mesh.model, by a pattern in their path; "
        "before those of the network itself.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that every pattern is one."""
        conflicts = []
        for pattern in self.rules:
            try:
                re.compile(pattern)
            except re.error as error:
                message = f"{pattern!r} is no regular expression: {error}"
                conflicts.append(Conflict(("rules",), message))
        return conflicts


def build_rules(
    section: LayoutSection, splits: Any, paths: list[str], *, model_size: int
) -> list[tuple[str, str]]:
    """The rules by which a training state is laid over the mesh.

    Args:
      section: what the config says.
      splits: what the network says of itself, see `jaxdl.models.Splits`.
      paths: of the parameters.
      model_size: devices that share the parameters.

    Returns:
      See `jaxdl.parallel.tree_shardings`.

    Raises:
      ConfigError: a pattern matches no parameter, or nothing is split though several
        devices are to share the parameters.

    Example:
      >>> build_rules(LayoutSection(), (("fc1/", "outputs"),), [], model_size=2)
      [('fc1/', 'outputs')]
    """
    for pattern in section.rules:
        if not any(re.search(pattern, path) for path in paths):
            raise ConfigError(
                f"layout.rules: {pattern!r} matches no parameter; there are, for "
                f"example, {', '.join(paths[:3])}"
            )
    rules: list[tuple[str, str]] = list(section.rules.items())
    if model_size > 1:
        rules += splits
        if not rules:
            raise ConfigError(
                f"mesh.model: {model_size} devices are to share the parameters, but "
                "this network names no layers that can be split; give them in "
                "layout.rules, or set mesh.model=1"
            )
    return [*rules, *_SHARES[section.share]]
