"""Video clips as arrays: read from a file or a folder, or made."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.data import decode_image, resolve_path
from jaxdl.errors import DataError
from jaxdl.recipes.svd_background_config import ClipSection

_IMAGES = (".jpg", ".jpeg", ".png", ".webp")


class Clip(NamedTuple):
    """Frames of a video.

    Attributes:
      frames: white is 1.
      truth: which pixels of each frame are foreground; None where nobody knows.
      name: for headings.
    """

    frames: Float[np.ndarray, "frames height width channels"]
    truth: Bool[np.ndarray, "frames height width"] | None
    name: str


def load_clip(section: ClipSection, *, seed: int) -> Clip:
    """Loads the clip that a config names, or makes one.

    Args:
      section: where it is, and how much of it to use.
      seed: of a made clip.

    Returns:
      At least two frames.

    Raises:
      DataError: nothing is there, or it does not hold frames of one size.
    """
    if section.path is None:
        return _make_clip(section, seed=seed)
    path = resolve_path(section.path)
    frames = _read_folder(path, section) if path.is_dir() else _read_array(path)
    if not path.is_dir():
        frames = frames[:: section.stride][: section.num_frames]
    if len(frames) < 2:
        raise DataError(
            f"{path}: {len(frames)} frame(s) left of every {section.stride}; "
            "wanted at least 2, set clip.stride"
        )
    white = 255.0 if frames.dtype == np.uint8 else float(np.abs(frames).max()) or 1.0
    scaled = np.asarray(frames, np.float32) / np.float32(white)
    if not np.isfinite(scaled).all():
        raise DataError(f"{path}: some pixels are NaN or infinite")
    return Clip(scaled, None, path.stem)


def _read_array(path: Path) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.lib.npyio.NpzFile):
            names = found.files
            name = "frames" if "frames" in names else names[0] if names else None
            if name is None:
                raise DataError(f"{path}: holds no array; wanted one named frames")
            found = found[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: can't read it as .npz or .npy ({reason}); a video must first be "
            "cut into images"
        ) from None
    is_number = np.issubdtype(found.dtype, np.floating) or np.issubdtype(
        found.dtype, np.integer
    )
    if found.ndim not in (3, 4) or not is_number or found.size == 0:
        raise DataError(
            f"{path}: wanted numbers (frames, height, width) or (frames, height, "
            f"width, channels), got {found.dtype} {found.shape}"
        )
    return found if found.ndim == 4 else found[..., None]


def _read_folder(path: Path, section: ClipSection) -> np.ndarray:
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _IMAGES)
    files = files[:: section.stride][: section.num_frames]
    if not files:
        raise DataError(f"{path}: holds no images ({', '.join(_IMAGES)})")
    frames = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DataError(f"can't read {file}: {error.strerror}") from None
        channels = 1 if section.grey else 3
        frames.append(
            decode_image(content, image_size=None, channels=channels, where=str(file))
        )
        if frames[-1].shape != frames[0].shape:
            raise DataError(
                f"{file}: {frames[-1].shape[1]} x {frames[-1].shape[0]} pixels, but "
                f"{files[0].name} has {frames[0].shape[1]} x {frames[0].shape[0]}; "
                "wanted frames of one size"
            )
    return np.stack(frames)


def _make_clip(section: ClipSection, *, seed: int) -> Clip:
    """Shapes that cross a textured wall lit by two lamps, each flickering by itself."""
    generator = np.random.default_rng(seed)
    height, width, count = section.height, section.width, section.num_frames
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    wall = 0.45 + 0.1 * np.sin(rows / 5) * np.cos(columns / 7)
    wall = wall + 0.05 * generator.normal(size=(height, width))
    nearness = columns / (width - 1)
    time = np.arange(count)
    left = 1 + 0.15 * np.sin(0.9 * time) + 0.05 * generator.normal(size=count)
    right = 1 + 0.15 * np.sin(0.37 * time + 2) + 0.05 * generator.normal(size=count)
    light = left[:, None, None] * (1 - nearness) + right[:, None, None] * nearness
    frames = wall * light
    truth = np.zeros(frames.shape, bool)
    side = min(height, width)
    for size, speed, value, is_round in (
        (0.28, (0.5, 1.1), 0.75, False),
        (0.22, (-0.7, 0.6), 0.15, True),
        (0.16, (0.9, -1.4), 0.9, True),
    ):
        start = generator.uniform(0, 1, 2) * (height, width)
        # Back and forth between the edges, as a mirror would have it.
        places = [
            length - np.abs((first + step * time) % (2 * length) - length)
            for first, step, length in zip(start, speed, (height, width), strict=True)
        ]
        down = np.abs(rows - places[0][:, None, None])
        across = np.abs(columns - places[1][:, None, None])
        distance = np.hypot(down, across) if is_round else np.maximum(down, across)
        inside = distance < size * side / 2
        frames = np.where(inside, value, frames)
        truth |= inside
    frames = frames + section.noise * generator.normal(size=frames.shape)
    return Clip(np.clip(frames, 0, 1).astype(np.float32)[..., None], truth, "made clip")
