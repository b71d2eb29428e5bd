"""The gradient noise scale of a run: whether it can be measured, and how it is told."""

import dataclasses
from typing import Any

from jax.sharding import Mesh

from jaxdl.errors import ConfigError
from jaxdl.recipes.optimizer_sections import OptimizerSection
from jaxdl.recipes.task import Task
from jaxdl.train import MeasuredStatistics, compute_noise


def check_noise_scale(section: OptimizerSection, mesh: Mesh) -> None:
    """Refuses to measure noise where a batch is all one part.

    Args:
      section: says whether noise is measured, and in how many parts batches are.
      mesh: the devices.

    Raises:
      ConfigError: there is one part, on one device.
    """
    if section.noise_scale and section.accumulate == 1 and mesh.shape["data"] == 1:
        raise ConfigError(
            "optimizer.noise_scale compares the gradients of parts of a batch; wanted "
            "optimizer.accumulate of 2 or more, or mesh.data of 2 or more devices"
        )


def check_shares(section: OptimizerSection, task: Task) -> None:
    """Refuses to measure noise by devices where examples on several of them meet.

    Args:
      section: says whether noise is measured, and how.
      task: what is trained.

    Raises:
      ConfigError: the gradients of the devices' shares are not those of a loss of the
        share alone.
    """
    if section.noise_scale and section.accumulate == 1 and not task.separable:
        raise ConfigError(
            "optimizer.noise_scale: examples of a batch meet in this training (as in "
            "BatchNorm), so the devices have no gradients of their own; wanted "
            "optimizer.accumulate of 2 or more"
        )


def report_noise(task: Task) -> Task:
    """A task that tells the noise of gradients too, where its statistics hold it.

    Args:
      task: knows the other statistics.

    Returns:
      The same task; numbers of training statistics include those of
      `jaxdl.train.compute_noise`.
    """

    def compute(statistics: Any) -> dict[str, Any]:
        if not isinstance(statistics, MeasuredStatistics):
            return task.compute(statistics)
        return {**task.compute(statistics.task), **compute_noise(statistics)}

    return dataclasses.replace(task, compute=compute)
