"""Every config loads, trains in the abstract, and every field of it does something."""

import ast
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.config import dump_config, load_config
from jaxdl.optim import SCHEDULES
from jaxdl.recipes import configs, probes_config
from jaxdl.recipes.build import (
    build_augment,
    build_optimizer,
    build_schedule,
)
from jaxdl.recipes.classification import (
    make_classification_evaluation,
    make_classification_loss,
)
from jaxdl.recipes.classifier_building import build_classifier
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.train import init_train_state, make_train_step
from tests.scripts import EXPERIMENTS, ROOT, SCRIPTS, load_script

CONFIGS = sorted(ROOT.glob("configs/**/*.yaml"))

# Image shape and number of classes by source, as published; folders have any number.
SHAPES = {
    "digits": ((8, 8, 1), 10),
    "idx": ((28, 28, 1), 10),
    "cifar10": ((32, 32, 3), 10),
    "folder": ((64, 64, 3), 3),
    "tfds": ((32, 32, 3), 10),
}
NUM_EXAMPLES = 50_000


def load(path):
    return load_config(load_script(path.parent.name).Config, path, [])


def make_card(config):
    shape, num_classes = SHAPES[config.data.source.partition(":")[0]]
    if config.data.image_size is not None:
        shape = (config.data.image_size, config.data.image_size, shape[2])
    return DatasetCard(
        name="made",
        class_names=tuple(map(str, range(num_classes))),
        image_shape=shape,
        mean=(0.5,) * shape[2],
        std=(0.5,) * shape[2],
        num_examples={"train": NUM_EXAMPLES},
    )


@pytest.mark.parametrize(
    "path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_config_loads_and_round_trips(path, tmp_path):
    assert path.parent.parent == ROOT / "configs", "configs/<experiment>/<variant>.yaml"
    assert path.parent.name in SCRIPTS, f"no script experiments/{path.parent.name}.py"
    config = load(path)
    copy = tmp_path / "config.yaml"
    copy.write_text(dump_config(config))
    assert load_config(type(config), copy, []) == config


def list_classifiers():
    """Every training that a config asks for, by name."""
    found = {}
    for path in CONFIGS:
        config, name = load(path), f"{path.parent.name}/{path.stem}"
        if type(config) is ClassifierConfig:
            found[name] = config
        elif hasattr(config, "list_variants"):
            for variant in config.list_variants():
                if type(variant.config) is ClassifierConfig:
                    found[f"{name}/{variant.name}"] = variant.config
    return found


CLASSIFIERS = list_classifiers()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_config_trains_and_evaluates_in_the_abstract(name):
    config = CLASSIFIERS[name]
    card = make_card(config)
    classifier = build_classifier(config, card)
    schedule, num_steps = build_schedule(
        config.schedule,
        config.optimizer,
        num_examples=NUM_EXAMPLES,
        batch_size=config.data.batch_size,
    )
    assert num_steps > 1 and config.schedule.name in SCHEDULES
    optimizer = build_optimizer(config.optimizer, schedule)
    loss_fn = make_classification_loss(
        classifier,
        augment=build_augment(config.augment, image_shape=card.image_shape),
        label_smoothing=config.loss.label_smoothing,
    )
    step = make_train_step(
        loss_fn,
        optimizer,
        accumulate=config.optimizer.accumulate,
        ema_decay=config.optimizer.ema_decay,
    )
    size = config.data.batch_size
    batch = {
        "images": jax.ShapeDtypeStruct((size, *card.image_shape), np.uint8),
        "labels": jax.ShapeDtypeStruct((size,), np.int32),
    }

    def init(key):
        images = jnp.zeros((1, *card.image_shape), jnp.float32)
        variables = dict(classifier.model.init(key, images, train=False))
        ema = config.optimizer.ema_decay is not None
        return init_train_state(
            variables, loss_fn, optimizer, batch, ema=ema, key=jax.random.key(1)
        )

    state = jax.eval_shape(init, jax.random.key(0))
    new, _ = jax.eval_shape(step, state, batch)
    assert new == state, "a step must keep the shapes and dtypes of the state"
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {np.dtype("f4")}
    _, outputs = jax.eval_shape(
        make_classification_evaluation(classifier),
        state.params,
        state.model_state,
        {**batch, "mask": jax.ShapeDtypeStruct((size,), bool)},
    )
    assert outputs["prediction"].shape == (size,)


def test_every_experiment_has_a_quick_config():
    experiments = [n for n in SCRIPTS if hasattr(load_script(n), "Config")]
    assert experiments and sorted(experiments) == sorted(EXPERIMENTS)


def find_first_owner(section, name):
    """The section that has a field first; others may give it another default."""
    bases = [b for b in section.__mro__ if dataclasses.is_dataclass(b)]
    owners = [b for b in bases if name in {f.name for f in dataclasses.fields(b)}]
    return owners[-1].__name__


def list_fields():
    """(owners by which code may name it, section, field) of each field declared."""
    schemas = {load_script(name).Config for name in EXPERIMENTS}
    schemas |= {
        value
        for module in (configs, probes_config)
        for value in vars(module).values()
        if dataclasses.is_dataclass(value) and value.__name__.endswith("Config")
    }
    found = set()
    for schema in schemas:
        for field in dataclasses.fields(schema):
            found.add(("config", schema.__name__, field.name))
            if dataclasses.is_dataclass(field.type):
                found |= {
                    (field.name, find_first_owner(field.type, inner.name), inner.name)
                    for inner in dataclasses.fields(field.type)
                }
    return sorted(found)


def test_a_section_given_in_part_keeps_its_other_defaults():
    sections = [
        (schema.__name__, field)
        for schema in (load_script(name).Config for name in EXPERIMENTS)
        for field in dataclasses.fields(schema)
        if dataclasses.is_dataclass(field.type)
    ]
    # A function that sets other values is asked only where the section is absent.
    assert sections and not [
        f"{schema}.{field.name}"
        for schema, field in sections
        if field.default.default_factory is not field.type
    ]


def find_reads():
    """(owner, name) of every attribute read; the owner by its name and its type."""
    reads = set()
    paths = [*ROOT.glob("jaxdl/recipes/*.py"), *ROOT.glob("experiments/**/*.py")]
    for path in paths:
        for function in ast.walk(ast.parse(path.read_text())):
            # A check of a field (`find_conflicts` and its parts) is no use of it.
            is_function = isinstance(function, ast.FunctionDef)
            if not is_function or function.name.lstrip("_").startswith("find_"):
                continue
            types = {
                argument.arg: [
                    node.id
                    for node in ast.walk(argument.annotation)
                    if isinstance(node, ast.Name)
                ]
                for argument in [*function.args.args, *function.args.kwonlyargs]
                if argument.annotation is not None
            }
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    owner = node.value
                    name = getattr(owner, "id", getattr(owner, "attr", None))
                    owners = [name, *types.get(name, ())]
                    reads |= {(owner, node.attr) for owner in owners}
    return reads


def test_every_declared_field_is_read():
    reads = find_reads()
    unread = [
        f"{schema}.{name}"
        for owner, schema, name in list_fields()
        if not reads & {(owner, name), (schema, name)}
    ]
    assert not unread
    assert ("optimizer", "OptimizerSection", "ema_decay") in list_fields()
    assert ("optimizer", "no_such_field") not in reads
