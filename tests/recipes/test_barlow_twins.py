import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxdl.augment import to_float
from jaxdl.losses import barlow_twins_loss, softmax_cross_entropy
from jaxdl.recipes.barlow_twins import (
    TwinEncoder,
    compute_twins,
    crop_middle,
    init_probe,
    make_twins_evaluation,
    make_twins_loss,
    split_optimizer,
)
from jaxdl.train import init_train_state, make_train_step

MEAN, STD = (0.2, 0.3, 0.4), (0.5, 0.6, 0.7)


class Twins(nn.Module):
    """Linear features, linear embeddings, and a count of the views it has seen."""

    @nn.compact
    def __call__(self, images, *, train):
        seen = self.variable("seen", "views", lambda: jnp.zeros(()))
        if train and not self.is_initializing():
            # Of use in the features, so that the order of the views matters.
            seen.value = 2 * seen.value + images[0, 0, 0, 0]
        features = nn.Dense(5, name="backbone")(images.reshape(len(images), -1))
        return features + seen.value, nn.Dense(4, name="projector")(features)


def two_views(images, *, key):
    images = to_float(images)
    return images + jax.random.uniform(key), images[:, :, ::-1]


@pytest.fixture
def encoder():
    return TwinEncoder(Twins(), 3, 2, 2, MEAN, STD)


@pytest.fixture
def variables(encoder):
    variables = encoder.model.init(
        jax.random.key(0), jnp.zeros((1, 2, 2, 3)), train=False
    )
    probe = jax.tree.map(
        lambda leaf: leaf + jnp.linspace(0.1, 1, leaf.size).reshape(leaf.shape),
        init_probe(5, 3),
    )
    return {**variables, "params": {**variables["params"], "probe": probe}}


@pytest.fixture
def batch():
    images = np.random.default_rng(1).integers(0, 256, (6, 2, 2, 3), np.uint8)
    labels = jnp.array([0, 1, 2, 2, 1, 0], jnp.int32)
    return {"images": jnp.asarray(images), "labels": labels}


def scale(features):
    """Rows of length 6."""
    return 6 * features / jnp.sqrt(jnp.sum(features**2, axis=1, keepdims=True))


def forward(encoder, variables, batch, *, key):
    """Features and embeddings of both views, step by step, and the last state."""
    views = two_views(batch["images"], key=key)
    params = {n: v for n, v in variables["params"].items() if n != "probe"}
    state, outputs = {"seen": variables["seen"]}, []
    for view in views:
        mean, std = (jnp.array(v).reshape(1, 1, 1, 3) for v in (MEAN, STD))
        output, state = encoder.model.apply(
            {"params": params, **state}, (view - mean) / std, train=True, mutable="seen"
        )
        outputs.append(output)
    return outputs, state


def test_make_twins_loss_passes_the_views_in_turn(encoder, variables, batch):
    key = jax.random.key(3)
    (first, second), state = forward(encoder, variables, batch, key=key)
    options = {"off_diagonal_weight": 0.02}
    loss_fn = make_twins_loss(encoder, two_views, scale=0.5, **options)
    params = variables.pop("params")
    loss, (new_state, statistics) = jax.jit(loss_fn)(params, variables, batch, key=key)
    twins = barlow_twins_loss(first[1], second[1], **options)
    probe = params["probe"]
    losses = [
        softmax_cross_entropy(
            scale(features) @ probe["kernel"] + probe["bias"][None, :], batch["labels"]
        )
        for features, _ in (first, second)
    ]
    expected = 0.5 * twins + jnp.mean(jnp.stack(losses))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(new_state["seen"]["views"], state["seen"]["views"])
    numbers = compute_twins(jax.device_get(statistics))
    np.testing.assert_allclose(numbers["loss"], twins, rtol=1e-5)
    np.testing.assert_allclose(
        numbers["probe_loss"], jnp.mean(jnp.stack(losses)), rtol=1e-5
    )


def test_make_twins_loss_keeps_labels_from_the_network(encoder, variables, batch):
    loss_fn = make_twins_loss(encoder, two_views, off_diagonal_weight=0.02)
    params, key = variables.pop("params"), jax.random.key(3)

    @jax.jit
    def gradient(labels):
        grads, _ = jax.grad(loss_fn, has_aux=True)(
            params, variables, {**batch, "labels": labels}, key=key
        )
        return grads

    one, other = gradient(batch["labels"]), gradient((batch["labels"] + 1) % 3)
    for name in ("backbone", "projector"):
        for a, b in zip(*map(jax.tree.leaves, (one[name], other[name])), strict=True):
            np.testing.assert_array_equal(a, b)
    assert np.abs(one["backbone"]["kernel"]).max() > 0
    assert np.abs(one["probe"]["kernel"] - other["probe"]["kernel"]).max() > 0.01


def test_split_optimizer_updates_each_part_by_its_own(encoder, variables, batch):
    loss_fn = make_twins_loss(encoder, two_views, off_diagonal_weight=0.02)
    optimizer = split_optimizer(optax.sgd(0.0), optax.sgd(0.1))
    state = init_train_state(
        variables, loss_fn, optimizer, batch, key=jax.random.key(0)
    )
    before = jax.device_get(state.params)
    after, _ = make_train_step(loss_fn, optimizer)(state, batch)
    for name, tree in jax.device_get(after.params).items():
        is_equal = all(
            np.array_equal(a, b)
            for a, b in zip(*map(jax.tree.leaves, (tree, before[name])), strict=True)
        )
        assert is_equal == (name != "probe"), name


def test_make_twins_evaluation_leaves_masked_rows_out(encoder, variables, batch):
    evaluate_batch = make_twins_evaluation(encoder)
    params = variables.pop("params")
    mask = jnp.array([True] * 4 + [False] * 2)
    statistics, outputs = evaluate_batch(params, variables, {**batch, "mask": mask})
    features = encoder.features(params, variables, batch["images"])
    np.testing.assert_array_equal(outputs["features"], features)
    scores = np.asarray(scale(features) @ params["probe"]["kernel"]) + np.asarray(
        params["probe"]["bias"]
    )
    correct = scores.argmax(1)[:4] == np.asarray(batch["labels"])[:4]
    numbers = compute_twins(jax.device_get(statistics))
    assert set(numbers) == {"probe_loss", "probe_accuracy"}
    assert numbers["probe_accuracy"] == pytest.approx(correct.mean())


def test_crop_middle_takes_the_middle():
    images = jnp.arange(30.0).reshape(1, 5, 6, 1)
    np.testing.assert_array_equal(
        crop_middle(images, 3)[0, :, :, 0], np.arange(30).reshape(5, 6)[1:4, 1:4]
    )
    with pytest.raises(ValueError, match="size must be at most 5, got 6"):
        crop_middle(images, 6)
