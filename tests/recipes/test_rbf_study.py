"""The study of regularisers: its variants, its numbers, a small one run and resumed."""

import csv
import json
import shutil

import pytest

from jaxdl.config import changed_fields, load_config
from jaxdl.errors import ConfigError
from jaxdl.models import MODELS
from jaxdl.recipes.comparison import compare_classifiers
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.rbf_study import SHOWN, compare_seeds, draw_heads, train_head
from jaxdl.recipes.rbf_study_config import RBFStudyConfig
from jaxdl.recipes.runs import open_run
from jaxdl.recipes.variants import vary
from jaxdl.train import StopRequest
from tests.recipes.tiny_network import TinyBackbone

NAMES = ("softmax-seed5", "label_smoothing-seed5")


def load(*words):
    return load_config(RBFStudyConfig, None, words)


def list_variants(*words):
    return {variant.name: variant for variant in load(*words).list_variants()}


@pytest.mark.parametrize(
    ("name", "key", "strength"),
    [
        ("rbf", None, None),
        ("center_repulsion", "loss.center_repulsion", 1.0),
        ("width_prior", "loss.width_prior", 1.0),
        ("assignment_imbalance", "loss.assignment_imbalance", 0.1),
        ("metric_decay", "loss.metric_decay", 1.0),
        ("activation_dropout", "loss.activation_dropout", 0.3),
        ("embedding_mixup", "loss.embedding_mixup", 0.5),
        ("label_smoothing", "loss.label_smoothing", 0.1),
        ("cluster_loss", "loss.cluster_weight", 1.0),
    ],
)
def test_rbf_study_changes_one_field_per_regulariser(name, key, strength):
    words = ("loss.cluster_weight=0.2", "head.num_centers=7")
    variant = list_variants("study.activation_dropout=0.3", *words)[name]
    base = load_config(RBFConfig, None, words)
    old = {"loss.cluster_weight": 0.2}.get(key, 0.0)
    wanted = {key: (old, strength)} if key else {}
    assert changed_fields(base, variant.config) == wanted
    assert type(variant.config) is RBFConfig
    assert variant.settings["strength"] == strength


def test_rbf_study_trains_softmax_as_long_as_warm_start_and_training():
    words = (
        "centers.warm_start=2 epochs",
        "schedule.name=step",
        "schedule.duration=10 epochs",
        "schedule.milestones=[4 epochs, 8 epochs]",
        "data.batch_size=16",
        "augment.flip=true",
        "loss.cluster_weight=0.5",
        "run.seed=3",
    )
    variants = list_variants(*words)
    plain = (
        "schedule.name=step",
        "schedule.duration=12.0 epochs",
        "schedule.milestones=[6.0 epochs, 10.0 epochs]",
        "data.batch_size=16",
        "augment.flip=true",
        "run.seed=3",
    )
    assert variants["softmax"].config == load_config(ClassifierConfig, None, plain)
    smoothed = load_config(ClassifierConfig, None, [*plain, "loss.label_smoothing=0.1"])
    assert variants["softmax_label_smoothing"].config == smoothed
    cold = list_variants("centers.warm_start=null", "schedule.duration=3 steps")
    assert cold["softmax"].config.schedule.duration == "3 steps"
    # What all heads have, the softmax heads have too.
    shared = list_variants("loss.label_smoothing=0.2")
    assert shared["softmax"].config.loss.label_smoothing == 0.2


# Each row: overrides, then words of the one line that is wanted.
_BAD = [
    (["study.candidates=[rbf, width_prior]"], ["study.candidates:", "lacks softmax"]),
    (["study.candidates=[softmax]"], ["study.candidates: wanted list"]),
    (["study.candidates=[softmax, rbf, rbf]"], ["rbf is named more than once"]),
    (["study.candidates=[softmax, dropout]"], ["study.candidates: wanted list"]),
    (["study.width_prior=0"], ["study.width_prior: wanted float > 0"]),
    (
        ["schedule.duration=50 steps"],
        ["schedule.duration: 1 epochs can't be added to 50 steps", "same unit"],
    ),
    (["loss.width_prior=1.0"], ["1 is loss.width_prior of every head already"]),
    (
        ["study.candidates=[softmax, softmax_label_smoothing]", "study.num_seeds=2"]
        + ["loss.label_smoothing=0.1"],
        ["loss.label_smoothing: 0.1 is loss.label_smoothing of every head already"],
    ),
    (["head.freeze_backbone=true"], ["head.freeze_backbone:", "wanted false"]),
    (["weights=a.safetensors"], ["weights: a softmax head would start trained"]),
    (["report.num_maps=2"], ["report.num_maps: no report is drawn in a study"]),
    (
        ["head.metric=full"],
        ["head.metric: ", "full; wanted diagonal (variant metric_decay)"],
    ),
    (["data.path=x"], ["data.path: the digits ship"]),
]


@pytest.mark.parametrize(
    ("overrides", "words"), _BAD, ids=[" ".join(row[0]) for row in _BAD]
)
def test_bad_rbf_study_gives_one_clear_line(overrides, words):
    with pytest.raises(ConfigError) as error:
        load(*overrides)
    (line,) = str(error.value).splitlines()
    for word in words:
        assert word in line


def make_row(seed, accuracy, **columns):
    return {"seed": seed, "status": "finished", "test_accuracy": accuracy, **columns}


