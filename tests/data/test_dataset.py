import dataclasses

import numpy as np
import pytest

from jaxdl.data import Dataset, from_arrays, with_held_out, with_limited_train
from jaxdl.errors import DataError


def pair(num_examples, *, num_classes=3, first=0):
    """Examples that carry their number in their pixels."""
    numbers = np.arange(first, first + num_examples)
    images = np.broadcast_to(numbers[:, None, None], (num_examples, 4, 4))
    return images.astype(np.uint8), numbers % num_classes


def numbers_of(split):
    return split.read(np.arange(len(split)))["images"][:, 0, 0, 0].tolist()


FRACTIONS = {"validation_fraction": 0.2, "test_fraction": 0.1, "seed": 5}


def test_from_arrays_adds_a_channel_axis_and_names_classes():
    dataset = from_arrays(pair(9), test=pair(4))
    assert dataset.image_shape == (4, 4, 1)
    assert dataset.class_names == ("0", "1", "2") and dataset.num_classes == 3
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 9,
        "test": 4,
    }


def test_from_arrays_keeps_float_images_and_given_names():
    images, labels = np.zeros((3, 4, 4, 2), np.float32), [0, 1, 0]
    dataset = from_arrays((images, labels), class_names=["cat", "dog", "owl"])
    assert dataset.class_names == ("cat", "dog", "owl")
    batch = dataset.splits["train"].read(np.array([1]))
    assert batch["images"].dtype == np.float32 and batch["labels"].dtype == np.int32


def test_from_arrays_refuses_labels_outside_the_classes():
    with pytest.raises(DataError, match=r"label 3 outside \[0, 2\] in test\[3\]"):
        from_arrays(pair(9), test=pair(6, num_classes=4))
    with pytest.raises(DataError, match=r"label 2 outside \[0, 1\] in train\[2\]"):
        from_arrays(pair(9), class_names=["cat", "dog"])


def test_from_arrays_refuses_a_wrong_rank():
    with pytest.raises(ValueError, match=r"images of train must have shape .* \(9,\)"):
        from_arrays((np.zeros(9, np.uint8), np.arange(9)))


@pytest.mark.parametrize(
    "labels, message",
    [([0, 0], "a single class, .0."), ([-1, -1], r"label -1 .* train\[0\]")],
)
def test_from_arrays_refuses_fewer_than_two_classes(labels, message):
    with pytest.raises(DataError, match=message):
        from_arrays((np.zeros((2, 4, 4), np.uint8), labels))


def test_dataset_refuses_split_names_and_differing_shapes():
    dataset = from_arrays(pair(4))
    train = dataset.splits["train"]
    for splits in ({"test": train}, {"train": train, "val": train}):
        with pytest.raises(ValueError, match=r"splits of a must be train .* got \["):
            Dataset("a", splits, ("x", "y"))
    larger = from_arrays((np.zeros((2, 8, 8), np.uint8), [0, 1])).splits["train"]
    with pytest.raises(DataError, match=r"shapes of a differ .*\(4, 4, 1\).*\(8, 8"):
        Dataset("a", {"train": train, "test": larger}, ("x", "y"))


def test_dataset_fingerprint_follows_classes_and_every_split():
    base = from_arrays(pair(6), test=pair(4))
    others = [
        from_arrays(pair(6), test=pair(4, first=3)),
        from_arrays(pair(6), validation=pair(4)),
        from_arrays(pair(6, first=3), test=pair(4)),
        dataclasses.replace(base, class_names=("2", "1", "0")),
    ]
    assert base.fingerprint() == from_arrays(pair(6), test=pair(4)).fingerprint()
    assert len({dataset.fingerprint() for dataset in [base, *others]}) == 5


def test_with_held_out_cuts_disjoint_parts_that_cover_train():
    dataset = with_held_out(from_arrays(pair(50)), **FRACTIONS)
    parts = {name: numbers_of(split) for name, split in dataset.splits.items()}
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 35,
        "validation": 10,
        "test": 5,
    }
    assert sorted(sum(parts.values(), [])) == list(range(50))


def test_with_held_out_keeps_the_splits_that_exist():
    given = from_arrays(pair(50), test=pair(7))
    dataset = with_held_out(given, **FRACTIONS)
    assert dataset.splits["test"] is given.splits["test"]
    assert len(dataset.splits["train"]) == 40
    complete = from_arrays(pair(5), validation=pair(5), test=pair(5))
    unused = {"validation_fraction": 0.0, "test_fraction": 9.0, "seed": 0}
    assert with_held_out(complete, **unused) is complete


def test_with_held_out_is_stable_and_follows_the_seed():
    cuts = [
        numbers_of(
            with_held_out(from_arrays(pair(50)), **FRACTIONS | {"seed": seed}).splits[
                "test"
            ]
        )
        for seed in (5, 5, 6)
    ]
    assert cuts[0] == cuts[1] != cuts[2]


def test_with_held_out_test_does_not_depend_on_the_validation_fraction():
    first, second = (
        with_held_out(from_arrays(pair(50)), **FRACTIONS | {"validation_fraction": f})
        for f in (0.1, 0.5)
    )
    assert numbers_of(first.splits["test"]) == numbers_of(second.splits["test"])


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"test_fraction": 0.0}, ValueError, r"test_fraction must be in \(0, 1\)"),
        ({"validation_fraction": 1.0}, ValueError, r"validation_fraction .* got 1.0"),
        ({"test_fraction": 0.001}, DataError, "test would be empty: 0.001 of the 50"),
        (
            {"validation_fraction": 0.9},
            DataError,
            "nothing is left of the 50 .* test 0.1 and validation 0.9",
        ),
    ],
)
def test_with_held_out_refuses(change, error, message):
    with pytest.raises(error, match=message):
        with_held_out(from_arrays(pair(50)), **FRACTIONS | change)


def limited_numbers(dataset, **options):
    return numbers_of(with_limited_train(dataset, **options).splits["train"])


def test_with_limited_train_keeps_equally_many_of_each_class():
    dataset = from_arrays(pair(50), test=pair(4))
    limited = with_limited_train(dataset, num_examples=11, seed=0)
    numbers = numbers_of(limited.splits["train"])
    assert numbers == sorted(set(numbers)) and len(numbers) == 11
    assert np.bincount(np.array(numbers) % 3).tolist() == [4, 4, 3]
    assert limited.splits["test"] is dataset.splits["test"]
    assert limited.fingerprint() != dataset.fingerprint()


def test_with_limited_train_is_stable_nested_and_follows_the_seed():
    dataset = from_arrays(pair(50))
    small, again, other = (
        limited_numbers(dataset, num_examples=9, seed=seed) for seed in (3, 3, 4)
    )
    assert small == again != other
    assert set(small) < set(limited_numbers(dataset, num_examples=30, seed=3))


def test_with_limited_train_keeps_all_when_all_are_wanted():
    dataset = from_arrays(pair(30))
    assert limited_numbers(dataset, num_examples=30, seed=1) == list(range(30))


@pytest.mark.parametrize(
    "num_examples, message",
    [
        (2, "2 train examples of arrays are too few for its 3 classes"),
        (31, r"11 train examples of '0' wanted for a balanced 31, arrays has 10"),
    ],
)
def test_with_limited_train_refuses(num_examples, message):
    with pytest.raises(DataError, match=message):
        with_limited_train(from_arrays(pair(30)), num_examples=num_examples, seed=0)
