"""Who trains on what, and when: every example as often as it should be."""

import numpy as np
import pytest

from jaxdl.federated import plan_round, sample_clients
from jaxdl.federated.plans import pad_plan
from tests.federated.regression_task import SIZES, make_data

EVERYONE = np.arange(len(SIZES))


def test_sample_clients_draws_each_about_equally_often():
    rounds = [sample_clients(10, count=3, round_index=i, seed=0) for i in range(2000)]
    assert all(len(np.unique(drawn)) == 3 for drawn in rounds)
    counts = np.bincount(np.concatenate(rounds), minlength=10)
    # Each count is binomial: mean 600, deviation 20.5.
    np.testing.assert_allclose(counts, 600, atol=5 * 20.5)
    again = sample_clients(10, count=3, round_index=7, seed=0)
    np.testing.assert_array_equal(rounds[7], again)


@pytest.mark.parametrize("count", [0, 6])
def test_sample_clients_refuses_a_count_out_of_range(count):
    with pytest.raises(ValueError, match=rf"in \[1, 5\], got {count}"):
        sample_clients(5, count=count, round_index=0, seed=0)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, None])
def test_plan_round_has_every_example_once_per_epoch(batch_size):
    _, parts = make_data()
    options = {"epochs": 2, "batch_size": batch_size, "seed": 1}
    plan = plan_round(parts, EVERYONE, round_index=3, **options)
    rows = max(SIZES) if batch_size is None else batch_size
    np.testing.assert_array_equal(plan.sizes, SIZES)
    np.testing.assert_array_equal(plan.num_steps, 2 * np.ceil(np.array(SIZES) / rows))
    assert plan.num_examples == 2 * sum(SIZES)
    for client, part in enumerate(parts):
        half = plan.num_steps[client] // 2
        for steps in (slice(half), slice(half, 2 * half)):
            seen = plan.indices[client, steps][plan.mask[client, steps]]
            np.testing.assert_array_equal(np.sort(seen), np.sort(part))
        used = plan.mask[client].any(axis=1)
        np.testing.assert_array_equal(
            used, np.arange(len(used)) < plan.num_steps[client]
        )


def test_plan_round_has_one_shape_and_other_orders_each_round():
    _, parts = make_data()
    options = {"batch_size": 2, "seed": 0}
    small = plan_round(parts, np.array([1, 3]), round_index=0, **options)
    large = plan_round(parts, np.array([2, 4]), round_index=1, **options)
    assert small.indices.shape == large.indices.shape == (2, 4, 2)
    assert small.num_steps.tolist() == [1, 2]
    again = plan_round(parts, np.array([2, 4]), round_index=2, **options)
    assert not np.array_equal(large.indices, again.indices)


def test_plan_round_stops_after_the_most_steps():
    _, parts = make_data()
    options = {"round_index": 0, "batch_size": 2, "seed": 0}
    whole = plan_round(parts, EVERYONE, epochs=3, **options)
    short = plan_round(parts, EVERYONE, epochs=3, max_steps=4, **options)
    assert short.num_steps.tolist() == [4, 3, 4, 4, 4]
    np.testing.assert_array_equal(short.indices, whole.indices[:, :4])


def test_pad_plan_adds_clients_without_examples():
    _, parts = make_data()
    plan = plan_round(parts, EVERYONE, round_index=0, seed=0)
    padded = pad_plan(plan, 8)
    assert len(padded.sizes) == 8 and not padded.mask[5:].any()
    assert padded.num_examples == plan.num_examples
    assert not padded.sizes[5:].any() and not padded.num_steps[5:].any()
    assert pad_plan(plan, 5) is plan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
    ],
)
def test_plan_round_names_what_is_wrong(options, message):
    _, parts = make_data()
    with pytest.raises(ValueError, match=message):
        plan_round(parts, EVERYONE, round_index=0, seed=0, **options)


def test_plan_round_names_a_client_without_examples():
    parts = [np.array([0]), np.array([], np.int64)]
    with pytest.raises(ValueError, match="client 1 has no examples"):
        plan_round(parts, np.array([0]), round_index=0, seed=0)
