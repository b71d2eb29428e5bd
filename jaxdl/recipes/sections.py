"""The config sections users type: one documented field per line. Imports no JAX."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, suggest
from jaxdl.durations import parse_duration

# The names are written out because the tables they mirror import JAX, and a config must
# be checked without it; a test compares both.
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
SCHEDULE_READERS: dict[str, tuple[str, ...]] = {
    "warmup": ("constant", "cosine", "step"),
    "milestones": ("step",),
    "factor": ("step",),
    "final": ("cosine",),
}
SOURCE_NAMES = ("digits", "idx", "cifar10", "folder", "tfds")


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
    return name


_Duration = Annotated[str, AfterValidator(_check_duration)]
_Interval = Annotated[str, AfterValidator(_check_interval)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelSection:
    """The network."""

    name: ModelName = Field("resnet20_cifar", description="Network to train.")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Type to compute in; parameters and losses are float32 always.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataSection:
    """The dataset, its splits and how it is read."""

    source: Annotated[str, AfterValidator(_check_source)] = Field(
        "digits", description="One of digits, idx, cifar10, folder, tfds:<name>."
    )
    path: str | None = Field(
        None,
        min_length=1,
        description="Folder of the data, also looked for under $JAXDL_DATA_DIR.",
    )
    image_size: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Height and width to resize to; null keeps the source's own.",
    )
    batch_size: int = Field(
        128, ge=1, description="Examples per training step, over all devices."
    )
    eval_batch_size: int = Field(
        512, ge=1, description="Examples per evaluation step, over all devices."
    )
    validation_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Part cut from train for validation if the source has none.",
    )
    test_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Part cut from train for the test if the source has none.",
    )
    split_seed: int = Field(
        0, ge=0, lt=2**32, description="Seed of the cut, apart from that of the run."
    )
    residency: Literal["auto", "device", "stream"] = Field(
        "auto",
        description="Keep images on the device or stream them; auto goes by size.",
    )
    device_bytes: int = Field(
        2_000_000_000,
        ge=0,
        description="Images up to this many bytes live on the device under auto.",
    )
    num_workers: int = Field(
        2, ge=0, le=256, description="Threads or processes that decode when streaming."
    )
    prefetch: int = Field(
        2, ge=1, le=64, description="Batches to read ahead when streaming."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the source has the path it needs."""
        conflicts = []
        if self.source == "digits" and self.path is not None:
            message = "the digits ship with scikit-learn; wanted null"
            conflicts.append(Conflict(("path", "source"), message))
        if self.source in ("idx", "cifar10", "folder") and self.path is None:
            message = f"source {self.source!r} needs data.path"
            conflicts.append(Conflict(("source", "path"), message))
        if self.validation_fraction + self.test_fraction >= 1:
            total = f"{self.validation_fraction} + {self.test_fraction}"
            message = f"validation and test take {total} of the data; nothing is left"
            keys = ("validation_fraction", "test_fraction")
            conflicts.append(Conflict(keys, message))
        return conflicts


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LossSection:
    """The loss."""

    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Probability spread over all classes."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OptimizerSection:
    """The update of the parameters."""

    name: OptimizerName = Field("sgd", description="Optimizer.")
    learning_rate: float = Field(
        0.1, gt=0, description="Peak learning rate; the schedule scales it."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of sgd and lars.")
    nesterov: bool = Field(True, description="Nesterov momentum for sgd and lars.")
    weight_decay: float = Field(
        1e-4, ge=0, description="Weight decay; biases and scales are spared."
    )
    b1: float = Field(
        0.9, ge=0, lt=1, description="Decay of the mean gradient, adamw and lamb."
    )
    b2: float = Field(
        0.999, ge=0, lt=1, description="Decay of the squared gradient, adamw and lamb."
    )
    eps: float = Field(
        1e-8, gt=0, description="Keeps the quotient of adamw and lamb finite."
    )
    clip_norm: float | None = Field(
        None, gt=0, description="Largest norm of the whole gradient; null: no limit."
    )
    accumulate: int = Field(
        1, ge=1, description="Parts that a batch is computed in, to save memory."
    )
    ema_decay: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay of averaged weights for evaluation; null: none are kept.",
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ScheduleSection:
    """The learning rate over time. Lengths are "10 epochs", "500 steps", ..."""

    name: ScheduleName = Field("cosine", description="Shape of the learning rate.")
    duration: _Interval = Field("10 epochs", description="Length of the training.")
    warmup: _Duration = Field("0 steps", description="Length of the linear warm-up.")
    milestones: tuple[_Interval, ...] = Field(
        (), description="When the step schedule multiplies by the factor."
    )
    factor: float = Field(
        0.1, gt=0, le=1, description="Multiplier at each milestone of step."
    )
    final: float = Field(0.0, ge=0, description="Learning rate that cosine ends with.")

    def find_conflicts(self) -> list[Conflict]:
        """Checks what the shape reads, and the order of times in the same unit."""
        conflicts = self._find_unread()
        warmup, end = parse_duration(self.warmup), parse_duration(self.duration)
        if warmup.unit == end.unit and warmup.value >= end.value:
            message = f"{self.warmup} of warm-up fill the {self.duration} of training"
            conflicts.append(Conflict(("warmup", "duration"), message))
        if self.name == "step" and not self.milestones:
            message = "the step schedule needs schedule.milestones"
            conflicts.append(Conflict(("name", "milestones"), message))
        times = [*map(parse_duration, self.milestones), end]
        pairs = zip(times, times[1:], strict=False)
        if any(a.unit == b.unit and a.value >= b.value for a, b in pairs):
            message = f"wanted growing milestones, all before {self.duration}"
            conflicts.append(Conflict(("milestones", "duration"), message))
        return conflicts

    def _find_unread(self) -> list[Conflict]:
        is_set = {
            "warmup": parse_duration(self.warmup).value > 0,
            "milestones": len(self.milestones) > 0,
            "factor": self.factor != 0.1,
            "final": self.final != 0.0,
        }
        message = f"the {self.name} schedule doesn't read it"
        return [
            Conflict((option, "name"), f"{message}; wanted {' or '.join(names)}")
            for option, names in SCHEDULE_READERS.items()
            if is_set[option] and self.name not in names
        ]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentSection:
    """What is done to images on the device."""

    crop_padding: int = Field(
        0, ge=0, le=512, description="Pixels to pad with before the random crop."
    )
    crop_mode: Literal["constant", "reflect"] = Field(
        "constant", description="Padding with zeros or with the mirrored image."
    )
    flip: bool = Field(False, description="Flip left and right half of the time.")
    mean: Literal["measured"] | tuple[float, ...] = Field(
        "measured", description="Channel means in [0, 1], or measured on train."
    )
    std: Literal["measured"] | tuple[Annotated[float, Field(gt=0)], ...] = Field(
        "measured", description="Channel deviations, or measured on train."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the mean and the deviation go together."""
        keys = ("std", "mean")
        if (self.mean == "measured") != (self.std == "measured"):
            message = "give both augment.mean and augment.std, or measure both"
            return [Conflict(keys, message)]
        if len(self.mean) != len(self.std):
            message = f"has {len(self.std)} channels, augment.mean {len(self.mean)}"
            return [Conflict(keys, message)]
        if len(self.mean) == 0:
            return [Conflict(keys, "wanted one number per channel, got none")]
        return []


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MeshSection:
    """The devices."""

    data: int = Field(
        -1, ge=-1, description="Devices that share a batch; -1 takes all there are."
    )
    model: int = Field(1, ge=1, description="Devices that share the parameters.")
    simulated_devices: int = Field(
        0, ge=0, le=512, description="Simulate this many CPU devices; 0: real ones."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks the mesh against the simulated devices; real ones aren't known yet."""
        if self.data == 0:
            return [Conflict(("data",), "wanted 1 or more devices, or -1 for all")]
        count = self.simulated_devices
        if count and self.data > 0 and self.data * self.model > count:
            needed = f"{self.data} x {self.model} = {self.data * self.model}"
            keys = ("data", "model", "simulated_devices")
            return [Conflict(keys, f"needs {needed} devices, {count} are simulated")]
        if count and self.data == -1 and count % self.model:
            message = f"{self.model} doesn't divide the {count} simulated devices"
            return [Conflict(("model", "simulated_devices"), message)]
        return []


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RunSection:
    """The run folder, what is written to it and how often."""

    folder: str = Field("runs", min_length=1, description="Where run folders go.")
    name: Annotated[str, AfterValidator(_check_folder)] | None = Field(
        None, description="Name of the run folder; null makes one up."
    )
    seed: int = Field(
        0, ge=0, lt=2**32, description="Seed of parameters, data order, augmentation."
    )
    resume: bool = Field(
        False, description="Continue the run in its folder if there is one."
    )
    log_every: _Interval = Field(
        "50 steps", description="How often training metrics are written."
    )
    evaluate_every: _Interval = Field(
        "1 epochs", description="How often the validation split is scored."
    )
    checkpoint_every: _Interval = Field(
        "1 epochs", description="How often a checkpoint is saved."
    )
    keep_last: int = Field(
        2, ge=1, description="Newest checkpoints to keep besides the best one."
    )
    tensorboard: bool = Field(True, description="Write TensorBoard events.")
    wandb: bool = Field(False, description="Log to Weights & Biases (extra: wandb).")
    scan_steps: int = Field(
        0, ge=0, description="Steps per compiled loop; 0 chooses by the device."
    )
    compilation_cache: str | None = Field(
        None, min_length=1, description="Folder that keeps compiled programs."
    )


def find_rate_conflicts(
    *, optimizer: OptimizerSection, schedule: ScheduleSection
) -> list[Conflict]:
    """Checks that the learning rate doesn't end above its peak.

    Args:
        optimizer: Tells the peak.
        schedule: Tells the end.

    Returns:
        The conflicts, by keys of the whole config.

    Example:
        >>> find_rate_conflicts(
        ...     optimizer=OptimizerSection(learning_rate=0.1),
        ...     schedule=ScheduleSection(final=0.2),
        ... )[0].message
        '0.2 is above optimizer.learning_rate, 0.1'
    """
    if schedule.final <= optimizer.learning_rate:
        return []
    message = f"{schedule.final} is above optimizer.learning_rate, "
    keys = ("schedule.final", "optimizer.learning_rate")
    return [Conflict(keys, f"{message}{optimizer.learning_rate}")]


def find_batch_conflicts(
    *, data: DataSection, optimizer: OptimizerSection, mesh: MeshSection
) -> list[Conflict]:
    """Checks that a batch divides into its parts and over the devices.

    Args:
        data: Tells the batch size.
        optimizer: Tells the number of parts.
        mesh: Tells the number of devices, where it says so.

    Returns:
        The conflicts, by keys of the whole config.

    Example:
        >>> find_batch_conflicts(
        ...     data=DataSection(batch_size=6),
        ...     optimizer=OptimizerSection(accumulate=4),
        ...     mesh=MeshSection(),
        ... )[0].message
        'a batch of 6 does not divide into 4 parts; nearest that do: 4 or 8'
    """
    keys = ["data.batch_size"]
    parts, words = 1, []
    if optimizer.accumulate > 1:
        parts *= optimizer.accumulate
        keys.append("optimizer.accumulate")
        words.append(f"{optimizer.accumulate} parts")
    devices = mesh.data
    if devices == -1 and mesh.simulated_devices:
        devices = mesh.simulated_devices // mesh.model
    if devices > 1:
        parts *= devices
        keys += ["mesh.data", "mesh.model", "mesh.simulated_devices"]
        words.append(f"{devices} devices")
    size = data.batch_size
    if size % parts == 0:
        return []
    below = size - size % parts
    nearest = f"{below} or {below + parts}" if below else f"{parts}"
    message = (
        f"a batch of {size} does not divide into {' on '.join(words)}; "
        f"nearest that do: {nearest}"
    )
    return [Conflict(tuple(keys), message)]
