import functools
import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl.augment import POLICIES
from jaxdl.config import describe_fields, dump_config, flatten_config, load_config
from jaxdl.data import SOURCES
from jaxdl.errors import ConfigError
from jaxdl.layers import ACTIVATIONS, INITIALIZERS, NORMS
from jaxdl.models import MODELS
from jaxdl.optim import OPTIMIZERS, SCHEDULES
from jaxdl.recipes import sections
from jaxdl.recipes.field_types import (
    ACTIVATION_NAMES,
    AUXILIARY_HEADS,
    INITIALIZER_NAMES,
    MODEL_NAMES,
    NORM_NAMES,
    OPTIMIZER_NAMES,
    POLICY_NAMES,
    SCHEDULE_NAMES,
    SCHEDULE_READERS,
    SOURCE_NAMES,
)
from jaxdl.recipes.optimizer_sections import OptimizerSection


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (MODEL_NAMES, MODELS),
        (NORM_NAMES, [*NORMS, "none"]),
        (ACTIVATION_NAMES, ACTIVATIONS),
        (INITIALIZER_NAMES, [*INITIALIZERS, "torchvision"]),
        (OPTIMIZER_NAMES, OPTIMIZERS),
        (SCHEDULE_NAMES, SCHEDULES),
        (POLICY_NAMES, POLICIES),
        (SOURCE_NAMES, SOURCES),
    ],
    ids=[
        "models",
        "norms",
        "activations",
        "initializers",
        "optimizers",
        "schedules",
        "policies",
        "sources",
    ],
)
def test_names_equal_those_of_the_table(names, table):
    assert sorted(names) == sorted(table)


@pytest.mark.parametrize(
    ("name", "side"),
    [("googlenet", 16), ("googlenet_aux", 96), ("inception_v3", 80), ("mlp", 8)],
)
def test_auxiliary_heads_are_those_of_the_networks(name, side):
    init = functools.partial(MODELS[name](num_classes=2).init, train=False)
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    params = jax.eval_shape(init, jax.random.key(0), images)["params"]
    has_heads = any(path.startswith("aux") for path in params)
    assert has_heads == (name in AUXILIARY_HEADS)


def test_schedule_readers_equal_the_arguments_of_the_schedules():
    for option, names in SCHEDULE_READERS.items():
        argument = "warmup_steps" if option == "warmup" else option
        reading = {
            name
            for name, schedule in SCHEDULES.items()
            if argument in inspect.signature(schedule).parameters
        }
        assert reading == set(names), option


def test_every_field_has_one_line_of_documentation(experiment_schema):
    for field in describe_fields(experiment_schema):
        assert field.doc.endswith("."), field.key
        assert "\n" not in field.doc and len(field.doc) < 80, field.key


def test_every_section_is_frozen_and_strict(experiment_schema):
    config = experiment_schema()
    hash(config)
    for name in ("model", "data", "optimizer", "schedule", "run"):
        with pytest.raises(AttributeError):
            getattr(config, name).name = "x"


