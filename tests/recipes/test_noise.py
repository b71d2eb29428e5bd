"""The noise scale in whole runs: logged, resumed, and refused where it can't be."""

import json
import math

import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.models import MODELS
from jaxdl.recipes.classifier import train_classifier
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.runs import open_run
from jaxdl.train import StopRequest
from tests.recipes.test_comparison import StopAtPoll
from tests.recipes.tiny_network import LinearNetwork, TinyNetwork

NAMES = ("noise_scale", "gradient_norm_squared", "gradient_variance")


@pytest.fixture(scope="module", autouse=True)
def networks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "mlp", LinearNetwork)
        patch.setitem(MODELS, "resnet8_cifar", TinyNetwork)
        yield


def train(folder, *overrides, stop=None):
    words = [
        f"run.folder={folder}",
        "run.name=run",
        "run.log_every=4 steps",
        "run.evaluate_every=8 steps",
        "run.tensorboard=false",
        "model.name=mlp",
        "schedule.duration=8 steps",
        "data.train_limit=40",
        "data.batch_size=8",
        "mesh.data=1",
    ]
    config = load_config(ClassifierConfig, None, [*words, *overrides])
    with open_run(config, experiment="noise") as run:
        train_classifier(config, run, stop or StopRequest())
        return [json.loads(line) for line in run.metrics.read_text().splitlines()]


NOISY = ("optimizer.noise_scale=true", "optimizer.accumulate=2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), *NOISY)


def test_train_classifier_logs_the_noise_scale(whole):
    rows = [row for row in whole if row["split"] == "train"]
    assert [row["step"] for row in rows] == [4, 8]
    for row in rows:
        norm_squared, variance = (row[name] for name in NAMES[1:])
        assert variance > 0 and math.isfinite(norm_squared)
        ratio = variance / norm_squared if norm_squared > 0 else None
        assert row["noise_scale"] == pytest.approx(ratio)
    assert not set(NAMES) & set(whole[-1]) and whole[-1]["split"] == "validation"


def test_train_classifier_resumed_between_logs_measures_the_same(
    whole, tmp_path, capsys
):
    before = train(tmp_path, *NOISY, stop=StopAtPoll(6))
    assert "stopped after step 6 of 8" in capsys.readouterr().out
    assert before == whole[:1]
    assert train(tmp_path, *NOISY, "run.resume=true") == whole


def test_train_classifier_says_what_the_noise_scale_needs(tmp_path):
    words = "optimizer.noise_scale.*optimizer.accumulate of 2 or more, or mesh.data"
    with pytest.raises(ConfigError, match=words):
        train(tmp_path, NOISY[0])
    with pytest.raises(ConfigError, match="BatchNorm.*optimizer.accumulate of 2"):
        train(tmp_path, NOISY[0], "mesh.data=8", "model.name=resnet8_cifar")
