import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from jaxdl.parallel import choose_partition, make_mesh, tree_shardings


@pytest.mark.parametrize(
    ("shape", "split", "partition"),
    [
        ((3, 3, 8, 16), "outputs", P(None, None, None, "model")),
        ((3, 3, 8, 16), "inputs", P(None, None, "model")),
        ((16,), "outputs", P("model")),
        ((16,), "inputs", P()),
        ((16, 3), "whole", P()),
        ((6, 512), "largest", P(None, "data")),
        ((512, 6), "largest", P("data")),
        ((64, 64), "largest", P(None, "data")),  # of equal ones the last
        ((513, 6), "largest", P()),  # nothing that 4 divides
        ((8, 8), "largest", P()),  # too small to be worth it
    ],
)
def test_choose_partition_by_word(shape, split, partition):
    mesh = make_mesh(data=4, model=2)
    assert choose_partition(shape, split, mesh) == partition


def test_choose_partition_names_sizes_that_would_divide():
    with pytest.raises(
        ValueError, match=r"head/bias has 10 outputs, .*model=4.*: 1, 2, 5, 10"
    ):
        mesh = make_mesh(data=2, model=4)
        choose_partition((10,), "outputs", mesh, name="head/bias")


def test_choose_partition_names_an_unknown_word():
    with pytest.raises(ValueError, match="'columns'; wanted outputs, inputs"):
        choose_partition((8, 8), "columns", make_mesh())


def test_tree_shardings_by_words_covers_the_optimizer_state():
    tree = {"fc1": {"kernel": jnp.ones((4, 8))}}
    state = {"params": tree, "optimizer_state": ({"mu": tree, "count": jnp.int32(0)},)}
    mesh = make_mesh(data=4, model=2)
    shardings = tree_shardings(state, mesh, rules=[("fc1/|count", "outputs")])
    moment = shardings["optimizer_state"][0]
    assert moment["mu"]["fc1"]["kernel"].spec == P(None, "model")
    assert shardings["params"]["fc1"]["kernel"].spec == P(None, "model")
    assert moment["count"].spec == P()
