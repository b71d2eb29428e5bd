"""Radial basis function heads."""

import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxdl.layers import METRICS, RADIAL_KERNELS, RBFHead
from jaxdl.losses import cluster_loss, softmax_cross_entropy
from jaxdl.parallel import make_mesh

X = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)


def make_head(**options):
    options = {"num_centers": 5, "num_classes": 3, "embedding_size": 4, **options}
    head = RBFHead(**options)
    return head, head.init(jax.random.key(1), jnp.asarray(X))["params"]


@pytest.mark.parametrize("per_center", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_rbf_head_matches_float64(metric, per_center):
    head, params = make_head(metric=metric, per_center_metric=per_center)
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32), params
    )
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    embeddings = X @ p["embedding"]["kernel"] + p["embedding"]["bias"]
    differences = embeddings[:, None] - p["centers"]
    if metric == "diagonal":
        distances = (differences**2 * np.exp(p["log_weights"])).sum(-1)
    elif metric == "full":
        own = np.broadcast_to(p["transforms"], (5, 4, 4))
        distances = (np.einsum("ced,ncd->nce", own, differences) ** 2).sum(-1)
    else:
        distances = (differences**2).sum(-1)
    activations = 1 - distances / np.exp(p["log_widths"]) ** 2
    logits = activations @ p["output"]["kernel"] + p["output"]["bias"]
    outputs = head.apply({"params": params}, jnp.asarray(X))
    for got, wanted in zip(
        outputs, (logits, activations, distances, embeddings), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_rbf_head_without_embedding_measures_its_inputs():
    head, params = make_head(embedding_size=None, metric="euclidean")
    assert set(params) == {"centers", "log_widths", "output"}
    outputs = head.apply({"params": params}, jnp.asarray(X))
    np.testing.assert_array_equal(outputs.embeddings, X)


def test_rbf_head_nonnegative_output_cannot_speak_against_a_class():
    head, params = make_head(nonnegative=True)
    start = head.read_parts(params).kernel
    assert 0.5 <= start.min() and start.max() <= 1.0
    low = jax.tree.map(lambda leaf: leaf - 100.0, params)
    parts = head.read_parts(low)
    assert parts.kernel.min() >= 0 and parts.bias.min() >= 0


def test_rbf_head_metric_starts_as_the_authors():
    head, params = make_head(per_center_metric=True)
    weights = head.read_parts(params).weights
    assert weights.shape == (5, 4)
    assert 0.5 <= weights.min() and weights.max() <= 1.0


def test_rbf_head_is_float32_on_bfloat16_features():
    head, params = make_head()
    outputs = head.apply({"params": params}, jnp.asarray(X, jnp.bfloat16))
    assert {leaf.dtype for leaf in outputs} == {jnp.dtype("float32")}


@pytest.mark.parametrize("metric", METRICS)
def test_rbf_head_on_eight_devices_equals_one(metric):
    head, params = make_head(metric=metric, per_center_metric=True)
    labels = np.arange(16) % 3

    def loss(params, x, labels):
        outputs = head.apply({"params": params}, x)
        widths = head.read_parts(params).widths
        cluster = cluster_loss(outputs.squared_distances, widths=widths)
        return jnp.mean(softmax_cross_entropy(outputs.logits, labels) + 0.5 * cluster)

    run = jax.jit(jax.value_and_grad(loss))
    alone = run(params, jnp.asarray(X), jnp.asarray(labels))
    mesh = make_mesh(data=8)
    split = NamedSharding(mesh, P("data"))
    together = run(
        jax.device_put(params, NamedSharding(mesh, P())),
        jax.device_put(X, split),
        jax.device_put(labels, split),
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        alone,
        jax.device_get(together),
    )


def test_rbf_head_gradients_are_finite_on_a_centre():
    for kernel, metric in itertools.product(RADIAL_KERNELS, METRICS):
        head, params = make_head(embedding_size=None, kernel=kernel, metric=metric)
        params = {**params, "centers": jnp.asarray(X[:5])}

        def loss(params, head=head):
            return jnp.sum(head.apply({"params": params}, jnp.asarray(X)).logits)

        grads = jax.grad(loss)(params)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads)), kernel


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_centers": 0}, "num_centers must be at least 1, got 0"),
        ({"embedding_size": 0}, "embedding_size must be at least 1, got 0"),
        ({"kernel": "gausian"}, "did you mean 'gaussian'"),
        ({"metric": "diag"}, "unknown metric 'diag'"),
    ],
)
def test_rbf_head_names_what_does_not_fit(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    options = {"num_centers": 2, "num_classes": 2, "embedding_size": 2, **options}
    with pytest.raises(ValueError, match=message):
        RBFHead(**options)
