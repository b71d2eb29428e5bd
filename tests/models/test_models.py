"""What holds for every network in `MODELS`; shapes alone, so nothing is compiled."""

import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.diagnose import count_macs
from jaxdl.models import INPUTS, MODELS, ResNet
from jaxdl.trees import count_parameters, named_leaves
from tests.models.shapes import (
    ONE_OF_EACH,
    classes_of,
    images_of,
    init_shapes,
    make,
    smallest_side,
    trace_init,
)

# ImageNet: 1000 classes, as published by torchvision. CIFAR: 10 classes; those of 20
# to 110 layers as published with trained networks, that of 8 counted by hand, as are
# the small networks on 28 x 28 grey pixels.
PARAMETERS = {
    "alexnet": 61_100_840,
    "efficientnet_b0": 5_288_548,
    "googlenet": 6_624_904,
    "googlenet_aux": 13_004_888,
    "inception_v3": 27_161_264,
    "mlp": 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10,
    "resnet8_cifar": 75_290,
    "resnet20_cifar": 269_722,
    "resnet32_cifar": 464_154,
    "resnet44_cifar": 658_586,
    "resnet56_cifar": 853_018,
    "resnet110_cifar": 1_727_962,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "small_cnn": 160 + 4640 + 36_992 + 295_168 + 2570,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
}

# Billions of multiply-accumulates per image, as published by torchvision with its
# weights; v1 of a ResNet counted by hand.
MACS = {
    "alexnet": 0.714,
    "efficientnet_b0": 0.386,
    "googlenet": 1.498,
    "googlenet_aux": 1.498,
    "inception_v3": 5.713,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet101": 7.801,
    "resnet152": 11.514,
    "resnet50_v1": 3.858,
    "resnet101_v1": 7.570,
    "resnet152_v1": 11.282,
    "vgg11": 7.609,
    "vgg13": 11.308,
    "vgg16": 15.47,
    "vgg19": 19.632,
    "vgg11_bn": 7.609,
    "vgg13_bn": 11.308,
    "vgg16_bn": 15.47,
    "vgg19_bn": 19.632,
}


def sum_preactivation_parameters(depth):
    """Of v2, from the published count of v1.5: what differs are the norms.

    Those of v1.5 follow convolutions, shortcuts included; those of v2 precede them,
    but not the stem and the shortcuts, and one comes last.
    """
    num_blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}.get(depth)
    num_blocks = num_blocks or {101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}[depth]
    after, before, channels = 64, 0, 64
    for stage, number in enumerate(num_blocks):
        width = 64 * 2**stage
        outputs = [width, width] if depth < 50 else [width, width, 4 * width]
        for _ in range(number):
            after += sum(outputs) + (outputs[-1] if channels != outputs[-1] else 0)
            before += channels + sum(outputs[:-1])
            channels = outputs[-1]
    return PARAMETERS[f"resnet{depth}"] + 2 * (before + channels - after)


@pytest.mark.parametrize("name", MODELS)
def test_model_has_the_published_number_of_parameters(name):
    params = init_shapes(name)["params"]
    if name.endswith("_v2"):
        published = sum_preactivation_parameters(int(name[6:-3]))
    else:
        published = PARAMETERS[name.replace("plain", "resnet").removesuffix("_v1")]
    assert count_parameters(params) == published


@pytest.mark.parametrize("name", MACS)
def test_model_costs_the_published_number_of_products(name):
    variables, macs = trace_init(name)
    images = images_of(INPUTS[name].image_size)
    if "aux" in str(variables["params"].keys()):  # which initialising runs too
        evaluate = functools.partial(make(name).apply, train=False)
        macs = count_macs(evaluate, variables, images)
    assert macs / images.shape[0] / 1e9 == pytest.approx(MACS[name], rel=2e-3)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_model_in_bfloat16_gives_float32_logits_and_statistics(name):
    variables = init_shapes(name)
    model = make(name, dtype=jnp.bfloat16)
    train = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    side = 299 if name == "inception_v3" else smallest_side(name)
    rngs = {"dropout": jax.random.key(0)}
    logits, updates = jax.eval_shape(train, variables, images_of(side), rngs=rngs)
    assert logits.shape == (2, classes_of(name))
    assert logits.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    assert updates.get("batch_stats") == variables.get("batch_stats")


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet8_cifar", "resnet18"])
def test_model_takes_grey_images_of_its_smallest_side(name):
    evaluate = functools.partial(make(name).apply, train=False)
    images = images_of(smallest_side(name), channels=1)
    logits = jax.eval_shape(evaluate, init_shapes(name, channels=1), images)
    assert logits.shape == (2, classes_of(name))


