import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_squared_error

from jaxdl.metrics import (
    compute_regression,
    init_regression,
    merge,
    update_regression,
)


def test_regression_equals_scikit_learn_with_masked_padding():
    generator = np.random.default_rng(0)
    predictions, targets = generator.normal(size=(2, 21)).astype(np.float32)
    whole = np.full((2, 24), np.nan, np.float32)
    whole[:, :21] = predictions, targets
    mask = jnp.arange(24) < 21
    update = jax.jit(update_regression)
    parts = [
        update(init_regression(), *map(jnp.asarray, whole[:, cut]), mask=mask[cut])
        for cut in (slice(0, 12), slice(12, 24))
    ]
    stats = merge(*parts)
    numbers = compute_regression(stats)
    assert stats.count == 21
    np.testing.assert_allclose(
        numbers["mae"], mean_absolute_error(targets, predictions), rtol=1e-6
    )
    np.testing.assert_allclose(
        numbers["mse"], mean_squared_error(targets, predictions), rtol=1e-6
    )


def test_update_regression_without_a_mask_keeps_all():
    stats = update_regression(init_regression(), jnp.array([1.0, -3.0]), jnp.zeros(2))
    assert compute_regression(stats) == {"mae": 2.0, "mse": 5.0}


def test_update_regression_subtracts_bfloat16_in_float32():
    stats = update_regression(
        init_regression(), jnp.array([1.0078125], jnp.bfloat16), jnp.ones(1)
    )
    assert stats.absolute_sum == 0.0078125


def test_compute_regression_refuses_no_examples():
    with pytest.raises(ValueError, match="no examples"):
        compute_regression(init_regression())


def test_update_regression_names_arguments_that_do_not_fit(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=r"predictions.*\(batch,\).*\(3, 1\)"):
        update_regression(init_regression(), jnp.ones((3, 1)), jnp.ones(3))
    with pytest.raises(ValueError, match=r"targets.*\(3,\), got \(2,\)"):
        update_regression(init_regression(), jnp.ones(3), jnp.ones(2))
