import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxdl.losses import softmax_cross_entropy
from jaxdl.models import CifarResNet


@pytest.fixture(scope="module")
def small(draw_variables):
    """A narrow network, its variables, images and labels."""
    model = CifarResNet(depth=8, num_classes=3, width=2)
    images = jax.random.normal(jax.random.key(0), (8, 8, 8, 3))
    return model, draw_variables(model, images), images, jnp.arange(8) % 3


def loss_and_grads(model):
    """The compiled gradient of the mean loss of a batch in training."""

    def loss_fn(params, model_state, images, labels):
        variables = {"params": params, **model_state}
        logits, updates = model.apply(
            variables, images, train=True, mutable=["batch_stats"]
        )
        return softmax_cross_entropy(logits, labels).mean(), updates

    return jax.jit(jax.value_and_grad(loss_fn, has_aux=True))


@pytest.mark.parametrize("depth", [-4, 2, 7, 9, 19, 100])
def test_cifar_resnet_names_a_depth_that_is_not_6n_plus_2(depth):
    with pytest.raises(ValueError, match=rf"depth must be 6n \+ 2.*got {depth}"):
        CifarResNet(depth=depth, num_classes=10)


def test_cifar_resnet_in_evaluation_takes_each_image_apart(small):
    model, variables, images, _ = small
    apply = jax.jit(functools.partial(model.apply, train=False))
    logits = apply(variables, images)
    one_by_one = jnp.concatenate([apply(variables, image[None]) for image in images])
    np.testing.assert_allclose(logits, one_by_one, rtol=1e-5, atol=1e-6)
    eager = model.apply(variables, images, train=False)
    np.testing.assert_allclose(logits, eager, rtol=1e-5, atol=1e-6)


def test_cifar_resnet_gives_every_parameter_a_gradient(small):
    model, variables, images, labels = small
    state = {"batch_stats": variables["batch_stats"]}
    (loss, updates), grads = loss_and_grads(model)(
        variables["params"], state, images, labels
    )
    assert jnp.isfinite(loss)
    assert all(jnp.isfinite(g).all() and g.any() for g in jax.tree.leaves(grads))
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), state, updates)
    assert all(jax.tree.leaves(changed))


def test_cifar_resnet_on_eight_devices_equals_one(small):
    model, variables, images, labels = small
    state = {"batch_stats": variables["batch_stats"]}
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    whole = NamedSharding(mesh, PartitionSpec())
    step = loss_and_grads(model)
    on_one = step(variables["params"], state, images, labels)
    on_eight = step(
        *jax.device_put((variables["params"], state), whole),
        *jax.device_put((images, labels), split),
    )
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5),
        on_eight,
        on_one,
    )
    assert all(x.sharding.is_fully_replicated for x in jax.tree.leaves(on_eight))


def test_plain_network_differs_from_the_residual_one_by_its_shortcuts(small):
    model, variables, images, _ = small
    plain = model.clone(residual=False)
    # Without branches, the stem still reaches the head of a residual network; in a
    # plain one nothing does, and its logits are the bias of the head.
    params = jax.tree.map(lambda x: x, variables["params"])
    for stage in ("stage1", "stage2", "stage3"):
        norm = params[stage]["block0"]["norm2"]
        params[stage]["block0"]["norm2"] = jax.tree.map(jnp.zeros_like, norm)
    dead = {**variables, "params": params}
    logits = model.apply(dead, images, train=False)
    assert jnp.std(logits, axis=0).min() > 0
    bias = np.broadcast_to(params["head"]["bias"], logits.shape)
    np.testing.assert_array_equal(plain.apply(dead, images, train=False), bias)
