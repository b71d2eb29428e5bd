import hashlib
import inspect
import subprocess
import sys

import numpy as np
import pytest

import jaxdl.data
from jaxdl.data import SOURCES, load_dataset, measure_channels, resolve_path
from jaxdl.errors import DataError


def write_source(source, make, root):
    """Tiny files for any source; returns load_dataset's arguments."""
    if source == "idx":
        return {"source": source, "path": make.write_idx(root)}
    if source == "cifar10":
        return {"source": source, "path": make.write_cifar(root, "binary")}
    if source == "folder":
        return {"source": source, "path": make.write_classes(root)}
    if source == "tfds":
        return {"source": "tfds:tiny", "path": make.prepare_tfds(root)}
    return {"source": source}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_a_dataset_at_any_size(make, tmp_path, source):
    arguments = write_source(source, make, tmp_path / "data")
    dataset = load_dataset(**arguments, image_size=12)
    assert dataset.image_shape[:2] == (12, 12) and dataset.image_shape[2] in (1, 3)
    for split in dataset.splits.values():
        batch = split.read(np.arange(len(split)))
        assert batch["images"].shape == (len(split), *dataset.image_shape)
        assert batch["images"].dtype == np.uint8 and batch["labels"].dtype == np.int32
        assert batch["images"].nbytes == split.num_bytes
        assert set(batch["labels"]) <= set(range(dataset.num_classes))
        assert split.describe(0)
    assert (
        dataset.fingerprint() == load_dataset(**arguments, image_size=12).fingerprint()
    )


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_refuses_image_size_zero(make, tmp_path, source):
    arguments = write_source(source, make, tmp_path / "data")
    with pytest.raises(ValueError, match="image_size must be at least 1 pixel, got 0"):
        load_dataset(**arguments, image_size=0)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_refuses_a_missing_path(tmp_path, source):
    missing = tmp_path / "nothing"
    source = "tfds:tiny" if source == "tfds" else source
    with pytest.raises(DataError, match="no such file or folder|takes no path") as seen:
        load_dataset(source, path=missing)
    assert str(missing) in str(seen.value)


@pytest.mark.parametrize("source", ["idx", "folder"])
def test_sources_on_disk_need_a_path(source):
    with pytest.raises(DataError, match=f"source '{source}' needs a path: a folder"):
        load_dataset(source)


@pytest.mark.parametrize(
    "source, hint",
    [
        ("cifar", "did you mean cifar10"),
        ("digit", "did you mean digits"),
        ("fodler", "did you mean folder"),
        ("tfd:mnist", "did you mean tfds:<name>"),
        ("tfds", "did you mean tfds:<name>"),
        ("tfds:", "did you mean tfds:<name>"),
        ("digits:mnist", "did you mean digits"),
        ("", "choose from digits, idx, cifar10, folder, tfds:<name>$"),
        ("zzz", "choose from digits, idx, cifar10, folder, tfds:<name>$"),
    ],
)
def test_load_dataset_refuses_unknown_sources(source, hint):
    with pytest.raises(ValueError, match=f"unknown source {source!r}: .*{hint}"):
        load_dataset(source)


def test_resolve_path_prefers_the_working_directory(tmp_path, monkeypatch):
    here, shared = tmp_path / "here", tmp_path / "shared"
    for folder in (here / "a", shared / "a", shared / "b"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("JAXDL_DATA_DIR", str(shared))
    assert resolve_path("a").absolute() == here / "a"
    assert resolve_path("b") == shared / "b"
    assert resolve_path(shared / "a") == shared / "a"


def test_resolve_path_names_both_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXDL_DATA_DIR", "/data")
    expected = f"tried {tmp_path}/birds and /data/birds$"
    with pytest.raises(DataError, match=expected):
        resolve_path("birds")
    monkeypatch.delenv("JAXDL_DATA_DIR")
    with pytest.raises(DataError, match=r"birds \(\$JAXDL_DATA_DIR is not set\)$"):
        resolve_path("birds")


@pytest.mark.parametrize("path", ["nul\0byte", "x" * 5000, "new\nline"])
def test_resolve_path_refuses_odd_paths_in_one_line(path):
    with pytest.raises(DataError, match="no such file or folder") as caught:
        resolve_path(path)
    assert "\n" not in str(caught.value) and "\0" not in str(caught.value)


def test_importing_the_room_imports_no_heavy_library():
    code = (
        "import sys, jaxdl.data\n"
        "heavy = {'jax', 'grain', 'tensorflow', 'tensorflow_datasets', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_everything_public_has_an_example():
    for name in jaxdl.data.__all__:
        item = getattr(jaxdl.data, name)
        if inspect.isfunction(item):
            assert "Example:\n" in (item.__doc__ or ""), name


def test_cifar10_is_the_published_one(data_dir):
    dataset = load_dataset("cifar10")
    digests = {
        name: hashlib.sha256(split.images.tobytes()).hexdigest()
        for name, split in dataset.splits.items()
    }
    assert digests == {
        "train": "56adf2dcb344aba4ce43ae121e538a5e2d4c2844ff6188e021b5a975f9b05d3c",
        "test": "e1218b2bf607f0424fa62842da65b909fef1b4ef63093191d2b4c1fccf10c0e7",
    }
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    mean, std = measure_channels(train, max_examples=50_000)
    np.testing.assert_allclose(mean, [0.49140, 0.48216, 0.44653], atol=1e-5)
    np.testing.assert_allclose(std, [0.24703, 0.24348, 0.26159], atol=1e-5)


@pytest.mark.parametrize(
    "path, train, test",
    [
        ("fashion_mnist", [6000] * 10, [1000] * 10),
        (
            "mnist",
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
    ],
)
def test_idx_has_the_published_class_counts(data_dir, path, train, test):
    dataset = load_dataset("idx", path=path)
    for name, counts in {"train": train, "test": test}.items():
        assert np.bincount(dataset.splits[name].labels).tolist() == counts
    assert dataset.image_shape == (28, 28, 1)


def test_flowers_are_read_from_folders(data_dir):
    dataset = load_dataset("folder", path="flowers", image_size=16)
    assert dataset.class_names[:2] == ("daisy", "dandelion")
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 1500, "validation": 500}
    batch = dataset.splits["train"].read(np.arange(0, 1500, 300))
    assert batch["labels"].tolist() == [0, 1, 2, 3, 4]
