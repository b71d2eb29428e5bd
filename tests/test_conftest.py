"""The fixtures of all tests."""

import jax
import jax.numpy as jnp


def test_count_compiles_counts_programs_that_are_kept(count_compiles):
    x = jnp.arange(3)
    with count_compiles("triple") as compiles:
        for count in (1, 2):

            @jax.jit
            def triple(x):
                return 3 * x

            assert triple(x).tolist() == [0, 3, 6]
            assert triple(x + 1).tolist() == [3, 6, 9]
            assert compiles() == count
