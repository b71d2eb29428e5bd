"""What can be chosen for every network: norm, activation, dropout; shapes alone."""

import functools

import jax
import pytest

from jaxdl.models import MODELS
from jaxdl.trees import named_leaves
from tests.models.shapes import FAMILIES, images_of, init_shapes, make, smallest_side


def used_primitives(name, *, train=False, **options):
    """The text of the traced network: which operations it has."""
    mutable = ["batch_stats"] if train else False
    evaluate = functools.partial(
        make(name, **options).apply, train=train, mutable=mutable
    )
    images = images_of(smallest_side(name))
    return str(jax.make_jaxpr(evaluate)(init_shapes(name, **options), images))


@pytest.mark.parametrize("name", FAMILIES)
def test_model_takes_another_activation_everywhere(name):
    text = used_primitives(name, activation="tanh")
    assert "tanh" in text
    assert "relu" not in text
    assert "silu" not in text


@pytest.mark.parametrize("name", FAMILIES)
def test_model_without_norm_has_biases_instead(name):
    variables = init_shapes(name, norm="none")
    paths = set(named_leaves(variables["params"]))
    assert "batch_stats" not in variables
    assert not [path for path in paths if path.endswith("scale")]
    kernels = {path.rsplit("/", 1)[0] for path in paths if path.endswith("kernel")}
    assert paths == {f"{k}/{leaf}" for k in kernels for leaf in ("kernel", "bias")}


@pytest.mark.parametrize("name", FAMILIES)
def test_model_takes_another_norm_in_the_same_places(name):
    def places(**options):
        paths = named_leaves(init_shapes(name, **options)["params"])
        return {path for path in paths if path.endswith("scale")}

    variables = init_shapes(name, norm="group")
    assert "batch_stats" not in variables
    assert places(norm="group") == places(norm="batch") != set()


def test_model_normalises_in_groups_of_the_batch_when_asked():
    with pytest.raises(ValueError, match="does not divide into num_groups=3"):
        used_primitives("resnet8_cifar", train=True, norm_groups=3)


@pytest.mark.parametrize("name", ["alexnet", "efficientnet_b0", "vgg11"])
def test_model_drops_values_in_training_alone(name):
    assert "random_bits" not in used_primitives(name, dropout_rate=0.5)
    with pytest.raises(Exception, match="dropout"):
        used_primitives(name, train=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": -1}, "num_classes must be at least 0, got -1"),
        ({"norm": "bach"}, "unknown norm 'bach': .*none; did you mean 'batch'"),
        ({"activation": "rellu"}, "unknown activation 'rellu'.*'relu'"),
        ({"initialization": "he"}, "unknown initialization 'he'.*torchvision"),
        ({"dropout_rate": 1.0}, r"dropout_rate must be in \[0, 1\), got 1.0"),
    ],
)
@pytest.mark.parametrize("name", ["alexnet", "resnet8_cifar"])
def test_model_names_an_option_out_of_range(name, options, message):
    with pytest.raises(ValueError, match=message):
        MODELS[name](**{"num_classes": 10, **options})
