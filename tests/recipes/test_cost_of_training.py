"""The forecast of a training: numbers by hand, the estimate it starts from, words."""

import csv
import json

import pytest

from jaxdl.config import load_config
from jaxdl.costs import CARBON_INTENSITY
from jaxdl.errors import ConfigError
from jaxdl.recipes.cost_of_training import describe_costs, forecast_costs, list_costs
from jaxdl.recipes.cost_of_training_config import CostOfTrainingConfig
from jaxdl.train import RunFolder
from tests.scripts import ROOT


def load(*overrides, file=None):
    return load_config(CostOfTrainingConfig, file, overrides)


def test_quick_config_reproduces_the_estimate_of_280_nodes(tmp_path, capsys):
    config = load(file=ROOT / "configs/cost_of_training/quick.yaml")
    run = RunFolder(tmp_path)
    assert forecast_costs(config, run) == 0
    summary = json.loads(run.summary.read_text())
    largest = [row for row in summary["results"] if row["devices"] == 2240]
    assert [row["scaling"] for row in largest] == ["weak", "strong"]
    assert all(row["nodes"] == 280 for row in largest)
    assert all(row["purchase"] == pytest.approx(75.6e6) for row in largest)
    assert "56,000,000, and 75,600,000 with" in summary["paragraph"]
    assert summary["paragraph"].split(".")[0] in capsys.readouterr().out
    assert {row["name"]: row["error"] for row in summary["published"]}
    with (tmp_path / "table.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(summary["results"]) == 24
    assert (tmp_path / "costs.png").stat().st_size > 0


def test_list_costs_agrees_with_one_device_by_hand():
    words = ["work.examples=72000", "work.examples_per_second=10"]
    words += ["work.batch_per_device=20", "work.total_batch=null"]
    words += ["devices.counts=[1]", "devices.watts=500", "devices.pue=1.2"]
    words += ["electricity.price_per_kwh=0.5", "electricity.source=coal"]
    words += ["prices.node=8766", "prices.network_share=0.5", "prices.compounds=true"]
    words += ["prices.storage_share=1", "prices.lifetime_years=1", "devices.per_node=1"]
    (row,) = list_costs(load(*words, "prices.rent_per_device_hour=3"))
    # Two hours at 0.5 kW; the node costs 8766 * 1.5 * 2, 3 per hour of its year.
    assert (row["hours"], row["num_steps"]) == (2.0, 3600)
    assert row["kwh"] == pytest.approx(1.2)
    assert row["carbon_kg"] == pytest.approx(1.2 * 0.995)
    assert row["electricity"] == pytest.approx(0.6)
    assert row["owned"] == pytest.approx(6.6) and row["rented"] == pytest.approx(6.0)


def test_list_costs_takes_an_intensity_before_a_source():
    words = ["devices.counts=[1]", "work.total_batch=null"]
    (given,) = list_costs(load(*words, "electricity.intensity=0.1"))
    (world,) = list_costs(load(*words))
    assert given["carbon_kg"] == pytest.approx(0.1 * given["kwh"])
    assert world["carbon_kg"] == pytest.approx(CARBON_INTENSITY["world"] * world["kwh"])


def test_list_costs_leaves_out_devices_without_an_example():
    rows = list_costs(load("work.total_batch=16", "devices.counts=[8, 16, 64]"))
    strong = [row["devices"] for row in rows if row["scaling"] == "strong"]
    assert strong == [8, 16] and len(rows) == 5


def test_overlap_and_links_change_what_is_waited_for():
    words = ["devices.counts=[16]", "work.total_batch=null"]
    (plain,) = list_costs(load(*words))
    (hidden,) = list_costs(load(*words, "work.overlap=1"))
    (slow,) = list_costs(load(*words, "links.between_bandwidth=1e9"))
    assert hidden["efficiency"] == pytest.approx(1)
    assert slow["efficiency"] < plain["efficiency"] < 1


def test_describe_costs_says_what_limits():
    config = load("devices.counts=[1, 8, 2240]", "work.total_batch=4480")
    text = " ".join(describe_costs(config, list_costs(config)))
    assert "1 device would take 13 hours" in text
    assert "waiting for the exchange of gradients" in text and "(latency)" in text
    config = load("devices.counts=[1, 64]", "links.between_bandwidth=1e8")
    assert "(bandwidth)" in " ".join(describe_costs(config, list_costs(config)))
    config = load("devices.counts=[1]", "work.gradient_bytes=0")
    assert "waiting" not in " ".join(describe_costs(config, list_costs(config)))


def test_electricity_sources_are_those_of_the_table():
    for name in CARBON_INTENSITY:
        assert load(f"electricity.source={name}").electricity.source == name
    with pytest.raises(ConfigError, match="electricity.source"):
        load("electricity.source=fusion")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("devices.counts=[8, 4]", r"devices.counts: wanted rising .* \[8, 4\]"),
        ("devices.counts=[12]", "12 devices don't fill nodes of 8"),
        ("devices.counts=[]", "devices.counts"),
        ("devices.pue=0.5", "devices.pue"),
        ("electricity.intensity=475", "electricity.intensity"),
        ("work.overlap=2", "work.overlap"),
    ],
)
def test_bad_config_gives_one_clear_line(word, message):
    with pytest.raises(ConfigError, match=message):
        load(word)
