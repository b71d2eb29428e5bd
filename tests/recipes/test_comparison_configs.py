import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.recipes.comparison_configs import (
    DepthStudyConfig,
    DropoutStudyConfig,
    NormStudyConfig,
)
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.variants import vary


def test_vary_changes_what_it_is_told_and_nothing_else():
    base = load_config(DropoutStudyConfig, None, ["data.batch_size=6", "run.seed=3"])
    varied = vary(base, {"model.norm": "group", "run.seed": 4})
    words = ["data.batch_size=6", "run.seed=4", "model.norm=group"]
    assert varied == load_config(ClassifierConfig, None, words)


def test_norm_study_varies_norm_batch_and_learning_rate():
    words = [
        "study.norms=[batch, group]",
        "study.num_groups=8",
        "study.batch_sizes=[4, 64]",
        "data.batch_size=32",
        "optimizer.learning_rate=0.2",
    ]
    variants = load_config(NormStudyConfig, None, words).list_variants()
    found = [
        (
            v.name,
            v.config.model.norm,
            v.config.model.norm_groups,
            v.config.data.batch_size,
            v.config.optimizer.learning_rate,
        )
        for v in variants
    ]
    assert found == [
        ("batch-batch4", "batch", None, 4, 0.025),
        ("group-batch4", "group", 8, 4, 0.025),
        ("batch-batch64", "batch", None, 64, 0.4),
        ("group-batch64", "group", 8, 64, 0.4),
    ]
    assert [(v.label, v.panel) for v in variants[:2]] == [
        ("batch", "batch size 4"),
        ("group", "batch size 4"),
    ]


def test_depth_study_has_a_panel_for_each_family():
    variants = DepthStudyConfig().list_variants()
    assert [(v.config.model.name, v.label, v.panel) for v in variants] == [
        ("plain20_cifar", "20 layers", "plain"),
        ("plain56_cifar", "56 layers", "plain"),
        ("resnet20_cifar", "20 layers", "resnet"),
        ("resnet56_cifar", "56 layers", "resnet"),
    ]
    words = ["study.networks=[alexnet, inception_v3]"]
    variants = load_config(DepthStudyConfig, None, words).list_variants()
    assert [v.panel for v in variants] == ["alexnet", "inception_v"]


def test_dropout_study_varies_the_rate():
    variants = DropoutStudyConfig().list_variants()
    rates = [v.config.model.dropout_rate for v in variants]
    assert rates == [0.0, 0.2, 0.5, 0.8]


# Each row: schema, overrides, then the words of the one line that is wanted.
_BAD = [
    (NormStudyConfig, ["model.norm=group"], ["model.norm:", "see study.norms"]),
    (
        NormStudyConfig,
        ["study.batch_sizes=[2]", "mesh.simulated_devices=8"],
        ["mesh.simulated_devices: a batch of 2", "8 devices", "(variant batch-batch2)"],
    ),
    (
        NormStudyConfig,
        ["study.norms=[batch, batch]", "study.batch_sizes=[4]"],
        ["study.norms:", '"batch-batch4" more than once'],
    ),
    (NormStudyConfig, ["study.norms=[]"], ["study.norms: wanted list of batch"]),
    (NormStudyConfig, ["study.batch_sizes=[0]"], ["wanted list of int >= 1"]),
    (DepthStudyConfig, ["model.name=resnet18"], ["model.name:", "study.networks"]),
    (DepthStudyConfig, ["study.networks=[resnet19]"], ["study.networks: wanted list"]),
    (DropoutStudyConfig, ["model.dropout_rate=0.5"], ["see study.rates"]),
    (DropoutStudyConfig, ["study.rates=[1.0]"], ["wanted list of float >= 0, < 1"]),
    (DropoutStudyConfig, ["study.num_seeds=0"], ["study.num_seeds: wanted int >= 1"]),
    (
        DropoutStudyConfig,
        ["schedule.final=0.2"],
        ["schedule.final: 0.2 is above optimizer.learning_rate", "dropout-0)"],
    ),
    # Found once, not once per variant.
    (DropoutStudyConfig, ["data.path=x"], ["data.path: the digits ship"]),
]


@pytest.mark.parametrize(
    ("schema", "overrides", "words"), _BAD, ids=[" ".join(row[1]) for row in _BAD]
)
def test_bad_study_gives_one_clear_line(schema, overrides, words):
    with pytest.raises(ConfigError) as error:
        load_config(schema, None, overrides)
    (line,) = str(error.value).splitlines()
    for word in words:
        assert word in line
