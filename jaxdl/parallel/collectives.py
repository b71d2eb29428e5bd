"""What devices send each other: read from a compiled program, or from a layout."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
)
_BITS = {"pred": 8, "bf16": 16, "token": 0}
"""Those whose names don't end with their bits."""

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_CALLED = re.compile(
    r"(body|condition|calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)"
)
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_COLLECTIVE = re.compile(rf"= (.*?) ({'|'.join(_KINDS)})(-start)?\(")
_SHAPE = re.compile(r"([a-z]+\d*\w*)\[([\d,]*)\]")


@dataclass(frozen=True)
class Collective:
    """One exchange of a program.

    Attributes:
      kind: "all-reduce", "all-gather", "reduce-scatter", "all-to-all",
        "collective-permute" or "collective-broadcast".
      group_size: devices that take part in one.
      count: times it runs per call of the program; in a loop whose length is not
        known, 1.
      payload_bytes: of the arrays that are combined, whole, per run.
      operation: name of the operation it comes from, as the program tells it.
    """

    kind: str
    group_size: int
    count: int
    payload_bytes: int
    operation: str

    @property
    def sent_bytes(self) -> float:
        """What each device sends per call of the program, if sent along a ring."""
        return self.count * ring_bytes(
            self.kind, self.payload_bytes, group_size=self.group_size
        )


@dataclass(frozen=True)
class CollectiveReport:
    """All exchanges of a program.

    Attributes:
      collectives: in the order of the program; groups of one device are left out.
      has_unknown_loops: some run in a loop whose length the program doesn't tell, and
        are counted once.
    """

    collectives: tuple[Collective, ...]
    has_unknown_loops: bool = False

    def count(self, kind: str | None = None) -> int:
        """How many run per call: of one kind, or of all."""
        return sum(c.count for c in self.collectives if kind in (None, c.kind))

    def sent_bytes(self, kind: str | None = None) -> float:
        """Bytes that each device sends per call: in one kind, or in all."""
        sent = (c.sent_bytes for c in self.collectives if kind in (None, c.kind))
        return sum(sent, 0.0)

    def by_kind(self) -> dict[str, dict[str, int | float]]:
        """`"count"`, `"payload_bytes"` and `"sent_bytes"` per call, by kind."""
        table: dict[str, dict[str, int | float]] = {}
        for kind in _KINDS:
            same = [c for c in self.collectives if c.kind == kind]
            if same:
                table[kind] = {
                    "count": self.count(kind),
                    "payload_bytes": sum(c.count * c.payload_bytes for c in same),
                    "sent_bytes": self.sent_bytes(kind),
                }
        return table


def collective_report(compiled: Any) -> CollectiveReport:
    """Counts what the devices of a compiled program send each other.

    Args:
      compiled: from `jax.jit(f).lower(...).compile()`, or its `as_text()`.

    Returns:
      Kinds, counts and bytes, exchanges in loops as often as they run.

    Example:
      >>> import jax
      >>> compiled = jax.jit(lambda x: x + 1).lower(1.0).compile()
      >>> collective_report(compiled).count()
      0
    """
    text = compiled if isinstance(compiled, str) else compiled.as_text()
    bodies, entry = _split_computations(text)
    found: list[Collective] = []
    unknown = False

    def walk(name: str, times: int, *, in_unknown: bool) -> None:
        nonlocal unknown
        for line in bodies.get(name, ()):
            match = _COLLECTIVE.search(line)
            if match:
                one = _read_collective(line, match, times, num_devices=_devices(text))
                if one.group_size > 1:
                    found.append(one)
                    unknown |= in_unknown
            is_loop = " while(" in line
            trips = _TRIPS.search(line)
            repeats = int(trips.group(1)) if is_loop and trips else 1
            for called in _list_called(line):
                walk(
                    called,
                    times * repeats,
                    in_unknown=in_unknown or (is_loop and trips is None),
                )

    walk(entry, 1, in_unknown=False)
    return CollectiveReport(tuple(found), unknown)


def ring_bytes(kind: str, payload_bytes: int, *, group_size: int) -> float:
    """What each device sends for one exchange along a ring, which is the least.

    Args:
      kind: see `Collective`.
      payload_bytes: of the whole arrays: before an all-reduce or a reduce-scatter,
        after an all-gather.
      group_size: devices, at least 1.

    Returns:
      Bytes; 0 for a single device.

    Raises:
      ValueError: another kind.

    Source:
      Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002.

    Example:
      >>> ring_bytes("all-reduce", 100, group_size=4)
      150.0
    """
    if kind not in _KINDS:
        raise ValueError(f"ring_bytes: kind must be one of {_KINDS}, got {kind!r}")
    if group_size == 1:
        return 0.0
    share = (group_size - 1) / group_size
    if kind == "all-reduce":
        return 2 * share * payload_bytes
    if kind in ("collective-permute", "collective-broadcast"):
        return float(payload_bytes)
    return share * payload_bytes


def _split_computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Lines by computation, and the name of the one that is called."""
    bodies: dict[str, list[str]] = {}
    entry, current = "", None
    for line in text.splitlines():
        match = _COMPUTATION.match(line)
        if match:
            current = bodies.setdefault(match.group(2), [])
            entry = match.group(2) if match.group(1) else entry
        elif current is not None:
            current.append(line)
    return bodies, entry


def _list_called(line: str) -> Iterator[str]:
    for match in _CALLED.finditer(line):
        yield match.group(2)
    for match in _BRANCHES.finditer(line):
        for name in match.group(1).split(","):
            yield name.strip().lstrip("%")


def _read_collective(
    line: str, match: re.Match[str], times: int, *, num_devices: int
) -> Collective:
    kind, is_started = match.group(2), match.group(3) is not None
    group_size = _read_group_size(line, kind, num_devices)
    sizes = [_count_bytes(*shape) for shape in _SHAPE.findall(match.group(1))]
    payload = sum(sizes)
    if kind == "reduce-scatter":
        payload *= group_size
    elif kind == "collective-permute":
        payload = sizes[0]
    elif kind == "all-gather" and is_started:
        # What is begun names what goes in beside what comes out.
        payload = payload * group_size // (group_size + 1)
    name = re.search(r'op_name="([^"]*)"', line)
    return Collective(kind, group_size, times, payload, name.group(1) if name else "")


def _read_group_size(line: str, kind: str, num_devices: int) -> int:
    """Devices per group, in any of the ways in which programs write groups."""
    if kind == "collective-permute":
        return 2 if "source_target_pairs={{" in line else 1
    groups = re.search(r"replica_groups=(.*)", line)
    rest = groups.group(1) if groups else ""
    if match := re.match(r"\{\{([\d,]*)\}", rest):
        return len(match.group(1).split(","))
    if match := re.match(r"\[\d+,(\d+)\]<=", rest):
        return int(match.group(1))
    if match := re.match(r"@?mesh\w*\[([^\]]*)\] ?\{([^}]*)\}", rest):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", match.group(1)))
        names = re.findall(r"'([^']+)'", match.group(2))
        return math.prod(int(sizes[name]) for name in names)
    return num_devices


def _devices(text: str) -> int:
    match = re.search(r"num_partitions=(\d+)", text) or re.search(
        r"replica_count=(\d+)", text
    )
    return int(match.group(1)) if match else 1


def _count_bytes(element: str, dimensions: str) -> int:
    bits = _BITS.get(element)
    if bits is None:
        digits = re.match(r"[a-z]+(\d+)", element)
        bits = int(digits.group(1)) if digits else 0
    count = math.prod(int(size) for size in dimensions.split(",") if size)
    return count * bits // 8
