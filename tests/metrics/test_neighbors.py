import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from jaxdl.metrics import neighbor_scores


def draw(rows, seed):
    return np.random.default_rng(seed).standard_normal((rows, 5)).astype(np.float32)


@pytest.mark.parametrize("num_neighbors", [1, 7, 40])
def test_neighbor_scores_equal_scikit_learn(num_neighbors):
    bank, features = draw(40, 0), draw(300, 1)
    labels = np.random.default_rng(2).integers(0, 3, 40)
    reference = KNeighborsClassifier(
        num_neighbors,
        metric="cosine",
        # scikit-learn's distance is 1 less the similarity.
        weights=lambda distances: np.exp((1 - distances) / 0.1),
    ).fit(bank.astype(float), labels)
    expected = reference.predict_proba(features.astype(float))
    score = jax.jit(neighbor_scores, static_argnames=("num_classes", "num_neighbors"))
    found = score(features, bank, labels, num_classes=3, num_neighbors=num_neighbors)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_neighbor_scores_stay_finite_at_low_temperatures_and_zero_features():
    found = neighbor_scores(
        jnp.array([[1.0, 0.0], [0.0, 0.0]]),
        jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),
        jnp.array([0, 1, 1]),
        num_classes=2,
        num_neighbors=9,
        temperature=0.001,
    )
    np.testing.assert_allclose(found, [[1, 0], [1 / 3, 2 / 3]], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_neighbors": 0}, "num_neighbors must be at least 1"),
        ({"temperature": 0.0}, "temperature above 0, got 200 and 0.0"),
        ({"bank": jnp.ones((2, 3))}, "do not fit together"),
        (
            {"bank": jnp.ones((0, 2)), "bank_labels": jnp.ones(0, int)},
            "holds no examples",
        ),
    ],
)
def test_neighbor_scores_say_what_is_wrong(monkeypatch, options, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    arguments = {"bank": jnp.ones((2, 2)), "bank_labels": jnp.zeros(2, int)}
    with pytest.raises(ValueError, match=message):
        neighbor_scores(jnp.ones((1, 2)), **{**arguments, **options}, num_classes=2)
