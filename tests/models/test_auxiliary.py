"""The auxiliary heads of GoogLeNet and Inception-v3; shapes alone."""

import functools

import jax
import jax.numpy as jnp
import pytest

from jaxdl.models import MODELS, InceptionV3

HEADS = {"googlenet_aux": ("aux1", "aux2"), "inception_v3": ("aux",)}
SIDES = {"googlenet_aux": 32, "inception_v3": 299}


@functools.cache
def init_shapes(name):
    model = MODELS[name](num_classes=10)
    images = jax.ShapeDtypeStruct((2, 75, 75, 3), jnp.float32)
    init = functools.partial(model.init, train=False)
    return jax.eval_shape(init, jax.random.key(0), images)


def train_shapes(name, *, side, **options):
    """The logits, and what training leaves in its collections."""
    model = MODELS[name](num_classes=10, **options)
    train = functools.partial(
        model.apply, train=True, mutable=["batch_stats", "auxiliary_logits"]
    )
    images = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    rngs = {"dropout": jax.random.key(0)}
    return jax.eval_shape(train, init_shapes(name), images, rngs=rngs)


@pytest.mark.parametrize("name", HEADS)
def test_auxiliary_heads_leave_their_logits_in_training(name):
    logits, collections = train_shapes(name, side=SIDES[name], dtype=jnp.bfloat16)
    sown = collections["auxiliary_logits"]
    assert tuple(sown) == tuple(f"{head}_logits" for head in HEADS[name])
    for (auxiliary,) in sown.values():
        assert auxiliary.shape == logits.shape == (2, 10)
        assert auxiliary.dtype == jnp.float32


@pytest.mark.parametrize("name", HEADS)
def test_auxiliary_heads_have_parameters_and_do_nothing_in_evaluation(name):
    variables = init_shapes(name)
    assert set(variables) == {"params", "batch_stats"}
    assert set(HEADS[name]) <= set(variables["params"])
    evaluate = functools.partial(
        MODELS[name](num_classes=10).apply,
        train=False,
        mutable=["batch_stats", "auxiliary_logits"],
    )
    images = jax.ShapeDtypeStruct((2, 75, 75, 3), jnp.float32)
    _, collections = jax.eval_shape(evaluate, variables, images)
    assert "auxiliary_logits" not in collections


def test_inception_names_the_smallest_side_of_its_auxiliary_head():
    with pytest.raises(ValueError, match="at least 299 x 299 .*training.*got 298 x"):
        train_shapes("inception_v3", side=298)
    logits, collections = train_shapes("inception_v3", side=75, auxiliary=False)
    assert logits.shape == (2, 10)
    assert "auxiliary_logits" not in collections


def test_inception_without_auxiliary_head_is_smaller_by_it():
    model = InceptionV3(num_classes=10, auxiliary=False)
    images = jax.ShapeDtypeStruct((2, 75, 75, 3), jnp.float32)
    init = functools.partial(model.init, train=False)
    params = jax.eval_shape(init, jax.random.key(0), images)["params"]
    with_head = dict(init_shapes("inception_v3")["params"])
    del with_head["aux"]
    assert params == with_head