# Each row: overrides, then the words of each line that is wanted.
_BAD = [
    (["data.batch_size=0"], ["data.batch_size: wanted int >= 1, got 0"]),
    (["data.batch_size=-8"], ["data.batch_size: wanted int >= 1, got -8"]),
    (["data.batch_size=32.5"], ["data.batch_size: wanted int >= 1, got 32.5"]),
    (["data.batch_size=128.0"], ["data.batch_size: wanted int >= 1, got 128.0"]),
    (["data.batch_size='128'"], ['data.batch_size: wanted int >= 1, got "128"']),
    (["data.batch_size=null"], ["data.batch_size: wanted int >= 1, got null"]),
    (["data.eval_batch_size=0"], ["data.eval_batch_size: wanted int >= 1, got 0"]),
    (["data.image_size=0"], ["data.image_size: wanted int >= 1, <= 4096 or null"]),
    (["data.image_size=big"], ["data.image_size: wanted int", 'got "big"']),
    (["data.source=digit"], ["unknown source 'digit'", "Did you mean 'digits'?"]),
    (["data.source=cifar"], ["data.source:", "Did you mean 'cifar10'?"]),
    (["data.source=tfds"], ["data.source:", "as in tfds:mnist"]),
    (["data.source='tfds:'"], ["data.source:", "as in tfds:mnist"]),
    (["data.source=digits:x"], ["data.source: unknown source 'digits:x'"]),
    (["data.source=folder"], ["data.source: source 'folder' needs data.path"]),
    (["data.source=idx"], ["data.source: source 'idx' needs data.path"]),
    (["data.path=x"], ["data.path: the digits ship with scikit-learn"]),
    (["data.path=''"], ['data.path: wanted text or null, got ""']),
    (["data.validation_fraction=0"], ["wanted float > 0, < 1, got 0"]),
    (["data.validation_fraction=1.0"], ["wanted float > 0, < 1, got 1.0"]),
    (
        ["data.validation_fraction=0.5", "data.test_fraction=.5"],
        ["data.validation_fraction:", "0.5 + 0.5", "nothing is left"],
    ),
    (["data.residency=gpu"], ["data.residency: wanted auto, device or stream"]),
    (["data.prefetch=0"], ["data.prefetch: wanted int >= 1, <= 64, got 0"]),
    (["data.split_seed=-1"], ["data.split_seed: wanted int >= 0"]),
    (["model.name=resnet20"], ["model.name:", "Did you mean 'resnet20_cifar'?"]),
    (["model.name=ResNet18"], ["model.name:", "Did you mean 'resnet18'?"]),
    (["model.norm=batchnorm"], ["model.norm: wanted batch, layer,", "mean 'batch'?"]),
    (["model.norm_groups=4"], ["model.norm_groups: model.norm is null; wanted batch"]),
    (["model.norm=layer", "model.norm_groups=4"], ['model.norm is "layer"; wanted']),
    (["model.activation=swish"], ["model.activation: wanted sigmoid, tanh"]),
    (["model.initialization=he"], ["model.initialization: wanted kaiming_normal,"]),
    (["model.dropout_rate=1"], ["model.dropout_rate: wanted float >= 0, < 1 or null"]),
    (["weights=''"], ['weights: wanted text or null, got ""']),
    (["data.train_limit=0"], ["data.train_limit: wanted int >= 1 or null, got 0"]),
    (["loss.auxiliary_weight=-1"], ["loss.auxiliary_weight: wanted float >= 0"]),
    (
        ["loss.auxiliary_weight=0.4"],
        ["loss.auxiliary_weight: resnet20_cifar has no auxiliary heads"],
    ),
    (["model.dtype=float16"], ["model.dtype: wanted float32 or bfloat16"]),
    (["loss.label_smoothing=1"], ["loss.label_smoothing: wanted float >= 0, < 1"]),
    (["optimizer.name=adam"], ["optimizer.name:", "Did you mean 'adamw'?"]),
    (["optimizer.learning_rate=0"], ["wanted float > 0, got 0"]),
    (["optimizer.learning_rate=-1e-3"], ["wanted float > 0, got -0.001"]),
    (["optimizer.learning_rate=.inf"], ["wanted float > 0"]),
    (["optimizer.learning_rate=.nan"], ["wanted float > 0"]),
    (["optimizer.learning_rate=1e-3x"], ['wanted float > 0, got "1e-3x"']),
    (["optimizer.learning_rate=true"], ["wanted float > 0, got true"]),
    (["optimizer.lr=0.1"], ["optimizer.lr:", "'optimizer.learning_rate'?"]),
    (["optimizer.momentum=1"], ["optimizer.momentum: wanted float >= 0, < 1, got 1"]),
    (["optimizer.nesterov=on"], ['wanted true or false, got "on"']),
    (["optimizer.clip_norm=0"], ["wanted float > 0 or null, got 0"]),
    (["optimizer.ema_decay=1.0"], ["wanted float > 0, < 1 or null, got 1.0"]),
    (["optimizer.eps=0"], ["optimizer.eps: wanted float > 0, got 0"]),
    (
        ["optimizer.trust_coefficient=0.02"],
        ["optimizer.trust_coefficient: sgd doesn't read it; wanted lars"],
    ),
    (
        ["optimizer.name=adamw", "optimizer.clip_trust_ratio=true"],
        ["optimizer.clip_trust_ratio: adamw doesn't read it; wanted lars"],
    ),
    (["optimizer.rate_after_momentum=true"], ["optimizer.rate_after_momentum: sgd"]),
    (["optimizer.bias_learning_rate=0.1"], ["optimizer.bias_learning_rate: sgd"]),
    (["optimizer.bias_learning_rate=0"], ["wanted float > 0 or null, got 0"]),
    (["optimizer=adamw"], ["optimizer: wanted a section with the keys name,"]),
    (
        ["optimizer.accumulate=3"],
        [
            "optimizer.accumulate: a batch of 128 does not divide into 3 parts",
            "126 or 129",
        ],
    ),
    (
        ["data.batch_size=6", "mesh.data=4"],
        ["data.batch_size: a batch of 6", "4 devices", "4 or 8"],
    ),
    (
        ["data.batch_size=2", "mesh.simulated_devices=8"],
        ["data.batch_size: a batch of 2", "8 devices", "nearest that do: 8"],
    ),
    (
        ["data.batch_size=12", "optimizer.accumulate=2", "mesh.data=4"],
        ["2 parts on 4 devices", "8 or 16"],
    ),
    (["schedule.name=cosin"], ["schedule.name:", "Did you mean 'cosine'?"]),
    (["schedule.duration=30"], ["schedule.duration: '30' is no duration"]),
    (["schedule.duration=0 epochs"], ["schedule.duration: '0 epochs' is zero"]),
    (["schedule.duration=-1 epochs"], ["schedule.duration:", "not negative"]),
    (["schedule.duration=1.5 steps"], ["schedule.duration:", "whole number"]),
    (["schedule.duration=10 hours"], ["schedule.duration: '10 hours'", "'30 epochs'"]),
    (["schedule.warmup=10 epochs"], ["schedule.warmup: 10 epochs of warm-up fill"]),
    (["schedule.milestones=[3 epochs]"], ["schedule.milestones: the cosine schedule"]),
    (["schedule.milestones=3 epochs"], ["schedule.milestones: wanted list of text"]),
    (["schedule.milestones=[3]"], ["schedule.milestones: '3' is no duration"]),
    (["schedule.name=step"], ["schedule.name: the step schedule needs"]),
    (
        ["schedule.name=step", "schedule.milestones=[5 epochs, 3 epochs]"],
        ["schedule.milestones: wanted growing milestones"],
    ),
    (
        ["schedule.name=step", "schedule.milestones=[5 epochs, 10 epochs]"],
        ["schedule.milestones: wanted growing milestones, all before 10 epochs"],
    ),
    (["schedule.factor=0.5"], ["schedule.factor: the cosine", "wanted step"]),
    (
        ["schedule.name=one_cycle", "schedule.warmup=1 epoch"],
        ["schedule.warmup: the one_cycle", "constant or cosine or step"],
    ),
    (["schedule.final=0.2"], ["schedule.final: 0.2 is above", "0.1"]),
    (["augment.mean=[0.5]"], ["augment.mean: give both"]),
    (["augment.std=[0.5]"], ["augment.std: give both"]),
    (
        ["augment.mean=[0.5, 0.5, 0.5]", "augment.std=[0.2]"],
        ["augment.std: has 1 channels, augment.mean 3"],
    ),
    (["augment.mean=[]", "augment.std=[]"], ["augment.std: wanted one number"]),
    (
        ["augment.mean=[0]", "augment.std=[0]"],
        ["augment.std: wanted measured or list of float > 0, got [0]"],
    ),
    (["augment.mean=measure"], ["augment.mean:", "Did you mean 'measured'?"]),
    (["augment.crop_padding=-1"], ["augment.crop_padding: wanted int >= 0"]),
    (["augment.flip=maybe"], ['augment.flip: wanted true or false, got "maybe"']),
    (["mesh.data=0"], ["mesh.data: wanted 1 or more devices, or -1"]),
    (["mesh.data=-2"], ["mesh.data: wanted int >= -1, got -2"]),
    (["mesh.model=0"], ["mesh.model: wanted int >= 1, got 0"]),
    (
        ["mesh.data=8", "mesh.simulated_devices=4"],
        ["mesh.data: needs 8 x 1 = 8 devices, 4 are simulated"],
    ),
    (
        ["mesh.model=3", "mesh.simulated_devices=8"],
        ["mesh.model: 3 doesn't divide the 8 simulated devices"],
    ),
    (["mesh.tensor=2"], ["mesh.tensor: unknown key"]),
    (["run.seed=-1"], ["run.seed: wanted int >= 0, < 4294967296, got -1"]),
    (["run.seed=4294967296"], ["run.seed: wanted int >= 0, < 4294967296"]),
    (["run.name=a/b"], ["run.name: 'a/b' can't name a folder"]),
    (["run.name=.."], ["run.name: '..' can't name a folder"]),
    ([f"run.name={'x' * 201}"], ["run.name: has 201 bytes, wanted at most 200"]),
    (["run.folder=''"], ["run.folder: wanted text"]),
    (["run.keep_last=0"], ["run.keep_last: wanted int >= 1, got 0"]),
    (["run.log_every=0 steps"], ["run.log_every: '0 steps' is zero"]),
    (["run.resume=1"], ["run.resume: wanted true or false, got 1"]),
    (["seed=1"], ["seed: unknown key. Did you mean 'run.seed'?"]),
    (["batch_size=1"], ["Did you mean 'data.batch_size'?"]),
    (["data.batchsize=1"], ["Did you mean 'data.batch_size'?"]),
    (["models.name=x"], ["models.name: unknown key. Did you mean 'model.name'?"]),
]


