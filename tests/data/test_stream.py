import threading
import time

import numpy as np
import pytest

from jaxdl.data import ArraySplit, batch_indices, load_folder, stream_batches
from jaxdl.errors import DataError

IMAGES = np.arange(23 * 4, dtype=np.uint8).reshape(23, 2, 2, 1)
SPLIT = ArraySplit(IMAGES, np.arange(23), name="train")
SIZES = {"seed": 3, "batch_size": 4}
STEPS = {"first_step": 2, "num_steps": 9, "num_workers": 2, "prefetch": 2}


class SlowSplit(ArraySplit):
    """Batches that take unequal times, so that threads finish out of order."""

    def read(self, indices):
        time.sleep(0.002 * (indices[0] % 3))
        return super().read(indices)


class BrokenSplit(ArraySplit):
    def read(self, indices):
        raise RuntimeError("wire\ncut")


@pytest.mark.parametrize("num_workers, prefetch", [(0, 0), (0, 5), (1, 0), (3, 1)])
def test_stream_batches_equals_reading_each_step(num_workers, prefetch):
    options = STEPS | {"num_workers": num_workers, "prefetch": prefetch}
    slow = SlowSplit(IMAGES, np.arange(23), name="train")
    batches = list(stream_batches(slow, **SIZES, **options))
    assert len(batches) == 9
    for step, batch in enumerate(batches, start=2):
        expected = SPLIT.read(batch_indices(step, num_examples=23, **SIZES))
        assert batch.keys() == expected.keys()
        np.testing.assert_array_equal(batch["images"], expected["images"])
        np.testing.assert_array_equal(batch["labels"], expected["labels"])


def test_stream_batches_of_two_processes_join_to_the_global_batch():
    whole = list(stream_batches(SPLIT, **SIZES, **STEPS))
    parts = [
        list(
            stream_batches(
                SPLIT, **SIZES, **STEPS, process_index=index, process_count=2
            )
        )
        for index in range(2)
    ]
    for batch, first, second in zip(whole, *parts, strict=True):
        joined = np.concatenate([first["labels"], second["labels"]])
        np.testing.assert_array_equal(joined, batch["labels"])


def test_stream_batches_of_no_steps_is_empty():
    assert list(stream_batches(SPLIT, **SIZES, **STEPS | {"num_steps": 0})) == []


def test_stream_batches_leaves_no_threads_when_dropped_early():
    before = threading.active_count()
    batches = stream_batches(SPLIT, **SIZES, **STEPS | {"num_steps": 10_000})
    next(batches)
    batches.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.mark.parametrize("num_workers", [0, 2])
def test_stream_batches_names_the_bad_file(make, tmp_path, num_workers):
    root = make.write_classes(tmp_path / "data", num_images=10)
    (root / "cat" / "7.png").write_bytes(b"<html>")
    batches = stream_batches(
        load_folder(path=root).splits["train"],
        **SIZES,
        **STEPS | {"num_workers": num_workers, "first_step": 0},
    )
    expected = r"not a JPEG, PNG or WebP image: .*cat/7\.png \(class 'cat'\)"
    with pytest.raises(DataError, match=expected):
        list(batches)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_stream_batches_turns_any_failure_into_one_line(num_workers):
    broken = BrokenSplit(IMAGES, np.arange(23), name="train")
    batches = stream_batches(broken, **SIZES, **STEPS | {"num_workers": num_workers})
    with pytest.raises(DataError) as caught:
        list(batches)
    expected = "can't read the batch of step 2: RuntimeError: wire cut"
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["first_step", "num_steps", "num_workers", "prefetch"])
def test_stream_batches_refuses_negative_numbers_at_the_call(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got -1"):
        stream_batches(SPLIT, **SIZES, **STEPS | {name: -1})


def test_stream_batches_refuses_a_batch_that_does_not_divide_at_the_call():
    with pytest.raises(ValueError, match="batch_size 4 does not divide"):
        stream_batches(SPLIT, **SIZES, **STEPS, process_count=3)
