"""The study of compressed networks: its table and its mistakes; nothing is trained."""

import csv
import json

import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError, DataError
from jaxdl.recipes import svd_compress_network as recipe
from jaxdl.recipes.svd_compress_network_config import CompressNetworkConfig
from jaxdl.train import RunFolder
from jaxdl.trees import count_parameters

SMALL = ["model.name=mlp", "training.duration=1 steps", "compression.shares=[0.6, 0.4]"]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Runs the study with an accuracy that tells how many parameters there are."""
    sections = []

    def train(bench, classifier, variables, split, **options):
        sections.append((options["name"], options["duration"], len(split)))
        return {**variables, "tuned": {}}

    def score(bench, classifier, variables):
        share = count_parameters(variables["params"]) / 1e7
        return share + 0.5 * ("tuned" in variables)

    monkeypatch.setattr(recipe, "train_network", train)
    monkeypatch.setattr(recipe, "score_network", score)

    def study(*overrides):
        config = load_config(CompressNetworkConfig, None, [*SMALL, *overrides])
        assert recipe.study_network_compression(config, RunFolder(tmp_path)) == 0
        tables = []
        for name in ("table.csv", "layers.csv"):
            with (tmp_path / name).open(newline="") as file:
                tables.append(list(csv.DictReader(file)))
        return *tables, json.loads((tmp_path / "summary.json").read_text()), sections

    return study


def test_study_compares_methods_and_shares(study, tmp_path):
    table, layers, summary, sections = study(
        "compression.methods=[channel, channel_aware]",
        "compression.include=fc1",
        "finetuning.num_images=50",
        "finetuning.duration=3 epochs",
    )
    cases = [("channel", 0.6), ("channel", 0.4)]
    cases += [("channel_aware", share) for _, share in cases]
    assert [row["method"] for row in table] == ["original", *(m for m, _ in cases)]
    for row, (_, share) in zip(table[1:], cases, strict=True):
        assert share - 0.05 < float(row["share"]) <= share
        parameters = int(row["parameters"])
        assert float(row["accuracy"]) == parameters / 1e7
        assert float(row["finetuned_accuracy"]) == parameters / 1e7 + 0.5
        assert int(row["macs_after"]) < int(row["macs_before"])
    paths = ["fc1", "layers", "network"]
    assert [row["path"] for row in layers] == paths * len(cases)
    assert set(sections) == {("finetuning", "3 epochs", 50)}
    # The one layer looked at is the one that is factored.
    assert all(row["factored_share"] == row["share"] for row in table[1:])
    best = summary["half_of_all_layers"]
    assert best == summary["half_of_factored_layers"]
    found = [row for row in summary["results"] if row["share"] <= 0.5]
    assert best["accuracy"] == max(row["finetuned_accuracy"] for row in found)
    lost = summary["original"]["accuracy"] - best["accuracy"]
    assert best["points_lost"] == pytest.approx(100 * lost)
    assert (tmp_path / "accuracy.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        (
            "compression.shares=[0.0001]",
            ConfigError,
            "compression: channel, 0.0001: ",
        ),
        ("compression.include=nothing", ConfigError, "leave no layer .* there are fc1"),
        ("compression.include='('", ConfigError, "must be a regular expression"),
    ],
)
def test_study_names_what_can_not_be_compressed(study, override, error, message):
    with pytest.raises(error, match=message):
        study("compression.methods=[channel]", "compression.exclude=fc2", override)


def test_study_names_weights_that_are_not_there(study):
    with pytest.raises(DataError, match="nowhere.npz"):
        study("weights=nowhere.npz", "training.duration=20 epochs")


def test_config_wants_no_training_of_given_weights():
    with pytest.raises(ConfigError, match="has its weights from a file"):
        load_config(CompressNetworkConfig, None, [*SMALL, "weights=a.npz"])
