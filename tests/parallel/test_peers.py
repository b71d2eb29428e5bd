"""What processes tell each other, with a thread in place of each process."""

import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest
from jax._src.clusters.k8s_cluster import K8sCluster

from jaxdl.errors import ConfigError, JaxdlError, PeerError
from jaxdl.parallel import hub, processes
from jaxdl.parallel.hub import Hub, meet
from jaxdl.parallel.peers import Peers
from tests.test_hosts import call, find_free_port

HOSTS = ["alpha", "beta", "gamma"]


class Group:
    """Three processes whose ends are recorded."""

    def __init__(self, *, silence=5.0, patience=5.0):
        pairs = [Pipe() for _ in HOSTS]
        self.ends: list[list] = [[] for _ in HOSTS]
        self.lines = [own for own, _ in pairs]
        Hub([other for _, other in pairs], HOSTS, silence_seconds=silence).start()
        self.peers = [
            Peers(
                line,
                index=index,
                hosts=HOSTS,
                silence_seconds=silence,
                step_seconds=patience,
                end=self.ends[index].append,
            )
            for index, line in enumerate(self.lines)
        ]

    def call(self, function):
        """Results of `function(peers)`, called in all at once."""
        results: list = [None] * len(HOSTS)

        def run(index):
            results[index] = function(self.peers[index])

        threads = [threading.Thread(target=run, args=[i]) for i in range(len(HOSTS))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def wait_for_end(self, index, *, seconds=10):
        limit = time.monotonic() + seconds
        while not self.ends[index] and time.monotonic() < limit:
            time.sleep(0.02)
        (verdict,) = self.ends[index]
        return verdict

    def close(self):
        for peers in self.peers:
            peers.close()


def test_exchange_gives_all_texts_to_all():
    group = Group()
    for text in ("first", "second"):
        found = group.call(
            lambda p, text=text: p.exchange(f"{text} {p.index}", what="")
        )
        assert found == [[f"{text} {index}" for index in range(3)]] * 3
    group.close()


def test_exchange_names_the_processes_that_never_come():
    group = Group(patience=1.5)
    with pytest.raises(
        PeerError, match="process 1 on beta, process 2 on gamma to save"
    ):
        group.peers[0].exchange("", what="save")
    group.close()


def test_poll_stops_all_at_the_same_count():
    group = Group()

    def train(peers):
        for count in range(1, 2000):
            # They are apart, and only the last one is told to stop.
            time.sleep(0.001 * (1 + peers.index))
            signal = 15 if peers.index == 2 and count > 20 else None
            found = peers.poll(signal, step=count)
            if found is not None:
                return count, found
        return None

    counts = group.call(train)
    assert counts[0] is not None
    assert counts[0][0] > 20
    assert counts == [(counts[0][0], 15)] * 3
    group.close()


def test_a_broken_line_ends_the_others_with_the_step_that_was_reached():
    group = Group()
    group.peers[1].poll(None, step=7)
    time.sleep(1.0)  # a few signs of life
    group.peers[1]._closed = True
    group.lines[1].close()
    for index in (0, 2):
        verdict = group.wait_for_end(index)
        assert verdict.status == PeerError.exit_status
        expected = "process 1 on beta ended without a word after step 7"
        assert verdict.line.startswith(expected)
    group.close()


def test_a_silent_process_ends_the_others(monkeypatch):
    group = Group(silence=1.5)
    monkeypatch.setattr(group.peers[2], "_send", lambda **message: None)
    verdict = group.wait_for_end(0)
    assert "process 2 on gamma was not heard of for 1.5 s" in verdict.line
    group.close()


def test_a_stuck_process_is_named_by_all():
    group = Group(patience=2.0)
    stop = threading.Event()

    def train(peers):
        for step in range(1000):
            if stop.is_set() or (peers.index == 1 and step == 5):
                return
            time.sleep(0.02)
            peers.poll(None, step=step)

    thread = threading.Thread(target=group.call, args=[train])
    thread.start()
    begin = time.monotonic()
    lines = [group.wait_for_end(index).line for index in range(3)]
    assert time.monotonic() - begin < 1.5 * 2.0 + 1
    stop.set()
    thread.join()
    expected = "process 1 on beta: no progress for 2 s after step 4"
    assert lines == [expected] * 3
    group.close()


def test_last_words_reach_all_with_their_status():
    group = Group()
    group.peers[0].say_last_words("data.path: no such folder", 3)
    for index in (1, 2):
        verdict = group.wait_for_end(index)
        assert verdict.status == 3
        assert verdict.line == "process 0 on alpha: data.path: no such folder"
    assert not group.ends[0]
    group.close()


def test_resting_processes_are_not_stuck():
    group = Group(patience=0.5)
    for peers in group.peers:
        peers.poll(None, step=1)
        peers.rest()
    time.sleep(1.5)
    assert not any(group.ends)
    group.close()


def join(address, index, count, *, seconds=3.0):
    return meet(
        address,
        index=index,
        count=count,
        join_seconds=seconds,
        silence_seconds=5.0,
        step_seconds=5.0,
    )


def test_meet_names_the_processes_that_do_not_come():
    address = f"127.0.0.1:{find_free_port()}"
    errors = []

    def call():
        with pytest.raises(ConfigError) as caught:
            join(address, 1, 4, seconds=6.0)
        errors.append(str(caught.value))

    thread = threading.Thread(target=call)
    thread.start()
    with pytest.raises(ConfigError, match=f"at {address} for processes 2, 3; start"):
        join(address, 0, 4, seconds=1.5)
    thread.join()
    assert "for processes 2, 3; start" in errors[0]


def test_meet_names_the_address_that_nobody_waits_at():
    address = f"127.0.0.1:{find_free_port()}"
    with pytest.raises(
        ConfigError, match=rf"process 2 waited 1 s .* {address} .*refus"
    ):
        join(address, 2, 3, seconds=1.0)


def test_meet_waits_no_longer_for_an_answer_than_is_left(monkeypatch):
    waits = []

    def drop(address, timeout):
        waits.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(hub.socket, "create_connection", drop)
    with pytest.raises(ConfigError, match=r"waited 1 s .*\(timed out\)"):
        join("node:7000", 1, 2, seconds=1.0)
    assert waits == sorted(waits, reverse=True)
    assert waits[0] <= 1.0 and waits[-1] < 0.5


def test_meet_refuses_a_port_in_use():
    with hub.socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"can't wait .*\(Address already in use"):
            join(address, 0, 2)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([(1, 4)], r"hosts\.count: 4 in process 1, 3 in process 0"),
        ([(1, 3), (1, 3)], r"hosts\.index: there are two processes 1, on .* and on "),
    ],
)
def test_meet_refuses_processes_that_do_not_fit(others, words):
    address = f"127.0.0.1:{find_free_port()}"

    def call(index, count):
        with pytest.raises(ConfigError, match=words):
            join(address, index, count)

    threads = [threading.Thread(target=call, args=other) for other in others]
    for thread in threads:
        thread.start()
    with pytest.raises(ConfigError, match=words):
        join(address, 0, 3)
    for thread in threads:
        thread.join()


