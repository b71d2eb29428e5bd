"""What the devices send each other in the step of a classifier run."""

import jax
import jax.numpy as jnp
import pytest

from jaxdl.augment import POLICIES, make_augment
from jaxdl.models import SmallCNN
from jaxdl.optim import sgd
from jaxdl.parallel import (
    batch_sharding,
    bytes_per_device,
    collective_report,
    make_mesh,
    replicated_sharding,
)
from jaxdl.recipes.classification import Classifier, make_classification_loss
from jaxdl.train import init_train_state, make_train_step


@pytest.mark.parametrize(
    "policy", [None, pytest.param("randaugment", marks=pytest.mark.slow)]
)
def test_classifier_sends_gradients_and_sums_of_statistics(policy):
    # With all that a run has: images taken by index, changed at random, counted.
    model = SmallCNN(num_classes=10, widths=(8, 16), norm="none")
    classifier = Classifier(model, num_classes=10, mean=(0.5,) * 3, std=(0.2,) * 3)
    policies = POLICIES[policy] if policy else None
    augment = make_augment(
        crop_padding=2, crop_mode="constant", flip=True, policy=policies
    )
    loss_fn = make_classification_loss(classifier, augment=augment, label_smoothing=0.1)
    optimizer, mesh = sgd(0.1), make_mesh(data=8)
    step = make_train_step(loss_fn, optimizer)
    whole, rows = replicated_sharding(mesh), batch_sharding(mesh)

    def init(key):
        images, labels = jnp.zeros((32, 8, 8, 3), jnp.uint8), jnp.zeros(32, jnp.int32)
        variables = dict(model.init(key, jnp.zeros((1, 8, 8, 3)), train=False))
        batch = {"images": images, "labels": labels}
        return init_train_state(
            variables, loss_fn, optimizer, batch, ema=False, key=key
        )

    def advance(state, arrays, indices):
        return step(state, jax.tree.map(lambda rows: rows[indices], arrays))[0]

    def place(leaf):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole)

    state = jax.tree.map(place, jax.eval_shape(init, jax.random.key(0)))
    images = jax.ShapeDtypeStruct((500, 8, 8, 3), jnp.uint8, sharding=whole)
    labels = jax.ShapeDtypeStruct((500,), jnp.int32, sharding=whole)
    indices = jax.ShapeDtypeStruct((32,), jnp.int32, sharding=rows)
    arrays = {"images": images, "labels": labels}
    program = jax.jit(advance, out_shardings=whole)
    report = collective_report(program.lower(state, arrays, indices).compile())
    assert report.by_kind().keys() == {"all-reduce"} and report.count() <= 2
    payload = report.by_kind()["all-reduce"]["payload_bytes"]
    # The loss is one of the statistics.
    assert payload == bytes_per_device((state.params, state.totals))
