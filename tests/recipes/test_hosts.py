"""How a config says which processes train together."""

import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes import hosts
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.hosts import join_hosts, joined_hosts
from jaxdl.recipes.hosts_config import HostsSection

FLAGS = [
    "hosts.start=flags",
    "hosts.coordinator=node:7000",
    "hosts.count=2",
    "hosts.index=1",
]


def read(*overrides):
    return load_config(ClassifierConfig, None, list(overrides))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (FLAGS[:2], r"hosts\.count: missing, hosts\.start=flags"),
        (FLAGS[1:2], r"hosts\.coordinator.*is not read, hosts\.start=alone"),
        ([*FLAGS, "hosts.index=2"], r"hosts\.index.*wanted 0 to 1"),
        (
            [*FLAGS, "hosts.coordinator=node"],
            r'hosts\.coordinator: wanted host:port, got "node"',
        ),
        ([*FLAGS, "hosts.step_timeout=0"], r"hosts\.step_timeout"),
    ],
)
def test_hosts_that_do_not_go_together_are_refused(overrides, words):
    with pytest.raises(ConfigError, match=words):
        read(*overrides)


def test_join_hosts_takes_what_the_flags_say(monkeypatch):
    joined = []
    monkeypatch.setattr(hosts, "join_processes", lambda *a, **k: joined.append((a, k)))
    join_hosts(read(*FLAGS, "hosts.join_timeout=5").hosts)
    (((place,), seconds),) = joined
    assert (place.coordinator, place.count, place.index) == ("node:7000", 2, 1)
    assert seconds["join_seconds"] == 5


def test_join_hosts_says_that_nothing_started_the_process():
    with pytest.raises(ConfigError, match=r"hosts\.start=slurm: this process was not"):
        join_hosts(HostsSection(start="slurm"))


def test_a_config_alone_joins_nothing(monkeypatch):
    monkeypatch.setattr(hosts, "join_hosts", lambda hosts: pytest.fail("joined"))
    with joined_hosts(read()):
        pass


def test_studies_run_in_one_process():
    from jaxdl.recipes.comparison_configs import DepthStudyConfig

    with pytest.raises(ConfigError, match=r"hosts\.start: a study runs in one process"):
        load_config(DepthStudyConfig, None, FLAGS)
