"""The picture study against float64 NumPy, and what it says of wrong files."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from jaxdl.config import load_config
from jaxdl.errors import DataError
from jaxdl.linalg import thin_svd
from jaxdl.recipes.svd_compression import (
    load_picture,
    measure_distortion,
    rebuild,
    study_compression,
)
from jaxdl.recipes.svd_compression_config import PictureSection, SvdCompressionConfig
from jaxdl.train import RunFolder


def make_file(folder, *, colour=True):
    """A small smooth picture with noise, as a file and as an array."""
    shape = (24, 36, 3) if colour else (24, 36)
    rows, columns = np.mgrid[:24, :36]
    smooth = 120 + 60 * np.sin(rows / 5) * np.cos(columns / 7)
    noise = np.random.default_rng(0).normal(0, 5, shape)
    pixels = np.clip((smooth[..., None] if colour else smooth) + noise, 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "picture.png")
    return folder / "picture.png", pixels.astype(np.uint8)


def run_study(folder, *overrides):
    run = RunFolder(folder)
    config = load_config(SvdCompressionConfig, None, overrides)
    assert study_compression(config, run) == 0
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file)), json.loads(run.summary.read_text())


def approximate(channel, rank):
    u, s, vt = np.linalg.svd(channel.astype(np.float64), full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ vt[:rank]


@pytest.mark.parametrize("colour", [True, False])
def test_study_measures_what_numpy_measures(tmp_path, colour):
    file, pixels = make_file(tmp_path, colour=colour)
    rows, summary = run_study(
        tmp_path,
        f"picture.path={file}",
        f"picture.colour={str(colour).lower()}",
        "ranks=[1, 4, 99]",
        "rules.energies=[0.99]",
        "rules.psnrs=[30]",
    )
    shown = {row["name"]: row for row in rows}
    assert list(shown) == ["energy 99 %", "30 dB", "Gavish-Donoho", "rank 1", "rank 4"]
    channels = np.atleast_3d(pixels).transpose(2, 0, 1)
    for row in rows:
        rank = int(row["rank"])
        left = [c - approximate(c, rank) for c in channels]
        psnr = 10 * np.log10(255**2 / np.mean(np.square(left)))
        assert float(row["psnr"]) == pytest.approx(psnr, abs=1e-3)
        rounded = [np.clip(approximate(c, rank), 0, 255).round() for c in channels]
        clipped = 10 * np.log10(255**2 / np.mean((rounded - channels) ** 2.0))
        assert float(row["psnr_clipped"]) == pytest.approx(clipped, abs=0.05)
        assert float(row["stored"]) == pytest.approx(rank * (24 + 36 + 1) / (24 * 36))
    reached = shown["30 dB"]
    assert float(reached["psnr"]) >= 30
    with (tmp_path / "curve.csv").open(newline="") as lines:
        curve = list(csv.DictReader(lines))
    assert len(curve) == 24
    before = curve[int(reached["rank"]) - 2]
    assert float(before["psnr"]) < 30
    # A product of two waves on a mean: rank 2 under the noise.
    assert shown["Gavish-Donoho"]["rank"] == "2"
    assert summary["shape"] == [24, 36, 3 if colour else 1]
    assert {p.name for p in tmp_path.glob("*.png")} == {
        "picture.png",
        "pictures.png",
        "rate_distortion.png",
    }


def test_measure_distortion_says_what_rebuilding_shows():
    pixels = np.random.default_rng(0).uniform(60, 200, (3, 8, 6))
    svd = thin_svd(jnp.float32(pixels))
    curve = measure_distortion(svd)
    for rank in (1, 3, 5):
        error = np.moveaxis(
            np.asarray(jax.jit(rebuild, static_argnums=1)(svd, rank)), -1, 0
        )
        psnr = 10 * np.log10(255**2 / np.mean((error - pixels) ** 2))
        assert curve.psnr[rank - 1] == pytest.approx(psnr, abs=0.05)
    assert np.isinf(curve.psnr[-1]) and curve.energy[-1] == 1
    np.testing.assert_allclose(curve.stored, np.arange(1, 7) * 15 / 48)


@pytest.mark.parametrize("value", [0, 255])
def test_study_takes_a_picture_of_one_colour(tmp_path, value):
    file = tmp_path / "plain.png"
    Image.new("L", (9, 7), value).save(file)
    rows, _ = run_study(tmp_path, f"picture.path={file}", "ranks=[1]")
    assert {row["rank"] for row in rows} <= {"0", "1"}


def test_load_picture_shrinks_and_reads_the_samples():
    name, pixels = load_picture(PictureSection(max_side=64))
    assert name == "china" and pixels.shape == (43, 64, 3)
    whole = load_picture(PictureSection(sample="flower", max_side=None))[1]
    np.testing.assert_array_equal(whole, load_sample_image("flower.jpg"))
    assert load_picture(PictureSection(colour=False, max_side=32))[1].shape[2] == 1


def test_load_picture_names_files_that_are_none(tmp_path):
    (tmp_path / "text.png").write_text("text")
    for path, words in [
        (tmp_path / "no.png", "no such file"),
        (tmp_path / "text.png", "not a JPEG, PNG or WebP image"),
        (tmp_path, "can't read .*: Is a directory"),
    ]:
        with pytest.raises(DataError, match=words):
            load_picture(PictureSection(path=str(path)))
