import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxdl.data import TfdsSplit, load_dataset, load_into_memory, load_tfds
from jaxdl.errors import DataError

FLAT = [np.full((9 + i, 12, 3), 10 * i, np.uint8) for i in range(4)]
VARIED = [(Image.fromarray(pixels), i % 3) for i, pixels in enumerate(FLAT)]


@pytest.fixture
def tiny(make, tmp_path):
    return make.prepare_tfds(tmp_path)


def shard(root, split="train"):
    return next(root.rglob(f"*-{split}.array_record-*"))


def test_load_tfds_reads_every_example(tiny):
    dataset = load_dataset("tfds:tiny", path=tiny)
    assert dataset.name == "tiny/1.0.0" and dataset.class_names == ("a", "b", "c")
    assert dataset.image_shape == (8, 8, 1)
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 6,
        "test": 6,
    }
    batch = dataset.splits["train"].read(np.arange(6))
    # TFDS shuffles as it writes: the pixels say which example each one is.
    numbers = batch["images"][:, 0, 0, 0] // 10
    assert sorted(numbers.tolist()) == list(range(6))
    np.testing.assert_array_equal(batch["labels"], numbers % 3)
    assert batch["labels"].dtype == np.int32


def test_load_tfds_resizes_varied_images(make, tmp_path):
    image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
    make.prepare_tfds(tmp_path, image=image, examples=VARIED)
    assert load_tfds("tiny", path=tmp_path).image_shape == (64, 64, 3)
    split = load_tfds("tiny", path=tmp_path, image_size=8).splits["train"]
    batch = split.read(np.arange(4))
    values = 10 * np.array([np.argmax(batch["labels"] == i) for i in range(3)])
    assert batch["images"].shape == (4, 8, 8, 3) and values.size == 3
    means = sorted(batch["images"].mean((1, 2, 3)).round().tolist())
    np.testing.assert_allclose(means, [0, 10, 20, 30], atol=2)


def test_load_tfds_reads_images_stored_as_tensors(make, tmp_path):
    tensor = tfds.features.Tensor(shape=(8, 8, 3), dtype=np.uint8)
    examples = [(np.full((8, 8, 3), 10 * i, np.uint8), i) for i in range(3)]
    make.prepare_tfds(tmp_path, image=tensor, examples=examples)
    for size, shape in [(None, (8, 8, 3)), (4, (4, 4, 3))]:
        split = load_tfds("tiny", path=tmp_path, image_size=size).splits["train"]
        batch = split.read(np.arange(3))
        assert split.image_shape == shape
        np.testing.assert_array_equal(batch["images"][:, 0, 0, 0], 10 * batch["labels"])


def test_load_tfds_takes_a_version(tiny):
    assert load_tfds("tiny:1.0.0", path=tiny).name == "tiny/1.0.0"


def test_tfds_split_loads_into_memory(tiny):
    split = load_tfds("tiny", path=tiny).splits["train"]
    loaded = load_into_memory(split)
    np.testing.assert_array_equal(loaded.labels, split.read(np.arange(6))["labels"])
    assert loaded.describe(2) == "train[2]"
    assert loaded.fingerprint() == split.fingerprint()


def test_tfds_fingerprint_follows_split_and_content(make, tmp_path, tiny):
    splits = load_tfds("tiny", path=tiny).splits
    other = make.prepare_tfds(
        tmp_path / "other", examples=[(Image.new("L", (8, 8)), 1)] * 6
    )
    prints = {split.fingerprint() for split in splits.values()}
    prints.add(load_tfds("tiny", path=other).splits["train"].fingerprint())
    assert len(prints) == 3
    again = load_tfds("tiny", path=tiny).splits["train"]
    assert again.fingerprint() == splits["train"].fingerprint()


