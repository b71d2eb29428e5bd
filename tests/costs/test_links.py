"""Times of exchanges: by hand, step by step, and against counted bytes."""

import math

import pytest

from jaxdl.costs import (
    EXCHANGE_KINDS,
    Link,
    Network,
    exchange_seconds,
    ring_seconds,
)
from jaxdl.parallel import ring_bytes

FAST, SLOW = Link(1e-6, 100e9), Link(1e-5, 10e9)


@pytest.mark.parametrize("group_size", [1, 2, 3, 8])
@pytest.mark.parametrize("kind", EXCHANGE_KINDS)
def test_ring_seconds_moves_the_bytes_that_are_counted(kind, group_size):
    # A link without latency, of one byte per second: seconds are bytes.
    seconds = ring_seconds(kind, 840, Link(0, 1), group_size=group_size)
    counted = ring_bytes(kind, 840, group_size=group_size)
    assert seconds == pytest.approx(counted if group_size > 1 else 0)


@pytest.mark.parametrize("group_size", [2, 3, 8])
def test_ring_seconds_agrees_with_the_steps_one_by_one(group_size):
    share, total = 1000 / group_size, 0.0
    for _ in range(2):  # reduce, then gather
        for _ in range(group_size - 1):
            total += 0.25 + share / 50
    seconds = ring_seconds("all-reduce", 1000, Link(0.25, 50), group_size=group_size)
    assert seconds == pytest.approx(total)


def test_exchange_seconds_of_two_levels_agrees_with_its_three_phases():
    size, members, nodes = 1e8, 8, 4
    scatter = 7 * (1e-6 + size / 8 / 100e9)
    # Each device of a node reduces its eighth with its like; they share a link.
    between = 2 * 3 * (1e-5 + 8 * (size / 8) / 4 / 10e9)
    seconds = exchange_seconds(
        "all-reduce", size, Network(FAST, SLOW, members), group_size=members * nodes
    )
    assert seconds == pytest.approx(2 * scatter + between)


@pytest.mark.parametrize("kind", EXCHANGE_KINDS)
def test_exchange_seconds_of_one_node_is_a_ring(kind):
    network = Network(FAST, SLOW, 8)
    for size in (1, 2, 8):
        ring = ring_seconds(kind, 1e6, FAST, group_size=size)
        assert exchange_seconds(kind, 1e6, network, group_size=size) == ring


@pytest.mark.parametrize("kind", EXCHANGE_KINDS)
def test_exchange_seconds_of_nodes_of_one_device_is_a_ring(kind):
    seconds = exchange_seconds(kind, 1e6, Network(FAST, SLOW, 1), group_size=6)
    assert seconds == pytest.approx(ring_seconds(kind, 1e6, SLOW, group_size=6))


def test_exchange_seconds_of_strided_groups_share_the_link_between_nodes():
    network = Network(Link(0, 1e30), Link(0, 10e9), 8)
    alone = exchange_seconds("all-reduce", 1e8, network, group_size=16)
    # Eight groups of 2 devices, one in each node, each with an eighth of the bytes.
    groups = exchange_seconds("all-reduce", 1e8 / 8, network, group_size=2, stride=8)
    assert groups == pytest.approx(alone)
    # Stride 4: two of a group in each node, so that one node holds a group of 2 whole.
    inside = Network(Link(0, 10e9), Link(0, 1), 8)
    assert exchange_seconds(
        "all-reduce", 1e8, inside, group_size=2, stride=4
    ) == pytest.approx(1e8 / 10e9)


def test_exchange_seconds_all_to_all_sends_what_each_device_owes_other_nodes():
    network = Network(Link(0, 1e30), Link(0, 1), 4)
    # 2 nodes of 4 devices, 80 bytes each, half of which go to the other node.
    seconds = exchange_seconds("all-to-all", 80, network, group_size=8)
    assert seconds == pytest.approx(4 * 40)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Link(-1, 1), "Link: latency_seconds .* got -1"),
        (lambda: Link(0, 0), "Link: bandwidth_bytes_per_second .* above 0, got 0"),
        (lambda: Link(0, math.inf), "bandwidth_bytes_per_second .* got inf"),
        (lambda: FAST.seconds(-1), "Link.seconds: num_bytes .* got -1"),
        (lambda: FAST.seconds(1, num_messages=-1), "num_messages .* got -1"),
        (lambda: Network(FAST, SLOW, 0), "Network: devices_per_node .* got 0"),
        (lambda: ring_seconds("sum", 1, FAST, group_size=2), "kind .* got 'sum'"),
        (
            lambda: ring_seconds("all-reduce", -1, FAST, group_size=2),
            "ring_seconds: payload_bytes .* got -1",
        ),
        (
            lambda: ring_seconds("all-reduce", 1, FAST, group_size=0),
            "ring_seconds: group_size .* got 0",
        ),
        (
            lambda: exchange_seconds(
                "all-reduce", 1, Network(FAST, SLOW, 8), group_size=12
            ),
            "group_size 12 with stride 1 fills nodes of 8 devices in unequal parts",
        ),
        (
            lambda: exchange_seconds(
                "all-reduce", 1, Network(FAST, SLOW, 8), group_size=4, stride=3
            ),
            "group_size 4 with stride 3",
        ),
        (
            lambda: exchange_seconds(
                "all-reduce", 1, Network(FAST, SLOW, 8), group_size=4, stride=0
            ),
            "exchange_seconds: stride .* got 0",
        ),
    ],
)
def test_links_refuse_what_has_no_meaning(call, words):
    with pytest.raises(ValueError, match=words):
        call()
