"""Where images stand around a centre: their distance is true, their angle is free."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

_ANGLES = 64
"""Angles that are tried for an image."""

_TRIES = 4
"""Images that are tried for each place of a ring."""


class RingPlaces(NamedTuple):
    """Which images are shown, and where.

    Attributes:
        indices: Of the images, in the order in which they were placed.
        radii: Their distances.
        angles: In radians, anticlockwise from the right.
    """

    indices: Integer[np.ndarray, " placed"]
    radii: Float[np.ndarray, " placed"]
    angles: Float[np.ndarray, " placed"]

    @property
    def positions(self) -> Float[np.ndarray, "placed 2"]:
        """Horizontal and vertical, the centre being at (0, 0)."""
        return _to_positions(self.radii, self.angles)


def place_on_rings(
    distances: Float[np.ndarray, " batch"],
    *,
    max_radius: float,
    size: float,
    num_rings: int = 15,
    spacing: float = 1.6,
    labels: Integer[np.ndarray, " batch"] | None = None,
    taken: Float[np.ndarray, "taken 2"] | None = None,
    seed: int = 0,
) -> RingPlaces:
    """Chooses images at all distances and an angle for each, so that none overlap.

    Each ring takes a number of its images that grows with its radius, drawn at random
    so that they are a fair sample of the ring. An image's angle is the one of many
    random ones that is farthest from what is there already; an image without room is
    left out. No image is moved inwards or outwards.

    Args:
        distances: To the centre, at least 0.
        max_radius: Images farther away are left out; above 0.
        size: Side of an image, in units of the distance; above 0.
        num_rings: Rings of equal width between 0 and `max_radius`.
        spacing: Side of the square that an image has to itself on its ring, relative
            to `size`.
        labels: Classes; given, each class has a sector of the circle, clockwise from
            the top in the order of the classes.
        taken: Places that images keep away from.
        seed: Of the draws.

    Returns:
        The images to show and their places.

    Raises:
        ValueError: A number that must be above 0 isn't.

    Example:
        >>> places = place_on_rings(np.array([0.5, 9.0]), max_radius=1.0, size=0.1)
        >>> places.indices.tolist(), places.radii.tolist()
        ([0], [0.5])
    """
    for name, value in (
        ("max_radius", max_radius),
        ("size", size),
        ("num_rings", num_rings),
        ("spacing", spacing),
    ):
        if not value > 0:
            raise ValueError(f"place_on_rings: {name} is {value}, wanted above 0")
    generator = np.random.default_rng(seed)
    lows, span = _find_sectors(labels, len(distances))
    order = generator.permutation(len(distances))
    # Dividing first leaves an image at the edge exactly there.
    shares = np.asarray(distances, np.float64) / max_radius
    rings = np.ceil(shares * num_rings).clip(min=1)[order]
    occupied = np.zeros((0, 2)) if taken is None else np.asarray(taken, np.float64)
    indices: list[int] = []
    angles: list[float] = []
    for ring in range(1, num_rings + 1):
        middle = (ring - 0.5) * max_radius / num_rings
        room = max(1, int(2 * np.pi * middle / (spacing * size)))
        last = len(indices) + room
        for index in order[rings == ring][: _TRIES * room]:
            low = lows[index]
            tried = low + span * generator.uniform(size=_ANGLES)
            places = _to_positions(np.float64(distances[index]), tried)
            gaps = _find_gaps(places, occupied)
            best = int(np.argmax(gaps))
            # A little more than the side leaves room for the frame.
            if gaps[best] < 1.08 * size:
                continue
            occupied = np.concatenate([occupied, places[best : best + 1]])
            indices.append(int(index))
            angles.append(float(tried[best]))
            if len(indices) == last:
                break
    chosen = np.array(indices, np.int64)
    radii = np.asarray(distances, np.float64)[chosen]
    return RingPlaces(chosen, radii, np.array(angles, np.float64))


def find_sector(rank: int, *, count: int) -> tuple[float, float]:
    """The lower and the upper angle of a sector of the circle, in radians.

    Args:
        rank: Of the sector, from 0, clockwise from the top.
        count: Of the sectors, at least 1.

    Returns:
        Two angles, the second at most pi / 2.

    Example:
        >>> [round(angle / np.pi, 3) for angle in find_sector(1, count=4)]
        [-0.5, 0.0]
    """
    high = np.pi / 2 - 2 * np.pi * rank / count
    return high - 2 * np.pi / count, high


def _find_sectors(labels: np.ndarray | None, length: int) -> tuple[np.ndarray, float]:
    """The angle at which each image's sector begins, and how wide all sectors are."""
    if labels is None:
        return np.zeros(length), 2 * np.pi
    present, ranks = np.unique(labels, return_inverse=True)
    count = max(len(present), 1)
    lows = np.array([find_sector(rank, count=count)[0] for rank in range(count)])
    # A margin keeps classes apart where they are far from the centre.
    span = 2 * np.pi / count
    margin = 0.04 * span if count > 1 else 0.0
    return lows[ranks] + margin, span - 2 * margin


def _to_positions(radii: np.ndarray | np.float64, angles: np.ndarray) -> np.ndarray:
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1)


def _find_gaps(places: np.ndarray, occupied: np.ndarray) -> np.ndarray:
    """How far each place is from the nearest occupied one, as squares see it."""
    differences = np.abs(places[:, None] - occupied[None]).max(axis=-1)
    return differences.min(axis=1, initial=np.inf)
