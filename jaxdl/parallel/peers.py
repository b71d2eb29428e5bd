"""What the processes of a run tell each other beside the arrays. Imports no JAX.

Every process, the first one too, holds a line to the hub, a thread of the first: over
it go short texts that all must know, signs of life, a request to stop, and the last
words of a process that fails. A process that is killed is noticed at once, as its line
breaks; one whose host goes down, by its silence.
"""

import contextlib
import faulthandler
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from jaxdl.errors import PeerError

BEAT_SECONDS = 0.25
"""Between two signs of life, at the least."""

LAST_ROUND = -1
"""The hub's answer to last words."""

_LARGEST_MESSAGE = 2**26

_HEARD_SECONDS = 2.0
"""How long last words may take to be heard."""


@dataclass(frozen=True)
class Verdict:
    """Why all processes end.

    Attributes:
      line: for the person who started them.
      status: of the exit.
      show_stacks: whether what this process is doing is part of the answer.
    """

    line: str
    status: int
    show_stacks: bool = False


class Peers:
    """This process among those of a run; made by `jaxdl.parallel.join_processes`.

    Attributes:
      index: of this process, from 0.
      hosts: names of the hosts, by process.
    """

    def __init__(
        self,
        line: Connection,
        *,
        index: int,
        hosts: list[str],
        silence_seconds: float,
        step_seconds: float,
        end: Callable[[Verdict], None] | None = None,
    ):
        """Takes over a line to the hub, and watches it in a thread.

        Args:
          line: to the hub.
          index: of this process.
          hosts: names, by process.
          silence_seconds: the hub is taken for dead when nothing was heard for so long,
            but for that of the own process.
          step_seconds: this process is taken for stuck when it asked nothing for so
            long, from the first `poll` on; or for a quarter longer while others lag
            behind it, which are asked first. So long does `exchange` wait, too.
          end: ends the process; the default says why on stderr, and exits.
        """
        self.index, self.hosts = index, hosts
        self._line, self._silence, self._patience = line, silence_seconds, step_seconds
        self._end = end or end_process
        self._sending, self._news = threading.Lock(), threading.Condition()
        # Held while processes agree on when to stop: then none may go on.
        self._gate = threading.Lock()
        self._polls = self._step = self._round = 0
        self._moved = time.monotonic()
        self._watched = False
        self._texts: dict[int, list[str]] = {}
        self._asked = self._closed = False
        self._stop: tuple[int, int] | None = None
        self._own: Verdict | None = None
        self._signal = 0
        self._table: list[list[int]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def exchange(self, text: str, *, what: str) -> list[str]:
        """Gives every process the texts of all; all must call it, in the same order.

        Args:
          text: of this process.
          what: they do, for the message if one never does.

        Returns:
          The texts by process.

        Raises:
          PeerError: a process did not come in time; names it.
        """
        with self._news:
            self._round += 1
            number = self._round
        self._send(text=text, round=number)
        with self._news:
            if self._news.wait_for(lambda: number in self._texts, self._patience):
                self._moved = time.monotonic()
                return self._texts.pop(number)
            behind = [i for i, row in enumerate(self._table) if row[2] < number]
        raise PeerError(
            f"waited {self._patience:g} s for {self._name(behind)} to {what}"
        )

    def poll(self, signal: int | None, *, step: int) -> int | None:
        """Says whether to stop, alike in all processes; all must call it as often.

        Args:
          signal: number of the signal this process was sent, if it was.
          step: that was reached, for messages.

        Returns:
          The number of the signal to stop for, or None.
        """
        if signal is not None and not self._asked:
            self._asked = True
            self._send(stop=signal)
        with self._gate:
            self._polls += 1
            self._step, self._moved, self._watched = step, time.monotonic(), True
            if self._stop is not None and self._polls >= self._stop[0]:
                return self._stop[1]
        return None

    def rest(self) -> None:
        """Until its next `poll` this process may be slow, and isn't taken for stuck."""
        self._watched = False

    def say_last_words(self, line: str, status: int) -> None:
        """Tells all processes why this one ends; they end too.

        Args:
          line: for the person who started them.
          status: of the exit.
        """
        if not self._closed:
            self._closed = True
            self._send(last=f"{self._name([self.index])}: {line}", status=status)
            with self._news:
                self._news.wait_for(lambda: LAST_ROUND in self._texts, _HEARD_SECONDS)

    def await_verdict(self, error: Exception) -> None:
        """Tells the others of an unexpected error, unless theirs came first.

        A process that ends breaks the exchange of arrays that the others wait for, and
        they may notice that before they hear of it.

        Args:
          error: was raised here.
        """
        time.sleep(_HEARD_SECONDS)
        self.say_last_words(f"{type(error).__name__}: {error}", 1)

    def close(self) -> None:
        """Leaves: from here on this process may end; see `leave_processes`."""
        if not self._closed:
            self._closed = True
            self._send(bye=True)

    def _name(self, indices: list[int]) -> str:
        names = [f"process {i} on {self.hosts[i]}" for i in indices]
        return ", ".join(names) or "the other processes"

    def _send(self, **message: Any) -> None:
        with self._sending:
            # A broken line is noticed by the thread that listens.
            with contextlib.suppress(OSError):
                send(self._line, message)

    def _listen(self) -> None:
        heard = sent = time.monotonic()
        while True:
            try:
                if self._line.poll(BEAT_SECONDS):
                    self._take(receive(self._line))
                    heard = time.monotonic()
            except (OSError, EOFError):
                if not self._closed:
                    self._fail(
                        f"{self._name([0])} ended without a word, and with it this one"
                    )
                return
            now = time.monotonic()
            if now - sent > BEAT_SECONDS:
                sent = now
                self._send(beat=[self._polls, self._step, self._round])
            # The hub is a thread of process 0, which need not doubt itself.
            is_silent = self.index > 0 and now - heard > self._silence
            if is_silent and not self._closed:
                self._fail(
                    f"nothing was heard of {self._name([0])} for {self._silence:g} s"
                )
            self._check_progress(now)
            # Not before the hub has heard it, which may be a thread of this process.
            if self._own is not None and LAST_ROUND in self._texts:
                self._end(self._own)
                return

    def _take(self, message: dict[str, Any]) -> None:
        if "table" in message:
            self._table = message["table"]
        elif "texts" in message:
            with self._news:
                self._texts[message["round"]] = message["texts"]
                self._news.notify_all()
        elif "stop" in message:
            self._gate.acquire()
            self._signal = message["stop"]
            self._send(polls=self._polls)
        elif "target" in message:
            self._stop = (message["target"], self._signal)
            self._gate.release()
        elif "verdict" in message and not self._closed:
            self._closed = True
            self._end(Verdict(message["verdict"], message["status"]))

    def _check_progress(self, now: float) -> None:
        late = now - self._moved - self._patience
        if not self._watched or self._closed or late < 0:
            return
        # The one that is behind speaks first: it knows best where it is stuck.
        others = [row[0] for i, row in enumerate(self._table) if i != self.index]
        if late < 0.25 * self._patience and min(others, default=0) < self._polls:
            return
        self._closed = True
        line = (
            f"{self._name([self.index])}: no progress for {self._patience:g} s after "
            f"step {self._step}"
        )
        self._send(last=line, status=PeerError.exit_status)
        self._own = Verdict(line, PeerError.exit_status, show_stacks=True)

    def _fail(self, line: str) -> None:
        self._closed = True
        self._end(Verdict(line, PeerError.exit_status))


def send(line: Connection, message: dict[str, Any]) -> None:
    """Sends a message, whole.

    Raises:
      OSError: the line is broken.
    """
    line.send_bytes(json.dumps(message).encode())


def receive(line: Connection) -> dict[str, Any]:
    """Waits for a message.

    Raises:
      OSError, EOFError: the line is broken, or what comes over it is no message.
    """
    try:
        message = json.loads(line.recv_bytes(_LARGEST_MESSAGE))
    except ValueError as error:
        raise OSError(f"not a message: {error}") from None
    if not isinstance(message, dict):
        raise OSError(f"not a message: {message!r}")
    return message


def end_process(verdict: Verdict) -> None:
    """Says why, and exits at once: the main thread may hang in an exchange."""
    if verdict.show_stacks:
        faulthandler.dump_traceback(all_threads=True)
    sys.stderr.write(f"jaxdl: {verdict.line}\n")
    sys.stderr.flush()
    os._exit(verdict.status)
