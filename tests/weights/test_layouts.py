"""Names and shapes of every network's tensors against independent lists of them."""

import functools

import jax
import numpy as np
import pytest

from jaxdl.models import INPUTS, MODELS
from jaxdl.weights import from_torch_state, to_torch_state
from jaxdl.weights.layouts import find_layouts
from tests.weights.reference_cases import draw_state, list_tensors

FAST = {
    *("alexnet", "efficientnet_b0", "googlenet", "plain8_cifar", "resnet8_cifar"),
    *("resnet18", "resnet18_v2", "vgg11", "vgg13_bn"),
}
UNPUBLISHED = {"mlp", "small_cnn"}
NAMES = [
    name if name in FAST else pytest.param(name, marks=pytest.mark.slow)
    for name in MODELS
    if name not in UNPUBLISHED
]


def list_published(name):
    """Shapes by name, as in the published file of a network of ten classes."""
    tensors = list_tensors(name)
    if name == "googlenet":  # the list is that of the file, with auxiliary heads
        tensors = {k: t for k, t in tensors.items() if not k.startswith("aux")}
    return {key: tensor.shape for key, tensor in tensors.items()}


def model_shapes(name, **options):
    """The shapes of a network's variables."""
    spec = INPUTS[name]
    images = np.zeros((1, spec.image_size, spec.image_size, 3), np.float32)
    model = MODELS[name](num_classes=10, **options)
    init = functools.partial(model.init, train=False)
    return jax.eval_shape(init, jax.random.key(0), images)


@pytest.mark.parametrize("name", NAMES)
def test_tensors_have_the_published_names_and_shapes(name):
    # Stand-ins of no size to speak of: every entry is the same one in memory.
    one = np.ones((), np.float32)
    fill = lambda leaf: np.broadcast_to(one, leaf.shape)
    variables = jax.tree.map(fill, model_shapes(name))
    state = to_torch_state(variables, name)
    assert {key: array.shape for key, array in state.items()} == list_published(name)
    counters = [key for key in state if key.endswith("num_batches_tracked")]
    assert all(state[key] == 0 and state[key].dtype == np.int64 for key in counters)


def timm_efficientnet_names():
    """timm's names of the modules of EfficientNet-B0, in the order they are run."""
    parts = ["conv_pw", "bn1", "conv_dw", "bn2", "se.conv_reduce", "se.conv_expand"]
    parts += ["conv_pwl", "bn3"]
    first = ["conv_dw", "bn1", *parts[4:6], "conv_pw", "bn2"]
    names = ["conv_stem", "bn1"] + [f"blocks.0.0.{part}" for part in first]
    for stage, count in enumerate((2, 2, 3, 3, 4, 1), 1):
        names += [f"blocks.{stage}.{b}.{part}" for b in range(count) for part in parts]
    return [*names, "conv_head", "bn2", "classifier"]


@pytest.mark.slow
def test_timm_efficientnet_equals_torchvisions():
    state = draw_state("efficientnet_b0")
    # The modules of both come in the same order.
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    names = dict(zip(modules, timm_efficientnet_names(), strict=True))
    rename = lambda key: f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}"
    timm = {rename(key): array for key, array in state.items()}
    # Both top-level norms are called bn1 and bn2, those of blocks have a prefix.
    assert len(timm) == len(state) and "blocks.6.0.conv_pwl.weight" in timm
    assert_same_variables(timm, state, "efficientnet_b0")


def test_timm_vgg_equals_torchvisions():
    state = draw_state("vgg13_bn/16")
    renamed = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}
    timm = {}
    for key, array in state.items():
        module, _, leaf = key.rpartition(".")
        if leaf == "weight" and module in renamed:  # timm keeps them as convolutions
            side = 7 if module == "classifier.0" else 1
            array = array.reshape(len(array), -1, side, side)
        module = renamed.get(module, module).replace("classifier.6", "head.fc")
        timm[f"{module}.{leaf}"] = array
    shapes = model_shapes("vgg13_bn", width=4, hidden_size=256)
    assert_same_variables(timm, state, "vgg13_bn", initial=shapes)


def assert_same_variables(timm, torchvision, name, **options):
    a = from_torch_state(timm, name, **options)
    b = from_torch_state(torchvision, name, **options)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.slow
def test_timm_inception_fits_the_network_without_auxiliary_head():
    state = draw_state("inception_v3")
    shapes = model_shapes("inception_v3", auxiliary=False)
    timm = {key: a for key, a in state.items() if not key.startswith("AuxLogits.")}
    # torchvision's file fits too: the head that is not needed is left out.
    assert_same_variables(timm, state, "inception_v3", initial=shapes)


def test_find_layouts_knows_every_published_network():
    for name in MODELS.keys() - UNPUBLISHED:
        assert find_layouts(name), name
    for name in MODELS.keys() & UNPUBLISHED:
        with pytest.raises(ValueError, match=f"{name}: no PyTorch layout is known"):
            find_layouts(name)
    with pytest.raises(ValueError, match="unknown model_name 'resnet19'.*resnet1"):
        find_layouts("resnet19")
