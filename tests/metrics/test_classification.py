import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    top_k_accuracy_score,
)

from jaxdl.metrics import (
    compute_classification,
    init_classification,
    init_regression,
    merge,
    update_classification,
)

update = jax.jit(update_classification)


def make_examples(num_examples, num_classes, seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(num_examples, num_classes)).astype(np.float32)
    labels = generator.integers(0, num_classes, num_examples).astype(np.int32)
    losses = generator.exponential(size=num_examples).astype(np.float32)
    return logits, labels, losses


def evaluate(examples, *, batch_size, num_classes):
    """Statistics of examples in padded batches of one size, NaN in the padding."""
    stats = init_classification(num_classes)
    num_examples = len(examples[1])
    for start in range(0, num_examples, batch_size):
        indices = np.arange(start, start + batch_size)
        mask = indices < num_examples
        logits, labels, losses = (x[np.where(mask, indices, 0)] for x in examples)
        logits = np.where(mask[:, None], logits, np.nan)
        losses = np.where(mask, losses, np.nan)
        arrays = [jnp.asarray(x) for x in (logits, labels, losses)]
        stats = update(stats, *arrays, mask=jnp.asarray(mask))
    return stats


def test_classification_equals_scikit_learn():
    logits, labels, losses = examples = make_examples(103, 7)
    stats = evaluate(examples, batch_size=16, num_classes=7)
    numbers = compute_classification(stats)
    predictions = logits.argmax(1)
    matrix = confusion_matrix(labels, predictions, labels=range(7))
    np.testing.assert_array_equal(stats.confusion, matrix)
    assert stats.count == 103
    assert numbers["accuracy"] == (predictions == labels).mean()
    assert numbers["top5"] == top_k_accuracy_score(labels, logits, k=5, labels=range(7))
    assert numbers["per_class_accuracy"] == list(matrix.diagonal() / matrix.sum(1))
    np.testing.assert_allclose(
        numbers["balanced_accuracy"],
        balanced_accuracy_score(labels, predictions),
        rtol=1e-12,
    )
    np.testing.assert_allclose(numbers["loss"], losses.mean(dtype=float), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 8, 40])
def test_classification_does_not_depend_on_the_batches(batch_size):
    examples = make_examples(37, 3)
    one_by_one = evaluate(examples, batch_size=37, num_classes=3)
    stats = evaluate(examples, batch_size=batch_size, num_classes=3)
    for name in ("count", "correct", "correct_top5", "class_count", "confusion"):
        np.testing.assert_array_equal(getattr(stats, name), getattr(one_by_one, name))
    np.testing.assert_allclose(stats.loss_sum, one_by_one.loss_sum, rtol=1e-6)


def test_merge_adds_examples_in_any_order():
    examples = make_examples(24, 3)
    parts = [
        evaluate([x[part] for x in examples], batch_size=8, num_classes=3)
        for part in (slice(0, 8), slice(8, 16), slice(16, 24))
    ]
    whole = evaluate(examples, batch_size=24, num_classes=3)
    a, b, c = parts
    for merged in (merge(merge(a, b), c), merge(a, merge(c, b))):
        np.testing.assert_array_equal(merged.confusion, whole.confusion)
        assert (
            compute_classification(merged)["accuracy"]
            == (compute_classification(whole)["accuracy"])
        )
    unchanged = merge(whole, init_classification(3))
    jax.tree.map(np.testing.assert_array_equal, unchanged, whole)


def test_merge_names_statistics_that_do_not_fit():
    with pytest.raises(ValueError, match="one kind.*Classification.*Regression"):
        merge(init_classification(2), init_regression())
    with pytest.raises(ValueError, match="one kind"):
        merge(init_classification(2), init_classification(2, confusion=False))


def test_top5_equals_a_stable_sort_also_with_ties():
    generator = np.random.default_rng(0)
    logits = generator.integers(0, 3, (200, 9)).astype(np.float32)
    labels = generator.integers(0, 9, 200).astype(np.int32)
    order = np.argsort(-logits, axis=1, kind="stable")
    rank = (order == labels[:, None]).argmax(1)
    stats = update(
        init_classification(9), jnp.asarray(logits), jnp.asarray(labels), jnp.zeros(200)
    )
    assert stats.correct == (rank == 0).sum()
    assert stats.correct_top5 == (rank < 5).sum()


@pytest.mark.parametrize("num_classes", [1, 2, 4, 5])
def test_top5_is_one_for_five_classes_or_fewer(num_classes):
    stats = evaluate(
        make_examples(9, num_classes), batch_size=9, num_classes=num_classes
    )
    assert compute_classification(stats)["top5"] == 1.0


