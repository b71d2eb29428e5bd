import numpy as np
import pytest

from jaxdl.data import load_idx
from jaxdl.data.idx import FASHION_CLASSES, read_idx


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_load_idx_gives_pixels_and_labels(make, tmp_path, suffix):
    dataset = load_idx(path=make.write_idx(tmp_path / "mnist", suffix=suffix))
    assert dataset.name == "mnist" and dataset.image_shape == (5, 5, 1)
    for seed, (name, count) in enumerate({"train": 6, "test": 4}.items()):
        batch = dataset.splits[name].read(np.arange(count))
        pixels = make.random_pixels(count, 5, 5, seed=seed)
        np.testing.assert_array_equal(batch["images"][..., 0], pixels)
        np.testing.assert_array_equal(batch["labels"], np.arange(count))


def test_load_idx_takes_the_dotted_spelling_and_a_missing_test(make, tmp_path):
    root = make.write_idx(tmp_path)
    for kind in ("images-idx3", "labels-idx1"):
        file = root / f"train-{kind}-ubyte"
        file.rename(root / file.name.replace("-idx", ".idx"))
        (root / f"t10k-{kind}-ubyte").unlink()
    assert list(load_idx(path=root).splits) == ["train"]


@pytest.mark.parametrize(
    "folder, first", [("fashion_mnist", "T-shirt/top"), ("FashionMNIST/raw", None)]
)
def test_load_idx_names_the_classes_of_fashion_mnist(make, tmp_path, folder, first):
    dataset = load_idx(path=make.write_idx(tmp_path / folder))
    assert dataset.class_names == FASHION_CLASSES
    assert dataset.class_names[0] == (first or "T-shirt/top")


def test_load_idx_names_digits_else(make, tmp_path):
    dataset = load_idx(path=make.write_idx(tmp_path / "kmnist"))
    assert dataset.class_names == tuple("0123456789")


def test_load_idx_resizes(make, tmp_path):
    assert load_idx(path=make.write_idx(tmp_path), image_size=9).image_shape == (
        9,
        9,
        1,
    )


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 1, 3, 2)])
def test_read_idx_takes_one_to_four_axes(make, tmp_path, shape):
    values = make.random_pixels(*shape)
    (tmp_path / "values").write_bytes(make.idx_bytes(values))
    np.testing.assert_array_equal(read_idx(tmp_path / "values"), values)
