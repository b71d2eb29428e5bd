"""A picture as sums of few products of a column and a row, and what that costs."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxdl.data import decode_image, resolve_path
from jaxdl.errors import DataError
from jaxdl.linalg import SVD, choose_rank, thin_svd
from jaxdl.recipes.study import finish_study, write_table
from jaxdl.recipes.svd_compression_config import (
    PictureSection,
    RankRulesSection,
    SvdCompressionConfig,
)
from jaxdl.report import Picture, RankMark, plot_pictures, plot_rate_distortion
from jaxdl.train import RunFolder
from jaxdl.typing import Array, Float

_PEAK = 255.0


class Distortion(NamedTuple):
    """What each rank of a picture costs, before its pixels are clipped.

    Attributes:
      stored: numbers to store over numbers in the picture; entry k is of rank k + 1.
      energy: share of the squared singular values.
      psnr: peak signal-to-noise ratio in decibels; infinite at the full rank.
    """

    stored: np.ndarray
    energy: np.ndarray
    psnr: np.ndarray


def study_compression(config: SvdCompressionConfig, run: RunFolder) -> int:
    """Draws the rate-distortion curve of a picture and some of its approximations.

    Args:
      config: the resolved config.
      run: its folder, locked.

    Returns:
      The exit status, 0.
    """
    start = time.perf_counter()
    name, pixels = load_picture(config.picture)
    channels = jnp.moveaxis(jnp.asarray(pixels, jnp.float32), -1, 0)
    svd = jax.jit(thin_svd)(channels)
    curve = measure_distortion(svd)
    chosen = _choose_ranks(config.rules, svd)
    shown = {f"rank {k}": k for k in config.ranks if k <= len(curve.stored)}
    kinds = [("rule", label, k) for label, k in chosen.items()]
    kinds += [("shown", label, k) for label, k in shown.items()]
    table = [
        {"kind": kind, "name": label, **_describe(pixels, svd, curve, rank)}
        for kind, label, rank in kinds
    ]
    plot_rate_distortion(
        curve.stored,
        curve.psnr,
        [RankMark(label, rank) for label, rank in chosen.items()],
        run.path / "rate_distortion.png",
        title=f"{name}, {' x '.join(map(str, pixels.shape))}",
    )
    _draw_pictures(run, name, pixels, svd, [row for row in table if row["rank"]])
    write_table(_list_curve(curve), run.path / "curve.csv")
    finish_study(
        run,
        table=table,
        summary={
            "picture": name,
            "shape": pixels.shape,
            "results": table,
            "seconds": time.perf_counter() - start,
        },
        title=f"{name}: ranks, numbers stored and signal-to-noise ratio in dB",
    )
    return 0


def load_picture(section: PictureSection) -> tuple[str, np.ndarray]:
    """Reads a picture and shrinks it if it is too large.

    Args:
      section: which picture, and whether in colour.

    Returns:
      Its name, and uint8 pixels (height, width, 1 or 3).

    Raises:
      DataError: the file is missing, unreadable or no picture.
    """
    if section.path is None:
        from sklearn.datasets import load_sample_image

        name, image = section.sample, load_sample_image(f"{section.sample}.jpg")
        picture = Image.fromarray(image).convert("RGB" if section.colour else "L")
    else:
        file = resolve_path(section.path)
        channels = 3 if section.colour else 1
        image = decode_image(
            _read(file), image_size=None, channels=channels, where=str(file)
        )
        name, picture = (
            file.name,
            Image.fromarray(image.squeeze(-1) if channels == 1 else image),
        )
    if section.max_side is not None:
        picture.thumbnail(
            (section.max_side, section.max_side), Image.Resampling.LANCZOS
        )
    pixels = np.asarray(picture)
    return name, pixels if pixels.ndim == 3 else pixels[..., None]


def measure_distortion(svd: SVD) -> Distortion:
    """Error and size of all ranks, from the singular values alone.

    Args:
      svd: of each channel; all channels get the same rank.

    Returns:
      The curve, by rank from 1 on.
    """
    squares = np.square(np.asarray(svd.s, np.float64)).sum(axis=0)
    count, height, width = len(svd.s), svd.u.shape[-2], svd.vt.shape[-1]
    left_out = np.append(np.cumsum(squares[::-1])[::-1], 0.0)[1:]
    ranks = np.arange(1, len(squares) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        psnr = 10 * np.log10(_PEAK**2 * count * height * width / left_out)
        energy = 1 - left_out / squares.sum()
    stored = ranks * (height + width + 1) / (height * width)
    return Distortion(stored, np.where(squares.sum() > 0, energy, 1.0), psnr)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {file}: {error.strerror}") from None


def _choose_ranks(rules: RankRulesSection, svd: SVD) -> dict[str, int]:
    """One rank for all channels, by the name of the rule."""
    shape = (svd.u.shape[-2], svd.vt.shape[-1])
    # Errors of the channels add up: as if of one channel of their mean energy.
    mean = jnp.sqrt((svd.s**2).mean(axis=0))
    chosen = {}
    for energy in rules.energies:
        chosen[f"energy {100 * energy:g} %"] = int(choose_rank(mean, energy=energy))
    for psnr in rules.psnrs:
        rank = choose_rank(mean, psnr=psnr, peak=_PEAK, shape=shape)
        chosen[f"{psnr:g} dB"] = int(rank)
    noise = "unknown" if rules.noise is None else rules.noise
    ranks = [int(choose_rank(s, noise=noise, shape=shape)) for s in svd.s]
    label = "" if rules.noise is None else f", noise {rules.noise:g}"
    chosen[f"Gavish-Donoho{label}"] = max(ranks)
    return chosen


def rebuild(svd: SVD, rank: int) -> Float[Array, "height width channels"]:
    """The picture of a rank, clipped to what a pixel can be and rounded.

    Args:
      svd: of each channel.
      rank: how many singular values to use; 0 gives black.

    Returns:
      Whole numbers in [0, 255].
    """
    channels = (svd.u[..., :rank] * svd.s[:, None, :rank]) @ svd.vt[:, :rank]
    return jnp.moveaxis(jnp.clip(channels, 0, _PEAK).round(), 0, -1)


def _describe(
    pixels: np.ndarray, svd: SVD, curve: Distortion, rank: int
) -> dict[str, Any]:
    if rank == 0:
        return {"rank": 0, "stored": 0.0}
    error = np.asarray(rebuild(svd, rank), np.float64) - pixels
    mean_square = np.mean(error**2)
    clipped = 10 * np.log10(_PEAK**2 / mean_square) if mean_square else np.inf
    return {
        "rank": rank,
        "stored": curve.stored[rank - 1],
        "energy": curve.energy[rank - 1],
        "psnr": curve.psnr[rank - 1],
        "psnr_clipped": clipped,
    }


def _list_curve(curve: Distortion) -> list[dict[str, Any]]:
    columns = zip(curve.stored, curve.energy, curve.psnr, strict=True)
    return [
        {"rank": k, "stored": stored, "energy": energy, "psnr": psnr}
        for k, (stored, energy, psnr) in enumerate(columns, start=1)
    ]


def _draw_pictures(
    run: RunFolder,
    name: str,
    pixels: np.ndarray,
    svd: SVD,
    rows: list[dict[str, Any]],
) -> None:
    """The picture at each rank of the table, the original last."""
    sheet = []
    for rank, row in sorted({row["rank"]: row for row in rows}.items()):
        image = np.asarray(rebuild(svd, rank)).astype(np.uint8)
        rules = [r["name"] for r in rows if r["rank"] == rank]
        rules = [text for text in rules if text != f"rank {rank}"]
        words = "".join(f" ({text})" for text in rules)
        caption = (
            f"rank {rank}{words}\n{100 * row['stored']:.1f} % of the numbers, "
            f"{row['psnr_clipped']:.1f} dB"
        )
        sheet.append(Picture(image, caption))
    sheet.append(Picture(pixels, f"{name}\n{pixels.shape[1]} x {pixels.shape[0]}"))
    plot_pictures(
        sheet,
        run.path / "pictures.png",
        title="Pictures of low rank, clipped to [0, 255]",
    )
