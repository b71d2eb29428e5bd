"""Where the lines of all processes end: a thread of the first one. Imports no JAX."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterable
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from jaxdl.errors import ConfigError, PeerError
from jaxdl.parallel.peers import BEAT_SECONDS, LAST_ROUND, Peers, receive, send

_RETRY_SECONDS = 0.2

_GRACE_SECONDS = 1.5
"""How long at most the first process waits for the others to end."""


def meet(
    address: str,
    *,
    index: int,
    count: int,
    join_seconds: float,
    silence_seconds: float,
    step_seconds: float,
) -> Peers:
    """Brings the processes of a run together.

    Args:
      address: `host:port` where the first process waits for the others.
      index: of this process, in [0, count).
      count: of the processes.
      join_seconds: how long to wait for the others, or for the first process.
      silence_seconds: see `Peers`.
      step_seconds: see `Peers`.

    Returns:
      This process among all.

    Raises:
      ConfigError: others did not come or do not fit, and are named; or the first
        process can't wait at the address.
    """
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + join_seconds
    if index == 0:
        lines, hosts = _receive_all(host, int(port), count, deadline, join_seconds)
        own, others_end = Pipe()
        hub = Hub([others_end, *lines], hosts, silence_seconds=silence_seconds)
        hub.start()
        line = own
    else:
        line, hosts = _call(host, int(port), index, count, deadline, join_seconds)
    return Peers(
        line,
        index=index,
        hosts=hosts,
        silence_seconds=silence_seconds,
        step_seconds=step_seconds,
    )


class Hub(threading.Thread):
    """Passes on what processes say, and notices those that fall silent."""

    def __init__(
        self, lines: list[Connection], hosts: list[str], *, silence_seconds: float
    ):
        """Takes over the lines.

        Args:
          lines: to the processes, in their order.
          hosts: names, by process.
          silence_seconds: a process that says nothing for so long is taken for dead,
            and all others end.
        """
        super().__init__(daemon=True, name="hub")
        self._lines, self._hosts, self._silence = lines, hosts, silence_seconds
        count = len(lines)
        self._open = set(range(count))
        self._heard = [time.monotonic()] * count
        self._table = [[0, 0, 0] for _ in range(count)]
        self._rounds: dict[int, dict[int, str]] = {}
        self._polls: dict[int, int] = {}
        self._stopping = False

    def run(self) -> None:
        """Listens until all processes have left, or have been told to end."""
        told = time.monotonic()
        while self._open:
            ready = wait([self._lines[i] for i in self._open], BEAT_SECONDS)
            for index in [i for i in self._open if self._lines[i] in ready]:
                if index not in self._open:  # all end, for a reason that is known
                    continue
                try:
                    self._take(index, receive(self._lines[index]))
                    self._heard[index] = time.monotonic()
                except (OSError, EOFError):
                    self._give_up(index, "ended without a word")
            now = time.monotonic()
            if now - told > BEAT_SECONDS:
                told = now
                self._tell(table=self._table)
                silent = [i for i in self._open if now - self._heard[i] > self._silence]
                if silent:
                    what = f"was not heard of for {self._silence:g} s"
                    self._give_up(silent[0], what)

    def _take(self, index: int, message: dict[str, Any]) -> None:
        if "beat" in message:
            self._table[index] = message["beat"]
        elif "text" in message:
            texts = self._rounds.setdefault(message["round"], {})
            texts[index] = message["text"]
            if len(texts) == len(self._lines):
                ordered = [texts[i] for i in range(len(texts))]
                self._tell(texts=ordered, round=message["round"])
                del self._rounds[message["round"]]
        elif "stop" in message and not self._stopping:
            self._stopping = True
            self._tell(stop=message["stop"])
        elif "polls" in message:
            self._polls[index] = message["polls"]
        elif "last" in message:
            self._conclude(index, message["last"], message["status"])
        elif "bye" in message:
            self._open.discard(index)
        if self._stopping and self._polls and self._open <= set(self._polls):
            # One more than any has asked: none has gone on without stopping.
            self._tell(target=max(self._polls.values()) + 1)
            self._polls = {}

    def _give_up(self, index: int, what: str) -> None:
        self._open.discard(index)
        step = self._table[index][1]
        after = f" after step {step}" if step else ""
        line = (
            f"process {index} on {self._hosts[index]} {what}{after}; "
            "--resume continues from the last checkpoint"
        )
        self._conclude(index, line, PeerError.exit_status)

    def _conclude(self, speaker: int, line: str, status: int) -> None:
        """Ends all processes, this one last: JAX aborts those that outlive it."""
        verdict = {"verdict": line, "status": status}
        heard = {"texts": [], "round": LAST_ROUND}
        for index in range(len(self._lines) - 1, -1, -1):
            if index == 0:
                self._await_ends()
            told = heard if index == speaker else verdict
            _tell_all([self._lines[index]], **told)
        self._open.clear()

    def _await_ends(self) -> None:
        left = set(self._lines[1:])
        deadline = time.monotonic() + _GRACE_SECONDS
        while left and time.monotonic() < deadline:
            ready = wait(list(left), BEAT_SECONDS)
            for line in [line for line in left if line in ready]:
                try:
                    receive(line)
                except (OSError, EOFError):
                    left.discard(line)

    def _tell(self, **message: Any) -> None:
        _tell_all([self._lines[index] for index in sorted(self._open)], **message)


def _receive_all(
    host: str, port: int, count: int, deadline: float, join_seconds: float
) -> tuple[list[Connection], list[str]]:
    """The lines of processes 1, 2, ..., and the hosts of all."""
    try:
        server = socket.create_server((host, port), backlog=count)
    except OSError as error:
        raise ConfigError(
            f"hosts.coordinator: process 0 can't wait for the others at {host}:{port} "
            f"({str(error.strerror).split(' (')[0]})"
        ) from None
    lines: dict[int, Connection] = {}
    hosts = {0: socket.gethostname()}
    with server:
        while len(lines) < count - 1:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                line = Connection(server.accept()[0].detach())
                hello = receive(line) if line.poll(_RETRY_SECONDS * 10) else {}
            except TimeoutError:
                missing = [i for i in range(1, count) if i not in lines]
                problem = _describe_missing(missing, join_seconds, host, port)
                raise _refuse(problem, lines.values()) from None
            except (OSError, EOFError):
                continue
            if set(hello) != {"index", "count", "host"}:
                continue  # somebody else who found the port
            index, problem = hello["index"], None
            if hello["count"] != count:
                problem = (
                    f"hosts.count: {hello['count']} in process {index}, "
                    f"{count} in process 0"
                )
            elif index in hosts:
                problem = (
                    f"hosts.index: there are two processes {index}, on "
                    f"{hosts[index]} and on {hello['host']}"
                )
            if problem:
                raise _refuse(problem, [line, *lines.values()])
            lines[index], hosts[index] = line, hello["host"]
    ordered = [hosts[i] for i in range(count)]
    _tell_all(lines.values(), hosts=ordered)
    return [lines[i] for i in range(1, count)], ordered


def _refuse(problem: str, lines: Iterable[Connection]) -> ConfigError:
    _tell_all(lines, refused=problem)
    return ConfigError(problem)


def _tell_all(lines: Iterable[Connection], **message: Any) -> None:
    for line in lines:
        # A line that is broken is noticed by whoever listens to it.
        with contextlib.suppress(OSError):
            send(line, message)


def _describe_missing(
    missing: list[int], join_seconds: float, host: str, port: int
) -> str:
    names = ", ".join(map(str, missing))
    return (
        f"waited {join_seconds:g} s at {host}:{port} for process"
        f"{'es' * (len(missing) > 1)} {names}; start all within that time with the "
        "same hosts.coordinator and hosts.count, or raise hosts.join_timeout"
    )


def _call(
    host: str, port: int, index: int, count: int, deadline: float, join_seconds: float
) -> tuple[Connection, list[str]]:
    """The line to process 0, and the hosts of all."""
    reason = "no answer"
    while time.monotonic() < deadline:
        try:
            left = max(0.01, deadline - time.monotonic())
            call = socket.create_connection((host, port), timeout=left)
        except OSError as error:
            reason = error.strerror or str(error)
            time.sleep(_RETRY_SECONDS)
            continue
        call.settimeout(None)
        line = Connection(call.detach())
        try:
            send(line, {"index": index, "count": count, "host": socket.gethostname()})
            if line.poll(max(0.01, deadline - time.monotonic())):
                answer = receive(line)
                if "refused" in answer:
                    raise ConfigError(answer["refused"])
                return line, answer["hosts"]
            reason = "process 0 waits for others"
        except (OSError, EOFError):
            reason = "process 0 left"
    raise ConfigError(
        f"process {index} waited {join_seconds:g} s for process 0 at {host}:{port} "
        f"({reason}); see hosts.coordinator and hosts.join_timeout"
    )
