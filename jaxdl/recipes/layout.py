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
        description="What devices along mesh.data share, not copy.",
    )
    outputs: tuple[str, ...] = Field(
        default=(),
        description="Patterns of layers to split by outputs over mesh.model.",
    )
    inputs: tuple[str, ...] = Field(
        default=(),
        description="Patterns of layers to split by inputs over mesh.model.",
    )
    whole: tuple[str, ...] = Field(
        default=(), description="Patterns of layers that are not to be split."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that every pattern is one."""
        conflicts = []
        for word, patterns in list_patterns(self).items():
            for pattern in patterns:
                try:
                    re.compile(pattern)
                except re.error as error:
                    message = f"{pattern!r} is no regular expression: {error}"
                    conflicts.append(Conflict((word,), message))
        return conflicts


def list_patterns(section: LayoutSection) -> dict[str, tuple[str, ...]]:
    """The patterns of a config by the word of the rule, the first to win first.

    Args:
      section: what the config says.

    Returns:
      By `"whole"`, `"outputs"` and `"inputs"`.

    Example:
      >>> list_patterns(LayoutSection(outputs=("fc1/",)))["outputs"]
      ('fc1/',)
    """
    return {
        "whole": section.whole,
        "outputs": section.outputs,
        "inputs": section.inputs,
    }


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
    rules: list[tuple[str, str]] = []
    for word, patterns in list_patterns(section).items():
        for pattern in patterns:
            if not any(re.search(pattern, path) for path in paths):
                raise ConfigError(
                    f"layout.{word}: {pattern!r} matches no parameter; there are, for "
                    f"example, {', '.join(paths[:3])}"
                )
            rules.append((pattern, word))
    if model_size > 1:
        rules += splits
        if not rules:
            raise ConfigError(
                f"mesh.model: {model_size} devices are to share the parameters, but "
                "this network names no layers that can be split; give them in "
                "layout.outputs and layout.inputs, or set mesh.model=1"
            )
    return [*rules, *_SHARES[section.share]]
