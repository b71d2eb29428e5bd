"""How long devices take to exchange bytes: latency, bandwidth, nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from jaxdl.costs.checks import Number, check_count, check_number

_PASSES: Mapping[str, int] = MappingProxyType(
    {"all-reduce": 2, "all-gather": 1, "reduce-scatter": 1, "all-to-all": 1}
)
"""Rounds along the ring of those that pass on one share of the bytes per step."""

_WHOLE = ("collective-permute", "collective-broadcast")
"""Those that pass on all the bytes, once."""

EXCHANGE_KINDS = (*_PASSES, *_WHOLE)
"""Kinds of exchanges, named as in compiled programs."""


@dataclass(frozen=True)
class Link:
    """What connects two devices or two nodes.

    Attributes:
      latency_seconds: for a message without content, at least 0.
      bandwidth_bytes_per_second: in one direction, above 0. (Data sheets add up both
        directions, and networks count bits: 200 Gbit/s are 25e9.)

    Raises:
      ValueError: an attribute out of range.

    Example:
      >>> Link(1e-6, 25e9).seconds(50e6)
      0.002001
    """

    latency_seconds: Number
    bandwidth_bytes_per_second: Number

    def __post_init__(self) -> None:
        check_number(self.latency_seconds, "latency_seconds", where="Link")
        check_number(
            self.bandwidth_bytes_per_second,
            "bandwidth_bytes_per_second",
            where="Link",
            may_be_low=False,
        )

    def seconds(self, num_bytes: Number, *, num_messages: int = 1) -> float:
        """Time for some bytes in one or more messages, one after the other.

        Args:
          num_bytes: of all messages, at least 0.
          num_messages: at least 0.

        Returns:
          Seconds: messages times latency, and bytes over bandwidth.

        Raises:
          ValueError: an argument out of range.

        Source:
          The model of Hockney 1994, doi:10.1016/S0167-8191(06)80021-9.
        """
        size = check_number(num_bytes, "num_bytes", where="Link.seconds")
        count = check_count(num_messages, "num_messages", where="Link.seconds", low=0)
        return count * self.latency_seconds + size / self.bandwidth_bytes_per_second


@dataclass(frozen=True)
class Network:
    """Nodes of devices.

    Attributes:
      inside: connects the devices of a node; each has one of its own.
      between: connects the nodes; all devices of a node share one. (A node with 8
        adapters has the sum of their bandwidths.)
      devices_per_node: at least 1.

    Raises:
      ValueError: `devices_per_node` is below 1.

    Example:
      >>> dgx = Network(Link(5e-6, 300e9), Link(1e-5, 200e9), 8)
      >>> dgx.devices_per_node
      8
    """

    inside: Link
    between: Link
    devices_per_node: int

    def __post_init__(self) -> None:
        check_count(self.devices_per_node, "devices_per_node", where="Network")


def ring_seconds(
    kind: str, payload_bytes: Number, link: Link, *, group_size: int
) -> float:
    """Time of one exchange along a ring of equal links.

    An all-reduce takes 2 (n - 1) steps, in each of which every device passes on 1 / n
    of the bytes; an all-gather, a reduce-scatter and an all-to-all take n - 1 of them.

    Args:
      kind: one of `EXCHANGE_KINDS`.
      payload_bytes: of the whole arrays: before an all-reduce or a reduce-scatter,
        after an all-gather. At least 0.
      link: to the next device.
      group_size: devices, at least 1.

    Returns:
      Seconds; 0 for a single device.

    Raises:
      ValueError: another kind, or an argument out of range.

    Source:
      Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002; Thakur, Rabenseifner,
      Gropp 2005, doi:10.1177/1094342005051521, section 4.

    Example:
      >>> ring_seconds("all-reduce", 100e6, Link(1e-6, 10e9), group_size=4)
      0.015006
    """
    where = "ring_seconds"
    _check_kind(kind, where=where)
    size = check_number(payload_bytes, "payload_bytes", where=where)
    count = check_count(group_size, "group_size", where=where)
    if count == 1:
        return 0.0
    if kind in _WHOLE:
        steps = count - 1 if kind == "collective-broadcast" else 1
        return link.seconds(size, num_messages=steps)
    steps = _PASSES[kind] * (count - 1)
    return link.seconds(steps * size / count, num_messages=steps)


def exchange_seconds(
    kind: str,
    payload_bytes: Number,
    network: Network,
    *,
    group_size: int,
    stride: int = 1,
) -> float:
    """Time of one exchange among devices of one or several nodes.

    Within a node it is a ring. Among k nodes with m devices of the group in each, it is
    done in two levels. An all-reduce is a reduce-scatter within each node, all-reduces
    of a share each among the nodes, and an all-gather within: 2 (m - 1) steps inside
    and 2 (k - 1) between, and as many shares of the bytes: 2 (m - 1) / m inside,
    2 (k - 1) / k between. What is one half of an all-reduce takes half of that.

    Args:
      kind: one of `EXCHANGE_KINDS`.
      payload_bytes: see `ring_seconds`.
      network: where the devices are, node by node.
      group_size: devices of one group, at least 1; all groups exchange at once.
      stride: distance of one device of the group to the next, at least 1: 1 if they are
        neighbours, and the size of a tensor-parallel group if the devices hold the same
        share of the parameters. Groups share the links between nodes.

    Returns:
      Seconds; 0 for a single device.

    Raises:
      ValueError: another kind, an argument out of range, or a group that fills its
        nodes in unequal parts.

    Source:
      Mikami et al. 2018, arXiv:1811.05233 (the two levels; there a grid of devices).

    Example:
      >>> network = Network(Link(0, 100e9), Link(0, 10e9), 8)
      >>> one_node = exchange_seconds("all-reduce", 1e9, network, group_size=8)
      >>> print(f"{one_node:.4f}")
      0.0175
      >>> nodes = exchange_seconds("all-reduce", 1e9, network, group_size=16)
      >>> print(f"{nodes:.4f}")
      0.1175
    """
    where = "exchange_seconds"
    _check_kind(kind, where=where)
    size = check_number(payload_bytes, "payload_bytes", where=where)
    count = check_count(group_size, "group_size", where=where)
    check_count(stride, "stride", where=where)
    per_node = network.devices_per_node
    members = min(count, max(1, per_node // stride))
    if count % members or (count > members and per_node % min(stride, per_node)):
        raise ValueError(
            f"exchange_seconds: group_size {count} with stride {stride} fills nodes of "
            f"{per_node} devices in unequal parts; wanted whole nodes"
        )
    nodes = count // members
    inside = ring_seconds(kind, size, network.inside, group_size=members)
    if nodes == 1:
        return inside
    # What the devices of a node send out at once goes through one link.
    sharing = min(stride, per_node)
    if kind == "all-to-all":
        sharing *= members
    between = ring_seconds(kind, sharing * size, network.between, group_size=nodes)
    # One device of each node sends to the next node while the others send inside.
    return max(inside, between) if kind == "collective-permute" else inside + between


def _check_kind(kind: str, *, where: str) -> None:
    if kind not in EXCHANGE_KINDS:
        raise ValueError(f"{where}: kind must be one of {EXCHANGE_KINDS}, got {kind!r}")
