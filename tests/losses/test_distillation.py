import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from jaxdl.losses import distillation, softmax_cross_entropy


def draw(seed, dtype=np.float32):
    scores = np.random.default_rng(seed).normal(0, 3, (5, 4))
    return jnp.asarray(scores.astype(dtype))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_distillation_equals_scipy(temperature):
    logits, teacher = draw(0), draw(1)
    shares = [softmax(np.float64(x) / temperature, axis=1) for x in (teacher, logits)]
    expected = temperature**2 * entropy(*shares, axis=1)
    found = distillation(logits, teacher, temperature=temperature)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_distillation_from_labels_has_the_gradient_of_cross_entropy():
    logits, labels = draw(0), jnp.array([0, 1, 2, 3, 0])
    sure = 1e4 * jax.nn.one_hot(labels, 4)
    gradients = [
        jax.grad(lambda x, f=f: f(x).sum())(logits)
        for f in (
            lambda x: distillation(x, sure, temperature=1.0),
            lambda x: softmax_cross_entropy(x, labels),
        )
    ]
    np.testing.assert_allclose(*gradients, atol=1e-6)


def test_distillation_is_zero_for_equal_scores_and_leaves_the_teacher_alone():
    logits = draw(2, np.float16)
    np.testing.assert_allclose(distillation(logits, logits), 0, atol=1e-6)
    gradient = jax.grad(lambda x: distillation(draw(0), x).sum())(draw(1))
    np.testing.assert_array_equal(gradient, 0)


def test_distillation_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"temperature must be above 0, got 0\.0"):
        distillation(draw(0), draw(1), temperature=0.0)
