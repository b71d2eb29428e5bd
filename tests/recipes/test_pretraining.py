"""Whole pre-trainings of a tiny network: resumed, on several devices, refused."""

import functools
import json

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.models import MODELS, CifarResNet
from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.pretraining import pretrain_barlow_twins
from jaxdl.recipes.runs import open_run
from jaxdl.recipes.twins_building import build_encoder, build_views
from jaxdl.train import StopRequest, read_rows
from tests.checkpoints import read_arrays
from tests.scripts import ROOT

QUICK = ROOT / "configs/pretrain_barlow_twins/quick.yaml"


class TinyBackbone(nn.Module):
    """Features that a batch norm has been through."""

    num_classes: int
    dtype: object = np.float32

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Dense(6)(images.reshape(len(images), -1))
        return nn.relu(nn.BatchNorm(use_running_average=not train)(x))


@pytest.fixture(scope="module", autouse=True)
def networks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "resnet8_cifar", TinyBackbone)
        yield


def make_config(folder, *overrides):
    words = [
        f"run.folder={folder}",
        "run.name=run",
        "run.log_every=2 steps",
        "run.evaluate_every=3 steps",
        "run.checkpoint_every=3 steps",
        "run.tensorboard=false",
        "schedule.duration=8 steps",
        "schedule.warmup=2 steps",
        "data.train_limit=100",
        "data.batch_size=16",
        "projector.widths=[8, 24]",
        "monitor.bank_images=50",
        "mesh.data=1",
    ]
    return load_config(BarlowTwinsConfig, QUICK, [*words, *overrides])


class StopAtStep(StopRequest):
    """A SIGTERM that arrives once a step is done."""

    def __init__(self, run, step):
        super().__init__()
        self.run, self.step = run, step

    @property
    def requested(self):
        rows = read_rows(self.run.metrics)
        if rows and rows[-1]["step"] >= self.step:
            self.signal_number = 15
        return self.signal_number is not None


def pretrain(config, *, stop_at=None):
    """Status and folder of a run."""
    with open_run(config, experiment="pretraining") as run:
        stop = StopRequest() if stop_at is None else StopAtStep(run, stop_at)
        return pretrain_barlow_twins(config, run, stop), run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    status, run = pretrain(make_config(tmp_path_factory.mktemp("whole")))
    assert status == 0
    return run


def test_pretraining_leaves_figures_numbers_and_correlations(whole):
    summary = json.loads(whole.summary.read_text())
    for name in ("views.png", "curves.png", "correlations.png"):
        assert (whole.path / name).stat().st_size > 5000, name
    final = summary["final"]
    assert final["step"] == 8 and summary["parameters"]["backbone"] > 0
    assert set(final["test"]) == {"probe_loss", "probe_accuracy", "neighbor_accuracy"}
    assert final["train"]["loss"] > summary["loss_minimum"] > 0
    kept = sorted((whole.path / "correlations").iterdir())
    assert [int(path.stem) for path in kept] == [3, 6, 8]
    assert np.abs(np.load(kept[-1])).max() <= 1 + 1e-5


def test_pretraining_resumed_ends_with_the_same_bytes(whole, tmp_path):
    status, stopped = pretrain(make_config(tmp_path), stop_at=4)
    assert status == 128 + 15 and not stopped.summary.exists()
    status, resumed = pretrain(make_config(tmp_path, "run.resume=true"))
    assert status == 0 and resumed.path == stopped.path
    assert resumed.metrics.read_bytes() == whole.metrics.read_bytes()
    one, other = (read_arrays(run.path, 8) for run in (whole, resumed))
    assert one.keys() == other.keys() and len(one) > 20
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_pretraining_on_eight_devices_equals_one(whole, tmp_path):
    status, run = pretrain(make_config(tmp_path, "mesh.data=8"))
    assert status == 0
    for one, other in zip(
        read_rows(whole.metrics), read_rows(run.metrics), strict=True
    ):
        if "loss" in one:
            assert other["loss"] == pytest.approx(one["loss"], rel=2e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["views.first.hue=0.1"], "views.first.hue: the images have 1 channel, no"),
        (["views.size=9"], "views.size=9 is above the side of the images, 8"),
        (["views.evaluation_size=9"], "views.evaluation_size=9 is above the side"),
        (["views.size=6", "views.evaluation_size=8"], "one size, that of the views, 6"),
        (["views.mean=[0.1, 0.2]", "views.std=[1.0, 1.0]"], "views.mean has 2 values"),
    ],
)
def test_pretraining_refuses_what_does_not_fit_the_images(tmp_path, words, message):
    config = make_config(tmp_path, *words)
    with pytest.raises(ConfigError, match=message):
        pretrain(config)


def test_views_may_be_smaller_than_the_images_whose_features_are_looked_at(tmp_path):
    config = make_config(tmp_path, "views.size=6", "views.evaluation_size=8")
    card = DatasetCard("made", ("a", "b"), (8, 8, 1), (0.5,), (0.2,), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "resnet8_cifar", functools.partial(CifarResNet, depth=8))
        encoder = build_encoder(config, card)
    images = jax.ShapeDtypeStruct((2, 8, 8, 1), np.uint8)
    two_views = build_views(config, encoder, card.image_shape)
    views = jax.eval_shape(two_views, images, key=jax.random.key(0))
    assert [view.shape for view in views] == [(2, 6, 6, 1)] * 2
    assert jax.eval_shape(encoder.prepare, images).shape == (2, 8, 8, 1)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.batch_size=1", "correlations need at least 2 images"),
        ("views.second.crop_scale=[0.5, 0.1]", "wanted the smaller number first"),
        ("views.first.crop_scale=[0.0, 1.0]", "wanted shares above 0"),
        ("views.first.blur=1.0", "views.first.blur: unknown key"),
        ("model.small_images=true", "resnet8_cifar has no such form"),
        ("loss.route=grams", "Did you mean 'gram'"),
    ],
)
def test_pretraining_config_names_what_is_wrong(tmp_path, word, message):
    with pytest.raises(ConfigError, match=message):
        make_config(tmp_path, word)
