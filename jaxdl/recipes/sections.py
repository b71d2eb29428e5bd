"""The config sections users type: one documented field per line. Imports no JAX."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from jaxdl.config import STRICT, Conflict, show
from jaxdl.recipes.field_types import (
    ActivationName,
    FolderName,
    InitializerName,
    IntervalText,
    ModelName,
    NormName,
    PolicyName,
    SourceName,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelSection:
    """The network; an option that is null is the network's own."""

    name: ModelName = Field(default="resnet20_cifar", description="Network to train.")
    norm: NormName | None = Field(
        default=None, description="Normalisation; null: the network's own."
    )
    norm_groups: int | None = Field(
        default=None,
        ge=1,
        description="Groups of the batch for batch, of the channels for group.",
    )
    activation: ActivationName | None = Field(
        default=None, description="Activation; null: the network's own."
    )
    initialization: InitializerName | None = Field(
        default=None,
        description="Initialiser of all kernels; null: the network's, by layer.",
    )
    dropout_rate: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Dropout before dense layers; null: the network's own.",
    )
    small_images: bool = Field(
        default=False,
        description="A ResNet of 18 layers or more begins with 3x3, and pools nothing.",
    )
    zero_init_residual: bool = Field(
        default=False,
        description="Such a ResNet starts each block as the identity.",
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Type to compute in; parameters and losses are float32 always.",
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks what only some norms and networks have."""
        conflicts = []
        if self.norm_groups is not None and self.norm not in ("batch", "group"):
            message = f"model.norm is {show(self.norm)}; wanted batch or group"
            conflicts.append(Conflict(("norm_groups", "norm"), message))
        is_resnet = self.name.startswith("resnet") and not self.name.endswith("_cifar")
        for option in ("small_images", "zero_init_residual"):
            if getattr(self, option) and not is_resnet:
                message = (
                    f"{self.name} has no such form; wanted resnet18, resnet50, ..."
                )
                conflicts.append(Conflict((option, "name"), message))
        return conflicts


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataSection:
    """The dataset, its splits and how it is read."""

    source: SourceName = Field(
        default="digits",
        description="One of digits, idx, cifar10, folder, tfds:<name>.",
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the data, also looked for under $JAXDL_DATA_DIR.",
    )
    image_size: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Height and width to resize to; null keeps the source's own.",
    )
    batch_size: int = Field(
        default=128, ge=1, description="Examples per training step, over all devices."
    )
    eval_batch_size: int = Field(
        default=512, ge=1, description="Examples per evaluation step, over all devices."
    )
    validation_fraction: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Part cut from train for validation if the source has none.",
    )
    test_fraction: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Part cut from train for the test if the source has none.",
    )
    train_limit: int | None = Field(
        default=None,
        ge=1,
        description="Train on this many images, equally many per class; null: all.",
    )
    split_seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="Seed of the cut, apart from that of the run.",
    )
    residency: Literal["auto", "device", "stream"] = Field(
        default="auto",
        description="Keep images on the device or stream them; auto goes by size.",
    )
    device_bytes: int = Field(
        default=2_000_000_000,
        ge=0,
        description="Images up to this many bytes live on the device under auto.",
    )
    num_workers: int = Field(
        default=2,
        ge=0,
        le=256,
        description="Threads or processes that decode when streaming.",
    )
    prefetch: int = Field(
        default=2, ge=1, le=64, description="Batches to read ahead when streaming."
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
        default=0.0, ge=0, lt=1, description="Probability spread over all classes."
    )
    auxiliary_weight: float = Field(
        default=0.3, ge=0, description="Weight of each auxiliary head in the loss."
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentSection:
    """What is done to images on the device."""

    crop_padding: int = Field(
        default=0,
        ge=0,
        le=512,
        description="Pixels to pad with before the random crop.",
    )
    crop_mode: Literal["constant", "reflect"] = Field(
        default="constant", description="Padding with zeros or with the mirrored image."
    )
    flip: bool = Field(
        default=False, description="Flip left and right half of the time."
    )
    policy: PolicyName | None = Field(
        default=None, description="Automatic augmentation after crop and flip."
    )
    mean: Literal["measured"] | tuple[float, ...] = Field(
        default="measured", description="Channel means in [0, 1], or measured on train."
    )
    std: Literal["measured"] | tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default="measured", description="Channel deviations, or measured on train."
    )

    def find_conflicts(self) -> list[Conflict]:
        """Checks that the mean and the deviation go together."""
        return find_statistics_conflicts(self.mean, self.std, section="augment")


def find_statistics_conflicts(
    mean: Literal["measured"] | tuple[float, ...],
    std: Literal["measured"] | tuple[float, ...],
    *,
    section: str,
) -> list[Conflict]:
    """Checks that the mean and the deviation of the channels go together.

    Args:
        mean: Of the channels.
        std: Of the channels.
        section: The section that they are in.

    Returns:
        The conflicts, by keys of that section.

    Example:
        >>> find_statistics_conflicts((0.5,), (0.2, 0.2), section="augment")[0].message
        'has 2 channels, augment.mean 1'
    """
    keys = ("std", "mean")
    if (mean == "measured") != (std == "measured"):
        message = f"give both {section}.mean and {section}.std, or measure both"
        return [Conflict(keys, message)]
    if len(mean) != len(std):
        message = f"has {len(std)} channels, {section}.mean {len(mean)}"
        return [Conflict(keys, message)]
    if len(mean) == 0:
        return [Conflict(keys, "wanted one number per channel, got none")]
    return []


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MeshSection:
    """The devices."""

    data: int = Field(
        default=-1,
        ge=-1,
        description="Devices that share a batch; -1 takes all there are.",
    )
    model: int = Field(
        default=1, ge=1, description="Devices that share the parameters."
    )
    simulated_devices: int = Field(
        default=0,
        ge=0,
        le=512,
        description="Simulate this many CPU devices; 0: real ones.",
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

    folder: str = Field(
        default="runs", min_length=1, description="Where run folders go."
    )
    name: FolderName | None = Field(
        default=None, description="Name of the run folder; null makes one up."
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="Seed of parameters, data order, augmentation.",
    )
    resume: bool = Field(
        default=False, description="Continue the run in its folder if there is one."
    )
    log_every: IntervalText = Field(
        default="50 steps", description="How often training metrics are written."
    )
    evaluate_every: IntervalText = Field(
        default="1 epochs", description="How often the validation split is scored."
    )
    checkpoint_every: IntervalText = Field(
        default="1 epochs",
        description="How often a checkpoint is saved, besides evaluations.",
    )
    keep_last: int = Field(
        default=2, ge=1, description="Newest checkpoints to keep besides the best one."
    )
    score_train: bool = Field(
        default=False,
        description="At the end, score the train split too as the test split is.",
    )
    tensorboard: bool = Field(default=True, description="Write TensorBoard events.")
    wandb: bool = Field(
        default=False, description="Log to Weights & Biases (extra: wandb)."
    )
    scan_steps: int = Field(
        default=0, ge=0, description="Steps per compiled loop; 0 chooses by the device."
    )
    compilation_cache: str | None = Field(
        default=None, min_length=1, description="Folder that keeps compiled programs."
    )
