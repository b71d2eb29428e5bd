import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxdl.metrics import compute_classification
from jaxdl.recipes.classification import (
    Classifier,
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
    # 12 x 4 multiplications, 11 x 4 additions, 4 biases; XLA counts 12 additions.
    assert 96 <= count_flops(classifier, {"params": params}, (2, 2, 3)) <= 110
