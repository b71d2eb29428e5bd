import pytest

from jaxdl.models import MODELS
from jaxdl.recipes.configs import ClassifierConfig
from tests.recipes.tiny_network import TinyBackbone
from tests.scripts import ROOT, run_main

SHORT = (
    "model.name=resnet8_cifar",
    "data.batch_size=64",
    "run.log_every=4 steps",
    "run.evaluate_every=4 steps",
    "run.checkpoint_every=4 steps",
    "run.keep_last=3",
    "run.tensorboard=false",
    "schedule.duration=12 steps",
    "schedule.name=constant",
    "mesh.data=1",
)
SHORT_RUNS = {
    "pretrain_barlow_twins": (
        "views.size=6",
        "projector.widths=[16, 12]",
        "schedule.warmup=0 steps",
        "monitor.bank_images=2000",
        "views.first.jitter_probability=0",
        "views.second.jitter_probability=0",
    ),
    "train_classifier": ("optimizer.ema_decay=0.5",),
}


@pytest.fixture(scope="session")
def experiment_schema():
    return ClassifierConfig


@pytest.fixture(scope="module")
def tiny_backbone():
    """Has a tiny network under the name of ResNet-8."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "resnet8_cifar", TinyBackbone)
        yield


@pytest.fixture(scope="session")
def make_short_run(tmp_path_factory):
    """`make_short_run(name, *overrides)`: the folder of a run of the digits."""
    folder = tmp_path_factory.mktemp("short")

    def make(name, *overrides, called="run"):
        file = ROOT / "configs" / name / "quick.yaml"
        words = (
            *SHORT,
            *SHORT_RUNS.get(name, ()),
            f"run.folder={folder}",
            f"run.name={called}",
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(MODELS, "resnet8_cifar", TinyBackbone)
            status, message = run_main(name, file, *words, *overrides)
        assert status == 0, message
        return folder / name / called

    return make


@pytest.fixture(scope="session")
def short_runs(make_short_run):
    """Run folders of a short pre-training and of a short training, by experiment."""
    return {name: make_short_run(name) for name in SHORT_RUNS}