@pytest.mark.parametrize("where", [0, 1, 2])
def test_nan_scores_count_as_wrong_wherever_they_are(where):
    # argmax alone would give the place of the NaN, here the true class.
    logits = jnp.array([[0.0, 9.0, 0.0], [0.0, 9.0, 0.0]]).at[0, where].set(jnp.nan)
    stats = update(init_classification(3), logits, jnp.array([1, 1]), jnp.ones(2))
    numbers = compute_classification(stats)
    assert numbers["accuracy"] == numbers["top5"] == 0.5
    assert numbers["per_class_accuracy"] == [None, 0.5, None]
    np.testing.assert_array_equal(stats.confusion, np.diag([0, 1, 0]))


@pytest.mark.parametrize("label", [-1, 3, 1000])
def test_labels_out_of_range_count_as_wrong(label):
    logits = jnp.array([[9.0, 0.0, 9.0], [9.0, 0.0, 0.0]])
    stats = update(init_classification(3), logits, jnp.array([label, 0]), jnp.ones(2))
    assert compute_classification(stats)["accuracy"] == 0.5
    assert stats.count == 2
    np.testing.assert_array_equal(stats.confusion, np.diag([1, 0, 0]))
    only_bad = update(
        init_classification(3), logits, jnp.array([label, label]), jnp.ones(2)
    )
    assert compute_classification(only_bad)["balanced_accuracy"] == 0.0


def test_infinite_scores_are_ranked():
    logits = jnp.array([[-jnp.inf, 0.0], [jnp.inf, 0.0]])
    stats = update(init_classification(2), logits, jnp.array([1, 0]), jnp.ones(2))
    assert compute_classification(stats)["accuracy"] == 1.0


def test_balanced_accuracy_leaves_absent_classes_out():
    logits = jnp.eye(4)[jnp.array([0, 0, 1, 3])]
    labels = jnp.array([0, 0, 0, 3])
    numbers = compute_classification(
        update(init_classification(4), logits, labels, jnp.ones(4))
    )
    assert numbers["per_class_accuracy"] == [2 / 3, None, None, 1.0]
    np.testing.assert_allclose(numbers["balanced_accuracy"], 5 / 6, rtol=1e-12)


def test_confusion_can_be_left_out():
    stats = init_classification(1000, confusion=False)
    stats = update(stats, jnp.zeros((2, 1000)), jnp.array([0, 5]), jnp.ones(2))
    assert stats.confusion is None
    assert compute_classification(stats) == {"loss": 1.0, "accuracy": 0.5, "top5": 0.5}


def test_classification_takes_bfloat16_scores():
    logits = jnp.array([[1.0, 2.0]], jnp.bfloat16)
    stats = update(
        init_classification(2), logits, jnp.array([1]), jnp.ones(1, jnp.bfloat16)
    )
    assert stats.loss_sum.dtype == jnp.float32
    assert compute_classification(stats)["accuracy"] == 1.0


def test_counts_stay_exact_beyond_the_float32_integers():
    stats = init_classification(2).replace(count=jnp.array(2**24, jnp.int32))
    stats = update(stats, jnp.zeros((1, 2)), jnp.array([0]), jnp.ones(1))
    assert stats.count == 2**24 + 1


def test_classification_is_the_same_on_eight_devices():
    examples = [jnp.asarray(x) for x in make_examples(32, 3)]
    mask = jnp.arange(32) < 27
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = functools.partial(
        jax.device_put, device=NamedSharding(mesh, PartitionSpec("data"))
    )
    stats = jax.device_put(init_classification(3), NamedSharding(mesh, PartitionSpec()))
    on_eight = update(stats, *map(split, examples), mask=split(mask))
    on_one = update(init_classification(3), *examples, mask=mask)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-6), on_eight, on_one
    )
    assert all(x.sharding.is_fully_replicated for x in jax.tree.leaves(on_eight))


def test_compute_classification_refuses_no_examples():
    with pytest.raises(ValueError, match="no examples"):
        compute_classification(init_classification(3))


def test_init_classification_names_a_bad_number_of_classes():
    with pytest.raises(ValueError, match="num_classes.*0"):
        init_classification(0)


def test_update_classification_names_scores_of_other_classes():
    with pytest.raises(ValueError, match="4 classes.*3"):
        update_classification(
            init_classification(3), jnp.zeros((1, 4)), jnp.array([0]), jnp.ones(1)
        )
