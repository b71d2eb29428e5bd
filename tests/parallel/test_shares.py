import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.parallel import batch_sharding, make_mesh, map_shares, shard_batch


def test_map_shares_takes_the_gradient_of_each_share_alone():
    mesh = make_mesh(data=4, model=2)
    rows = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    loss = lambda weights, rows: jnp.square(rows @ weights).mean()
    mapped = map_shares(
        lambda weights, batch: jax.grad(loss)(weights, batch["x"]), mesh
    )
    weights = jnp.arange(1.0, 4.0)
    found = jax.jit(mapped)(weights, shard_batch({"x": rows}, mesh))
    shares = rows.reshape(4, 2, 3).astype(np.float64)
    wrong = shares @ np.arange(1.0, 4.0)
    np.testing.assert_allclose(found, np.einsum("sr,sri->si", wrong, shares), rtol=1e-5)
    assert found.sharding.is_equivalent_to(batch_sharding(mesh), 2)
