"""Variables from tensors in PyTorch's layout and back, and what does not fit."""

import functools
import re

import jax
import jax.numpy as jnp
import jaxtyping
import ml_dtypes
import numpy as np
import pytest

from jaxdl.models import MODELS
from jaxdl.trees import named_leaves
from jaxdl.weights import from_torch_state, to_torch_state
from tests.weights.reference_cases import draw_state

NAME = "resnet8_cifar"

# Networks with the options that make them small.
ROUND_TRIPS = {
    "alexnet": {"width": 4, "hidden_size": 12},
    "vgg11": {"width": 2, "hidden_size": 12},
    "vgg13_bn": {"width": 2, "hidden_size": 12},
    "resnet18": {"width": 2},
    "resnet50": {"width": 2},
    "resnet50_v1": {"width": 2},
    "resnet18_v2": {"width": 2},
    "resnet8_cifar": {},
    "plain8_cifar": {"norm": "group"},
    "efficientnet_b0": {},
    "googlenet_aux": {},
    "inception_v3": {},
}
SLOW = ("efficientnet_b0", "googlenet_aux", "inception_v3", "resnet50", "resnet50_v1")


def draw_variables(name, *, side=32, channels=3, num_classes=10, **options):
    """Variables of a network, every number of them another one."""
    model = MODELS[name](num_classes=num_classes, **options)
    images = jax.ShapeDtypeStruct((1, side, side, channels), np.float32)
    init = functools.partial(model.init, train=False)
    leaves, tree = jax.tree.flatten(jax.eval_shape(init, jax.random.key(0), images))
    generator = np.random.default_rng(0)
    return tree.unflatten(
        jnp.asarray(generator.standard_normal(leaf.shape, np.float32))
        for leaf in leaves
    )


def assert_equal_bits(a, b):
    a, b = named_leaves(a), named_leaves(b)
    assert a.keys() == b.keys()
    for path in a:
        assert a[path].dtype == b[path].dtype, path
        np.testing.assert_array_equal(a[path], b[path], err_msg=path)


@pytest.fixture(scope="module")
def state():
    return draw_state(NAME)


@pytest.fixture(scope="module")
def variables(state):
    return from_torch_state(state, NAME)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in ROUND_TRIPS
    ],
)
def test_round_trip_is_exact(name):
    side = {"alexnet": 64, "inception_v3": 75}.get(name, 32)
    variables = draw_variables(name, side=side, **ROUND_TRIPS[name])
    state = to_torch_state(variables, name)
    assert all(array.flags.c_contiguous for array in state.values())
    assert_equal_bits(from_torch_state(state, name, initial=variables), variables)


def test_from_torch_state_transposes_kernels(state, variables):
    params = variables["params"]
    kernel = params["stage2"]["block0"]["conv1"]["kernel"]
    for o, i, h, w in ((0, 0, 0, 0), (31, 15, 2, 1), (7, 3, 0, 2)):
        assert kernel[h, w, i, o] == state["layer2.0.conv1.weight"][o, i, h, w]
    np.testing.assert_array_equal(params["head"]["kernel"], state["linear.weight"].T)
    norm, statistics = params["stem_norm"], variables["batch_stats"]["stem_norm"]
    np.testing.assert_array_equal(norm["scale"], state["bn1.weight"])
    np.testing.assert_array_equal(norm["bias"], state["bn1.bias"])
    np.testing.assert_array_equal(statistics["mean"], state["bn1.running_mean"])
    np.testing.assert_array_equal(statistics["var"], state["bn1.running_var"])


def test_from_torch_state_reorders_the_layer_after_a_flattened_image():
    variables = draw_variables("alexnet", side=64, width=4, hidden_size=12)
    weight = to_torch_state(variables, "alexnet")["classifier.1.weight"]
    kernel = variables["params"]["fc1"]["kernel"]
    channels = 4 * 4
    for row, column, channel, unit in ((0, 0, 1, 0), (5, 2, 15, 11), (3, 4, 7, 2)):
        torch_index = (channel * 6 + row) * 6 + column
        flax_index = (row * 6 + column) * channels + channel
        assert weight[unit, torch_index] == kernel[flax_index, unit]


class FakeTensor:
    """As much of a PyTorch tensor as is asked for, without PyTorch."""

    def __init__(self, array, steps=()):
        self.array, self.steps, self.shape = array, steps, array.shape

    def detach(self):
        return FakeTensor(self.array, ("detach",))

    def cpu(self):
        return FakeTensor(self.array, (*self.steps, "cpu"))

    def float(self):
        return FakeTensor(self.array.astype(np.float32), self.steps)

    def numpy(self):
        assert self.steps == ("detach", "cpu")  # PyTorch refuses otherwise
        if self.array.dtype == ml_dtypes.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


