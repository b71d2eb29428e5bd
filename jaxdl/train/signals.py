"""Stopping on request: the first signal asks, the second insists."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from jaxdl.errors import JaxdlError
from jaxdl.parallel import current_peers

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Remembers a SIGINT or SIGTERM instead of dying of it.

    Use as a context manager around everything that must not be cut short. The first
    signal sets `signal_number`; the second ends the process at once with status
    128 + number. Outside the main thread signals can't be caught, and are not.

    Of several processes, which signals may reach at different times or not at all, all
    stop at the same `poll`; `requested` says so from then on.

    Example:
      >>> with StopRequest() as stop:
      ...     stop.requested
      False
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._received: int | None = None
        self._joining = False
        self._previous: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has arrived."""
        return self.signal_number is not None

    def poll(self, step: int = 0) -> bool:
        """Whether to stop now; of several processes all must ask equally often.

        Args:
          step: that was reached, for messages.
        """
        peers = current_peers()
        if peers is not None and not self.requested:
            self.signal_number = peers.poll(self._received, step=step)
        return self.requested

    @property
    def exit_status(self) -> int:
        """What the shell calls a process ended by this signal: 128 + its number."""
        return 0 if self.signal_number is None else 128 + self.signal_number

    @contextmanager
    def joining(self) -> Iterator[None]:
        """Goes around the wait for other processes, which the first signal ends.

        There is nothing to save yet. Once they are there, signals are remembered again.

        Raises:
          JaxdlError: a signal came, now or before; has its exit status.
        """
        self._joining = True
        try:
            self._end_wait()
            yield
        finally:
            self._joining = False

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            os._exit(128 + number)
        self._received = number
        if current_peers() is None:
            self.signal_number = number
            self._end_wait()

    def _end_wait(self) -> None:
        if self._joining and self.requested:
            error = JaxdlError("interrupted while waiting for other processes")
            error.exit_status = self.exit_status
            raise error
