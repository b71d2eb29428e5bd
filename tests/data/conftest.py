"""Tiny files of every form, made anew for each test."""

import gzip
import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def encode(pixels, kind="PNG", **options):
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def random_pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_classes(root, classes=("bird", "cat"), *, num_images=2, kind="png"):
    """A folder per class; image i of class k is flat with value 20 * k + i."""
    for label, name in enumerate(classes):
        folder = Path(root, name)
        folder.mkdir(parents=True)
        for i in range(num_images):
            pixels = np.full((12, 10, 3), (20 * label + i) % 256, np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.{kind}")
    return Path(root)


def idx_bytes(array):
    array = np.asarray(array, np.uint8)
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def write_idx(root, *, train=6, test=4, suffix="", labels=None):
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix == ".gz" else bytes
    for seed, (prefix, count) in enumerate({"train": train, "t10k": test}.items()):
        images = random_pixels(count, 5, 5, seed=seed)
        values = np.arange(count) % 10 if labels is None else np.resize(labels, count)
        file = root / f"{prefix}-images-idx3-ubyte{suffix}"
        file.write_bytes(pack(idx_bytes(images)))
        file = root / f"{prefix}-labels-idx1-ubyte{suffix}"
        file.write_bytes(pack(idx_bytes(values)))
    return root


CIFAR_STEMS = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def cifar_batch(index, *, num_images=4):
    """Images NHWC and labels of one made batch."""
    images = random_pixels(num_images, 32, 32, 3, seed=index)
    return images, [(index + i) % 10 for i in range(num_images)]


def write_cifar(root, form):
    """The same 6 batches of 4 images as Python batches, binary batches or sheets."""
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    all_labels = []
    for index, stem in enumerate(CIFAR_STEMS):
        images, labels = cifar_batch(index)
        all_labels.append(labels)
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        if form == "python":
            content = {b"data": planes, b"labels": labels, b"batch_label": b"made"}
            (root / stem).write_bytes(pickle.dumps(content, protocol=2))
        elif form == "binary":
            rows = np.concatenate([np.array(labels, np.uint8)[:, None], planes], 1)
            (root / f"{stem}.bin").write_bytes(rows.tobytes())
        else:
            name = "test" if stem == "test_batch" else f"train_{index + 1}"
            grid = images.reshape(2, 2, 32, 32, 3).transpose(0, 2, 1, 3, 4)
            sheet = Image.fromarray(grid.reshape(64, 64, 3))
            sheet.save(root / f"{name}.webp", lossless=True)
    if form == "sheets":
        np.savez(
            root / "labels.npz",
            train_labels=np.array(all_labels[:5], np.uint8).ravel(),
            test_labels=np.array(all_labels[5], np.uint8),
        )
    return root


def prepare_tfds(root, name="tiny", *, image=None, label=None, examples=None):
    """Writes a TFDS dataset as array records, without TensorFlow."""
    import tensorflow_datasets as tfds

    features = tfds.features
    image = image or features.Image(shape=(8, 8, 1), encoding_format="png")
    label = label or features.ClassLabel(names=["a", "b", "c"])
    if examples is None:
        flat = [np.full((8, 8), 10 * i, np.uint8) for i in range(6)]
        examples = [(Image.fromarray(x), i % 3) for i, x in enumerate(flat)]

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None

        def _info(self):
            tree = features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=tree)

        def _split_generators(self, manager):
            return {split: self._generate_examples() for split in ("train", "test")}

        def _generate_examples(self):
            for i, (pixels, value) in enumerate(examples):
                yield i, {"image": pixels, "label": value}

    Builder.name = name
    Builder(data_dir=root, file_format="array_record").download_and_prepare()
    return Path(root)


@pytest.fixture
def make():
    """The functions of this file, for tests that can't import them."""
    import types

    names = (encode, random_pixels, write_classes, idx_bytes, write_idx)
    names += (cifar_batch, write_cifar, prepare_tfds)
    return types.SimpleNamespace(**{function.__name__: function for function in names})