def test_meet_passes_over_what_others_send():
    port = find_free_port()
    found = []

    def come():
        for text in (b"[1]", b"7", b"{}", b"no"):
            with Connection(call(("127.0.0.1", port), limit=5).detach()) as line:
                line.send_bytes(text)
        found.append(join(f"127.0.0.1:{port}", 1, 2))

    thread = threading.Thread(target=come)
    thread.start()
    found.append(join(f"127.0.0.1:{port}", 0, 2))
    thread.join()
    assert sorted(peers.index for peers in found) == [0, 1]
    for peers in found:
        peers.close()


@pytest.fixture
def pair(monkeypatch):
    """Process 1 of two in this thread; what process 0 answers is set."""

    class Fake:
        index, hosts = 1, ["alpha", "beta"]

        def exchange(self, text, *, what):
            return [self.answer, text]

    fake = Fake()
    monkeypatch.setattr(processes, "_current", fake)
    return fake


def test_decide_first_gives_what_the_first_found(pair):
    pair.answer = '{"result": ["a", 1]}'
    assert processes.decide_first(lambda: pytest.fail("called"), what="") == ["a", 1]


def test_decide_first_raises_what_the_first_raised(pair):
    pair.answer = '{"error": "run.name: in use", "status": 6}'
    with pytest.raises(JaxdlError, match=r"run\.name: in use") as caught:
        processes.decide_first(lambda: None, what="")
    assert caught.value.exit_status == 6


def test_find_differences_names_process_and_key(pair):
    pair.answer = '{"a": "1", "b": "2"}'
    processes.find_differences({"a": "1", "b": "2"}, what="")
    with pytest.raises(
        ConfigError, match=r"process 1 on beta has b=3, process 0 has 2"
    ):
        processes.find_differences({"a": "1", "b": "3"}, what="")


SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "node[003-005],other",
    "SLURM_NTASKS": "3",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}
OPEN_MPI = {
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}


@pytest.mark.parametrize(
    ("starter", "variables", "host", "place"),
    [
        ("slurm", SLURM, "node003", (3, 2, (0,))),
        (None, SLURM, "node003", (3, 2, (0,))),
        ("ompi", OPEN_MPI, "10.96.0.1", (4, 1, (1,))),
    ],
)
def test_detect_place_reads_what_the_starter_says(
    monkeypatch, starter, variables, host, place
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = processes.detect_place(starter)
    assert found is not None
    assert (found.count, found.index, found.local_device_ids) == place
    assert found.coordinator.startswith(f"{host}:")


@pytest.mark.parametrize("starter", ["k8s", None])
def test_detect_place_finds_kubernetes(monkeypatch, starter):
    """JAX asks the service of the cluster, which is not there."""
    answers = {
        "is_env_present": True,
        "get_coordinator_address": "job-0.pods:55527",
        "get_process_count": 4,
        "get_process_id": 3,
    }
    for name, value in answers.items():
        monkeypatch.setattr(K8sCluster, name, lambda value=value, **_: value)
    place = processes.Place("job-0.pods:55527", 4, 3)
    assert processes.detect_place(starter) == place
    assert processes.detect_place("slurm") is None


def test_detect_place_finds_nothing_without_a_starter():
    assert processes.detect_place() is None
    assert processes.detect_place("ompi") is None
