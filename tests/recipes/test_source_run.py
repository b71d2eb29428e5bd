"""The run that a probe takes its network and its data from."""

import json

import pytest

from jaxdl.config import dump_config, load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes.barlow_twins_config import BarlowTwinsConfig
from jaxdl.recipes.comparison_configs import NormStudyConfig
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.probes_config import LinearProbeConfig
from jaxdl.recipes.rbf_config import RBFConfig
from jaxdl.recipes.rbf_study_config import RBFStudyConfig
from jaxdl.recipes.source_run import (
    read_classifier_config,
    read_data_defaults,
    read_source_config,
)
from jaxdl.recipes.study_configs import InitStudyConfig


@pytest.fixture
def folder(tmp_path):
    """`folder(schema, *overrides)`: a run folder that has a config and a card."""

    def make(schema, *overrides):
        config = load_config(schema, None, overrides)
        (tmp_path / "config.yaml").write_text(dump_config(config))
        (tmp_path / "dataset.json").write_text(json.dumps({"image_shape": [8, 8, 1]}))
        return str(tmp_path)

    return make


@pytest.mark.parametrize("schema", [BarlowTwinsConfig, ClassifierConfig, RBFConfig])
def test_read_source_config_tells_the_kinds_of_runs_apart(folder, schema):
    config = read_source_config(folder(schema, "data.split_seed=3"))
    assert type(config) is schema and config.data.split_seed == 3


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (NormStudyConfig, "its config has study$"),
        (RBFStudyConfig, "its config has study$"),
        (InitStudyConfig, "has dense, images"),
    ],
)
def test_read_source_config_names_a_run_of_something_else(folder, schema, words):
    with pytest.raises(ConfigError, match=f"not the run of a pre-training .*{words}"):
        read_source_config(folder(schema))


def test_read_classifier_config_refuses_what_knows_no_classes(folder):
    config = read_classifier_config(folder(RBFConfig, "data.split_seed=3"))
    assert type(config) is RBFConfig and config.data.split_seed == 3
    with pytest.raises(ConfigError, match="of a pre-training, which knows no classes"):
        read_classifier_config(folder(BarlowTwinsConfig))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its config has no sections"),
        ("model: [", "config.yaml:1"),
        ("projector:\n  width: [3]\n", "config.yaml:2: .*'projector.widths'"),
    ],
)
def test_read_source_config_names_what_is_wrong_with_a_file(tmp_path, text, words):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_source_config(tmp_path)


def test_read_source_config_wants_a_run_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"not a run folder \(it has no config.yaml"):
        read_source_config(tmp_path / "nowhere")


def read_data(folder, *overrides):
    defaults = read_data_defaults(LinearProbeConfig, folder, overrides)
    return load_config(LinearProbeConfig, None, [*defaults, *overrides]).data


def test_read_data_defaults_are_those_of_the_run_but_for_the_batch(folder):
    words = ("data.split_seed=3", "data.train_limit=50", "data.batch_size=64")
    data = read_data(folder(ClassifierConfig, *words), "data.num_workers=1")
    assert (data.source, data.split_seed, data.train_limit) == ("digits", 3, 50)
    assert (data.batch_size, data.num_workers) == (256, 1)


def test_read_data_defaults_of_other_data_have_the_size_of_the_run(folder):
    source = ("data.source=idx", "data.path=here", "data.train_limit=50")
    run = folder(BarlowTwinsConfig, *source)
    data = read_data(run, "data.source=cifar10", "data.path=there")
    assert (data.source, data.path, data.image_size) == ("cifar10", "there", 8)
    assert data.train_limit is None
    assert read_data(run, "data.source=digits").path is None
    assert read_data(run, "data.source=digits", "data.image_size=12").image_size == 12
    assert read_data(run, "data.split_seed=1").image_size is None
