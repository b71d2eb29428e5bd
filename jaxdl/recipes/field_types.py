"""The types of config fields that hold names and durations. Imports no JAX.

The names are written out because the tables they mirror (`MODELS`, `OPTIMIZERS`, ...)
import JAX; a test compares both.
"""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

from jaxdl.config import suggest
from jaxdl.durations import parse_duration

ModelName = Literal[
    "alexnet",
    "efficientnet_b0",
    "googlenet",
    "googlenet_aux",
    "inception_v3",
    "mlp",
    "plain8_cifar",
    "plain20_cifar",
    "plain32_cifar",
    "plain44_cifar",
    "plain56_cifar",
    "plain110_cifar",
    "resnet8_cifar",
    "resnet20_cifar",
    "resnet32_cifar",
    "resnet44_cifar",
    "resnet56_cifar",
    "resnet110_cifar",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet50_v1",
    "resnet101_v1",
    "resnet152_v1",
    "resnet18_v2",
    "resnet34_v2",
    "resnet50_v2",
    "resnet101_v2",
    "resnet152_v2",
    "small_cnn",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vgg11_bn",
    "vgg13_bn",
    "vgg16_bn",
    "vgg19_bn",
]
NormName = Literal["batch", "layer", "layer_channels", "instance", "group", "none"]
ActivationName = Literal[
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "celu",
    "gelu",
    "gelu_tanh",
    "silu",
    "identity",
]
InitializerName = Literal[
    "kaiming_normal",
    "kaiming_normal_fan_in",
    "kaiming_truncated_normal",
    "kaiming_uniform",
    "kaiming_uniform_fan_in",
    "xavier_normal",
    "xavier_truncated_normal",
    "xavier_uniform",
    "lecun_normal",
    "lecun_truncated_normal",
    "lecun_uniform",
    "torch_uniform",
    "orthogonal",
    "normal_0.01",
    "normal_0.05",
    "zeros",
    "torchvision",
]
OptimizerName = Literal["sgd", "adamw", "lamb", "lars"]
ScheduleName = Literal["constant", "cosine", "step", "one_cycle"]
PolicyName = Literal[
    "autoaugment_cifar10", "autoaugment_imagenet", "randaugment", "trivialaugment"
]

MODEL_NAMES: tuple[str, ...] = get_args(ModelName)
NORM_NAMES: tuple[str, ...] = get_args(NormName)
ACTIVATION_NAMES: tuple[str, ...] = get_args(ActivationName)
INITIALIZER_NAMES: tuple[str, ...] = get_args(InitializerName)
OPTIMIZER_NAMES: tuple[str, ...] = get_args(OptimizerName)
SCHEDULE_NAMES: tuple[str, ...] = get_args(ScheduleName)
POLICY_NAMES: tuple[str, ...] = get_args(PolicyName)
SOURCE_NAMES = ("digits", "idx", "cifar10", "folder", "tfds")

AUXILIARY_HEADS = ("googlenet_aux", "inception_v3")
"""Networks with auxiliary heads."""

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


def _check_source(source: str, *, others: tuple[str, ...] = ()) -> str:
    name, colon, dataset = source.partition(":")
    if source in (*others, *SOURCE_NAMES) and source != "tfds":
        return source
    if name == "tfds":
        if dataset:
            return source
        raise ValueError("wanted the dataset's name too, as in tfds:mnist")
    names = [*others, *SOURCE_NAMES[:-1], "tfds:<name>"]
    hint = suggest(name, [*others, *SOURCE_NAMES])
    raise ValueError(f"unknown source {source!r}; wanted {', '.join(names)}{hint}")


def _check_images(source: str) -> str:
    return _check_source(source, others=("noise",))


def _check_folder(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} can't name a folder")
    if len(name.encode()) > 200:  # file systems stop at 255 bytes
        raise ValueError(f"has {len(name.encode())} bytes, wanted at most 200")
    return name


DurationText = Annotated[str, AfterValidator(_check_duration)]
IntervalText = Annotated[str, AfterValidator(_check_interval)]
SourceName = Annotated[str, AfterValidator(_check_source)]
ImagesName = Annotated[str, AfterValidator(_check_images)]
FolderName = Annotated[str, AfterValidator(_check_folder)]
