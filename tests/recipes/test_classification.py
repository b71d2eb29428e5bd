import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxdl.augment import normalize, to_float
from jaxdl.losses import distillation
from jaxdl.metrics import compute_classification
from jaxdl.recipes.classification import (
    Classifier,
    Teacher,
    count_flops,
    make_classification_evaluation,
    make_classification_loss,
)

MEAN, STD = (0.2, 0.3, 0.4), (0.5, 0.6, 0.7)


class Linear(nn.Module):
    """Logits linear in the pixels."""

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(4)(images.reshape(len(images), -1))


class TwoHeads(nn.Module):
    """Two auxiliary heads besides the main one, and a state that training changes."""

    @nn.compact
    def __call__(self, images, *, train):
        x = images.reshape(len(images), -1)
        for name in ("a", "b"):
            auxiliary = nn.Dense(4, name=name)(x)
            if train:
                self.sow("auxiliary_logits", f"{name}_logits", auxiliary)
        count = self.variable("seen", "count", lambda: jnp.zeros((), jnp.int32))
        if train:
            count.value += 1
        return nn.Dense(4, name="Dense_0")(x)


@pytest.fixture
def classifier():
    return Classifier(Linear(), 4, MEAN, STD)


@pytest.fixture
def params():
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(12, 4)).astype(np.float32)
    return {"Dense_0": {"kernel": jnp.asarray(kernel), "bias": jnp.arange(4.0)}}


@pytest.fixture
def batch():
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (6, 2, 2, 3), np.uint8)
    return {
        "images": jnp.asarray(images),
        "labels": jnp.array([0, 1, 2, 3, 3, 0], jnp.int32),
    }


def log_probabilities(params, images):
    """Written out in float64, independent of the library."""
    x = (np.asarray(images, np.float64) / 255 - np.array(MEAN)) / np.array(STD)
    dense = params["Dense_0"]
    scores = x.reshape(len(x), -1) @ np.float64(dense["kernel"])
    scores += np.float64(dense["bias"])
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_make_classification_loss_equals_float64_numpy(
    classifier, params, batch, smoothing
):
    loss_fn = make_classification_loss(classifier, label_smoothing=smoothing)
    loss, (model_state, statistics) = jax.jit(loss_fn)(
        params, {}, batch, key=jax.random.key(0)
    )
    labels = np.asarray(batch["labels"])
    scores = log_probabilities(params, batch["images"])
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    losses = -(target * scores).sum(axis=1)
    np.testing.assert_allclose(loss, losses.mean(), rtol=1e-5)
    assert loss.dtype == jnp.float32 and model_state == {}
    numbers = compute_classification(jax.device_get(statistics))
    np.testing.assert_allclose(numbers["loss"], losses.mean(), rtol=1e-5)
    assert numbers["accuracy"] == (scores.argmax(axis=1) == labels).mean()


def make_heads(params):
    heads = {
        name: jax.tree.map(lambda leaf, shift=shift: leaf + shift, params["Dense_0"])
        for shift, name in ((0.5, "a"), (-1.5, "b"))
    }
    heads["a"]["kernel"] = heads["a"]["kernel"][::-1]
    return {**params, **heads}


def test_make_classification_loss_adds_weighted_auxiliary_heads(params, batch):
    classifier = Classifier(TwoHeads(), 4, MEAN, STD)
    params = make_heads(params)
    state = {"seen": {"count": jnp.zeros((), jnp.int32)}}
    labels = np.asarray(batch["labels"])
    losses = [
        -log_probabilities({"Dense_0": params[name]}, batch["images"])[
            np.arange(6), labels
        ].mean()
        for name in ("Dense_0", "a", "b")
    ]
    for weight in (0.0, 0.3):
        loss_fn = make_classification_loss(classifier, auxiliary_weight=weight)
        loss, (new_state, statistics) = jax.jit(loss_fn)(
            params, state, batch, key=jax.random.key(0)
        )
        wanted = losses[0] + weight * (losses[1] + losses[2])
        np.testing.assert_allclose(loss, wanted, rtol=1e-5)
        # The state keeps its form; the statistics are those of the main head.
        assert new_state == {"seen": {"count": 1}}
        numbers = compute_classification(jax.device_get(statistics))
        np.testing.assert_allclose(numbers["loss"], losses[0], rtol=1e-5)


