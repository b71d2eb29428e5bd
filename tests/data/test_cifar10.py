import pickle

import numpy as np
import pytest

from jaxdl.data import load_cifar10
from jaxdl.data.restricted_pickle import load_arrays
from jaxdl.errors import DataError

FORMS = ("python", "binary", "sheets")


@pytest.mark.parametrize("form", FORMS)
def test_load_cifar10_gives_pixels_and_labels(make, tmp_path, form):
    dataset = load_cifar10(path=make.write_cifar(tmp_path, form))
    assert dataset.image_shape == (32, 32, 3) and dataset.class_names[6] == "frog"
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert (len(train), len(test)) == (20, 4)
    for index in range(6):
        images, labels = make.cifar_batch(index)
        split = test if index == 5 else train
        batch = split.read(np.arange(4) + (0 if index == 5 else 4 * index))
        np.testing.assert_array_equal(batch["images"], images)
        np.testing.assert_array_equal(batch["labels"], labels)


def test_load_cifar10_of_all_forms_is_the_same_dataset(make, tmp_path):
    prints = {
        load_cifar10(path=make.write_cifar(tmp_path / form, form)).fingerprint()
        for form in FORMS
    }
    assert len(prints) == 1


@pytest.mark.parametrize("form, inner", [("python", "py"), ("binary", "bin")])
def test_load_cifar10_finds_the_original_inner_folder(make, tmp_path, form, inner):
    make.write_cifar(tmp_path / f"cifar-10-batches-{inner}", form)
    assert len(load_cifar10(path=tmp_path).splits["train"]) == 20


def test_load_cifar10_without_path_looks_under_the_data_dir(
    make, tmp_path, monkeypatch
):
    monkeypatch.setenv("JAXDL_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    make.write_cifar(tmp_path / "cifar10", "binary")
    assert load_cifar10(image_size=8).image_shape == (8, 8, 3)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_load_arrays_reads_plain_content_of_every_protocol(tmp_path, protocol):
    content = {b"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2]}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=protocol))
    loaded = load_arrays(tmp_path / "batch")
    np.testing.assert_array_equal(loaded[b"data"], content[b"data"])
    assert loaded["labels"] == [1, 2]


PAYLOADS = {
    "os.system": b"cposix\nsystem\n(S'touch canary'\ntR.",
    "eval": b'c__builtin__\neval\n(S\'open("canary","w")\'\ntR.',
    "exec": b'cbuiltins\nexec\n(S\'open("canary","w")\'\ntR.',
    "subprocess": b"csubprocess\ncall\n((lS'touch'\naS'canary'\natR.",
    "getattr": b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR.",
    "codec": b"c_codecs\nencode\n(S'x'\nS'zlib_codec'\ntR.",
    "numpy load": b"cnumpy\nload\n(S'canary'\ntR.",
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "import alone": b"cantigravity\nfly_geohash\n.",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_load_arrays_runs_nothing(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(payload)
    with pytest.raises(DataError, match=r"can't read pickle .*data_batch_1: refusing"):
        load_cifar10(path=tmp_path)
    assert not (tmp_path / "canary").exists()
