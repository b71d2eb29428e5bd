import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models.dense_stack import DenseStack


def test_dense_stack_equals_numpy():
    x = np.random.default_rng(0).normal(size=(3, 5))
    model = DenseStack(width=4, depth=2, activation="tanh", num_outputs=2)
    variables = model.init(jax.random.key(0), jnp.asarray(x, jnp.float32))
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)[
        "params"
    ]
    y = x
    for name in ("layer1", "layer2"):
        dense = params[name]["dense"]
        assert not dense["bias"].any()
        y = np.tanh(y @ dense["kernel"])
    y = y @ params["head"]["kernel"] + params["head"]["bias"]
    found = model.apply(variables, jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-6)


def test_dense_stack_draws_kernels_as_told():
    model = DenseStack(width=200, depth=1, kernel_init=jax.nn.initializers.normal(0.05))
    variables = model.init(jax.random.key(0), jnp.ones((1, 100)))
    kernel = variables["params"]["layer1"]["dense"]["kernel"]
    assert kernel.shape == (100, 200)
    assert float(jnp.std(kernel)) == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("sizes", [{"width": 0, "depth": 1}, {"width": 1, "depth": 0}])
def test_dense_stack_names_a_size_below_one(sizes):
    with pytest.raises(ValueError, match=f"got width={sizes['width']}, depth="):
        DenseStack(**sizes)


def test_dense_stack_names_an_unknown_activation():
    with pytest.raises(ValueError, match="unknown activation 'rellu'.*'relu'"):
        DenseStack(width=2, depth=1, activation="rellu").init(
            jax.random.key(0), jnp.ones((1, 2))
        )
