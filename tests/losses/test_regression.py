import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.losses import absolute_error, squared_error

TABLE = [(squared_error, np.square), (absolute_error, np.abs)]


@pytest.mark.parametrize(("loss", "of_difference"), TABLE)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_errors_equal_numpy(loss, of_difference, shape):
    generator = np.random.default_rng(0)
    predictions, targets = generator.normal(size=(2, *shape))
    values = loss(
        jnp.asarray(predictions, jnp.float32), jnp.asarray(targets, jnp.float32)
    )
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, of_difference(predictions - targets), rtol=1e-5)


@pytest.mark.parametrize(("loss", "of_difference"), TABLE)
def test_errors_of_bfloat16_are_computed_in_float32(loss, of_difference):
    # 1.0078125 - 1 is exact in float32; its square is not in bfloat16.
    predictions = jnp.array([1.0078125, -3.0], jnp.bfloat16)
    values = loss(predictions, jnp.ones(2))
    np.testing.assert_array_equal(values, of_difference(np.float32([0.0078125, -4])))


@pytest.mark.parametrize(
    ("loss", "at_three"), [(squared_error, 6), (absolute_error, 1)]
)
def test_errors_have_their_gradient(loss, at_three):
    grads = jax.grad(lambda x: loss(x, jnp.zeros(3)).sum())(jnp.array([3.0, -3.0, 0.0]))
    np.testing.assert_array_equal(grads, [at_three, -at_three, 0])


@pytest.mark.parametrize("loss", [squared_error, absolute_error])
def test_errors_refuse_to_broadcast(loss, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=rf"{loss.__name__}.*\(3, 1\) and \(3,\)"):
        loss(jnp.ones((3, 1)), jnp.ones(3))
