import jax
import optax
import pytest
from jax.sharding import PartitionSpec as P

from jaxdl.config import load_config
from jaxdl.errors import ConfigError
from jaxdl.models import list_splits
from jaxdl.recipes.classification import make_classification_loss
from jaxdl.recipes.classifier_building import build_classifier
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.layout import LayoutSection, build_rules
from jaxdl.recipes.task import Task
from jaxdl.recipes.training import build_plan, build_surroundings, build_training
from jaxdl.train import init_variables

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


def test_build_training_lays_the_state_as_the_config_says():
    config = load_config(
        ClassifierConfig,
        overrides=[
            "model.name=mlp",
            "mesh.model=2",
            "layout.share=optimizer",
            "layout.whole=[fc2/]",
        ],
    )
    mesh, dataset, card = build_surroundings(config, config.augment)
    classifier = build_classifier(config, card)
    variables = init_variables(
        classifier.model, card.image_shape, key=jax.random.key(0)
    )
    task = Task(
        loss_fn=make_classification_loss(classifier),
        evaluation_step=lambda *_: None,
        empty_totals=None,
        compute=dict,
        splits=list_splits(classifier.model),
    )
    plan = build_plan(config, len(dataset.splits["train"]))
    state, _ = build_training(
        config,
        plan,
        task,
        variables,
        optax.sgd(0.1, momentum=0.9),
        dataset,
        mesh,
        key=jax.random.key(1),
    )
    spec = lambda leaf: leaf.sharding.spec
    momentum = state.optimizer_state[0].trace
    assert spec(state.params["fc1"]["kernel"]) == P(None, "model")
    assert spec(momentum["fc1"]["kernel"]) == P(None, "model")
    assert spec(state.params["fc2"]["kernel"]) == P()
    assert spec(state.params["head"]["kernel"]) == P()
    assert spec(momentum["head"]["kernel"]) == P("data")