@pytest.mark.parametrize(
    ("overrides", "words"), _BAD, ids=[" ".join(row[0])[:60] for row in _BAD]
)
def test_bad_config_gives_one_clear_line(experiment_schema, overrides, words):
    with pytest.raises(ConfigError) as error:
        load_config(experiment_schema, None, overrides)
    (line,) = str(error.value).splitlines()
    assert line.startswith("command line: ")
    assert error.value.exit_status == 2
    for word in words:
        assert word in line


def test_all_mistakes_are_reported_together(experiment_schema, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "data:\n  batch_size: 6\n  bath: 1\n"
        "optimizer:\n  accumulate: 4\n  learning_rate: -1\n"
        "schedule:\n  warmup: 1\n  final: 2\n"
    )
    overrides = ["augment.mean=[0.5]", "mesh.model=0", "model.name=resnet", "run"]
    with pytest.raises(ConfigError) as error:
        load_config(experiment_schema, file, overrides)
    places = [line.rpartition("config.yaml:")[2] for line in error.value.messages]
    assert [": ".join(place.split(": ")[:2]) for place in places] == [
        "2: data.batch_size",  # does not divide into 4 parts
        "3: data.bath",
        "6: optimizer.learning_rate",
        "8: schedule.warmup",
        'command line: "run"',
        "command line: model.name",
        "command line: mesh.model",
        "command line: augment.mean",  # without a deviation
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.source=tfds:mnist"],
        ["data.source=folder", "data.path=~/my images"],
        ["schedule.name=step", "schedule.milestones=[3 epochs, 900 steps]"],
        ["schedule.name=one_cycle"],
        ["schedule.name=constant", "schedule.warmup=100 steps"],
        ["augment.mean=[0.1, 0.2, 0.3]", "augment.std=[1, 1, 1]"],
        ["mesh.data=4", "mesh.model=2", "mesh.simulated_devices=8"],
        ["mesh.model=2", "mesh.simulated_devices=8", "data.batch_size=4"],
        [
            "optimizer.clip_norm=1",
            "optimizer.ema_decay=0.999",
            "optimizer.accumulate=4",
        ],
        ["run.name=null", "run.compilation_cache=cache", "run.resume=true"],
        ["model.norm=group", "model.norm_groups=8", "model.activation=gelu_tanh"],
        ["model.initialization=normal_0.01", "model.dropout_rate=0"],
        ["model.name=inception_v3", "loss.auxiliary_weight=0.4"],
        ["weights=resnet18.pth", "data.train_limit=100"],
        ["run.name=007"],
        ["run.name=1e5"],
    ],
)
def test_good_config_round_trips(experiment_schema, overrides, tmp_path):
    config = load_config(experiment_schema, None, overrides)
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(config))
    assert load_config(experiment_schema, file) == config


