"""Where centres lie before training."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.layers import RBFHead
from jaxdl.rbf import (
    assign_classes,
    choose_widths,
    find_centers,
    measure_widths,
    place_centers,
)

KEY = jax.random.key(0)


def make_clusters(num_classes=3):
    """Two tight clusters per class, far from each other."""
    rng = np.random.default_rng(0)
    middles = 10 * np.arange(2 * num_classes)[:, None] * np.ones(2)
    x = (middles[:, None] + 0.1 * rng.normal(size=(2 * num_classes, 8, 2))).reshape(
        -1, 2
    )
    labels = np.repeat(np.arange(2 * num_classes) % num_classes, 8)
    return jnp.asarray(x, jnp.float32), jnp.asarray(labels), middles


@pytest.mark.parametrize("per_class", [False, True])
def test_find_centers_finds_clusters_and_their_classes(per_class):
    x, labels, middles = make_clusters()
    found = find_centers(x, 6, labels=labels, per_class=per_class, key=KEY)
    points = np.asarray(found.points)
    order = np.argsort(points[:, 0])
    np.testing.assert_allclose(points[order], middles, atol=0.2)
    np.testing.assert_array_equal(np.asarray(found.classes)[order], [0, 1, 2, 0, 1, 2])
    if per_class:
        np.testing.assert_array_equal(found.classes, [0, 0, 1, 1, 2, 2])


def test_find_centers_shares_centres_out_over_classes():
    x, labels, _ = make_clusters()
    found = find_centers(x, 8, labels=labels, per_class=True, key=KEY)
    assert np.bincount(found.classes).tolist() == [3, 3, 2]


def test_find_centers_at_random_takes_examples_once():
    x, labels, _ = make_clusters()
    found = find_centers(x, len(x), method="random", key=KEY)
    np.testing.assert_array_equal(found.points, x)
    assert set(np.asarray(found.classes)) == {-1}


def test_choose_widths_matches_float64():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(7, 3)).astype(np.float32)
    distances = np.linalg.norm(centers[:, None].astype(float) - centers, axis=-1)
    wanted = np.sort(distances, axis=1)[:, 1:4].mean(1)
    got = choose_widths(jnp.asarray(centers), num_neighbors=3)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_choose_widths_are_above_zero_for_equal_centres():
    widths = choose_widths(jnp.array([[0.0], [0.0], [5.0]]), num_neighbors=1)
    assert (np.asarray(widths) > 0).all()
    assert (np.asarray(choose_widths(jnp.ones((3, 2)))) > 0).all()


def test_measure_widths_matches_float64():
    rng = np.random.default_rng(0)
    x, centers = rng.normal(size=(50, 3)), rng.normal(size=(4, 3))
    squares = np.sum((x[:, None] - centers) ** 2, axis=-1)
    wanted = [
        np.sqrt(squares[squares.argmin(1) == index, index].mean()) for index in range(4)
    ]
    got = measure_widths(jnp.asarray(x, jnp.float32), jnp.asarray(centers, jnp.float32))
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_measure_widths_gives_lonely_centres_the_width_of_all():
    x = jnp.array([[0.0], [2.0], [10.0]])  # the last lies on its centre
    widths = measure_widths(x, jnp.array([[1.0], [10.0], [99.0]]))
    np.testing.assert_allclose(widths, [1.0, (2 / 3) ** 0.5, (2 / 3) ** 0.5], rtol=1e-6)
    np.testing.assert_array_equal(measure_widths(x, x), np.ones(3))


@pytest.mark.parametrize(("nonnegative", "low"), [(False, 0.0), (True, 0.03)])
def test_assign_classes_lets_each_centre_speak_for_its_class(nonnegative, low):
    head = RBFHead(4, 3, None, nonnegative=nonnegative)
    params = head.init(KEY, jnp.ones((1, 2)))["params"]
    assigned = assign_classes(head, params, jnp.array([2, 0, -1, 2]), weight=3.0)
    wanted = np.full((4, 3), low)
    wanted[[0, 1, 3], [2, 0, 2]] = 3.0
    parts = head.read_parts(assigned)
    np.testing.assert_allclose(parts.kernel, wanted, rtol=1e-5)
    np.testing.assert_allclose(parts.bias, np.full(3, low), rtol=1e-5)
    assert assigned["centers"] is params["centers"]


def test_assign_classes_makes_scores_of_the_nearest_centre():
    x, labels, _ = make_clusters()
    head = RBFHead(6, 3, None, metric="euclidean", kernel="gaussian")
    params = head.init(KEY, x)["params"]
    found = find_centers(x, 6, labels=labels, per_class=True, key=KEY)
    widths = measure_widths(x, found.points)
    params = place_centers(head, params, found.points, widths=widths)
    params = assign_classes(head, params, found.classes, weight=1.0)
    logits = head.apply({"params": params}, x).logits
    np.testing.assert_array_equal(jnp.argmax(logits, 1), labels)


def test_place_centers_keeps_the_rest():
    head = RBFHead(num_centers=2, num_classes=3, embedding_size=2)
    params = head.init(KEY, jnp.ones((1, 4)))["params"]
    placed = place_centers(
        head, params, jnp.zeros((2, 2)), widths=jnp.array([0.5, 2.0])
    )
    parts = head.read_parts(placed)
    np.testing.assert_array_equal(parts.centers, np.zeros((2, 2)))
    np.testing.assert_allclose(parts.widths, [0.5, 2.0], rtol=1e-6)
    assert placed["output"] is params["output"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_centers": 0}, r"num_centers must be in \[1, 48\]"),
        ({"num_centers": 49}, "got 49"),
        ({"num_centers": 3, "per_class": True}, "per_class needs labels"),
        ({"num_centers": 2, "per_class": True, "labels": 0}, "at least 3, one per"),
        ({"num_centers": 48, "per_class": True, "labels": 1}, "has 8 examples, fewer"),
    ],
)
def test_find_centers_names_what_does_not_fit(options, message):
    x, labels, _ = make_clusters()
    if options.get("labels") == 1:
        labels = labels.at[8:].set(jnp.maximum(labels[8:], 1))
    if "labels" in options:
        options = {**options, "labels": labels}
    with pytest.raises(ValueError, match=message):
        find_centers(x, **options, key=KEY)


def test_choose_widths_and_place_centers_name_what_does_not_fit(monkeypatch):
    with pytest.raises(ValueError, match="at least 2 centres and 1 neighbour, got 1"):
        choose_widths(jnp.ones((1, 2)))
    head = RBFHead(num_centers=2, num_classes=3, embedding_size=2)
    params = head.init(KEY, jnp.ones((1, 4)))["params"]
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"shape \(2, 2\), got \(3, 2\)"):
        place_centers(head, params, jnp.zeros((3, 2)))


@pytest.mark.parametrize(
    ("classes", "weight", "message"),
    [
        ([0, 1, 2], 1.0, r"below 3 for each of 2 centres, got \[0, 1, 2\]"),
        ([0, 3], 1.0, r"got \[0, 3\]"),
        ([0, 1], 0.0, "weight must be above 0, got 0.0"),
    ],
)
def test_assign_classes_names_what_does_not_fit(classes, weight, message):
    head = RBFHead(num_centers=2, num_classes=3, embedding_size=2)
    params = head.init(KEY, jnp.ones((1, 4)))["params"]
    with pytest.raises(ValueError, match=message):
        assign_classes(head, params, jnp.array(classes), weight=weight)
