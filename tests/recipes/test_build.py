import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import POLICIES
from jaxdl.data import ArraySplit, from_arrays
from jaxdl.errors import ConfigError
from jaxdl.models import MODELS
from jaxdl.parallel import make_mesh
from jaxdl.recipes.build import (
    build_augment,
    build_channel_statistics,
    build_dataset,
    build_mesh,
    build_model,
    build_optimizer,
    build_schedule,
    build_steps,
    check_batch_size,
    check_image_size,
)
from jaxdl.recipes.optimizer_sections import OptimizerSection, ScheduleSection
from jaxdl.recipes.sections import (
    AugmentSection,
    DataSection,
    MeshSection,
    ModelSection,
)

SIZES = {"num_examples": 1000, "batch_size": 10}


@pytest.mark.parametrize(
    ("section", "shape"),
    [
        ({}, {"data": 8, "model": 1}),
        ({"model": 2}, {"data": 4, "model": 2}),
        ({"data": 3}, {"data": 3, "model": 1}),
    ],
)
def test_build_mesh_has_the_sizes_asked_for(section, shape):
    assert dict(build_mesh(MeshSection(**section)).shape) == shape


def test_build_mesh_hints_at_simulated_devices():
    with pytest.raises(ConfigError, match=r"needs 9 devices.*simulated_devices=N"):
        build_mesh(MeshSection(data=9))


def test_check_batch_size_names_the_nearest():
    mesh = make_mesh(data=4)
    check_batch_size(16, accumulate=2, mesh=mesh)
    with pytest.raises(ConfigError, match=r"batch_size=20 .*nearest: 16 or 24"):
        check_batch_size(20, accumulate=2, mesh=mesh)
    with pytest.raises(ConfigError, match=r"batch_size=6 .*nearest: 8"):
        check_batch_size(6, accumulate=2, mesh=mesh)


@pytest.mark.parametrize(
    ("section", "resident"),
    [
        ({"residency": "device"}, (True, True, True)),
        # The test part of the digits is no cut: it lies in memory from the start.
        ({"residency": "stream"}, (False, False, True)),
        ({"residency": "auto"}, (True, True, True)),
        # 64 bytes per image: the 144 for validation fit, the 1,294 to train do not.
        ({"residency": "auto", "device_bytes": 144 * 64}, (False, True, True)),
        ({"residency": "auto", "device_bytes": 0}, (False, False, True)),
    ],
)
def test_build_dataset_loads_what_fits(section, resident):
    dataset = build_dataset(DataSection(**section))
    assert set(dataset.splits) == {"train", "validation", "test"}
    kinds = [dataset.splits[n] for n in ("train", "validation", "test")]
    assert tuple(isinstance(split, ArraySplit) for split in kinds) == resident


def test_build_dataset_limits_train_alone():
    whole = build_dataset(DataSection())
    dataset = build_dataset(DataSection(train_limit=50))
    labels = dataset.splits["train"].read(np.arange(50))["labels"]
    assert len(dataset.splits["train"]) == 50
    assert np.bincount(labels).tolist() == [5] * 10
    for name in ("validation", "test"):
        assert dataset.splits[name].fingerprint() == whole.splits[name].fingerprint()


def test_build_channel_statistics_measures_or_takes():
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 3, 2), np.uint8)
    dataset = from_arrays((images, np.arange(50) % 2))
    mean, std = build_channel_statistics(AugmentSection(), dataset)
    pixels = images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 1, 2)), rtol=1e-6)
    given = AugmentSection(mean=(0.1, 0.2), std=(0.3, 0.4))
    assert build_channel_statistics(given, dataset) == ((0.1, 0.2), (0.3, 0.4))
    wrong = AugmentSection(mean=(0.1,), std=(0.3,))
    with pytest.raises(ConfigError, match=r"augment.mean has 1 values.*2 channels"):
        build_channel_statistics(wrong, dataset)


def test_build_augment_refuses_a_mirror_larger_than_the_image():
    section = AugmentSection(crop_padding=8, crop_mode="reflect")
    build_augment(section, image_shape=(9, 9, 1))
    with pytest.raises(ConfigError, match=r"crop_padding=8 .*9x8; wanted at most 7"):
        build_augment(section, image_shape=(9, 8, 1))


def test_build_augment_takes_the_policy_after_crop_and_flip():
    images = jax.random.uniform(jax.random.key(0), (16, 6, 6, 3))
    plain = AugmentSection(crop_padding=1, flip=True)
    section = dataclasses.replace(plain, policy="trivialaugment")
    keys = jax.random.split(jax.random.key(1), 3)
    moved = build_augment(plain, image_shape=(6, 6, 3))(images, key=jax.random.key(1))
    expected = POLICIES["trivialaugment"](moved, key=keys[2])
    augment = build_augment(section, image_shape=(6, 6, 3))
    augmented = augment(images, key=jax.random.key(1))
    np.testing.assert_array_equal(augmented, expected)
    assert (augmented != moved).any()


