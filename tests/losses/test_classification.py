import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxdl.losses import softmax_cross_entropy


def cross_entropy_float64(logits, labels, label_smoothing=0.0):
    """The definition, with the smoothed target written out."""
    logits = np.asarray(logits, np.float64)
    num_classes = logits.shape[-1]
    shifted = logits - logits.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    target = np.eye(num_classes)[labels] * (1 - label_smoothing)
    return -((target + label_smoothing / num_classes) * log_p).sum(-1)


@settings(max_examples=50, deadline=None)
@given(
    logits=hnp.arrays(np.float32, (4, 5), elements=st.floats(-1e3, 1e3, width=32)),
    labels=hnp.arrays(np.int32, (4,), elements=st.integers(0, 4)),
    label_smoothing=st.sampled_from([0.0, 0.1, 0.9]),
)
def test_softmax_cross_entropy_equals_float64(logits, labels, label_smoothing):
    losses = softmax_cross_entropy(
        jnp.asarray(logits), jnp.asarray(labels), label_smoothing=label_smoothing
    )
    expected = cross_entropy_float64(logits, labels, label_smoothing)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-4)
    assert (losses >= 0).all()


def test_softmax_cross_entropy_has_hand_checked_values():
    logits = jnp.array([[1.0, 2.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    losses = softmax_cross_entropy(logits, jnp.array([1, 3]))
    np.testing.assert_allclose(losses, [1.4401896986, np.log(4)], rtol=1e-6)


@pytest.mark.parametrize("label", [-1, -100, 4, 2**31 - 1])
def test_softmax_cross_entropy_is_nan_for_labels_out_of_range(label):
    losses = softmax_cross_entropy(jnp.zeros((3, 4)), jnp.array([0, label, 3]))
    np.testing.assert_array_equal(jnp.isnan(losses), [False, True, False])


def test_softmax_cross_entropy_takes_small_label_dtypes_with_many_classes():
    logits = jnp.arange(300.0).reshape(1, 300)
    losses = softmax_cross_entropy(logits, jnp.array([44], jnp.int8))
    expected = cross_entropy_float64(logits, np.array([44]))
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


def test_softmax_cross_entropy_stays_finite_for_extreme_logits():
    logits = jnp.array([[1e30, -1e30], [-jnp.inf, 0.0]])
    losses = softmax_cross_entropy(logits, jnp.array([0, 1]))
    np.testing.assert_array_equal(losses, [0.0, 0.0])


def test_softmax_cross_entropy_of_bfloat16_is_computed_in_float32():
    logits = jnp.array([[0.5, 1.5, -2.0]], jnp.bfloat16)
    losses = softmax_cross_entropy(logits, jnp.array([2]))
    assert losses.dtype == jnp.float32
    expected = cross_entropy_float64(np.array([[0.5, 1.5, -2.0]]), np.array([2]))
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_softmax_cross_entropy_gradient_is_probability_minus_target(label_smoothing):
    logits = np.random.default_rng(0).normal(size=(3, 4))
    labels = np.array([0, 3, 2])
    grads = jax.grad(
        lambda z: softmax_cross_entropy(
            z, jnp.asarray(labels), label_smoothing=label_smoothing
        ).sum()
    )(jnp.asarray(logits, jnp.float32))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    target = np.eye(4)[labels] * (1 - label_smoothing) + label_smoothing / 4
    np.testing.assert_allclose(grads, p - target, atol=1e-6)


def test_softmax_cross_entropy_is_unchanged_by_jit_batching_and_class_order():
    generator = np.random.default_rng(1)
    logits = jnp.asarray(generator.normal(size=(2, 3, 4)), jnp.float32)
    labels = jnp.asarray(generator.integers(0, 4, (2, 3)))
    losses = softmax_cross_entropy(logits, labels)
    assert losses.shape == (2, 3)
    np.testing.assert_allclose(
        jax.jit(softmax_cross_entropy)(logits, labels), losses, rtol=1e-6
    )
    np.testing.assert_allclose(
        jax.vmap(softmax_cross_entropy)(logits, labels), losses, rtol=1e-6
    )
    order = np.array([2, 0, 3, 1])
    moved = softmax_cross_entropy(logits[..., order], jnp.argsort(order)[labels])
    np.testing.assert_allclose(moved, losses, rtol=1e-5)


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.0, float("nan")])
def test_softmax_cross_entropy_names_a_bad_label_smoothing(label_smoothing):
    with pytest.raises(ValueError, match=rf"label_smoothing.*{label_smoothing}"):
        softmax_cross_entropy(
            jnp.zeros((1, 2)), jnp.array([0]), label_smoothing=label_smoothing
        )
