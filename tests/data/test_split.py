import numpy as np
import pytest

from jaxdl.data import ArraySplit, FolderSplit, Split, Subset, TfdsSplit
from jaxdl.errors import DataError


def small_split(**options):
    images = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3, 1)
    labels = np.array([0, 1, 2, 1, 0])
    return ArraySplit(images, labels, name="train", **options)


def test_split_is_the_interface_of_every_kind():
    records = [{"image": np.zeros((4, 4, 1), np.uint8), "label": 0}]
    splits = [
        small_split(),
        Subset(small_split(), np.array([1])),
        TfdsSplit(
            records, name="a", num_classes=2, image_shape=(4, 4, 1), origin="made"
        ),
    ]
    assert all(isinstance(split, Split) for split in splits)
    assert all(hasattr(FolderSplit, name) for name in ("read", "describe"))


def test_array_split_reads_in_the_given_order_with_int32_labels():
    split = small_split()
    batch = split.read(np.array([3, 0, 3]))
    assert batch["labels"].dtype == np.int32 and batch["labels"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(batch["images"], split.images[[3, 0, 3]])
    assert (split.image_shape, split.num_bytes, len(split)) == ((4, 3, 1), 60, 5)


def test_array_split_cannot_be_written_through_and_leaves_the_input_writable():
    images, labels = np.zeros((2, 4, 4, 1), np.uint8), np.arange(2)
    split = ArraySplit(images, labels, name="train")
    with pytest.raises(ValueError, match="read-only"):
        split.images[0] = 1
    images[0] = 1


@pytest.mark.parametrize("index", [-1, 5])
def test_array_split_read_refuses_positions_outside(index):
    with pytest.raises(ValueError, match=f"index {index} outside train of 5 examples"):
        small_split().read(np.array([0, index]))


@pytest.mark.parametrize(
    "images, labels, message",
    [
        ((2, 4, 4), [0, 1], r"images of train must have shape .* got \(2, 4, 4\)"),
        ((2, 4, 4, 1), [0], r"labels of train must have shape \(2,\).* got \(1,\)"),
        ((2, 4, 4, 1), [[0], [1]], r"one per image, got \(2, 1\)"),
        ((2, 4, 4, 1), [0.0, 1.0], "labels of train must be integers, got float64"),
        ((0, 4, 4, 1), np.zeros(0, int), r"images of train are empty: shape \(0, 4"),
    ],
)
def test_array_split_refuses_shapes(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ArraySplit(np.zeros(images, np.uint8), np.array(labels), name="train")


def test_array_split_refuses_dtypes():
    with pytest.raises(ValueError, match="must be uint8 or float32, got float64"):
        ArraySplit(np.zeros((1, 4, 4, 1)), np.zeros(1, int), name="train")


@pytest.mark.parametrize("dtype", [np.int8, np.int64])
@pytest.mark.parametrize("label", [-1, 3, 100])
def test_array_split_names_a_label_outside_the_classes(label, dtype):
    labels = np.array([0, 1, label, 2, label], dtype)
    with pytest.raises(DataError) as caught:
        ArraySplit(
            np.zeros((5, 4, 4, 1), np.uint8),
            labels,
            name="train",
            num_classes=3,
            file="labels.npz",
        )
    expected = f"label {label} outside [0, 2] in train[2] (labels.npz)"
    assert str(caught.value) == expected


def test_array_split_refuses_a_label_that_int32_would_wrap():
    labels = np.array([0, 2**32 + 1])
    with pytest.raises(DataError, match="label 4294967297 outside"):
        ArraySplit(np.zeros((2, 4, 4, 1), np.uint8), labels, name="a", num_classes=3)


def test_array_split_fingerprint_follows_the_content():
    images, labels = np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1])
    changed, reshaped = images.copy(), images.reshape(2, 2, 8, 1)
    changed[1, 3, 3, 0] = 1
    prints = [
        ArraySplit(*pair, name="any").fingerprint()
        for pair in [
            (images, labels),
            (images, labels[::-1]),
            (changed, labels),
            (reshaped, labels),
        ]
    ]
    assert len(set(prints)) == 4 and all(len(text) == 64 for text in prints)
    same = ArraySplit(images[::1], labels.astype(np.int8), name="other")
    assert same.fingerprint() == prints[0]


def test_array_split_of_another_order_in_memory_has_the_same_fingerprint():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    strided = np.asfortranarray(images)
    labels = np.arange(3)
    first, second = (ArraySplit(x, labels, name="a") for x in (images, strided))
    assert first.fingerprint() == second.fingerprint()


def test_subset_reads_through():
    split = small_split()
    subset = Subset(split, np.array([4, 2, 1]))
    np.testing.assert_array_equal(
        subset.read(np.array([2, 0]))["images"], split.images[[1, 4]]
    )
    assert subset.describe(0) == "train[4]"
    assert (len(subset), subset.num_bytes, subset.image_shape) == (3, 36, (4, 3, 1))


def test_subset_fingerprint_follows_split_and_positions():
    split = small_split()
    prints = {
        Subset(split, np.array(indices)).fingerprint()
        for indices in ([0, 1], [1, 0], [0, 1, 2])
    }
    assert len(prints) == 3
    assert Subset(split, np.array([0, 1])).fingerprint() in prints


def test_subset_refuses_positions_outside():
    with pytest.raises(ValueError, match="index 5 outside subset of 5 examples"):
        Subset(small_split(), np.array([5]))
    with pytest.raises(ValueError, match="index -1 outside subset of 1 examples"):
        Subset(small_split(), np.array([0])).read(np.array([-1]))
