import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl.data.order import (
    HELD_OUT_CUT,
    TRAIN_ORDER,
    batch_indices,
    evaluation_batches,
    permute_examples,
)

MASK = 2**64 - 1


def philox_words(key, count):
    """Philox4x64-10 as the paper writes it, in Python integers."""
    words, counter = [], 0
    while len(words) < count:
        counter += 1  # NumPy counts up before each block
        x, k = [counter, 0, 0, 0], list(key)
        for _ in range(10):
            a, b = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
            x = [(b >> 64) ^ x[1] ^ k[0], b & MASK, (a >> 64) ^ x[3] ^ k[1], a & MASK]
            k = [(k[0] + 0x9E3779B97F4A7C15) & MASK, (k[1] + 0xBB67AE8584CAA73B) & MASK]
        words += x
    return words[:count]


@pytest.mark.parametrize("seed, epoch", [(0, 0), (7, 3), (2**64 - 1, 10**6)])
def test_permute_examples_ranks_philox_words(seed, epoch):
    words = philox_words((seed, epoch * 256 + HELD_OUT_CUT), 11)
    expected = sorted(range(11), key=words.__getitem__)
    order = permute_examples(11, purpose=HELD_OUT_CUT, epoch=epoch, seed=seed)
    assert order.tolist() == expected


def test_permute_examples_differs_by_purpose_epoch_and_seed():
    orders = [
        permute_examples(50, purpose=purpose, epoch=epoch, seed=seed).tolist()
        for purpose in (TRAIN_ORDER, HELD_OUT_CUT)
        for epoch in (0, 1)
        for seed in (0, 1, 256)
    ]
    assert len({tuple(order) for order in orders}) == 12


def test_permute_examples_puts_examples_anywhere():
    places = [
        permute_examples(20, purpose=TRAIN_ORDER, epoch=epoch, seed=0)
        for epoch in range(2000)
    ]
    columns = np.stack(places, axis=1)
    counts = np.stack([np.bincount(column, minlength=20) for column in columns])
    # Each cell is binomial(2000, 1/20): mean 100, deviation 9.7; 400 cells.
    assert np.abs(counts - 100).max() < 5 * 9.75


@settings(max_examples=200, deadline=None)
@given(
    num_examples=st.integers(1, 10_000),
    batch_size=st.integers(1, 700),
    seed=st.integers(0, 2**64 - 1),
    first_epoch=st.integers(0, 3),
)
def test_batch_indices_visits_every_example_once_per_epoch(
    num_examples, batch_size, seed, first_epoch
):
    start = first_epoch * num_examples
    stop = start + num_examples
    steps = range(start // batch_size, -(-stop // batch_size))
    if len(steps) > 200:
        return
    stream = np.concatenate(
        [
            batch_indices(
                step, seed=seed, num_examples=num_examples, batch_size=batch_size
            )
            for step in steps
        ]
    )
    offset = start - steps[0] * batch_size
    epoch = np.sort(stream[offset : offset + num_examples])
    np.testing.assert_array_equal(epoch, np.arange(num_examples))
    assert stream.dtype == np.int64


@settings(max_examples=100, deadline=None)
@given(
    num_examples=st.integers(1, 500),
    rows=st.integers(1, 40),
    process_count=st.integers(1, 8),
    step=st.integers(0, 10**6),
)
def test_batch_indices_of_processes_join_to_the_global_batch(
    num_examples, rows, process_count, step
):
    sizes = {"num_examples": num_examples, "batch_size": rows * process_count}
    whole = batch_indices(step, seed=3, **sizes)
    parts = [
        batch_indices(
            step, seed=3, **sizes, process_index=index, process_count=process_count
        )
        for index in range(process_count)
    ]
    assert {len(part) for part in parts} == {rows}
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_batch_indices_straddles_epochs_and_spans_several():
    first = permute_examples(5, purpose=TRAIN_ORDER, epoch=0, seed=9)
    second = permute_examples(5, purpose=TRAIN_ORDER, epoch=1, seed=9)
    third = permute_examples(5, purpose=TRAIN_ORDER, epoch=2, seed=9)
    sizes = {"num_examples": 5, "seed": 9}
    straddling = batch_indices(1, batch_size=3, **sizes)
    np.testing.assert_array_equal(straddling, [*first[3:], *second[:1]])
    spanning = batch_indices(0, batch_size=12, **sizes)
    np.testing.assert_array_equal(spanning, [*first, *second, *third[:2]])


def test_batch_indices_repeats_itself_and_gives_a_writable_copy():
    arguments = {"seed": 0, "num_examples": 10, "batch_size": 4}
    batch = batch_indices(1, **arguments)
    expected = batch.copy()
    batch[:] = -1
    np.testing.assert_array_equal(batch_indices(1, **arguments), expected)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"step": -1}, "step must be at least 0, got -1"),
        ({"num_examples": 0}, "num_examples must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, r"seed must be in \[0, 2\*\*64\), got -1"),
        ({"process_index": 2, "process_count": 2}, r"process_index .* \[0, 2\), got 2"),
        ({"process_count": 3}, "batch_size 4 does not divide by process_count 3"),
    ],
)
def test_batch_indices_refuses(change, message):
    arguments = {"step": 0, "seed": 0, "num_examples": 8, "batch_size": 4} | change
    with pytest.raises(ValueError, match=message):
        batch_indices(**arguments)


@settings(max_examples=100, deadline=None)
@given(num_examples=st.integers(1, 300), batch_size=st.integers(1, 70))
def test_evaluation_batches_counts_every_example_once(num_examples, batch_size):
    batches = list(evaluation_batches(num_examples, batch_size=batch_size))
    seen = np.concatenate([indices[mask] for indices, mask in batches])
    np.testing.assert_array_equal(seen, np.arange(num_examples))
    for indices, mask in batches:
        assert indices.shape == mask.shape == (batch_size,)
        assert indices.dtype == np.int64 and mask.dtype == np.bool_
        assert not indices[~mask].any()


@pytest.mark.parametrize(
    "sizes, message",
    [((0, 4), "num_examples must be .* got 0"), ((4, 0), "batch_size must be .* 0")],
)
def test_evaluation_batches_refuses_at_the_call(sizes, message):
    with pytest.raises(ValueError, match=message):
        evaluation_batches(sizes[0], batch_size=sizes[1])
