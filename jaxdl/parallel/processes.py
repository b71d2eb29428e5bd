"""Several processes, on one host or many, that run one program together."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from jaxdl.errors import ConfigError, JaxdlError
from jaxdl.parallel.hub import meet
from jaxdl.parallel.peers import Peers

STARTERS = ("slurm", "ompi", "k8s", "mpi4py")
"""What can have started the processes, in JAX's words."""

# JAX has a class for it, but left its name empty.
_NAMES_BY_CLASS = {"K8sCluster": "k8s"}

# One per process, as JAX's own connection to the others is.
_current: Peers | None = None


@dataclass(frozen=True)
class Place:
    """Where a process stands among those of a run.

    Attributes:
      coordinator: `host:port` of the first process.
      count: of the processes.
      index: of this one, from 0.
      local_device_ids: accelerators of the host that are for this process; None for
        all.
    """

    coordinator: str
    count: int
    index: int
    local_device_ids: tuple[int, ...] | None = None


def detect_place(starter: str | None = None) -> Place | None:
    """Where whatever started this process says that it stands.

    Args:
      starter: one of `STARTERS`; None takes the first that is there and that JAX looks
        for unasked, as it does not for mpi4py.

    Returns:
      None when there is no such starter, or when it does not say all.

    Example:
      >>> detect_place("slurm") is None
      True
    """
    from jax._src.clusters import ClusterEnv  # JAX tells it in no other way

    # Asked one by one: JAX only logs that a starter it is given is not there.
    wanted = STARTERS if starter is None else (starter,)
    present = (
        env.name
        for env in ClusterEnv._cluster_types
        if (env.name or _NAMES_BY_CLASS.get(env.__name__)) in wanted
        and (starter is not None or not env.opt_in_only_method)
        and env.is_env_present()
    )
    name = next(present, None)
    if name is None:
        return None
    address, count, index, ids = ClusterEnv.auto_detect_unset_distributed_params(
        None, None, None, None, name, None
    )
    if address is None or count is None or index is None:
        return None
    return Place(address, count, index, None if ids is None else tuple(ids))


def join_processes(
    place: Place,
    *,
    join_seconds: float = 60.0,
    silence_seconds: float = 10.0,
    step_seconds: float = 600.0,
) -> Peers:
    """Makes the devices of all processes one set; before any other use of JAX.

    From then on a process that ends before `leave_processes`, or does not get on, ends
    all others too, within `silence_seconds` or 1.5 `step_seconds`, with a line that
    names it.

    Args:
      place: of this process.
      join_seconds: how long to wait for the others.
      silence_seconds: without a sign of life of a process, after which it is dead.
      step_seconds: without progress, after which a process is stuck; see `Peers`.

    Returns:
      This process among the others; `current_peers` gives it again.

    Raises:
      ConfigError: the others did not come or do not fit, and are named; or the first
        process can't wait at the coordinator's address.
      PeerError: one came, and did not go on; names it.
    """
    global _current
    peers = meet(
        place.coordinator,
        index=place.index,
        count=place.count,
        join_seconds=join_seconds,
        silence_seconds=silence_seconds,
        step_seconds=step_seconds,
    )
    _current = peers
    # Two things can't wait at one port: the first process picks another for JAX.
    port = peers.exchange(str(_find_free_port()), what="join")[0]
    # JAX would swallow SIGTERM, which asks to save and stop.
    jax.config.update("jax_enable_preemption_service", False)
    ids = place.local_device_ids
    jax.distributed.initialize(
        f"{place.coordinator.rpartition(':')[0]}:{port}",
        place.count,
        place.index,
        local_device_ids=None if ids is None else list(ids),
        cluster_detection_method="deactivate",
    )
    return peers


def current_peers() -> Peers | None:
    """What `join_processes` gave; None for a process alone."""
    return _current


def is_first_process() -> bool:
    """Whether this process writes what only one may write."""
    return _current is None or _current.index == 0


def exchange_texts(text: str, *, what: str) -> list[str]:
    """See `Peers.exchange`; a process alone gets its own text.

    Example:
      >>> exchange_texts("0.1", what="compare rates")
      ['0.1']
    """
    return [text] if _current is None else _current.exchange(text, what=what)


def decide_first(function: Callable[[], Any], *, what: str) -> Any:
    """What the first process finds, in all processes.

    Args:
      function: called in the first process only; gives what JSON takes.
      what: it does, for messages.

    Returns:
      Its result; of several processes all get it as JSON gives it back, with lists
      for tuples.

    Raises:
      JaxdlError: raised by the function; the others get its message and exit status.

    Example:
      >>> decide_first(lambda: 2, what="count")
      2
    """
    if _current is None:
        return function()
    answer: dict[str, Any] = {}
    error: JaxdlError | None = None
    if _current.index == 0:
        try:
            answer = {"result": function()}
        except JaxdlError as found:
            error = found
            answer = {"error": str(found), "status": found.exit_status}
    answer = json.loads(_current.exchange(json.dumps(answer), what=what)[0])
    if "error" in answer:
        error = error or JaxdlError(answer["error"])
        error.exit_status, error.is_shared = answer["status"], True
        raise error
    return answer["result"]


def find_differences(texts: dict[str, str], *, what: str) -> None:
    """Refuses to go on when processes differ in what they should have alike.

    Args:
      texts: of this process, by name.
      what: is compared, for messages.

    Raises:
      ConfigError: names the first process that differs, and in what.
    """
    found = [json.loads(text) for text in exchange_texts(json.dumps(texts), what=what)]
    for index, other in enumerate(found):
        names = [n for n in {**found[0], **other} if other.get(n) != found[0].get(n)]
        if names:
            host = "" if _current is None else f" on {_current.hosts[index]}"
            error = ConfigError(
                *(
                    f"process {index}{host} has {name}={other.get(name)}, process 0 "
                    f"has {found[0].get(name)}; give all processes the same"
                    for name in names
                )
            )
            error.is_shared = True
            raise error


def rest_processes() -> None:
    """See `Peers.rest`."""
    if _current is not None:
        _current.rest()


def leave_processes() -> None:
    """Says goodbye: from here on this process may end without ending the others.

    The first one ends the lines of all, and JAX keeps it at its exit until all end.
    """
    if _current is not None:
        _current.close()


def _find_free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]