def test_build_augment_refuses_a_policy_for_other_channels():
    section = AugmentSection(policy="randaugment")
    with pytest.raises(ConfigError, match="policy=randaugment needs .* these have 4"):
        build_augment(section, image_shape=(9, 8, 4))


def test_build_model_computes_in_the_dtype():
    model = build_model(
        ModelSection(name="resnet8_cifar", dtype="bfloat16"), num_classes=7
    )
    assert model.num_classes == 7 and model.dtype == jnp.bfloat16


def test_build_model_hands_its_options_on():
    options = {
        "norm": "group",
        "norm_groups": 4,
        "activation": "gelu",
        "initialization": "xavier_normal",
        "dropout_rate": 0.3,
    }
    model = build_model(ModelSection(name="resnet8_cifar", **options), num_classes=7)
    assert {name: getattr(model, name) for name in options} == options
    default = build_model(ModelSection(name="resnet8_cifar"), num_classes=7)
    assert default == MODELS["resnet8_cifar"](num_classes=7)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            {"name": "resnet8_cifar", "initialization": "torchvision"},
            "model: CifarResNet: initialization is 'torchvision'",
        ),
        ({"name": "mlp", "norm": "batch"}, "model: ImageMLP: it has no norm"),
    ],
)
def test_build_model_refuses_what_the_network_does_not_have(section, words):
    with pytest.raises(ConfigError, match=words):
        build_model(ModelSection(**section), num_classes=7)


def test_check_image_size_names_the_smallest():
    model = build_model(ModelSection(name="vgg11"), num_classes=7)
    check_image_size(model, (32, 40, 3))
    words = r"VGG needs images of at least 32 .*have 31; see data.image_size"
    with pytest.raises(ConfigError, match=words):
        check_image_size(model, (40, 31, 3))


@pytest.mark.parametrize(
    ("text", "steps"),
    [("2 epochs", 200), ("30 steps", 30), ("55 examples", 6), ("1 examples", 1)],
)
def test_build_steps_is_at_least_one(text, steps):
    assert build_steps(text, **SIZES) == pytest.approx(steps, abs=0.6)
    assert build_steps(text, **SIZES) >= 1


def test_build_schedule_follows_the_section():
    section = ScheduleSection(
        name="step", duration="2 epochs", milestones=("1 epoch", "150 steps")
    )
    schedule, num_steps = build_schedule(section, OptimizerSection(), **SIZES)
    assert num_steps == 200
    rates = [float(schedule(step)) for step in (0, 99, 100, 149, 150, 199)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"warmup": "200 steps"}, r"warmup \(200 steps\) is 200 steps.*200 steps"),
        (
            {"name": "step", "milestones": ("1 epoch", "100 steps")},
            r"milestones \(1 epoch, 100 steps\) are the steps 100, 100",
        ),
        (
            {"name": "step", "milestones": ("200 steps",)},
            r"milestones \(200 steps\).*below 200",
        ),
    ],
)
def test_build_schedule_refuses_what_does_not_fit(section, words):
    section = ScheduleSection(duration="2 epochs", **section)
    with pytest.raises(ConfigError, match=words):
        build_schedule(section, OptimizerSection(), **SIZES)


def test_build_optimizer_clips_and_follows_the_schedule():
    section = OptimizerSection(
        name="sgd", momentum=0.0, nesterov=False, weight_decay=0.0, clip_norm=1.0
    )
    optimizer = build_optimizer(section, lambda step: jnp.float32(0.5))
    params = {"kernel": jnp.zeros((2, 2))}
    grads = {"kernel": jnp.full((2, 2), 10.0)}  # norm 20
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    np.testing.assert_allclose(updates["kernel"], np.full((2, 2), -0.25), rtol=1e-6)


def test_build_optimizer_gives_biases_their_share_of_the_schedule():
    section = OptimizerSection(
        name="lars",
        learning_rate=0.2,
        bias_learning_rate=0.05,
        momentum=0.5,
        nesterov=False,
        weight_decay=0.0,
        trust_coefficient=0.1,
        rate_after_momentum=True,
        clip_trust_ratio=True,
    )
    # By hand: half of each peak at first, then a quarter; the momentum grows to 1.5.
    optimizer = build_optimizer(section, lambda step: 0.1 / (1.0 + jnp.float32(step)))
    params = {"kernel": jnp.full((1, 1), 0.5), "bias": jnp.ones(1)}
    grads = jax.tree.map(jnp.ones_like, params)
    state = optimizer.init(params)
    for step, factor in enumerate((0.5, 0.25 * 1.5)):
        updates, state = optimizer.update(grads, state, params)
        np.testing.assert_allclose(updates["bias"], -0.05 * factor, rtol=1e-6)
        # The ratio 0.05 over the rate 0.1 is below 1, over 0.05 no more.
        kernel = (0.1 * 0.5, 0.05 * (0.5 * 0.5 + 1.0))[step]
        np.testing.assert_allclose(updates["kernel"], [[-kernel]], rtol=1e-6)
