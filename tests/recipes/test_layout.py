import pytest

from jaxdl.errors import ConfigError
from jaxdl.recipes.layout import LayoutSection, build_rules

PATHS = ["fc1/kernel", "fc2/kernel", "head/kernel"]
SPLITS = (("fc1/", "outputs"), ("fc2/", "inputs"))


def test_build_rules_puts_those_of_the_config_first():
    section = LayoutSection(outputs=("head/",), share="optimizer")
    assert build_rules(section, SPLITS, PATHS, model_size=2) == [
        ("head/", "outputs"),
        *SPLITS,
        ("^(optimizer_state|ema_params)/", "largest"),
    ]


def test_build_rules_splits_no_layer_where_parameters_are_not_shared():
    assert build_rules(LayoutSection(), SPLITS, PATHS, model_size=1) == []


def test_build_rules_names_a_pattern_that_matches_nothing():
    section = LayoutSection(inputs=("fc9/",))
    with pytest.raises(ConfigError, match=r"layout.inputs: 'fc9/' .*fc1/kernel"):
        build_rules(section, SPLITS, PATHS, model_size=2)


def test_build_rules_names_a_network_that_can_not_be_split():
    with pytest.raises(ConfigError, match=r"mesh.model: 2 devices .*layout.outputs"):
        build_rules(LayoutSection(), (), PATHS, model_size=2)


def test_layout_names_a_broken_pattern():
    (conflict,) = LayoutSection(outputs=("fc1(",)).find_conflicts()
    assert "'fc1(' is no regular expression" in conflict.message


def test_build_rules_lets_layers_stay_whole():
    section = LayoutSection(whole=("fc1/",))
    rules = build_rules(section, SPLITS, PATHS, model_size=2)
    assert rules == [("fc1/", "whole"), *SPLITS]
