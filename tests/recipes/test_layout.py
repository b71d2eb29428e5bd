import pytest

from jaxdl.errors import ConfigError
from jaxdl.recipes.layout import LayoutSection, build_rules

PATHS = ["fc1/kernel", "fc2/kernel", "head/kernel"]
SPLITS = (("fc1/", "outputs"), ("fc2/", "inputs"))


def test_build_rules_puts_those_of_the_config_first():
    section = LayoutSection(rules={"head/": "outputs"}, share="optimizer")
    assert build_rules(section, SPLITS, PATHS, model_size=2) == [
        ("head/", "outputs"),
        *SPLITS,
        ("^(optimizer_state|ema_params)/", "largest"),
    ]


def test_build_rules_splits_no_layer_where_parameters_are_not_shared():
    assert build_rules(LayoutSection(), SPLITS, PATHS, model_size=1) == []


def test_build_rules_names_a_pattern_that_matches_nothing():
    section = LayoutSection(rules={"fc9/": "outputs"})
    with pytest.raises(ConfigError, match=r"layout.rules: 'fc9/' .*fc1/kernel"):
        build_rules(section, SPLITS, PATHS, model_size=2)


def test_build_rules_names_a_network_that_can_not_be_split():
    with pytest.raises(ConfigError, match=r"mesh.model: 2 devices .*layout.rules"):
        build_rules(LayoutSection(), (), PATHS, model_size=2)


def test_layout_names_a_broken_pattern():
    (conflict,) = LayoutSection(rules={"fc1(": "outputs"}).find_conflicts()
    assert "'fc1(' is no regular expression" in conflict.message