@settings(max_examples=100, deadline=None)
@given(
    learning_rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    seed=st.integers(0, 2**32 - 1),
    folder=st.text(min_size=1, max_size=20).filter(
        lambda text: text.isprintable() and "${" not in text
    ),
)
def test_any_valid_values_round_trip(
    experiment_schema, tmp_path_factory, learning_rate, seed, folder
):
    config = experiment_schema(
        optimizer=OptimizerSection(learning_rate=learning_rate),
        run=sections.RunSection(seed=seed, folder=folder),
    )
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(experiment_schema, file) == config


def _misspell(name):
    """Three typos: a letter left out, one doubled, two swapped."""
    middle = len(name) // 2
    yield name[:middle] + name[middle + 1 :]
    yield name[:middle] + name[middle] + name[middle:]
    yield name[: middle - 1] + name[middle] + name[middle - 1] + name[middle + 1 :]


def test_typos_of_every_key_are_understood(experiment_schema):
    keys = list(flatten_config(experiment_schema()))
    right, wrong = 0, []
    for key in keys:
        section, _, name = key.rpartition(".")
        for typo in {f"{section}.{word}" for word in _misspell(name)} - set(keys):
            with pytest.raises(ConfigError) as error:
                load_config(experiment_schema, None, [f"{typo}=1"])
            if f"Did you mean {key!r}?" in str(error.value):
                right += 1
            else:
                wrong.append(str(error.value))
    assert right / (right + len(wrong)) >= 0.95, wrong


def test_sections_load_without_importing_jax():
    code = (
        "import sys; import jaxdl.recipes.sections, jaxdl.recipes.command_line;"
        "assert not {'jax', 'numpy', 'tensorflow', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
