import dataclasses
import json
import shutil

import jax
import pytest

from jaxdl.config import dump_config, load_config
from jaxdl.models import MODELS
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.train import CheckpointStore
from tests.bad_inputs.checks import QUICK


@pytest.fixture(scope="session")
def good_run(tmp_path_factory):
    """A run folder such as a run leaves behind, made without training."""
    run = tmp_path_factory.mktemp("runs") / "train_classifier" / "good"
    run.mkdir(parents=True)
    overrides = [f"run.folder={run.parents[1]}", "run.name=good", "mesh.data=1"]
    config = load_config(ClassifierConfig, QUICK, overrides)
    (run / "config.yaml").write_text(dump_config(config))
    names = tuple("0123456789")
    card = DatasetCard("digits", names, (8, 8, 1), (0.3,), (0.4,), {"train": 1294})
    (run / "dataset.json").write_text(json.dumps(dataclasses.asdict(card)))
    model = MODELS["resnet8_cifar"](num_classes=10)
    images = jax.numpy.zeros((1, 8, 8, 1))
    variables = dict(
        jax.jit(lambda key: model.init(key, images, train=False))(jax.random.key(0))
    )
    weights = {"params": variables.pop("params"), "model_state": variables}
    with CheckpointStore(run / "checkpoints") as store:
        store.save(7, {"weights": weights}, metrics={"accuracy": 0.5})
    return run


@pytest.fixture
def run(good_run, tmp_path):
    copy = tmp_path / "train_classifier" / "copy"
    shutil.copytree(good_run, copy)
    return copy
