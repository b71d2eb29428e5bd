"""What images each network was made for, for data pipelines and trained weights."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """The images that the published weights of a network want.

    Attributes:
      image_size: side of the square that the network sees, in pixels.
      resize_size: what the shorter side is scaled to before the centre is cut out.
      channels: colours.
      mean: taken from values in [0, 1], per channel.
      std: what the difference is divided by.
      interpolation: how evaluation scales.

    Example:
      >>> InputSpec(image_size=224, resize_size=256).mean
      (0.485, 0.456, 0.406)
    """

    image_size: int
    resize_size: int
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


IMAGENET = InputSpec(image_size=224, resize_size=256)
"""What most networks for ImageNet were trained on."""
