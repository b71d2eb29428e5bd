"""The study of backgrounds: what it finds in a made clip, and which clips it reads."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from jaxdl.config import load_config
from jaxdl.errors import DataError
from jaxdl.recipes.svd_background import find_foreground, study_background
from jaxdl.recipes.svd_background_config import BackgroundConfig
from jaxdl.recipes.svd_background_data import load_clip
from jaxdl.train import RunFolder


def make_config(*overrides):
    return load_config(BackgroundConfig, None, overrides)


def load(*overrides):
    return load_clip(make_config(*overrides).clip, seed=0)


def test_study_finds_moving_shapes_better_than_rank_1_does(tmp_path):
    config = make_config("clip.num_frames=60", "clip.height=32", "clip.width=40")
    assert study_background(config, RunFolder(tmp_path)) == 0
    with (tmp_path / "table.csv").open(newline="") as file:
        rank_1, robust = csv.DictReader(file)
    assert (rank_1["method"], robust["method"]) == ("rank 1", "robust PCA")
    assert float(robust["f_score"]) > 0.9 > float(rank_1["f_score"])
    assert float(robust["residual"]) <= 1e-7 and robust["converged"] == "True"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["frames"], summary["height"], summary["width"]) == (60, 32, 40)
    saved, clip = np.load(tmp_path / "robust_pca.npz"), load_clip(config.clip, seed=0)
    hits = (saved["mask"] & clip.truth).sum()
    f_score = 2 * hits / (saved["mask"].sum() + clip.truth.sum())
    assert float(robust["f_score"]) == pytest.approx(f_score)
    assert saved["background"].shape == clip.frames.shape


def test_study_says_when_it_did_not_converge(tmp_path):
    small = ["clip.num_frames=4", "clip.height=16", "clip.width=16", "num_shown=1"]
    config = make_config(*small, "separation.max_iterations=2")
    study_background(config, RunFolder(tmp_path))
    _, robust = json.loads((tmp_path / "summary.json").read_text())["results"]
    assert robust["converged"] is False and robust["iterations"] == 2


def test_find_foreground_takes_the_multiple_or_the_floor_and_any_channel():
    foreground = np.zeros((1, 2, 3, 2))
    foreground[0, 1, 2] = [0.0, -0.3]
    mask, threshold = find_foreground(foreground, multiple=3.0, floor=0.2)
    assert threshold == 0.2 and mask[0, 1, 2] and mask.sum() == 1
    noise = np.random.default_rng(0).normal(size=(10, 40, 50, 1))
    mask, threshold = find_foreground(noise, multiple=2.0, floor=0.2)
    assert threshold == pytest.approx(2, abs=0.05)  # the deviation is 1
    assert mask.mean() == pytest.approx(0.0455, abs=0.005)


@pytest.mark.parametrize("name", ["clip.npz", "clip.npy"])
def test_load_clip_reads_arrays(tmp_path, name):
    frames = np.random.default_rng(0).integers(0, 256, (9, 5, 6), np.uint8)
    if name == "clip.npz":
        np.savez(tmp_path / name, frames=frames, other=np.zeros(2))
    else:
        np.save(tmp_path / name, frames)
    clip = load(f"clip.path={tmp_path / name}", "clip.stride=2", "clip.num_frames=4")
    np.testing.assert_allclose(clip.frames[..., 0], frames[:8:2] / 255, rtol=1e-6)
    assert clip.truth is None and clip.name == "clip"


@pytest.mark.parametrize("grey", ["true", "false"])
def test_load_clip_reads_folders_in_the_order_of_names(tmp_path, grey):
    for index in (2, 0, 1):
        Image.new("RGB", (6, 5), (50 * index,) * 3).save(tmp_path / f"{index}.png")
    (tmp_path / "notes.txt").write_text("none")
    clip = load(f"clip.path={tmp_path}", f"clip.grey={grey}")
    assert clip.frames.shape == (3, 5, 6, 1 if grey == "true" else 3)
    np.testing.assert_allclose(clip.frames[:, 0, 0, 0], [0, 50 / 255, 100 / 255])


def write_bad_clips(root):
    """Paths of clips that can't be used, and what to say of them."""
    (root / "empty").mkdir()
    (root / "sizes").mkdir()
    for side in (5, 6):
        Image.new("L", (side, 5)).save(root / "sizes" / f"{side}.png")
    (root / "text.npz").write_text("no")
    (root / "video.mp4").write_bytes(b"\0\0\0\x20ftyp" * 9)
    np.savez(root / "nothing.npz")
    np.save(root / "flat.npy", np.zeros((3, 4)))
    np.save(root / "words.npy", np.array([[["a"]]]))
    np.save(root / "single.npy", np.zeros((1, 4, 4)))
    np.save(root / "nan.npy", np.full((3, 4, 4), np.nan))
    return {
        "missing.npz": "no such file or folder",
        "empty": "holds no images",
        "sizes": "6.png: 6 x 5 pixels, but 5.png has 5 x 5",
        "text.npz": "can't read it as .npz or .npy",
        "video.mp4": "a video must first be cut into images",
        "nothing.npz": "holds no array",
        "flat.npy": r"wanted numbers \(frames, height, width\).*\(3, 4\)",
        "words.npy": "wanted numbers",
        "single.npy": "1 frame.* left of every 1",
        "nan.npy": "NaN or infinite",
    }


def test_load_clip_names_what_is_wrong_in_one_line(tmp_path):
    for name, words in write_bad_clips(tmp_path).items():
        with pytest.raises(DataError, match=words) as error:
            load(f"clip.path={tmp_path / name}")
        assert name in str(error.value) and "\n" not in str(error.value)
