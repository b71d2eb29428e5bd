"""Networks that draw random numbers in training, through the classifier's loss."""

import functools

import jax
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxdl.layers import BatchNorm, Dropout, StochasticDepth
from jaxdl.models import AlexNet, EfficientNet, GoogLeNet
from jaxdl.parallel import make_mesh, shard_batch, tree_shardings
from jaxdl.recipes.classification import (
    Classifier,
    make_classification_evaluation,
    make_classification_loss,
)
from jaxdl.train import init_train_state, make_train_step
from jaxdl.trees import named_leaves
from tests.drawing import draw_variables


class RandomNetwork(nn.Module):
    """A dense layer with dropout, and a branch that is dropped for whole examples."""

    num_classes: int

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Dense(16, name="dense")(images.reshape(len(images), -1))
        x = Dropout(0.5)(BatchNorm(name="norm")(x, train=train), train=train)
        branch = nn.Dense(16, name="branch")(x)
        x = x + StochasticDepth(0.5)(branch, train=train)
        return nn.Dense(self.num_classes, name="head")(x)


def train(model, side, *, devices=1, accumulate=1, seed=0, num_steps=2):
    """The state after a few steps, and the statistics of each."""
    generator = np.random.default_rng(0)
    batch = {
        "images": generator.integers(0, 256, (16, side, side, 3), np.uint8),
        "labels": np.arange(16, dtype=np.int32) % 4,
    }
    images = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    classifier = Classifier(model, 4, (0.5,) * 3, (0.25,) * 3)
    loss_fn, optimizer = make_classification_loss(classifier), optax.sgd(0.01)
    state = init_train_state(
        dict(draw_variables(model, images, train=False)),
        loss_fn,
        optimizer,
        batch,
        key=jax.random.key(seed),
    )
    mesh = make_mesh(data=devices)
    shardings = tree_shardings(state, mesh)
    state = jax.device_put(state, shardings)
    step = make_train_step(
        loss_fn, optimizer, accumulate=accumulate, state_shardings=shardings
    )
    losses = []
    for _ in range(num_steps):
        state, statistics = step(state, shard_batch(batch, mesh))
        losses.append(float(statistics.loss_sum))
    evaluate = jax.jit(make_classification_evaluation(classifier))
    masked = {**batch, "mask": np.ones(16, bool)}
    scores = [evaluate(state.params, state.model_state, masked)[1] for _ in range(2)]
    np.testing.assert_array_equal(scores[0]["confidence"], scores[1]["confidence"])
    assert bool(state.finite) and np.isfinite(losses).all()
    return state, losses


@pytest.mark.parametrize("accumulate", [1, 2])
def test_random_network_trains_alike_on_any_number_of_devices(accumulate):
    model = RandomNetwork(4)
    one, losses = train(model, 4, accumulate=accumulate)
    eight, others = train(model, 4, accumulate=accumulate, devices=8)
    np.testing.assert_allclose(losses, others, rtol=1e-5)
    one, eight = named_leaves(one.params), named_leaves(eight.params)
    for path in one:
        np.testing.assert_allclose(one[path], eight[path], rtol=1e-4, atol=1e-6)


def test_random_network_draws_by_key():
    model = RandomNetwork(4)
    first, again, other = (train(model, 4, seed=seed)[1] for seed in (0, 0, 1))
    assert first == again and first[0] != other[0]


def test_alexnet_trains_with_dropout_in_parts_on_eight_devices():
    model = AlexNet(num_classes=4, width=2, hidden_size=8)
    state, _ = train(model, 63, accumulate=2, devices=8, num_steps=1)
    assert state.model_state == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "side"),
    [(EfficientNet, 32), (functools.partial(GoogLeNet, auxiliary=True), 96)],
)
def test_large_network_trains_in_parts_on_eight_devices(make, side):
    state, _ = train(make(num_classes=4), side, accumulate=2, devices=8, num_steps=1)
    assert set(state.model_state) == {"batch_stats"}
