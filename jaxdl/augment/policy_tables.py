"""What the published policies choose from, and how far each operation goes."""

from typing import NamedTuple

import numpy as np

from jaxdl.augment.operations import OPERATIONS

AUTO_AUGMENT = {
    "cifar10": (
        (("invert", 0.1, 7), ("contrast", 0.2, 6)),
        (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
        (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
        (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
        (("auto_contrast", 0.5, 8), ("equalize", 0.9, 2)),
        (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
        (("color", 0.4, 3), ("brightness", 0.6, 7)),
        (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
        (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
        (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
        (("color", 0.7, 7), ("translate_x", 0.5, 8)),
        (("equalize", 0.3, 7), ("auto_contrast", 0.4, 8)),
        (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
        (("brightness", 0.9, 6), ("color", 0.2, 8)),
        (("solarize", 0.5, 2), ("invert", 0.0, 3)),
        (("equalize", 0.2, 0), ("auto_contrast", 0.6, 0)),
        (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
        (("color", 0.9, 9), ("equalize", 0.6, 6)),
        (("auto_contrast", 0.8, 4), ("solarize", 0.2, 8)),
        (("brightness", 0.1, 3), ("color", 0.7, 0)),
        (("solarize", 0.4, 5), ("auto_contrast", 0.9, 3)),
        (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
        (("auto_contrast", 0.9, 2), ("solarize", 0.8, 3)),
        (("equalize", 0.8, 8), ("invert", 0.1, 3)),
        (("translate_y", 0.7, 9), ("auto_contrast", 0.9, 1)),
    ),
    "imagenet": (
        (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
        (("solarize", 0.6, 5), ("auto_contrast", 0.6, 5)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
        (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
        (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
        (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
        (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
        (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
        (("rotate", 0.8, 8), ("color", 0.4, 0)),
        (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
        (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("rotate", 0.8, 8), ("color", 1.0, 2)),
        (("color", 0.8, 8), ("solarize", 0.8, 7)),
        (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
        (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
        (("color", 0.4, 0), ("equalize", 0.6, 3)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("solarize", 0.6, 5), ("auto_contrast", 0.6, 5)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    ),
}
"""The 25 pairs of operations of each policy: name, probability, level in 0 to 9.

Cubuk et al. 2018, arXiv:1805.09501, appendix. Some operations read no level.
"""

AUTO_AUGMENT_LEVELS = 10
"""Levels of magnitude in `AUTO_AUGMENT`."""

RANDOM_LEVELS = 31
"""Levels of magnitude of RandAugment and TrivialAugment."""

RANDOM_OPERATIONS = tuple(
    number for number, name in enumerate(OPERATIONS) if name != "invert"
)
"""The 14 operations that RandAugment and TrivialAugment choose from."""


class Reach(NamedTuple):
    """How far each operation goes at its highest level."""

    shear: float
    shift: float
    """In pixels, or as a share of the side if below 1."""
    degrees: float
    enhancement: float
    """What a factor differs from 1 by."""
    num_bits: int
    """How many bits are taken away."""


NARROW = Reach(shear=0.3, shift=150 / 331, degrees=30, enhancement=0.9, num_bits=4)
"""Of AutoAugment and RandAugment, 331 being the side that the paper's 150 is for."""

WIDE = Reach(shear=0.99, shift=32, degrees=135, enhancement=0.99, num_bits=6)
"""Of TrivialAugment: Mueller and Hutter 2021, arXiv:2103.10158, table 1."""


def tabulate_amounts(
    reach: Reach, *, num_levels: int, image_size: tuple[int, int]
) -> np.ndarray:
    """The amount of each operation at each level, see `apply_operations`.

    Args:
      reach: of the highest level.
      num_levels: equally far apart, at least 2; the lowest changes nothing, but for
        `solarize`, which inverts what is full.
      image_size: height and width in pixels.

    Returns:
      float32 as operations x 2 x levels, the second of the two the other way where
      there is one.
    """
    shares = np.linspace(0.0, 1.0, num_levels)
    down, right = (
        reach.shift * (side if reach.shift < 1 else 1) * shares for side in image_size
    )
    both_ways = {
        "shear_x": reach.shear * shares,
        "shear_y": reach.shear * shares,
        "translate_x": right,
        "translate_y": down,
        "rotate": reach.degrees * shares,
    }
    one_way = {
        "solarize": 255.0 * (1.0 - shares),
        "posterize": 8.0 - np.round(reach.num_bits * shares),
    }
    amounts = np.zeros((len(OPERATIONS), 2, num_levels), np.float32)
    for name, values in both_ways.items():
        amounts[OPERATIONS.index(name)] = values, -values
    for name, values in one_way.items():
        amounts[OPERATIONS.index(name)] = values
    for name in ("contrast", "color", "brightness", "sharpness"):
        change = reach.enhancement * shares
        amounts[OPERATIONS.index(name)] = 1.0 + change, 1.0 - change
    return amounts