@pytest.mark.parametrize("wrap", [np.asarray, jnp.asarray, FakeTensor])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_from_torch_state_takes_any_tensor(state, wrap, dtype):
    floats = {k: a.astype(dtype) for k, a in state.items() if "tracked" not in k}
    expected = from_torch_state(
        {key: array.astype(np.float32) for key, array in floats.items()}, NAME
    )
    wrapped = {key: wrap(array) for key, array in floats.items()}
    assert_equal_bits(from_torch_state(wrapped, NAME), expected)


@pytest.mark.parametrize(
    "pack",
    [
        lambda state: {f"module.{key}": array for key, array in state.items()},
        lambda state: {"state_dict": state, "best_prec1": 91.73},
        lambda state: {
            "model": {f"_orig_mod.{key}": array for key, array in state.items()}
        },
    ],
    ids=["module", "state_dict", "model"],
)
def test_from_torch_state_takes_off_the_wrapping(state, variables, pack):
    assert_equal_bits(from_torch_state(pack(state), NAME), variables)


def test_from_torch_state_shares_no_memory_with_the_tensors(state):
    tensors = {key: array.copy() for key, array in state.items()}
    variables = from_torch_state(tensors, NAME)
    for key, array in tensors.items():
        np.testing.assert_array_equal(array, state[key])
        array[...] = 0
    assert_equal_bits(variables, from_torch_state(state, NAME))


def test_to_torch_state_shares_no_memory_with_the_variables():
    head = {"kernel": np.ones((64, 10), np.float32), "bias": np.ones(10, np.float32)}
    state = to_torch_state({"params": {"head": head}}, NAME)
    state["linear.weight"][...] = 0
    state["linear.bias"][...] = 0
    assert head["kernel"].all() and head["bias"].all()


def test_from_torch_state_takes_the_number_of_classes_from_the_file():
    variables = from_torch_state(draw_state(NAME, num_classes=7), NAME)
    assert variables["params"]["head"]["bias"].shape == (7,)


def test_from_torch_state_fills_a_network_with_options():
    variables = draw_variables(NAME, channels=1, norm="group")
    state = to_torch_state(variables, NAME)
    assert state["conv1.weight"].shape == (16, 1, 3, 3)
    assert not any("running" in key for key in state)
    shapes = jax.eval_shape(lambda: variables)
    assert_equal_bits(from_torch_state(state, NAME, initial=shapes), variables)


def test_from_torch_state_leaves_the_head_of_a_file_out(state, variables):
    loaded = from_torch_state(state, NAME, num_classes=0)
    expected = {**variables, "params": dict(variables["params"])}
    del expected["params"]["head"]
    assert_equal_bits(loaded, expected)
    again, report = from_torch_state(state, NAME, strict=False, initial=loaded)
    assert report.unexpected == report.kept == ()
    assert_equal_bits(again, expected)


def test_googlenet_leaves_out_the_auxiliary_heads_of_its_file():
    state = draw_state("googlenet")
    assert "aux1" not in from_torch_state(state, "googlenet")["params"]
    weight = state["aux1.fc1.weight"]
    kernel = from_torch_state(state, "googlenet_aux")["params"]["aux1"]["fc1"]["kernel"]
    for row, column, channel in ((0, 0, 1), (3, 2, 127), (1, 3, 64)):
        torch_index, flax_index = (channel * 4 + row) * 4 + column, row * 4 + column
        flax_index = flax_index * 128 + channel
        np.testing.assert_array_equal(kernel[flax_index], weight[:, torch_index])


# --- What does not fit ---------------------------------------------------------------


@pytest.fixture
def broken(state):
    """Tensors with something missing, something unexpected, something misshaped."""
    tensors = dict(state)
    del tensors["layer1.0.conv1.weight"], tensors["bn1.running_var"]
    tensors["extra.weight"] = np.zeros(3, np.float32)
    tensors["layer4.0.bn1.bias"] = np.zeros(3, np.float32)
    tensors["layer3.0.conv2.weight"] = np.zeros((64, 64, 1, 1), np.float32)
    return tensors


def test_misfit_is_listed_by_name_in_one_error(broken):
    with pytest.raises(ValueError) as error:
        from_torch_state(broken, NAME)
    head, *lines = str(error.value).splitlines()
    assert "resnet8_cifar (CIFAR ResNet layout)" in head
    assert "2 missing, 2 unexpected, 1 of another shape" in head
    lines = dict(line.split(": ", 1) for line in lines)
    missing = lines["missing"].split(", ")
    assert sorted(missing) == ["bn1.running_var", "layer1.0.conv1.weight"]
    assert sorted(lines["unexpected"].split(", ")) == [
        "extra.weight",
        "layer4.0.bn1.bias",
    ]
    assert lines["of another shape"] == (
        "layer3.0.conv2.weight: (64, 64, 1, 1), wanted (64, 64, 3, 3)"
    )


