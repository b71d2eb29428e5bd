"""The matrices of `linalg.py`, and how far from the best a result on them is."""

import os
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def make_data(routine: str, shape: tuple[int, int], rank: int, decay: float) -> Arrays:
    """The input `a`, and what its errors are measured with.

    Args:
      routine: `svd`, `randomized_svd`, `pca`, `kmeans` or `robust_pca`.
      shape: of the input; ignored where a real clip is at hand.
      rank: of the result, or clusters.
      decay: singular values are i**-decay.
    """
    generator = np.random.default_rng(0)
    if routine == "svd":
        return {"a": generator.normal(size=shape).astype(np.float32)}
    if routine == "kmeans":
        centers = 0.5 * generator.normal(size=(rank, shape[1]))
        a = centers[generator.integers(0, rank, shape[0])]
        return {"a": (a + generator.normal(size=shape)).astype(np.float32)}
    if routine == "robust_pca":
        return {"a": _load_clip() if min(shape) > 50 else _make_clip(generator, shape)}
    size = min(shape)
    values = np.arange(1, size + 1.0) ** -decay
    left = np.linalg.qr(generator.normal(size=(shape[0], size)))[0]
    right = np.linalg.qr(generator.normal(size=(shape[1], size)))[0]
    a = ((left * values) @ right.T).astype(np.float32)
    if routine == "pca":
        a += generator.normal(size=shape[1]).astype(np.float32) / 100
        values = np.linalg.svd(a - a.mean(0, dtype=float), compute_uv=False)
    return {"a": a, "best": np.array(np.linalg.norm(values[rank:]))}


def _load_clip() -> np.ndarray:
    folder = os.environ.get("JAXDL_DATA_DIR")
    path = Path(folder or "") / "rpca_escalator" / "escalator.npz"
    if folder and path.exists():
        frames = np.load(path)["frames"]
        return frames.reshape(len(frames), -1).T.astype(np.float32) / 255
    return _make_clip(np.random.default_rng(0), (20_800, 200))


def _make_clip(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A flickering background with a bright block that moves, pixels by frames."""
    pixels, frames = shape
    background = generator.uniform(0.2, 0.6, (pixels, 2))
    light = np.stack([np.ones(frames), np.sin(np.arange(frames) / 9) / 5])
    clip = background @ light + 0.01 * generator.normal(size=shape)
    width = max(1, pixels // 50)
    for frame in range(frames):
        start = frame * (pixels - width) // frames
        clip[start : start + width, frame] = 0.95
    return clip.astype(np.float32)


def measure(routine: str, data: Arrays, results: list[Any]) -> dict[str, float]:
    """Errors of the results of some calls, in float64.

    Args:
      routine: as for `make_data`.
      data: what it made.
      results: of the calls. `(u, s, vt)`; of `pca` `(mean, components)`, of `kmeans`
        the inertia, of `robust_pca` `(low rank, sparse, iterations)`.

    Returns:
      Errors by name.
    """
    if routine == "kmeans":
        inertias = [float(result) for result in results]
        return {"inertia": median(inertias), "best of 3": min(inertias)}
    a = data["a"].astype(float)
    parts = [np.asarray(part, dtype=float) for part in results[-1]]
    if routine == "robust_pca":
        left = a - parts[0] - parts[1]
        return {"residual": _relate(left, a), "iterations": float(parts[2])}
    if routine == "pca":
        mean, components = parts
        a -= mean
        return {"excess": _relate(a - a @ components.T @ components, data["best"]) - 1}
    u, s, vt = parts
    left = a - (u * s) @ vt
    if "best" in data:
        error = {"excess": _relate(left, data["best"]) - 1}
    else:
        error = {"residual": _relate(left, a)}
    return {**error, "orthogonality": max(map(_orthogonality, (u, vt.T)))}


def _relate(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a) / np.linalg.norm(b))


def _orthogonality(q: np.ndarray) -> float:
    return float(np.abs(q.T @ q - np.eye(q.shape[1])).max())
