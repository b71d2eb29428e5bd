import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jaxdl.parallel import (
    batch_sharding,
    bytes_per_device,
    make_mesh,
    padded_batch_size,
    replicated_sharding,
    shard_batch,
    tree_shardings,
)


def test_tree_shardings_first_matching_rule_wins():
    tree = {"head": {"kernel": jnp.ones((4, 8)), "bias": jnp.ones(8)}}
    rules = [("head/kernel", P(None, "model")), ("head", P("model"))]
    shardings = tree_shardings(tree, make_mesh(data=4, model=2), rules=rules)
    assert shardings["head"]["kernel"].spec == P(None, "model")
    assert shardings["head"]["bias"].spec == P("model")


def test_tree_shardings_without_rules_replicates():
    mesh = make_mesh()
    assert tree_shardings({"a": jnp.ones(3)}, mesh)["a"] == replicated_sharding(mesh)


def test_tree_shardings_names_a_rule_with_too_many_axes():
    with pytest.raises(
        ValueError, match=r"'bias' splits 2 axes.*bias has shape \(3,\)"
    ):
        tree_shardings(
            {"bias": jnp.ones(3)}, make_mesh(), rules=[("bias", P("data", "model"))]
        )


def test_shard_batch_splits_rows_over_data():
    mesh = make_mesh(data=4, model=2)
    rows = np.arange(8, dtype=np.float32)
    placed = shard_batch({"images": rows}, mesh)["images"]
    assert placed.sharding == batch_sharding(mesh)
    assert {shard.data.shape for shard in placed.addressable_shards} == {(2,)}
    np.testing.assert_array_equal(np.asarray(placed), rows)


def test_shard_batch_names_rows_that_do_not_divide():
    with pytest.raises(ValueError, match=r"batch\['labels'\] has 7 rows.*data=8"):
        shard_batch({"labels": np.zeros(7)}, make_mesh())


@pytest.mark.parametrize(("size", "padded"), [(1, 8), (7, 8), (8, 8), (9, 16)])
def test_padded_batch_size_is_the_next_multiple(size, padded):
    assert padded_batch_size(size, make_mesh()) == padded


def test_batch_sharding_at_another_axis():
    x = jax.device_put(np.zeros((3, 16)), batch_sharding(make_mesh(), axis=1))
    assert x.addressable_shards[0].data.shape == (3, 2)


def test_bytes_per_device_counts_shares_of_what_is_split():
    mesh = make_mesh(data=4, model=2)
    tree = {"kernel": jnp.ones((8, 6)), "bias": jnp.ones(6), "step": jnp.int32(0)}
    shardings = tree_shardings(tree, mesh, rules=[("kernel", P("data", "model"))])
    placed = jax.device_put(tree, shardings)
    assert bytes_per_device(placed) == 4 * (2 * 3 + 6 + 1)
