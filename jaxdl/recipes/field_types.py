"""The types of config fields that hold names and durations. Imports no JAX.

The names are written out because the tables they mirror (`MODELS`, `OPTIMIZERS`, ...)
import JAX; a test compares both.
"""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

from jaxdl.config import suggest
from jaxdl.durations import parse_duration

ModelName = Literal[
    "resnet8_cifar",
    "resnet20_cifar",
    "resnet32_cifar",
    "resnet44_cifar",
    "resnet56_cifar",
    "resnet110_cifar",
    "plain8_cifar",
    "plain20_cifar",
    "plain32_cifar",
    "plain44_cifar",
    "plain56_cifar",
    "plain110_cifar",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]
OptimizerName = Literal["sgd", "adamw", "lamb", "lars"]
ScheduleName = Literal["constant", "cosine", "step", "one_cycle"]

MODEL_NAMES: tuple[str, ...] = get_args(ModelName)
OPTIMIZER_NAMES: tuple[str, ...] = get_args(OptimizerName)
SCHEDULE_NAMES: tuple[str, ...] = get_args(ScheduleName)
SOURCE_NAMES = ("digits", "idx", "cifar10", "folder", "tfds")

SCHEDULE_READERS: dict[str, tuple[str, ...]] = {
    "warmup": ("constant", "cosine", "step"),
    "milestones": ("step",),
    "factor": ("step",),
    "final": ("cosine",),
}
"""Which schedules read an option of theirs; all read the others."""


def _check_duration(text: str) -> str:
    parse_duration(text)
    return text


def _check_interval(text: str) -> str:
    if parse_duration(text).value == 0:
        raise ValueError(f"{text!r} is zero; wanted a positive duration")
    return text


def _check_source(source: str) -> str:
    name, colon, dataset = source.partition(":")
    if source in SOURCE_NAMES and source != "tfds":
        return source
    if name == "tfds":
        if dataset:
            return source
        raise ValueError("wanted the dataset's name too, as in tfds:mnist")
    names = [*SOURCE_NAMES[:-1], "tfds:<name>"]
    hint = suggest(name, SOURCE_NAMES)
    raise ValueError(f"unknown source {source!r}; wanted {', '.join(names)}{hint}")


def _check_folder(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} can't name a folder")
    if len(name.encode()) > 200:  # file systems stop at 255 bytes
        raise ValueError(f"has {len(name.encode())} bytes, wanted at most 200")
    return name


DurationText = Annotated[str, AfterValidator(_check_duration)]
IntervalText = Annotated[str, AfterValidator(_check_interval)]
SourceName = Annotated[str, AfterValidator(_check_source)]
FolderName = Annotated[str, AfterValidator(_check_folder)]