@pytest.mark.parametrize(
    ("name", "side"),
    [("alexnet", 63), ("googlenet", 15), ("inception_v3", 75), ("vgg11", 32)],
)
def test_model_names_its_smallest_side(name, side):
    model = make(name)
    init = functools.partial(model.init, train=False)
    message = f"at least {side} x {side} pixels, got {side - 1} x {side - 1}"
    with pytest.raises(ValueError, match=f"{type(model).__name__}.*{message}"):
        jax.eval_shape(init, jax.random.key(0), images_of(side - 1))


@pytest.mark.parametrize("name", MODELS)
def test_model_ends_in_a_head_of_kernels_biases_and_scales(name):
    paths = named_leaves(init_shapes(name)["params"])
    assert paths["head/bias"].shape == (classes_of(name),)
    assert {path.rsplit("/", 1)[1] for path in paths} <= {"kernel", "bias", "scale"}


@pytest.mark.parametrize("name", [name for name in MODELS if "resnet" in name])
def test_resnet_names_its_parameters_by_stage_and_block(name):
    paths = named_leaves(init_shapes(name)["params"])
    assert "stem_conv/kernel" in paths
    assert "stage1/block0/conv1/kernel" in paths


@pytest.mark.parametrize("name", [name for name in MODELS if "plain" in name])
def test_plain_model_has_the_parameters_of_the_residual_one(name):
    residual = name.replace("plain", "resnet")
    assert init_shapes(name) == init_shapes(residual)


@pytest.mark.parametrize("name", [*ONE_OF_EACH, "mlp"])
def test_model_without_classes_is_the_same_without_heads(name):
    with_head = init_shapes(name)
    heads = {"head", "aux", "aux1", "aux2"}
    headless = {
        collection: {part: x for part, x in tree.items() if part not in heads}
        for collection, tree in with_head.items()
    }
    model = MODELS[name](num_classes=0, dtype=jnp.bfloat16)
    spec = INPUTS[name]
    images = images_of(spec.image_size, channels=spec.channels)
    train = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    rngs = {"dropout": jax.random.key(0)}
    features, updates = jax.eval_shape(train, headless, images, rngs=rngs)
    assert updates.get("batch_stats") == headless.get("batch_stats")
    kernel = with_head["params"]["head"]["kernel"]
    assert features.shape == (2, kernel.shape[0]) and features.dtype == jnp.float32
    extract = functools.partial(model.apply, train=False, method="extract")
    maps = jax.eval_shape(extract, headless, images)
    assert list(maps)[-1] == "features" and maps["features"] == features


@pytest.mark.parametrize("name", ["inception_v3", "googlenet_aux", "vgg11", "resnet18"])
def test_model_without_classes_has_no_parameters_of_heads(name):
    model = MODELS[name](num_classes=0)
    init = functools.partial(model.init, train=False)
    images = images_of(INPUTS[name].image_size)
    params = jax.eval_shape(init, jax.random.key(0), images)["params"]
    heads = {"head", "aux", "aux1", "aux2"}
    assert set(params) == set(init_shapes(name)["params"]) - heads


def test_model_without_classes_gives_its_features(draw_variables):
    model = MODELS["resnet8_cifar"](num_classes=3)
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    variables = draw_variables(model, images)
    maps = model.apply(variables, images, train=False, method="extract")
    head = variables["params"].pop("head")
    found = MODELS["resnet8_cifar"](num_classes=0).apply(variables, images, train=False)
    np.testing.assert_array_equal(found, maps["features"])
    logits = np.float64(found) @ np.float64(head["kernel"]) + np.float64(head["bias"])
    np.testing.assert_allclose(maps["logits"], logits, rtol=1e-5)


def test_inputs_are_those_of_the_published_weights():
    assert INPUTS.keys() == MODELS.keys()
    assert INPUTS["resnet50"].mean == (0.485, 0.456, 0.406)
    assert INPUTS["resnet50"].std == (0.229, 0.224, 0.225)
    sizes = {
        name: (INPUTS[name].image_size, INPUTS[name].resize_size)
        for name in ("vgg16", "inception_v3", "resnet20_cifar")
    }
    expected = {
        "vgg16": (224, 256),
        "inception_v3": (299, 342),
        "resnet20_cifar": (32, 32),
    }
    assert sizes == expected
    assert INPUTS["googlenet"].mean == INPUTS["inception_v3"].std == (0.5, 0.5, 0.5)
    assert INPUTS["efficientnet_b0"].interpolation == "bicubic"


def test_resnet_names_an_unknown_version(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=r"one of v1, v1\.5, v2, got v3"):
        ResNet(depth=18, num_classes=10, version="v3")
