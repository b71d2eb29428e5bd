"""Training and scoring networks that decide by distances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import RBFHead
from jaxdl.models import RBFNetwork
from jaxdl.recipes.classification import Classifier
from jaxdl.recipes.rbf import (
    RBFPenalties,
    compute_rbf,
    make_rbf_evaluation,
    make_rbf_loss,
)
from jaxdl.recipes.rbf_scores import (
    Described,
    compare_metrics,
    count_classes,
    measure_distances,
    nearest_accuracy,
    purity,
    unknown_scores,
)
from tests.recipes.tiny_network import TinyBackbone, encode_patches

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def made():
    head = RBFHead(4, 3, embedding_size=2)
    model = RBFNetwork(TinyBackbone(num_classes=0), head)
    classifier = Classifier(model, 3, (0.5,), (0.25,))
    images = classifier.prepare(jnp.asarray(IMAGES))
    variables = model.init(KEY, images, train=False)
    return classifier, variables["params"], {"batch_stats": variables["batch_stats"]}


def run_loss(made, **options):
    classifier, params, state = made
    batch = {"images": jnp.asarray(IMAGES), "labels": jnp.asarray(LABELS)}
    loss_fn = jax.jit(make_rbf_loss(classifier, **options))
    loss, (_, statistics) = loss_fn(params, state, batch, key=KEY)
    return float(loss), compute_rbf(jax.device_get(statistics))


def test_rbf_loss_adds_the_clusters_to_the_classes(made):
    plain, numbers = run_loss(made)
    np.testing.assert_allclose(plain, numbers["loss"], rtol=1e-6)
    both, _ = run_loss(made, cluster_weight=2.0)
    wanted = plain + 2 * numbers["cluster_loss"]
    np.testing.assert_allclose(both, wanted, rtol=1e-5)


def test_rbf_loss_adds_each_penalty_by_its_weight(made):
    plain, _ = run_loss(made)
    for name in ("center_repulsion", "assignment_imbalance", "metric_decay"):
        once, _ = run_loss(made, penalties=RBFPenalties(**{name: 1.0}))
        thrice, _ = run_loss(made, penalties=RBFPenalties(**{name: 3.0}))
        assert once > plain, name
        np.testing.assert_allclose(thrice - plain, 3 * (once - plain), rtol=1e-3)
    # All widths start alike.
    same, _ = run_loss(made, penalties=RBFPenalties(width_prior=1.0))
    np.testing.assert_allclose(same, plain, rtol=1e-6)


def test_rbf_loss_of_mixtures_differs(made):
    plain, _ = run_loss(made)
    mixed, _ = run_loss(made, embedding_mixup=1.0)
    assert np.isfinite(mixed) and mixed != plain


def test_rbf_evaluation_matches_float64(made):
    classifier, params, state = made
    batch = {
        "images": jnp.asarray(IMAGES),
        "labels": jnp.asarray(LABELS),
        "mask": jnp.arange(6) < 5,
    }
    evaluate = jax.jit(make_rbf_evaluation(classifier))
    statistics, rows = jax.device_get(evaluate(params, state, batch))
    backbone = {
        "params": params["backbone"],
        "batch_stats": state["batch_stats"]["backbone"],
    }
    features = encode_patches(backbone, (IMAGES / 255 - 0.5) / 0.25)
    head = jax.tree.map(np.float64, jax.device_get(params["head"]))
    points = features @ head["embedding"]["kernel"] + head["embedding"]["bias"]
    differences = points[:, None] - head["centers"]
    distances = (differences**2 * np.exp(head["log_weights"])).sum(-1)
    logits = (1 - distances) @ head["output"]["kernel"] + head["output"]["bias"]
    shifted = logits - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(6), LABELS]
    numbers = compute_rbf(statistics)
    np.testing.assert_allclose(rows["embeddings"], points, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rows["squared_distances"], distances, rtol=1e-4)
    np.testing.assert_allclose(numbers["loss"], losses[:5].mean(), rtol=1e-4)
    wanted = distances[:5].min(1).mean()
    np.testing.assert_allclose(numbers["cluster_loss"], wanted, rtol=1e-4)
    wanted = np.mean(logits[:5].argmax(1) == LABELS[:5])
    np.testing.assert_allclose(numbers["accuracy"], wanted)


def describe(distances, labels, embeddings=None):
    labels = np.asarray(labels)
    distances = np.asarray(distances, np.float32)
    embeddings = distances if embeddings is None else embeddings
    blank = np.zeros(len(labels))
    return Described(labels, labels, blank, embeddings, distances, 1 - distances)


def test_scores_of_centres_by_hand(made):
    train = describe([[0, 9, 9], [1, 9, 9], [2, 9, 9], [9, 0, 9]], [0, 0, 1, 1])
    counts = count_classes(train, 2)
    assert counts.tolist() == [[2, 1], [0, 1], [0, 0]]
    assert purity(counts) == 0.75
    # The third centre is nobody's: what is nearest to it goes to the next.
    test = describe([[0, 9, 9], [5, 1, 0], [1, 2, 9]], [0, 1, 1])
    assert nearest_accuracy(counts, test) == pytest.approx(2 / 3)
    classifier, params, _ = made
    parts = classifier.model.head.read_parts(params["head"])
    wide = parts._replace(widths=jnp.array([2.0, 1.0, 1.0, 1.0]))
    far = unknown_scores(describe([[4.0, 9.0, 9.0, 9.0]], [0]), wide)
    np.testing.assert_allclose(far, [1.0])


@pytest.mark.parametrize("per_center", [False, True])
@pytest.mark.parametrize("metric", ["diagonal", "full"])
def test_measure_distances_matches_float64(metric, per_center):
    rng = np.random.default_rng(1)
    head = RBFHead(3, 2, None, metric=metric, per_center_metric=per_center)
    rows = rng.normal(size=(70, 2)).astype(np.float32)
    params = head.init(KEY, jnp.asarray(rows))["params"]
    params = jax.tree.map(
        lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32), params
    )
    parts = jax.device_get(head.read_parts(params))
    matrices = (
        np.sqrt(np.broadcast_to(parts.weights, (3, 2)))[:, :, None] * np.eye(2)
        if metric == "diagonal"
        else np.broadcast_to(parts.transforms, (3, 2, 2))
    )
    own = np.einsum("ced,ncd->nce", matrices, rows[:, None] - parts.centers)
    nearest = (own**2).sum(-1).argmin(1)
    moved = np.einsum("qed,qnd->qne", matrices[nearest], rows[None] - rows[:, None])
    got = measure_distances(rows, rows, head, parts)
    np.testing.assert_allclose(got, (moved**2).sum(-1), rtol=1e-4, atol=1e-5)


def test_compare_metrics_sees_what_a_metric_leaves_out():
    """Classes lie along the first direction; the second is noise."""
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 2
    points = np.stack([4.0 * labels, 30 * rng.normal(size=60)], axis=1)
    points = (points + 0.1 * rng.normal(size=points.shape)).astype(np.float32)
    head = RBFHead(2, 2, None)
    params = head.init(KEY, jnp.asarray(points))["params"]
    params = {**params, "log_weights": jnp.array([0.0, -20.0])}
    parts = jax.device_get(head.read_parts(params))
    both = describe(np.zeros((60, 2)), labels, points)
    found = compare_metrics(both, both, head, parts, count=10)
    assert found["learned"] == 1.0
    assert found["euclidean"] < 0.8
