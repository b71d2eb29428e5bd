"""A backbone with a radial basis function head."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import RBFHead
from jaxdl.models import MODELS, RBFNetwork


@pytest.fixture(scope="module")
def made():
    backbone = MODELS["resnet8_cifar"](num_classes=0, norm="batch")
    model = RBFNetwork(backbone, RBFHead(5, 3, embedding_size=4))
    images = jax.random.normal(jax.random.key(1), (4, 8, 8, 3))
    init = jax.jit(functools.partial(model.init, train=False))
    return model, init(jax.random.key(0), images), images


def test_rbf_network_scores_are_those_of_its_description(made):
    model, variables, images = made
    run = jax.jit(
        functools.partial(model.apply, train=False, method="describe"),
    )
    outputs = run(variables, images)
    logits = jax.jit(functools.partial(model.apply, train=False))(variables, images)
    np.testing.assert_allclose(outputs.logits, logits, rtol=1e-6)
    head = model.head.apply(
        {"params": variables["params"]["head"]},
        model.backbone.apply(
            {name: tree["backbone"] for name, tree in variables.items()},
            images,
            train=False,
        ),
    )
    np.testing.assert_allclose(outputs.activations, head.activations, rtol=1e-4)


def test_rbf_network_mixing_mixes_embeddings(made):
    model, variables, images = made
    describe = jax.jit(functools.partial(model.apply, train=False, method="describe"))
    plain = np.asarray(describe(variables, images).embeddings)
    share, rows = jnp.array([1.0, 0.5, 0.25, 0.0]), jnp.array([3, 2, 1, 0])
    mixed = describe(variables, images, mixing=(share, rows)).embeddings
    wanted = (
        np.asarray(share)[:, None] * plain
        + (1 - np.asarray(share))[:, None] * plain[np.asarray(rows)]
    )
    np.testing.assert_allclose(mixed, wanted, rtol=1e-4, atol=1e-5)


def test_rbf_network_frozen_backbone_gets_no_gradient_and_keeps_its_statistics(made):
    model, variables, images = made
    frozen = model.clone(is_frozen=True)

    @jax.jit
    def run(params, images):
        def loss(params):
            logits, state = frozen.apply(
                {**variables, "params": params},
                images,
                train=True,
                mutable=["batch_stats"],
            )
            return jnp.sum(logits**2), state

        return jax.grad(loss, has_aux=True)(params)

    grads, state = run(variables["params"], images)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(grads["backbone"]))
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(grads["head"]))
    before = variables["batch_stats"]
    jax.tree.map(np.testing.assert_array_equal, dict(state["batch_stats"]), before)


def test_rbf_network_refuses_a_backbone_with_a_head():
    backbone = MODELS["resnet8_cifar"](num_classes=10)
    with pytest.raises(ValueError, match="num_classes=0, got num_classes=10"):
        RBFNetwork(backbone, RBFHead(5, 3, embedding_size=4))