def test_load_tfds_does_not_import_tensorflow(tiny):
    code = (
        "import sys, numpy as np\n"
        "from jaxdl.data import load_dataset\n"
        f"dataset = load_dataset('tfds:tiny', path={str(tiny)!r})\n"
        "dataset.splits['train'].read(np.arange(6))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["mnist", "nothing_of_this_name", "tiny:2.0.0"])
def test_load_tfds_says_how_to_prepare(tiny, name):
    with pytest.raises(DataError) as caught:
        load_tfds(name, path=tiny)
    text = str(caught.value)
    assert text.startswith(f"no prepared TFDS dataset {name!r} in {tiny}: prepare it")
    assert "file_format='array_record'" in text and "\n" not in text


@pytest.mark.parametrize("name", ["huggingface:mnist", "../tiny", "a b", "tiny:latest"])
def test_load_tfds_refuses_names_that_lead_elsewhere(tiny, name):
    with pytest.raises(DataError, match="is no TFDS name: want name, name/config or"):
        load_tfds(name, path=tiny)


@pytest.mark.parametrize("kind", ["tfrecord", "parquet"])
def test_load_tfds_refuses_other_file_formats(tiny, kind):
    file = next(tiny.rglob("dataset_info.json"))
    info = json.loads(file.read_text().replace("array_record", kind))
    file.write_text(json.dumps(info | {"fileFormat": kind}))
    expected = rf"split train of TFDS dataset tiny/1\.0\.0 is stored as {kind}: prepare"
    with pytest.raises(DataError, match=expected):
        load_tfds("tiny", path=tiny)


@pytest.mark.parametrize("content", ["", "{", '{"name": 3}'])
def test_load_tfds_refuses_damaged_metadata(tiny, content):
    next(tiny.rglob("dataset_info.json")).write_text(content)
    with pytest.raises(DataError, match="no prepared TFDS dataset 'tiny'") as caught:
        load_tfds("tiny", path=tiny)
    assert "\n" not in str(caught.value)


def test_load_tfds_names_a_missing_shard(tiny):
    missing = shard(tiny)
    missing.unlink()
    with pytest.raises(DataError, match=rf"split train of .*{missing.name}"):
        load_tfds("tiny", path=tiny).splits["train"].read(np.arange(6))


@pytest.mark.parametrize("damage", ["truncate", "zero"])
def test_tfds_split_names_a_damaged_shard(tiny, damage):
    file = shard(tiny)
    data = file.read_bytes()
    half = len(data) // 2
    file.write_bytes(data[:half] + (b"" if damage == "truncate" else bytes(half)))
    with pytest.raises(DataError, match=r"tiny/1\.0\.0") as caught:
        load_tfds("tiny", path=tiny).splits["train"].read(np.arange(6))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "features, message",
    [
        ({"label": tfds.features.Scalar(np.int64)}, "label .* has no classes: it is"),
        (
            {"image": tfds.features.Tensor(shape=(8, 8), dtype=np.uint8)},
            r"uint8 of shape \(height, width, channels\), it is uint8 .*\(8, 8\)",
        ),
        (
            {"image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.float32)},
            "it is float32 of shape",
        ),
    ],
)
def test_load_tfds_refuses_features(make, tmp_path, features, message):
    image = features.get("image")
    pixels = Image.new("L", (8, 8))
    if image is not None:
        pixels = np.zeros(image.shape, image.np_dtype)
    make.prepare_tfds(tmp_path, examples=[(pixels, 1)] * 2, **features)
    with pytest.raises(DataError, match=message):
        load_tfds("tiny", path=tmp_path)


@pytest.mark.parametrize("label", [-1, 3])
def test_tfds_split_names_a_label_outside_the_classes(label):
    records = [{"image": np.zeros((4, 4, 1), np.uint8), "label": x} for x in (0, label)]
    split = TfdsSplit(
        records, name="train", num_classes=3, image_shape=(4, 4, 1), origin="made/1.0.0"
    )
    with pytest.raises(DataError) as caught:
        split.read(np.arange(2))
    expected = f"label {label} outside [0, 2] in train[1] (made/1.0.0)"
    assert str(caught.value) == expected


def test_tfds_split_names_a_damaged_image_and_a_wrong_shape():
    options = {"name": "train", "num_classes": 3, "image_shape": (4, 6, 1)}
    records = [{"image": b"GIF89a", "label": 0}]
    with pytest.raises(DataError, match=r"not a JPEG.*: train\[0\] \(made\)"):
        TfdsSplit(records, origin="made", **options).read(np.arange(1))
    records = [{"image": np.zeros((4, 4, 1), np.uint8), "label": 0}]
    with pytest.raises(DataError, match=r"shape \(4, 4, 1\), not \(4, 6, 1\): train"):
        TfdsSplit(records, origin="made", **options).read(np.arange(1))
