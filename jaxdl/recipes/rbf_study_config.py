"""The config of the study of regularisers for radial basis function heads.

Imports no JAX.
"""

import dataclasses
from collections.abc import Iterator
from typing import Literal, get_args

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, flatten_config, show
from jaxdl.durations import Duration, parse_duration
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.optimizer_sections import ScheduleSection
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.sections import LossSection
from jaxdl.recipes.variants import (
    ComparisonSection,
    Variant,
    find_variant_conflicts,
    vary,
)

CandidateName = Literal[
    "softmax",
    "softmax_label_smoothing",
    "rbf",
    "center_repulsion",
    "width_prior",
    "assignment_imbalance",
    "metric_decay",
    "activation_dropout",
    "embedding_mixup",
    "label_smoothing",
    "cluster_loss",
]

BASELINE = "softmax"
"""The candidate that the others are compared to."""

PLAIN = "rbf"
"""The head that the regularisers are added to, one at a time."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RBFStudySection(ComparisonSection):
    """The heads to compare, and how strong each regulariser is."""

    candidates: tuple[CandidateName, ...] = Field(
        default=get_args(CandidateName),
        min_length=2,
        description="softmax, and heads to compare to it; rbf is that of `loss`.",
    )
    center_repulsion: float = Field(
        default=1.0, gt=0, description="Weight of the overlap of centres."
    )
    width_prior: float = Field(
        default=1.0, gt=0, description="Weight of how unequal widths are."
    )
    assignment_imbalance: float = Field(
        default=0.1, gt=0, description="Weight of how unevenly centres are used."
    )
    metric_decay: float = Field(
        default=1.0, gt=0, description="Weight of how uneven a diagonal metric is."
    )
    activation_dropout: float = Field(
        default=0.2, gt=0, lt=1, description="Share of activations dropped."
    )
    embedding_mixup: float = Field(
        default=0.5, gt=0, description="Of the Beta distribution of mixtures."
    )
    label_smoothing: float = Field(
        default=0.1, gt=0, lt=1, description="Probability spread over all classes."
    )
    cluster_loss: float = Field(
        default=1.0, gt=0, description="Weight of the distance to the nearest centre."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that there is one of each, and something to compare to."""
        names = self.candidates
        if BASELINE not in names:
            message = f"{show(list(names))} lacks {BASELINE}, to which heads compare"
            return [Conflict(("candidates",), message)]
        twice = sorted({name for name in names if names.count(name) > 1})
        message = "named more than once"
        return [Conflict(("candidates",), f"{name} is {message}") for name in twice]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RBFStudyConfig(RBFConfig):
    """A classifier with an RBF head, and in its section `study` what is varied.

    A regulariser is the section `loss` with one more field set. A softmax head takes
    the place of embedding, centres and output; it is trained as long as warm start and
    training take together.
    """

    study: RBFStudySection = Field(default_factory=RBFStudySection)

    def list_variants(self) -> list[Variant]:
        """A variant for each candidate, in the order given."""
        return [self._make_variant(name) for name in self.study.candidates]

    def find_varied(self) -> dict[str, str]:
        """Nothing: what `loss` has, all RBF heads have."""
        return {}

    def find_conflicts(self) -> list[Conflict]:
        """Checks the budgets, what is not read here, and every variant."""
        own = [*self._find_units(), *self._find_unread(), *self._find_idle()]
        # Variants can't be made of what is wrong already.
        is_wrong = own or self.study.find_conflicts()
        return own if is_wrong else find_variant_conflicts(self)

    def _make_variant(self, name: CandidateName) -> Variant:
        head = "softmax" if name.startswith(BASELINE) else "RBF"
        added = "" if name == PLAIN else name.removeprefix(BASELINE).removeprefix("_")
        key, strength = self._list_added().get(added, ("", None))
        words = added.replace("_", " ").replace("center", "centre")
        label = f"{head}, {words}" if words else head
        return Variant(
            name=name,
            settings={"head": label, "strength": strength},
            config=self._make_classifier(strength)
            if head == "softmax"
            else vary(self, {key: strength} if key else {}, schema=RBFConfig),
            label=label,
            panel=f"{head} head",
        )

    def _list_added(self) -> dict[str, tuple[str, float]]:
        """By name of the regulariser, the field that it sets, and to what."""
        study = self.study
        return {
            "center_repulsion": ("loss.center_repulsion", study.center_repulsion),
            "width_prior": ("loss.width_prior", study.width_prior),
            "assignment_imbalance": (
                "loss.assignment_imbalance",
                study.assignment_imbalance,
            ),
            "metric_decay": ("loss.metric_decay", study.metric_decay),
            "activation_dropout": ("loss.activation_dropout", study.activation_dropout),
            "embedding_mixup": ("loss.embedding_mixup", study.embedding_mixup),
            "label_smoothing": ("loss.label_smoothing", study.label_smoothing),
            "cluster_loss": ("loss.cluster_weight", study.cluster_loss),
        }

    def _make_classifier(self, label_smoothing: float | None) -> ClassifierConfig:
        """The same training with a softmax head, the warm start's time included."""
        smoothing = self.loss.label_smoothing
        smoothing = smoothing if label_smoothing is None else label_smoothing
        return ClassifierConfig(
            model=self.model,
            data=self.data,
            loss=LossSection(label_smoothing=smoothing),
            optimizer=self.optimizer,
            schedule=_lengthen(self.schedule, self.centers.warm_start),
            augment=self.augment,
            mesh=self.mesh,
            run=self.run,
        )

    def _find_units(self) -> Iterator[Conflict]:
        """Lengths that can't be added before the number of images is known."""
        if self.centers.warm_start is None:
            return
        unit = parse_duration(self.centers.warm_start).unit
        texts = (self.schedule.duration, *self.schedule.milestones)
        if {parse_duration(text).unit for text in texts} != {unit}:
            keys = ("centers.warm_start", "schedule.duration", "schedule.milestones")
            message = (
                f"{self.centers.warm_start} can't be added to {' and '.join(texts)}: a "
                "softmax head trains for both; wanted the same unit"
            )
            yield Conflict(keys, message)

    def _find_unread(self) -> Iterator[Conflict]:
        """What is set but would not be read, or not by both heads."""
        defaults = flatten_config(RBFConfig())
        for key, value in flatten_config(self).items():
            is_of_report = key.startswith(("report.", "unknown."))
            if is_of_report and value != defaults[key]:
                yield Conflict((key,), "no report is drawn in a study")
        if self.head.freeze_backbone:
            message = "a softmax head trains its backbone too; wanted false"
            yield Conflict(("head.freeze_backbone",), message)
        if self.weights is not None:
            message = "a softmax head would start trained; wanted null"
            yield Conflict(("weights",), message)

    def _find_idle(self) -> Iterator[Conflict]:
        """Candidates that are what all heads are without them."""
        values = flatten_config(self)
        for name, (key, strength) in self._list_added().items():
            has_it = {name, f"{BASELINE}_{name}"} & set(self.study.candidates)
            if has_it and values[key] == strength:
                message = f"{strength:g} is {key} of every head already"
                yield Conflict((f"study.{name}", key), message)


def _lengthen(schedule: ScheduleSection, start: str | None) -> ScheduleSection:
    """A schedule that is as much longer, where both are in the same unit."""
    if start is None:
        return schedule
    first = parse_duration(start)

    def add(text: str) -> str:
        rest = parse_duration(text)
        return str(Duration(first.value + rest.value, rest.unit))

    return dataclasses.replace(
        schedule,
        duration=add(schedule.duration),
        milestones=tuple(map(add, schedule.milestones)),
    )
