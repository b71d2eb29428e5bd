"""The twin network against its parts, and the statistics of two views in turn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import MODELS, Projector, TwinNetwork
from jaxdl.trees import named_leaves
from tests.drawing import draw_variables


def make(**options):
    backbone = MODELS["resnet8_cifar"](num_classes=0, width=4, **options)
    return TwinNetwork(backbone, Projector(widths=(8, 6), **options))


@pytest.fixture(scope="module")
def variables():
    images = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    return draw_variables(make(), images, train=False)


def draw_views():
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=(2, 5, 8, 8, 3))
    # Of its own mean, so that shared statistics would show.
    return jnp.float32(first), jnp.float32(second + 1)


def pick(variables, name):
    return {collection: tree[name] for collection, tree in variables.items()}


def test_twin_network_is_a_backbone_and_a_projector(variables):
    assert set(variables["params"]) == {"backbone", "projector"}
    model, (images, _) = make(), draw_views()
    apply = jax.jit(functools.partial(model.apply, train=False))
    features, embeddings = apply(variables, images)
    assert features.shape == (5, 16) and embeddings.shape == (5, 6)
    backbone = MODELS["resnet8_cifar"](num_classes=0, width=4)
    alone = backbone.apply(pick(variables, "backbone"), images, train=False)
    np.testing.assert_allclose(features, alone, rtol=1e-5, atol=1e-6)
    projector = Projector(widths=(8, 6))
    alone = projector.apply(pick(variables, "projector"), features, train=False)
    np.testing.assert_allclose(embeddings, alone, rtol=1e-5, atol=1e-5)


def test_twin_network_encodes_without_its_projector(variables):
    model, (images, _) = make(), draw_views()
    features, _ = model.apply(variables, images, train=False)
    backbone = {
        collection: {"backbone": tree["backbone"]}
        for collection, tree in variables.items()
    }
    found = model.apply(backbone, images, train=False, method="encode_features")
    np.testing.assert_array_equal(found, features)


def test_twin_network_normalises_each_view_by_itself(variables):
    model, views = make(), draw_views()
    train = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    step = jax.jit(train)
    stats, means = variables["batch_stats"], []
    for images in views:
        (features, _), updates = step(
            {"params": variables["params"], "batch_stats": stats}, images
        )
        stats = updates["batch_stats"]
        kernel = np.float64(variables["params"]["projector"]["dense1"]["kernel"])
        means.append((np.float64(features) @ kernel).mean(0))
    before = np.float64(variables["batch_stats"]["projector"]["norm1"]["mean"])
    expected = 0.9 * (0.9 * before + 0.1 * means[0]) + 0.1 * means[1]
    found = stats["projector"]["norm1"]["mean"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for path, leaf in named_leaves(stats).items():
        changed = np.any(leaf != named_leaves(variables["batch_stats"])[path])
        assert changed, path


def test_twin_network_in_bfloat16_gives_float32(variables):
    images = jax.ShapeDtypeStruct((5, 8, 8, 3), jnp.float32)
    model = make(dtype=jnp.bfloat16)
    train = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    outputs, updates = jax.eval_shape(train, variables, images)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((outputs, updates))}
    assert dtypes == {np.dtype("float32")}


def test_twin_network_refuses_a_backbone_with_classes():
    backbone = MODELS["resnet8_cifar"](num_classes=10)
    with pytest.raises(ValueError, match="without classes, num_classes=0, got .*=10"):
        TwinNetwork(backbone, Projector(widths=(4,)))