def test_compare_seeds_pairs_runs_of_the_same_seed():
    failed = {"seed": 1, "status": "diverged: step 2"}
    results = {
        "softmax": [make_row(0, 0.5, scored_train_accuracy=1.0), make_row(1, 0.25)],
        "rbf": [make_row(0, 0.75), failed],
        "width_prior": [make_row(0, 0.25), make_row(1, 0.5)],
    }
    found = compare_seeds(results)
    assert found["softmax"][0]["gap"] == 0.5 and "gap" not in found["rbf"][0]
    differences = {
        name: [
            tuple(row.get(f"difference_to_{other}") for other in ("softmax", "rbf"))
            for row in rows
        ]
        for name, rows in found.items()
    }
    assert differences == {
        "softmax": [(None, -0.25), (None, None)],
        "rbf": [(0.25, None), (None, None)],
        "width_prior": [(-0.25, -0.5), (0.25, None)],
    }
    assert found["rbf"][1] == failed


def test_draw_heads_leaves_out_what_has_nothing_to_compare_to(tmp_path):
    labels = {"softmax": "softmax", "rbf": "RBF"}
    failed = {"seed": 0, "status": "diverged: step 2"}
    draw_heads({"softmax": [failed], "rbf": [make_row(0, 0.5)]}, labels, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["gaps.png"]
    draw_heads({"softmax": [make_row(0, 0.5)], "rbf": [failed]}, labels, tmp_path)
    assert (tmp_path / "heads.png").stat().st_size > 10_000


class StopInWarmStart(StopRequest):
    """A SIGTERM at the second step of the warm start of a variant."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.polls = folder, 0

    @property
    def requested(self):
        self.polls += self.folder.exists()
        if self.polls > 1:
            self.signal_number = 15
        return self.signal_number is not None


def make_config(folder, *overrides):
    words = [
        f"run.folder={folder}",
        "run.name=run",
        "run.seed=5",
        "run.log_every=2 steps",
        "run.evaluate_every=2 steps",
        "run.tensorboard=false",
        "run.score_train=true",
        "study.candidates=[softmax, label_smoothing]",
        "model.name=resnet8_cifar",
        "head.num_centers=3",
        "head.embedding_size=4",
        "centers.warm_start=3 steps",
        "centers.method=random",
        "schedule.duration=4 steps",
        "optimizer.name=adamw",
        "optimizer.learning_rate=0.01",
        "data.train_limit=40",
        "data.batch_size=8",
        "mesh.data=1",
    ]
    return load(*words, *overrides)


def compare(config, stop=None):
    with open_run(config, experiment="study") as run:
        status = compare_classifiers(
            config,
            run,
            stop or StopRequest(),
            title="Heads",
            train=train_head,
            extend=compare_seeds,
            shown=SHOWN,
        )
        return status, run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an uninterrupted study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "resnet8_cifar", TinyBackbone)
        status, run = compare(make_config(tmp_path_factory.mktemp("whole")))
        assert status == 0
        yield run


def test_rbf_study_gives_all_heads_the_same_number_of_steps(whole):
    with (whole.path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == ["softmax", "label_smoothing"]
    assert [row["steps"] for row in rows] == ["7", "7"]
    accuracies = []
    for row, name in zip(rows, NAMES, strict=True):
        done = json.loads((whole.variants / name / "summary.json").read_text())
        assert done["num_examples"]["train"] == 40
        accuracies.append(done["final"]["test"]["accuracy"])
        assert float(row["test_accuracy"]) == accuracies[-1]
        assert float(row["best_test_accuracy"]) == done["best"]["test"]["accuracy"]
        scored = done["final"]["train_scored"]
        assert float(row["scored_train_loss"]) == scored["loss"]
        assert float(row["gap"]) == scored["accuracy"] - accuracies[-1]
    summary = json.loads(whole.summary.read_text())
    difference = accuracies[1] - accuracies[0]
    spread = {"mean": difference, "std": None, "standard_error": None}
    assert summary["label_smoothing"]["difference_to_softmax"] == spread
    assert "difference_to_softmax" not in summary["softmax"]


def test_rbf_study_leaves_runs_without_a_report(whole):
    folder = whole.variants / NAMES[1]
    assert not (folder / "report.html").exists()
    assert not (folder / "embeddings").exists()
    config = load_config(RBFConfig, folder / "config.yaml", [])
    assert config.loss.label_smoothing == 0.1
    alike = vary(config, {"loss.label_smoothing": 0.0}, schema=RBFConfig)
    assert changed_fields(alike, config) == {"loss.label_smoothing": (0.0, 0.1)}


def test_rbf_study_stopped_in_a_warm_start_and_resumed_ends_the_same(
    whole, tmp_path, capsys
):
    folder = tmp_path / "study" / "run"
    shutil.copytree(whole.path, folder)
    shutil.rmtree(folder / "variants" / NAMES[1])
    (folder / "summary.json").unlink()
    stop = StopInWarmStart(folder / "variants" / NAMES[1])
    status, stopped = compare(make_config(tmp_path, "run.resume=true"), stop)
    assert status == 128 + 15 and not stopped.summary.exists()
    text = capsys.readouterr().out
    assert "stopped before the first step" in text
    assert "stopped with 1 of 2 runs finished" in text
    assert not (stopped.variants / NAMES[1] / "checkpoints").exists()
    status, resumed = compare(make_config(tmp_path, "run.resume=true"))
    assert status == 0 and resumed.path == stopped.path
    rows = [run.variants / NAMES[1] / "metrics.jsonl" for run in (whole, resumed)]
    assert rows[0].read_bytes() == rows[1].read_bytes()
