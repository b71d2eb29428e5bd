"""Joining the processes of a run, and checking that they do the same."""

import atexit
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import metadata
from typing import Any

from jaxdl.config import flatten_config
from jaxdl.errors import ConfigError, JaxdlError
from jaxdl.parallel import (
    Place,
    current_peers,
    detect_place,
    find_differences,
    join_processes,
    leave_processes,
)
from jaxdl.recipes.hosts_config import HostsSection
from jaxdl.train import StopRequest

_OWN = ("hosts.index", "run.folder")
"""What each process may have of its own; the folder is that of the first."""


@contextmanager
def joined_hosts(config: Any, *, stop: StopRequest | None = None) -> Iterator[None]:
    """Runs what follows in all processes of a config, and ends them together.

    Args:
      config: may have a section `hosts`; without it, or alone, nothing is joined.
      stop: ends the wait for the others at once; without it the wait goes on.

    Yields:
      Once all processes are there, with the same config and versions.

    Raises:
      ConfigError: they did not come, or differ; names the process and the key.
      JaxdlError: this process was asked to stop while it waited.
    """
    if not hasattr(config, "hosts") or config.hosts.start == "alone":
        yield
        return
    with stop.joining() if stop else nullcontext():
        join_hosts(config.hosts)
    try:
        find_differences(
            {**_list_values(config), **_list_versions()}, what="compare configs"
        )
        yield
    except BaseException as error:
        _tell_others(error)
        raise
    leave_processes()


def join_hosts(hosts: HostsSection) -> None:
    """Joins the processes that a config names.

    Args:
      hosts: says how to find them.

    Raises:
      ConfigError: see `jaxdl.parallel.join_processes`; or nothing started them.
    """
    if hosts.start == "flags":
        assert hosts.coordinator is not None
        assert hosts.count is not None
        assert hosts.index is not None
        place = Place(hosts.coordinator, hosts.count, hosts.index)
    else:
        place = detect_place(None if hosts.start == "auto" else hosts.start)
    if place is None:
        raise ConfigError(
            f"hosts.start={hosts.start}: this process was not started by it; start it "
            "with srun, mpirun or as a Kubernetes job, or give hosts.start=flags, "
            "hosts.coordinator, hosts.count and hosts.index"
        )
    join_processes(
        place,
        join_seconds=hosts.join_timeout,
        silence_seconds=hosts.silence_timeout,
        step_seconds=hosts.step_timeout,
    )


def _list_values(config: Any) -> dict[str, str]:
    values = flatten_config(config)
    return {key: repr(value) for key, value in values.items() if key not in _OWN}


def _list_versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "jaxdl")
    found = {"the version of Python": platform.python_version()}
    for name in packages:
        found[f"the version of {name}"] = metadata.version(name)
    return found


def _tell_others(error: BaseException) -> None:
    peers = current_peers()
    if peers is None:
        return
    status = error.exit_status if isinstance(error, JaxdlError) else 1
    # Called before what JAX does at the exit: wait for processes that don't come.
    atexit.register(_exit_at_once, status)
    if isinstance(error, JaxdlError) and error.is_shared:
        return
    if isinstance(error, JaxdlError):
        peers.say_last_words(str(error), error.exit_status)
    elif isinstance(error, Exception):
        # An exchange that breaks raises here, and says nothing of why: another process
        # ended, and its line broke too.
        peers.await_verdict(error)


def _exit_at_once(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
