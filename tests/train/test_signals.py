import os
import signal
import subprocess
import sys
import threading

import pytest

from jaxdl.errors import JaxdlError
from jaxdl.train import StopRequest

NUMBERS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", NUMBERS)
def test_stop_request_remembers_a_signal(number):
    with StopRequest() as stop:
        assert not stop.requested and stop.exit_status == 0
        os.kill(os.getpid(), number)
        assert stop.requested and stop.signal_number == number
        assert stop.exit_status == 128 + number
    assert stop.requested


@pytest.mark.parametrize("number", NUMBERS)
def test_stop_request_puts_the_old_handler_back(number):
    before = signal.getsignal(number)
    with pytest.raises(ZeroDivisionError), StopRequest():
        assert signal.getsignal(number) != before
        raise ZeroDivisionError
    assert signal.getsignal(number) == before


def test_stop_request_can_be_used_twice():
    for _ in range(2):
        with StopRequest() as stop:
            assert not stop.requested
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested


def test_stop_request_outside_the_main_thread_does_nothing():
    found = []

    def use():
        with StopRequest() as stop:
            found.append(stop.requested)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found == [False]


def test_poll_waits_for_what_the_processes_agree_on(monkeypatch):
    class Peers:
        asked = []

        def poll(self, number, *, step):
            self.asked.append((number, step))
            return number if step >= 3 else None

    peers = Peers()
    monkeypatch.setattr("jaxdl.train.signals.current_peers", lambda: peers)
    with StopRequest() as stop:
        assert not stop.poll(1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert not stop.poll(2) and not stop.requested and stop.exit_status == 0
        assert stop.poll(3) and stop.requested and stop.exit_status == 143
        assert stop.poll(4)
    assert peers.asked == [(None, 1), (15, 2), (15, 3)]


def test_poll_of_a_process_alone_is_whether_a_signal_arrived():
    with StopRequest() as stop:
        assert not stop.poll()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.poll()


@pytest.mark.parametrize("number", NUMBERS)
def test_joining_ends_at_the_first_signal(number):
    with StopRequest() as stop:
        with pytest.raises(JaxdlError, match="interrupted while waiting") as caught:
            with stop.joining():
                os.kill(os.getpid(), number)
                pytest.fail("waited on")
        assert caught.value.exit_status == 128 + number


def test_joining_does_not_begin_after_a_signal():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(JaxdlError) as caught, stop.joining():
            pytest.fail("waited")
        assert caught.value.exit_status == 143


def test_joining_remembers_a_signal_once_the_others_are_there(monkeypatch):
    with StopRequest() as stop, stop.joining():
        monkeypatch.setattr("jaxdl.train.signals.current_peers", lambda: "others")
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop._received == signal.SIGTERM


def test_joining_ends_with_the_wait():
    with StopRequest() as stop:
        with stop.joining():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal_number == signal.SIGTERM


SECOND = """
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("signals", sys.argv[1])
signals = importlib.util.module_from_spec(spec)
spec.loader.exec_module(signals)
with signals.StopRequest() as stop:
    os.kill(os.getpid(), int(sys.argv[2]))
    print("first", stop.signal_number, flush=True)
    try:
        os.kill(os.getpid(), int(sys.argv[3]))
        print("second", flush=True)
    finally:
        print("cleaning up takes long", flush=True)
"""


@pytest.mark.parametrize("first", NUMBERS)
@pytest.mark.parametrize("second", NUMBERS)
def test_stop_request_second_signal_ends_at_once(first, second):
    # The file alone: it needs no JAX, and neither does this.
    file = sys.modules[StopRequest.__module__].__file__
    arguments = [file, str(int(first)), str(int(second))]
    done = subprocess.run(
        [sys.executable, "-c", SECOND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 128 + second
    assert done.stdout == f"first {int(first)}\n" and done.stderr == ""
