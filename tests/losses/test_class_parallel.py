"""Cross entropy of logits whose classes are split over devices: none is gathered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxdl.losses import softmax_cross_entropy
from jaxdl.parallel import collective_report, make_mesh


def mean_loss(kernel, features, labels, label_smoothing=0.0):
    losses = softmax_cross_entropy(
        features @ kernel, labels, label_smoothing=label_smoothing
    )
    return jnp.mean(losses)


def compile_gradient(rows, size, num_classes, *, data=1, model=1, label_smoothing=0.0):
    """The compiled loss with the gradients of the head and of the features."""
    mesh = make_mesh(data=data, model=model)
    place = lambda *axes: NamedSharding(mesh, P(*axes))
    kernel_sharding, row_sharding = place(None, "model"), place("data")
    step = jax.jit(
        lambda *arrays: jax.value_and_grad(mean_loss, argnums=(0, 1))(
            *arrays, label_smoothing
        ),
        in_shardings=(kernel_sharding, row_sharding, row_sharding),
        out_shardings=(place(), (kernel_sharding, row_sharding)),
    )
    shapes = (
        jax.ShapeDtypeStruct((size, num_classes), jnp.float32),
        jax.ShapeDtypeStruct((rows, size), jnp.float32),
        jax.ShapeDtypeStruct((rows,), jnp.int32),
    )
    return step.lower(*shapes).compile()


def peak_bytes(compiled):
    memory = compiled.memory_analysis()
    return (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_of_split_classes_exchanges_numbers_per_row(label_smoothing):
    rows, size = 32, 8
    compiled = compile_gradient(
        rows, size, 400, model=8, label_smoothing=label_smoothing
    )
    report = collective_report(compiled)
    assert report.by_kind().keys() == {"all-reduce"}
    # The gradient of the features is a sum over classes, as of any split layer; all
    # else is at most one number per row and statistic.
    payloads = sorted(one.payload_bytes for one in report.collectives)
    assert payloads[-1] == 4 * rows * size
    numbers = 5 if label_smoothing else 4
    assert sum(payloads) == 4 * rows * (size + numbers)


def test_cross_entropy_of_split_classes_has_the_same_values():
    rng = np.random.default_rng(0)
    arrays = (
        rng.normal(size=(16, 1000)).astype(np.float32),
        rng.normal(size=(24, 16)).astype(np.float32),
        rng.integers(0, 1000, 24).astype(np.int32),
    )
    whole = compile_gradient(24, 16, 1000)
    split = compile_gradient(24, 16, 1000, data=2, model=4)
    for ours, reference in zip(
        jax.tree.leaves(split(*arrays)), jax.tree.leaves(whole(*arrays)), strict=True
    ):
        reference = np.asarray(reference)
        scale = np.abs(reference).max()
        np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-6 * scale)


def test_cross_entropy_of_100_000_classes_takes_an_eighth_of_the_memory_per_device():
    whole = peak_bytes(compile_gradient(256, 64, 100_000))
    split = peak_bytes(compile_gradient(256, 64, 100_000, model=8))
    assert split <= whole / 6
