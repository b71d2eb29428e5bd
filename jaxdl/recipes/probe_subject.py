"""What is probed: a network, the images it is shown, and how both are told of."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from jaxdl.data import Dataset
from jaxdl.errors import DataError
from jaxdl.recipes.build import build_dataset, build_mesh
from jaxdl.recipes.encoders import FrozenEncoder, compute_features, load_encoder
from jaxdl.recipes.probes_config import ProbeConfig
from jaxdl.recipes.sections import DataSection


class Examples(NamedTuple):
    """What a probe sees of a split.

    Attributes:
      features: float32 (examples, features).
      labels: int32 (examples,).
    """

    features: np.ndarray
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class ProbeSubject:
    """A network and the data it is probed with.

    Attributes:
      path: the run folder of the network.
      encoder: the network, on the mesh.
      dataset: with all three splits.
      mesh: the devices.
      section: how the data are read.
    """

    path: Path
    encoder: FrozenEncoder
    dataset: Dataset
    mesh: Mesh
    section: DataSection

    @property
    def title(self) -> str:
        """The network, its step and the data, for titles."""
        encoder = self.encoder
        return f"{encoder.config.model.name}, {encoder.origin}, on {self.dataset.name}"

    def load_untrained(self) -> FrozenEncoder:
        """The same network before its training."""
        return load_encoder(self.path, self.mesh, checkpoint="untrained")

    def compute(self, encoder: FrozenEncoder) -> dict[str, Examples]:
        """Features and labels of all splits."""
        return {
            name: Examples(
                *compute_features(
                    encoder,
                    split,
                    self.mesh,
                    batch_size=self.section.eval_batch_size,
                    num_workers=max(1, self.section.num_workers),
                )
            )
            for name, split in self.dataset.splits.items()
        }

    def summarise(self) -> dict[str, Any]:
        """What a summary says of the network and the data."""
        encoder, dataset = self.encoder, self.dataset
        return {
            "encoder": {
                "run": str(self.path),
                "step": encoder.step,
                "model": encoder.config.model.name,
                "trained_on": encoder.card.name,
            },
            "dataset": dataset.name,
            "num_classes": dataset.num_classes,
            "num_examples": {name: len(s) for name, s in dataset.splits.items()},
        }


def open_subject(path: str, config: ProbeConfig) -> ProbeSubject:
    """The network and the data that a config asks for.

    Args:
      path: the run folder of the network.
      config: of the probe.

    Returns:
      Both, on the config's mesh.

    Raises:
      CheckpointError: see `load_encoder`.
      ConfigError: see `load_encoder` and `build_mesh`.
      DataError: the data can't be read, or the network can't take them.
    """
    mesh = build_mesh(config.mesh)
    encoder = load_encoder(path, mesh, checkpoint=config.checkpoint)
    dataset = build_dataset(config.data)
    check_images(encoder, dataset)
    return ProbeSubject(Path(path).resolve(), encoder, dataset, mesh, config.data)


def check_images(encoder: FrozenEncoder, dataset: Dataset) -> None:
    """Refuses images that an encoder can't take.

    Args:
      encoder: the network.
      dataset: what it shall describe.

    Raises:
      DataError: the images have other channels or are smaller than those that the
        network was trained on.
    """
    height, width, channels = dataset.image_shape
    model, wanted = encoder.config.model.name, encoder.card.image_shape[2]
    if channels != wanted:
        raise DataError(
            f"{dataset.name}: the images have {channels} channel{'s' * (channels > 1)}"
            f"; {model} was trained on {encoder.card.name}, which has {wanted}"
        )
    least = encoder.backbone.size
    if height < least[0] or width < least[1]:
        raise DataError(
            f"{dataset.name}: the images are {height}x{width}; {model} was trained on "
            f"{least[0]}x{least[1]} and wants no smaller ones; see data.image_size"
        )