def test_partial_loading_keeps_the_rest_as_given(broken, variables):
    initial = jax.tree.map(lambda leaf: jnp.full_like(leaf, 7), variables)
    loaded, report = from_torch_state(broken, NAME, strict=False, initial=initial)
    assert sorted(report.missing) == ["bn1.running_var", "layer1.0.conv1.weight"]
    assert sorted(report.unexpected) == ["extra.weight", "layer4.0.bn1.bias"]
    assert report.misshaped == (
        "layer3.0.conv2.weight: (64, 64, 1, 1), wanted (64, 64, 3, 3)",
    )
    assert set(report.kept) == {
        "batch_stats/stem_norm/var",
        "params/stage1/block0/conv1/kernel",
        "params/stage3/block0/conv2/kernel",
    }
    expected = named_leaves(variables) | {
        path: named_leaves(initial)[path] for path in report.kept
    }
    for path, leaf in named_leaves(loaded).items():
        np.testing.assert_array_equal(leaf, expected[path], err_msg=path)


def test_partial_loading_draws_a_new_head(state, variables):
    key = jax.random.key(3)
    loaded, report = from_torch_state(state, NAME, strict=False, num_classes=4, key=key)
    assert set(report.kept) == {"params/head/kernel", "params/head/bias"}
    assert not report.missing and not report.unexpected
    init = functools.partial(MODELS[NAME](num_classes=4).init, train=False)
    images = jnp.zeros((1, 32, 32, 3))
    drawn = jax.jit(lambda: init(key, images)["params"]["head"])()
    for leaf in ("kernel", "bias"):
        np.testing.assert_array_equal(loaded["params"]["head"][leaf], drawn[leaf])
    same = loaded["params"]["stem_conv"]["kernel"]
    np.testing.assert_array_equal(same, variables["params"]["stem_conv"]["kernel"])


def without(state, *names):
    return {key: array for key, array in state.items() if key not in names}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda s: s, {"model_name": "resnet9_cifar"}, "unknown model_name 'resnet9"),
        (lambda s: s, {"strict": False}, "strict=False needs initial=variables or key"),
        (lambda s: s, {"num_classes": 5}, r"linear.bias: \(10,\), wanted \(5,\)"),
        (lambda s: s, {"num_classes": 5}, "another number of classes"),
        (lambda s: s, {"model_name": "resnet14"}, "unknown model_name"),
        (lambda s: s, {"model_name": "resnet18"}, "not those of resnet18.*missing"),
        (lambda s: {}, {}, "37 missing, 0 unexpected"),
        (lambda s: {}, {"strict": False, "key": 0}, "none of the 0 tensors fits"),
        (
            lambda s: s | {"conv1.weight": [1.0]},
            {},
            "conv1.weight: wanted a tensor, got list",
        ),
        (
            lambda s: s | {"conv1.weight": s["conv1.weight"].astype(np.int8)},
            {},
            "conv1.weight: wanted floating-point numbers, got int8",
        ),
        (
            lambda s: s | {"conv1.weight": s["conv1.weight"][:, :1]},
            {},
            "other channels",
        ),
        (lambda s: without(s, "linear.bias", "linear.weight"), {}, "linear.bias"),
    ],
)
def test_from_torch_state_refuses(state, change, options, message):
    options = {"model_name": NAME, **options}
    if "key" in options:
        options["key"] = jax.random.key(options["key"])
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        from_torch_state(change(state), **options)


def test_from_torch_state_refuses_what_is_no_dictionary(state, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="dictionary of tensors by name, got list"):
        from_torch_state(list(state.values()), NAME)


def test_partial_loading_refuses_shapes_for_what_it_keeps(broken, variables):
    shapes = jax.eval_shape(lambda: variables)
    with pytest.raises(ValueError, match="initial must hold arrays.*stem_norm/var"):
        from_torch_state(broken, NAME, strict=False, initial=shapes)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"params": {"head": {"lora_a": np.ones(3)}}}, "params/head/lora_a has no"),
        ({"params": {"head": {"kernel": np.ones((2, 3))}, "odd": {}}}, None),
    ],
)
def test_to_torch_state_refuses_what_pytorch_has_no_name_for(variables, message):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        if message is None:
            assert list(to_torch_state(variables, NAME)) == ["linear.weight"]
        else:
            with pytest.raises(ValueError, match=message):
                to_torch_state(variables, NAME)
