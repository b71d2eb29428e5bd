import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxdl.trees import (
    count_parameters,
    describe_differences,
    first_nonfinite,
    global_norm,
    mask_by_path,
    named_leaves,
)


@pytest.fixture
def tree():
    return {
        "stage1": {"block0": {"conv1": {"kernel": jnp.ones((3, 3, 2, 4))}}},
        "head": {"kernel": jnp.full((4, 2), -2.0), "bias": jnp.zeros(2)},
        "layers": [jnp.ones(3), (jnp.ones(1),)],
    }


def test_named_leaves_gives_slash_paths_in_tree_order(tree):
    leaves = named_leaves(tree)
    assert list(leaves) == [
        "head/bias",
        "head/kernel",
        "layers/0",
        "layers/1/0",
        "stage1/block0/conv1/kernel",
    ]
    assert all(
        a is b for a, b in zip(leaves.values(), jax.tree.leaves(tree), strict=True)
    )


def test_named_leaves_names_a_lone_leaf_and_an_empty_tree():
    assert named_leaves(3) == {"": 3}
    assert named_leaves({}) == {}


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("kernel", ["head/kernel", "stage1/block0/conv1/kernel"]),
        ("^head/", ["head/bias", "head/kernel"]),
        ("^layers/1/", ["layers/1/0"]),
        ("", ["head/bias", "head/kernel", "layers/0", "layers/1/0"]),
        ("nothing", []),
    ],
)
def test_mask_by_path_searches_the_path(tree, pattern, wanted):
    mask = mask_by_path(tree, pattern)
    assert jax.tree.structure(mask) == jax.tree.structure(tree)
    chosen = [path for path, chosen in named_leaves(mask).items() if chosen]
    assert chosen[: len(wanted)] == wanted
    assert pattern == "" or len(chosen) == len(wanted)


def test_mask_by_path_names_a_bad_pattern(tree):
    with pytest.raises(ValueError, match=r"pattern.*'\(kernel'"):
        mask_by_path(tree, "(kernel")


def test_count_parameters_takes_arrays_and_shapes(tree):
    assert count_parameters(tree) == 72 + 8 + 2 + 3 + 1
    shapes = jax.eval_shape(lambda: tree)
    assert count_parameters(shapes) == 86
    assert count_parameters({"scalar": jnp.ones(())}) == 1
    assert count_parameters({}) == 0


def test_global_norm_equals_numpy_in_float64(tree):
    flat = np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)], dtype=float)
    norm = global_norm(tree)
    assert norm.dtype == jnp.float32
    np.testing.assert_allclose(norm, np.linalg.norm(flat), rtol=1e-6)


def test_global_norm_sums_bfloat16_in_float32():
    # In bfloat16 the sum would stop growing at 256.
    tree = [jnp.ones(4096, jnp.bfloat16), jnp.zeros(3)]
    assert global_norm(tree) == 64.0


def test_global_norm_of_zero_is_zero_with_zero_gradient():
    zeros = {"a": jnp.zeros(3)}
    assert global_norm(zeros) == 0.0
    assert global_norm({}) == 0.0
    np.testing.assert_array_equal(jax.grad(global_norm)(zeros)["a"], np.zeros(3))


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_global_norm_passes_nonfinite_values_on(bad):
    assert not jnp.isfinite(global_norm({"a": jnp.array([1.0, bad])}))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_first_nonfinite_names_the_leaf(tree, bad, dtype):
    assert first_nonfinite(tree) is None
    tree["head"]["bias"] = jnp.array([0.0, bad], dtype)
    tree["layers"][0] = jnp.array([bad], dtype)
    assert first_nonfinite(tree) == "head/bias"


def test_first_nonfinite_passes_integers_and_keys_over():
    tree = {"key": jax.random.key(0), "step": jnp.array(3), "rate": 0.5, "huge": 1e300}
    assert first_nonfinite(tree) is None
    assert first_nonfinite({**tree, "x": np.array([np.nan])}) == "x"


def test_first_nonfinite_looks_at_every_shard():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    values = jax.device_put(jnp.ones(16).at[13].set(jnp.nan), sharding)
    assert first_nonfinite({"x": values}) == "x"


def test_describe_differences_is_empty_for_equal_trees():
    old = {"a": ((2, 3), "float32"), "b": ((), np.dtype("int32"))}
    new = {"b": ((), jnp.int32), "a": ((2, 3), jnp.float32)}
    assert describe_differences(old, new) == []


def test_describe_differences_names_each_path_once():
    old = {"a": ((2,), "float32"), "b": ((2,), "float32"), "c": ((1,), "int32")}
    new = {"a": ((3,), "float32"), "b": ((2,), "bfloat16"), "d": ((), "int32")}
    assert describe_differences(old, new) == [
        "a: (2,) float32 became (3,) float32",
        "b: (2,) float32 became (2,) bfloat16",
        "c: (1,) int32 is no longer there",
        "d: () int32 is new",
    ]
