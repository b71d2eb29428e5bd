"""The same training on every mesh: one device is the reference."""

import functools

import jax
import numpy as np
import pytest

from jaxdl.layers import RBFHead
from jaxdl.models import (
    VGG,
    CifarResNet,
    Projector,
    RBFNetwork,
    SmallCNN,
    TwinNetwork,
    list_splits,
)
from jaxdl.optim import sgd
from jaxdl.parallel import make_mesh, shard_batch, tree_shardings
from jaxdl.train import init_train_state, make_train_step
from tests.models.training_steps import make_loss

MESHES = [(8, 1), (4, 2), (2, 4), (1, 8)]
SHARES = {
    "optimizer": [("^optimizer_state/", "largest")],
    "everything": [("^(params|optimizer_state)/", "largest")],
}


def make_network(name):
    """A model, and the side of its images."""
    return {
        "small_cnn": (SmallCNN(num_classes=3, widths=(8, 16), norm="batch"), 8),
        "resnet": (CifarResNet(depth=8, width=8, num_classes=3), 16),
        "vgg": (VGG(depth=11, width=8, hidden_size=32, num_classes=3), 32),
        "twins": (
            TwinNetwork(
                SmallCNN(num_classes=0, widths=(8, 16), norm="batch"),
                Projector(widths=(32, 32, 32)),
            ),
            8,
        ),
        "rbf": (
            RBFNetwork(
                SmallCNN(num_classes=0, widths=(8, 16), norm="batch"),
                RBFHead(8, 3, embedding_size=8),
            ),
            8,
        ),
    }[name]


@functools.cache
def train(name, data, model_size, share=None, num_steps=20):
    """Losses, and parameters and shardings before and after some steps."""
    model, side = make_network(name)
    rng = np.random.default_rng(0)
    batch = {
        "images": rng.normal(size=(16, side, side, 3)).astype(np.float32),
        "labels": rng.integers(0, 3, 16).astype(np.int32),
    }
    mesh = make_mesh(data=data, model=model_size)
    init = functools.partial(model.init, train=False)
    variables = jax.jit(init)(jax.random.key(0), batch["images"][:2])
    # Steps small enough that training does not amplify rounding: the loss of twins is
    # a sum over 1024 correlations, that of distances is steep.
    rate = {"resnet": 2e-3, "twins": 1e-4, "rbf": 2e-3}.get(name, 0.02)
    optimizer = sgd(rate, weight_decay=1e-4)
    loss_fn = make_loss(model)
    state = init_train_state(
        variables, loss_fn, optimizer, batch, ema=False, key=jax.random.key(1)
    )
    rules = list(list_splits(model)) if model_size > 1 else []
    rules += SHARES.get(share, [])
    shardings = tree_shardings(state, mesh, rules=rules)
    state = jax.device_put(state, shardings)
    step = make_train_step(loss_fn, optimizer, state_shardings=shardings)
    losses = []
    placed = shard_batch(batch, mesh)
    for _ in range(num_steps):
        state, statistics = step(state, placed)
        losses.append(float(statistics["loss"]))
    after = jax.tree.map(lambda leaf: leaf.sharding, state)
    return losses, jax.device_get(state.params), (shardings, after)


def check_against_one_device(name, data, model_size, share=None):
    losses, params, (before, after) = train(name, data, model_size, share)
    wanted_losses, wanted, _ = train(name, 1, 1)
    np.testing.assert_allclose(losses, wanted_losses, rtol=1e-5)
    assert losses[-1] < losses[0]
    assert before == after
    for leaf, reference in zip(
        jax.tree.leaves(params), jax.tree.leaves(wanted), strict=True
    ):
        # A bias before a norm stays at rounding errors around 0.
        scale = max(float(np.abs(reference).max()), 0.1)
        np.testing.assert_allclose(leaf, reference, atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize(
    ("mesh", "share"), [((4, 2), None), ((2, 4), "optimizer"), ((8, 1), "everything")]
)
def test_training_is_the_same_on_every_mesh(mesh, share):
    check_against_one_device("small_cnn", *mesh, share)


def test_training_shares_what_it_is_told_to():
    *_, (_, after) = train("small_cnn", 8, 1, "everything")
    split = [leaf for leaf in jax.tree.leaves(after) if "data" in leaf.spec]
    # The kernel of the second convolution, 3 x 3 x 8 x 16, and its momentum.
    assert len(split) == 2


@pytest.mark.slow
@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("name", ["resnet", "vgg", "twins", "rbf"])
def test_every_kind_of_training_is_the_same_on_every_mesh(name, mesh):
    check_against_one_device(name, *mesh)
