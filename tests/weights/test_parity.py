"""Every network against an independent PyTorch one with the same weights.

The expected maps were computed by PyTorch in float64, by `torch_reference.py`: now, if
PyTorch is installed, otherwise before, a sample of each being kept.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.models import MODELS
from jaxdl.weights import from_torch_state
from tests.weights.reference_cases import (
    CASES,
    TRAINING_CASES,
    VECTORS,
    draw_case,
    list_tensors,
    thin_out,
    vectors_file,
)
from tests.weights.reference_networks import read_narrowing

# One of each family that compiles soon; the others take minutes together.
FAST = (
    *("alexnet/8", "vgg13_bn/8", "resnet18", "resnet18_v2", "resnet20_cifar"),
    "efficientnet_b0",
)
NAMES = [
    name if name in FAST else pytest.param(name, marks=pytest.mark.slow)
    for name in CASES
]
# Half the compile time, and what is rounded differently is far below the bounds.
COMPILER_OPTIONS = {"xla_backend_optimization_level": 0}


def build(name, images, **options):
    """A network of ten classes, and the shapes of its variables."""
    network, divisor = read_narrowing(name)
    if divisor > 1:
        options |= {"width": 64 // divisor, "hidden_size": 4096 // divisor}
    model = MODELS[network](num_classes=10, **options)
    init = functools.partial(model.init, train=False)
    return model, jax.eval_shape(init, jax.random.key(0), images)


@functools.lru_cache(maxsize=1)
def compute_ours(name):
    """Every map of a case and the gradient of the loss by the images."""
    state, images, labels = draw_case(name)
    images = jnp.asarray(np.moveaxis(images, 1, -1))
    model, shapes = build(name, images)
    variables = from_torch_state(state, read_narrowing(name)[0], initial=shapes)

    def loss_and_maps(images, variables):
        maps = model.apply(variables, images, train=False, method="extract")
        losses = optax.softmax_cross_entropy_with_integer_labels(maps["logits"], labels)
        return jnp.mean(losses), maps

    function = jax.grad(loss_and_maps, has_aux=True)
    compiled = jax.jit(function, compiler_options=COMPILER_OPTIONS)
    gradient, maps = compiled(images, variables)
    return jax.device_get({**maps, "gradient": gradient})


def compute_expected(source, name, *, train=False):
    """The maps of a case and what thins ours out to the same values."""
    if source == "stored":
        with np.load(VECTORS / vectors_file(name, train=train)) as file:
            return dict(file), thin_out
    pytest.importorskip("torch")
    from tests.weights import torch_reference

    compute = torch_reference.compute_reference
    if train:
        compute = torch_reference.compute_training_reference
    return compute(name), lambda array: array


def relative_error(ours, expected):
    assert ours.shape == expected.shape
    return np.max(np.abs(ours - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("source", ["stored", "PyTorch"])
@pytest.mark.parametrize("name", NAMES)
def test_network_gives_the_maps_and_the_gradient_of_pytorch(name, source):
    expected, select = compute_expected(source, name)
    ours = compute_ours(name)
    assert ours.keys() == expected.keys()
    errors = {key: relative_error(select(ours[key]), expected[key]) for key in ours}
    gradient_error = errors.pop("gradient")
    assert max(errors.values()) <= 1e-5, errors
    assert gradient_error <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("source", ["stored", "PyTorch"])
@pytest.mark.parametrize("name", TRAINING_CASES)
def test_auxiliary_heads_give_the_logits_of_pytorch(name, source):
    expected, _ = compute_expected(source, name, train=True)
    ours = compute_training(name)
    assert {"logits", *ours, *(f"{key}_rounding" for key in ours)} == expected.keys()
    assert any(key.startswith("aux") for key in ours)
    for key, logits in ours.items():
        error = np.max(np.abs(logits.ravel() - expected[key].ravel()))
        assert error <= 3 * expected[f"{key}_rounding"], key


@functools.lru_cache(maxsize=1)
def compute_training(name):
    """The logits of all heads in a training step, without dropout."""
    state, images, _ = draw_case(name, train=True)
    images = jnp.asarray(np.moveaxis(images, 1, -1))
    rates = {"dropout_rate": 0.0}
    if name == "googlenet_aux":
        rates["auxiliary_dropout_rate"] = 0.0
    model = MODELS[name](num_classes=10, **rates)

    def forward(variables, images):
        mutable = ["batch_stats", "auxiliary_logits"]
        return model.apply(variables, images, train=True, mutable=mutable)

    compiled = jax.jit(forward, compiler_options=COMPILER_OPTIONS)
    logits, updates = compiled(from_torch_state(state, name), images)
    sown = updates["auxiliary_logits"].items()
    heads = {key.removesuffix("_logits"): value[0] for key, value in sown}
    return jax.device_get({"logits": logits, **heads})


def test_stored_values_cover_every_case_and_stay_small():
    wanted = {vectors_file(name) for name in CASES}
    wanted |= {vectors_file(name, train=True) for name in TRAINING_CASES}
    files = list(VECTORS.iterdir())
    assert {file.name for file in files} == wanted
    assert sum(file.stat().st_size for file in files) < 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if "/" not in name])
def test_reference_is_torchvisions_network(name):
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    from tests.weights.torch_reference import compute_reference

    if not hasattr(models, name):
        pytest.skip(f"torchvision has no {name}; the tests above cover it")
    state, images, _ = draw_case(name)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = getattr(models, name)(num_classes=10, **options)
    model.load_state_dict({key: torch.from_numpy(a) for key, a in state.items()})
    with torch.no_grad():
        logits = model.double().eval()(torch.from_numpy(images).double())
    expected = compute_reference(name)["logits"]
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-9)


def test_reference_has_the_published_number_of_parameters():
    published = {"resnet50": 25_557_032, "vgg11_bn": 132_868_840}
    published |= {"googlenet_aux": 13_004_888, "inception_v3": 27_161_264}
    published |= {"alexnet": 61_100_840, "efficientnet_b0": 5_288_548}
    for name, count in published.items():
        tensors = list_tensors(name, num_classes=1000)
        sizes = [
            np.prod(tensor.shape, dtype=int)
            for key, tensor in tensors.items()
            if not key.endswith(("running_mean", "running_var", "tracked"))
        ]
        assert sum(sizes) == count, name