def test_make_classification_loss_trains_auxiliary_heads_only_if_weighted(
    params, batch
):
    classifier = Classifier(TwoHeads(), 4, MEAN, STD)
    params = make_heads(params)
    state = {"seen": {"count": jnp.zeros((), jnp.int32)}}
    for weight in (0.0, 0.3):
        loss_fn = make_classification_loss(classifier, auxiliary_weight=weight)
        grads, _ = jax.grad(loss_fn, has_aux=True)(
            params, state, batch, key=jax.random.key(0)
        )
        assert np.asarray(grads["Dense_0"]["kernel"]).any()
        for name in ("a", "b"):
            assert np.asarray(grads[name]["kernel"]).any() == (weight > 0)


def test_make_classification_loss_costs_nothing_without_auxiliary_heads(
    classifier, params, batch
):
    programs = [
        jax.make_jaxpr(make_classification_loss(classifier, auxiliary_weight=weight))(
            params, {}, batch, key=jax.random.key(0)
        )
        for weight in (0.0, 0.3)
    ]
    assert str(programs[0]) == str(programs[1])


def test_make_classification_loss_refuses_a_negative_auxiliary_weight(classifier):
    with pytest.raises(ValueError, match="auxiliary_weight must be at least 0, got -1"):
        make_classification_loss(classifier, auxiliary_weight=-1.0)


def test_make_classification_loss_augments_by_key(classifier, params, batch):
    seen = []

    def augment(images, *, key):
        seen.append((images.dtype, float(images.max()) <= 1))
        return images + jax.random.normal(key, images.shape)

    loss_fn = make_classification_loss(classifier, augment=augment)
    losses = [
        float(loss_fn(params, {}, batch, key=jax.random.key(seed))[0])
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]
    assert seen == [(jnp.float32, True)] * 3


def test_make_classification_evaluation_leaves_masked_rows_out(
    classifier, params, batch
):
    mask = np.array([True, True, False, True, False, True])
    evaluate = jax.jit(make_classification_evaluation(classifier))
    statistics, outputs = evaluate(params, {}, {**batch, "mask": mask})
    scores = log_probabilities(params, batch["images"])
    labels = np.asarray(batch["labels"])
    numbers = compute_classification(jax.device_get(statistics))
    right = scores.argmax(axis=1) == labels
    assert numbers["accuracy"] == right[mask].mean()
    losses = -scores[np.arange(6), labels]
    np.testing.assert_allclose(numbers["loss"], losses[mask].mean(), rtol=1e-5)
    assert np.asarray(statistics.confusion).sum() == mask.sum()
    np.testing.assert_array_equal(outputs["prediction"], scores.argmax(axis=1))
    np.testing.assert_allclose(
        outputs["confidence"], np.exp(scores.max(axis=1)), rtol=1e-5
    )


def test_count_flops_counts_one_image(classifier, params):
    # 12 inputs for each of 4 classes: a multiplication and an addition.
    assert count_flops(classifier, {"params": params}, (2, 2, 3)) == 96


def test_make_classification_loss_weighs_a_teacher_on_the_same_views(
    classifier, params, batch
):
    model = classifier.model
    variables = {"params": jax.tree.map(lambda leaf: leaf[::-1], params)}
    augment = lambda images, *, key: images + jax.random.uniform(key, images.shape)
    key = jax.random.key(7)

    def loss(weight):
        teacher = Teacher(model, variables, weight=weight, temperature=2.0)
        loss_fn = make_classification_loss(classifier, augment=augment, teacher=teacher)
        return loss_fn(params, {}, batch, key=key)[0]

    plain = make_classification_loss(classifier, augment=augment)
    np.testing.assert_allclose(
        loss(0.0), plain(params, {}, batch, key=key)[0], rtol=1e-6
    )
    images = augment(to_float(batch["images"]), key=jax.random.split(key)[0])
    images = normalize(images, mean=MEAN, std=STD)
    scores = [
        model.apply(v, images, train=False) for v in ({"params": params}, variables)
    ]
    expected = jnp.mean(distillation(*scores, temperature=2.0))
    np.testing.assert_allclose(loss(1.0), expected, rtol=1e-5)
    between = (loss(0.0) + 3 * loss(1.0)) / 4
    np.testing.assert_allclose(loss(0.75), between, rtol=1e-5)
