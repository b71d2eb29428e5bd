"""Training steps of networks of any kind, to run or only to compile."""

import functools

import jax
import jax.numpy as jnp

from jaxdl.losses import barlow_twins_loss, cluster_loss, softmax_cross_entropy
from jaxdl.models import RBFNetwork, TwinNetwork
from jaxdl.optim import sgd
from jaxdl.parallel import batch_sharding, make_mesh, tree_shardings
from jaxdl.train import init_train_state, make_train_step


def make_loss(model):
    """The loss function for `make_train_step` of a network, by its kind."""

    def loss_fn(params, model_state, batch, *, key):
        variables = {"params": params, **model_state}
        apply = functools.partial(model.apply, mutable=list(model_state), train=True)
        images, labels = batch["images"], batch["labels"]
        if isinstance(model, TwinNetwork):
            (_, first), state = apply(variables, images)
            (_, second), state = apply({**variables, **state}, images[:, :, ::-1])
            loss = barlow_twins_loss(first, second)
        elif isinstance(model, RBFNetwork):
            outputs, state = apply(variables, images, method="describe")
            near = cluster_loss(outputs.squared_distances)
            loss = jnp.mean(softmax_cross_entropy(outputs.logits, labels) + near)
        else:
            rngs = {"dropout": key}
            logits, state = apply(variables, images, rngs=rngs)
            loss = jnp.mean(softmax_cross_entropy(logits, labels))
        return loss, (dict(state), {"loss": loss})

    return loss_fn


def compile_step(model, side, *, data, model_size, rules=(), num_images=16):
    """A compiled training step on images of a side, and the state it takes.

    Nothing runs: the state is of shapes, with the sharding of each leaf.
    """
    mesh = make_mesh(data=data, model=model_size)
    images = jax.ShapeDtypeStruct((num_images, side, side, 3), jnp.float32)
    labels = jax.ShapeDtypeStruct((num_images,), jnp.int32)
    batch = {"images": images, "labels": labels}
    loss_fn, optimizer = make_loss(model), sgd(0.1, weight_decay=1e-4)

    def init(key):
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), batch)
        variables = dict(model.init(key, zeros["images"][:2], train=False))
        options = {"ema": False, "key": key}
        return init_train_state(variables, loss_fn, optimizer, zeros, **options)

    def place(leaf, sharding):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    state = jax.eval_shape(init, jax.random.key(0))
    shardings = tree_shardings(state, mesh, rules=rules)
    state = jax.tree.map(place, state, shardings)
    rows = jax.tree.map(lambda leaf: place(leaf, batch_sharding(mesh)), batch)
    step = make_train_step(loss_fn, optimizer, state_shardings=shardings)
    return step.lower(state, rows).compile(), state
