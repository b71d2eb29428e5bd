import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import ArraySplit
from jaxdl.errors import DataError
from jaxdl.losses import softmax_cross_entropy
from jaxdl.parallel import make_mesh
from jaxdl.train import evaluate, make_evaluation_step

KERNEL = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
MODEL_STATE = {"offset": np.float32(0.25)}


@flax.struct.dataclass
class Counts:
    count: object
    correct: object
    per_class: object
    score_sum: object
    loss_sum: object


@functools.cache
def make_step():
    def evaluate_batch(params, model_state, batch):
        x = batch["images"].astype(jnp.float32).reshape(len(batch["images"]), -1) / 255
        scores = x @ params["kernel"] + model_state["offset"]
        losses = softmax_cross_entropy(scores, batch["labels"])
        mask = batch["mask"]
        is_right = (scores.argmax(axis=1) == batch["labels"]) & mask
        one_hot = jax.nn.one_hot(batch["labels"], 3, dtype=jnp.int32)
        counts = Counts(
            count=mask.sum(dtype=jnp.int32),
            correct=is_right.sum(dtype=jnp.int32),
            per_class=jnp.where(mask[:, None], one_hot, 0).sum(axis=0),
            score_sum=jnp.where(mask[:, None], scores, 0.0).sum(),
            loss_sum=jnp.where(mask, losses, 0.0).sum(),
        )
        return counts, {"score": scores[:, 0], "pixel": batch["images"][:, 0, 0, 0]}

    return make_evaluation_step(evaluate_batch)


def no_counts():
    zero = jnp.zeros((), jnp.int32)
    return Counts(zero, zero, jnp.zeros(3, jnp.int32), jnp.zeros(()), jnp.zeros(()))


@functools.cache
def make_split(num_examples):
    generator = np.random.default_rng(num_examples)
    images = generator.integers(0, 256, (num_examples, 2, 2, 3), np.uint8)
    # The filling rows repeat example 0: make it one that would be noticed.
    labels = generator.integers(0, 3, num_examples).astype(np.int32)
    return ArraySplit(images, labels, name="made")


def run(split, *, devices, batch_size, **options):
    return evaluate(
        make_step(),
        no_counts(),
        {"kernel": jnp.asarray(KERNEL)},
        jax.tree.map(jnp.asarray, MODEL_STATE),
        split,
        mesh=make_mesh(data=devices),
        batch_size=batch_size,
        **options,
    )


def count_in_float64(split):
    """Counts of a split, and the scores they are of, without batches."""
    x = split.images.astype(np.float64).reshape(len(split), -1) / 255
    scores = x @ KERNEL.astype(np.float64) + 0.25
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[range(len(x)), split.labels]
    counts = Counts(
        count=len(split),
        correct=np.sum(scores.argmax(axis=1) == split.labels),
        per_class=np.bincount(split.labels, minlength=3),
        score_sum=scores.sum(),
        loss_sum=losses.sum(),
    )
    return counts, scores


@pytest.mark.parametrize(
    ("devices", "batch_size"),
    [(1, 7), (2, 7), (4, 7), (8, 7), (1, 1), (8, 32)],
)
def test_evaluate_equals_float64_numpy_for_any_length(devices, batch_size):
    for num_examples in range(1, 41):
        split = make_split(num_examples)
        seen = []
        totals = run(
            split,
            devices=devices,
            batch_size=batch_size,
            on_outputs=lambda indices, rows, seen=seen: seen.append((indices, rows)),
        )
        wanted, scores = count_in_float64(split)
        assert int(totals.count) == wanted.count
        assert int(totals.correct) == wanted.correct
        np.testing.assert_array_equal(totals.per_class, wanted.per_class)
        np.testing.assert_allclose(totals.loss_sum, wanted.loss_sum, rtol=1e-6)
        np.testing.assert_allclose(
            totals.score_sum, wanted.score_sum, rtol=1e-5, atol=1e-5
        )
        indices = np.concatenate([part for part, _ in seen])
        assert sorted(indices) == list(range(num_examples))
        found = np.concatenate([rows["score"] for _, rows in seen])
        np.testing.assert_allclose(found, scores[indices, 0], rtol=1e-5, atol=1e-5)
        pixels = np.concatenate([rows["pixel"] for _, rows in seen])
        np.testing.assert_array_equal(pixels, split.images[indices, 0, 0, 0])


def test_evaluate_compiles_once(count_compiles):
    make_step.cache_clear()
    with count_compiles("evaluation_step") as compiles:
        for num_examples in (3, 17, 20):
            run(make_split(num_examples), devices=8, batch_size=5)
    assert compiles() == 1


@pytest.mark.parametrize("num_workers", [1, 5])
def test_evaluate_stops_when_asked(num_workers):
    asked = []
    totals = run(
        make_split(20),
        devices=1,
        batch_size=2,
        num_workers=num_workers,
        should_stop=lambda: asked.append(None) or len(asked) > 3,
    )
    assert totals is None and len(asked) == 4


def test_evaluate_changes_nothing_it_is_given():
    params = {"kernel": jnp.asarray(KERNEL)}
    state, totals = jax.tree.map(jnp.asarray, MODEL_STATE), no_counts()
    evaluate(
        make_step(),
        totals,
        params,
        state,
        make_split(9),
        mesh=make_mesh(data=2),
        batch_size=4,
    )
    np.testing.assert_array_equal(params["kernel"], KERNEL)
    assert float(state["offset"]) == 0.25 and int(totals.count) == 0


def test_evaluate_raises_what_reading_raised():
    split = make_split(20)

    class Broken:
        image_shape, num_bytes = split.image_shape, split.num_bytes
        __len__ = lambda self: len(split)
        describe, fingerprint = split.describe, split.fingerprint

        def read(self, indices):
            if 13 in np.asarray(indices):
                raise DataError("photos/cat.jpg: truncated")
            return split.read(indices)

    with pytest.raises(DataError, match=r"photos/cat\.jpg: truncated"):
        run(Broken(), devices=1, batch_size=4)
