"""The study of federated averaging: its table, its account, its mistakes."""

import csv
import json
from typing import get_args

import numpy as np
import pytest

from jaxdl.config import load_config
from jaxdl.costs import CARBON_INTENSITY
from jaxdl.errors import ConfigError
from jaxdl.federated import SERVER_OPTIMIZERS
from jaxdl.recipes.federated import study_federated
from jaxdl.recipes.federated_config import (
    AlgorithmName,
    ElectricityName,
    EnergySection,
    FederatedConfig,
)
from jaxdl.recipes.federated_costs import Rates
from jaxdl.train import RunFolder, StopRequest

SMALL = (
    "data.train_limit=60",
    "data.batch_size=20",
    "federated.num_clients=4",
    "federated.clients_per_round=3",
    "federated.alphas=[10.0]",
    "federated.min_examples=1",
    "federated.algorithms=[fedavg]",
    "federated.rounds=2",
    "federated.batch_size=20",
    "central.epochs=1",
    "mesh.data=1",
    "energy.device_seconds=0.5",
    "energy.server_seconds=0.25",
    "client.learning_rate=0.02",
    "central.learning_rate=0.02",
)


class StopAfter(StopRequest):
    """A stop that arrives when it is asked for the n-th time."""

    def __init__(self, polls):
        super().__init__()
        self.left = polls

    @property
    def requested(self):
        """Counts down."""
        self.left -= 1
        if self.left < 0:
            self.signal_number = 15
        return self.signal_number is not None


def run_study(folder, *overrides, stop=None):
    """Exit status and rows of the table."""
    config = load_config(FederatedConfig, None, [*SMALL, *overrides])
    status = study_federated(config, RunFolder(folder), stop or StopRequest())
    with (folder / "table.csv").open(newline="") as file:
        return status, list(csv.DictReader(file))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    status, rows = run_study(folder)
    assert status == 0
    return folder, rows


def test_study_writes_a_row_for_each_round(study):
    folder, rows = study
    assert [(r["split"], r["algorithm"], r["round"]) for r in rows] == [
        ("pooled", "central", "0"),
        ("pooled", "central", "1"),
        *[("Dirichlet 10", "fedavg", str(i)) for i in range(3)],
    ]
    assert float(rows[0]["test_accuracy"]) == float(rows[2]["test_accuracy"])
    starts = [index for index, row in enumerate(rows) if row["train_loss"] == ""]
    assert starts == [0, 2]
    assert {path.name for path in folder.glob("*.png")} == {
        "curves.png",
        "clients.png",
    }


def test_study_adds_up_what_rounds_take(study):
    _, rows = study
    parameters = 64 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10
    for index, row in enumerate(rows[2:]):
        sent = index * 3 * 2 * 4 * parameters
        assert int(row["bytes"]) == sent
        seconds = int(row["examples"]) * 0.5
        compute, network = 10 * seconds / 3.6e6, sent * 3.6e-5 / 3.6e6
        found = [float(row[name]) for name in ("compute_kwh", "network_kwh", "kg_co2e")]
        expected = [compute, network, 0.475 * (compute + network)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    central = rows[1]
    assert int(central["examples"]) == 60 and int(central["bytes"]) == 60 * 64
    compute = 1.58 * 100 * 60 * 0.25 / 3.6e6
    np.testing.assert_allclose(float(central["compute_kwh"]), compute, rtol=1e-12)


def test_study_tells_what_it_took_to_get_near_the_central_accuracy(study):
    folder, rows = study
    summary = json.loads((folder / "summary.json").read_text())
    target = 0.95 * float(rows[1]["test_accuracy"])
    assert summary["target_accuracy"] == target and "2102.07627" in summary["note"]
    central, federated = summary["results"]
    assert central["rounds_to_target"] == 1 and central["times_central"] == 1
    reached = [r for r in rows[2:] if float(r["test_accuracy"]) >= target]
    kg = float(reached[0]["kg_co2e"]) if reached else None
    assert federated["kg_to_target"] == kg
    times = kg / central["kg_to_target"] if reached else None
    assert federated["times_central"] == times


def test_study_is_the_same_for_all_clients_at_once_on_8_devices(study, tmp_path):
    _, rows = study
    words = ("federated.over=vmap", "mesh.data=8")
    status, others = run_study(tmp_path, *words)
    assert status == 0
    for name in ("test_loss", "train_loss"):
        losses = [[float(row[name] or 0) for row in same] for same in (rows, others)]
        np.testing.assert_allclose(*losses, rtol=1e-4)


def test_study_with_no_energy_at_all_compares_nothing(tmp_path):
    words = ("energy.intensity=0", "federated.alphas=[null]", "federated.rounds=1")
    run_study(tmp_path, *words)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [result["times_central"] for result in summary["results"]] == [None, None]
    assert summary["results"][1]["split"] == "even"


def test_study_notes_a_training_that_diverged(tmp_path, capsys):
    status, rows = run_study(tmp_path, "client.learning_rate=1e20")
    assert status == 0 and "(diverged)" in capsys.readouterr().out
    assert int(rows[-1]["round"]) <= 2


@pytest.mark.parametrize("polls", [0, 3])
def test_study_stopped_keeps_what_was_done_and_says_one_line(tmp_path, capsys, polls):
    status, rows = run_study(tmp_path, stop=StopAfter(polls))
    assert status == 128 + 15 and not (tmp_path / "summary.json").exists()
    assert len(rows) == {0: 1, 3: 4}[polls]
    assert (tmp_path / "curves.png").exists() and (tmp_path / "clients.png").exists()
    lines = capsys.readouterr().out.splitlines()
    assert sum("stopped in training" in line for line in lines) == 1
    assert lines[-1].endswith(str(tmp_path))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("federated.clients_per_round=5", "clients_per_round.*5 of 4 clients"),
        ("model.dropout_rate=0.5", "model.dropout_rate.*without dropout"),
        ("data.residency=stream", "data.residency.*from memory"),
        ("federated.alphas=[0.0]", "federated.alphas"),
        ("energy.server_pue=0.5", "energy.server_pue"),
    ],
)
def test_config_refuses_what_can_not_be(word, message):
    with pytest.raises(ConfigError, match=message):
        load_config(FederatedConfig, None, [*SMALL, word])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model.name=resnet8_cifar", "model.norm: resnet8_cifar keeps running stat"),
        ("federated.min_examples=16", "federated: split_dirichlet: 60 examples are"),
    ],
)
def test_study_says_what_does_not_work(tmp_path, word, message):
    with pytest.raises(ConfigError, match=message):
        run_study(tmp_path, word)


def test_names_of_the_config_are_those_of_the_library():
    assert set(get_args(AlgorithmName)) == {*SERVER_OPTIMIZERS, "fedprox"}
    assert set(get_args(ElectricityName)) == set(CARBON_INTENSITY)


def test_rates_take_the_electricity_named():
    coal = Rates(EnergySection(electricity="coal"), 1.0, 1.0)
    given = Rates(EnergySection(electricity="coal", intensity=0.1), 1.0, 1.0)
    costs = [
        rates.of_rounds(examples=3600, exchanges=0, model_bytes=4)
        for rates in (coal, given)
    ]
    assert [cost.kwh for cost in costs] == [0.01, 0.01]
    np.testing.assert_allclose([c.kg for c in costs], [0.00995, 0.001], rtol=1e-12)
