"""What the tests of checkpoints save, and how they know it again."""

import chex
import jax.numpy as jnp


def make_items(value):
    return {
        "weights": {"params": {"kernel": jnp.full((4, 3), value, jnp.float32)}},
        "training": {"count": jnp.asarray(value, jnp.int32)},
    }


def assert_holds(restored, step):
    assert restored.step == step
    chex.assert_trees_all_equal(restored.items, make_items(step))


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())
