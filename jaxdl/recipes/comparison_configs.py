"""The configs of the studies that train classifiers and compare them.

Imports no JAX.
"""

import re
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT
from jaxdl.recipes.field_types import ModelName, NormName
from jaxdl.recipes.variants import (
    ComparisonConfig,
    ComparisonSection,
    Variant,
    vary,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NormStudySection(ComparisonSection):
    """Every norm with every batch size."""

    norms: tuple[NormName, ...] = Field(
        default=("batch", "layer", "instance", "group"),
        min_length=1,
        description="Normalisations to compare.",
    )
    num_groups: int = Field(
        default=4, ge=1, description="Groups of channels of the norm group."
    )
    batch_sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(4, 64), min_length=1, description="Examples per training step."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NormStudyConfig(ComparisonConfig):
    """Norms and batch sizes; the learning rate grows with the batch.

    `optimizer.learning_rate` is that of `data.batch_size`; a variant's batch of twice
    the size takes twice the learning rate (Goyal et al. 2017, arXiv:1706.02677).
    """

    study: NormStudySection = Field(default_factory=NormStudySection)

    def find_varied(self) -> dict[str, str]:
        """The norm and its groups."""
        return {"study.norms": "model.norm", "study.num_groups": "model.norm_groups"}

    def list_variants(self) -> list[Variant]:
        """Each norm at the first batch size, then at the second."""
        return [
            self._make_variant(norm, size)
            for size in self.study.batch_sizes
            for norm in self.study.norms
        ]

    def _make_variant(self, norm: NormName, size: int) -> Variant:
        rate = self.optimizer.learning_rate * size / self.data.batch_size
        changes = {
            "model.norm": norm,
            "model.norm_groups": self.study.num_groups if norm == "group" else None,
            "data.batch_size": size,
            "optimizer.learning_rate": rate,
        }
        return Variant(
            name=f"{norm}-batch{size}",
            settings={"norm": norm, "batch_size": size, "learning_rate": rate},
            config=vary(self, changes),
            label=norm,
            panel=f"batch size {size}",
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DepthStudySection(ComparisonSection):
    """Networks of several depths, with and without shortcuts."""

    networks: tuple[ModelName, ...] = Field(
        default=("plain20_cifar", "plain56_cifar", "resnet20_cifar", "resnet56_cifar"),
        min_length=1,
        description="Networks to compare; a panel for each family.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DepthStudyConfig(ComparisonConfig):
    """The same training for networks of several depths."""

    study: DepthStudySection = Field(default_factory=DepthStudySection)

    def find_varied(self) -> dict[str, str]:
        """The network."""
        return {"study.networks": "model.name"}

    def list_variants(self) -> list[Variant]:
        """Each network, in the order given."""
        return [self._make_variant(name) for name in self.study.networks]

    def _make_variant(self, name: ModelName) -> Variant:
        family, depth, _ = re.split(r"(\d+|$)", name, maxsplit=1)
        return Variant(
            name=name,
            settings={"network": name},
            config=vary(self, {"model.name": name}),
            # The same label, and colour, for equal depths of two families.
            label=f"{depth} layers" if depth else name,
            panel=family,
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DropoutStudySection(ComparisonSection):
    """One network at several dropout rates."""

    rates: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        default=(0.0, 0.2, 0.5, 0.8), min_length=1, description="Rates to compare."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DropoutStudyConfig(ComparisonConfig):
    """The same training at several dropout rates."""

    study: DropoutStudySection = Field(default_factory=DropoutStudySection)

    def find_varied(self) -> dict[str, str]:
        """The rate."""
        return {"study.rates": "model.dropout_rate"}

    def list_variants(self) -> list[Variant]:
        """Each rate, in the order given."""
        return [
            Variant(
                name=f"dropout-{rate:g}",
                settings={"rate": rate},
                config=vary(self, {"model.dropout_rate": rate}),
                label=f"rate {rate:g}",
                panel=self.model.name,
            )
            for rate in self.study.rates
        ]
