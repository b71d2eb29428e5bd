import threading

import numpy as np
import pytest

from jaxdl.data import ArraySplit, Subset, load_folder, load_into_memory
from jaxdl.data.memory import measure_channels
from jaxdl.errors import DataError


def array_split(images):
    return ArraySplit(images, np.arange(len(images)), name="train")


def test_load_into_memory_equals_reading(make, tmp_path):
    root = make.write_classes(tmp_path / "data", num_images=300)
    split = load_folder(path=root, image_size=8).splits["train"]
    loaded = load_into_memory(split)
    everything = split.read(np.arange(600))
    np.testing.assert_array_equal(loaded.images, everything["images"])
    np.testing.assert_array_equal(loaded.labels, everything["labels"])
    assert loaded.describe(301) == split.describe(301)
    assert loaded.fingerprint() == split.fingerprint()


def test_load_into_memory_gathers_a_subset():
    images = np.random.default_rng(0).random((9, 4, 4, 1), np.float32)
    subset = Subset(array_split(images), np.array([7, 2]))
    loaded = load_into_memory(subset)
    np.testing.assert_array_equal(loaded.images, images[[7, 2]])
    assert loaded.describe(0) == "train[7]" and loaded.images.dtype == np.float32


def test_load_into_memory_names_the_first_bad_file_and_stops(make, tmp_path):
    root = make.write_classes(tmp_path / "data", num_images=2)
    (root / "bird" / "1.png").write_bytes(b"broken")
    (root / "cat" / "1.png").write_bytes(b"broken")
    before = threading.active_count()
    with pytest.raises(DataError, match=r"bird/1\.png \(class 'bird'\)"):
        load_into_memory(load_folder(path=root).splits["train"])
    assert threading.active_count() == before


def test_load_into_memory_refuses_a_split_without_examples():
    empty = Subset(array_split(np.zeros((2, 4, 4, 1), np.uint8)), np.zeros(0, int))
    with pytest.raises(ValueError, match="without examples"):
        load_into_memory(empty)


@pytest.mark.parametrize("channels", [1, 3])
def test_measure_channels_equals_float64_numpy(channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 200, (700, 5, 6, channels), np.uint8)
    images[..., -1] //= 2
    scaled = images.astype(np.float64) / 255
    mean, std = measure_channels(array_split(images))
    np.testing.assert_allclose(mean, scaled.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 1, 2)), rtol=1e-10)
    as_floats = measure_channels(array_split(scaled.astype(np.float32)))
    np.testing.assert_allclose(as_floats, (mean, std), rtol=1e-5)


def test_measure_channels_takes_evenly_spaced_examples():
    images = np.repeat(np.arange(10, dtype=np.uint8), 16).reshape(10, 4, 4, 1)
    mean, _ = measure_channels(array_split(images), max_examples=5)
    assert mean[0] * 255 == pytest.approx(np.mean([0, 2, 4, 6, 8]))


def test_measure_channels_of_a_constant_channel_can_be_divided_by():
    mean, std = measure_channels(array_split(np.full((3, 4, 4, 2), 255, np.uint8)))
    assert mean == (1.0, 1.0) and std == (1 / 255, 1 / 255)


def test_measure_channels_refuses_no_examples():
    with pytest.raises(ValueError, match="max_examples must be at least 1, got 0"):
        measure_channels(array_split(np.zeros((1, 2, 2, 1), np.uint8)), max_examples=0)
