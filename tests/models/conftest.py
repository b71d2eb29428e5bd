import functools

import jax
import numpy as np
import pytest

from jaxdl.trees import path_string


@pytest.fixture(scope="session")
def draw_variables():
    """A function that draws all variables of a model; compiling `init` is slow."""

    def draw_variables(model, images):
        generator = np.random.default_rng(0)
        init = functools.partial(model.init, train=False)
        shapes = jax.eval_shape(init, jax.random.key(0), images)

        def draw(path, leaf):
            if path_string(path).endswith("kernel"):
                fan_in = np.prod(leaf.shape[:-1])
                values = generator.normal(0, np.sqrt(2 / fan_in), leaf.shape)
            else:
                values = generator.uniform(0.5, 1, leaf.shape)
            return jax.numpy.asarray(values, leaf.dtype)

        return jax.tree_util.tree_map_with_path(draw, shapes)

    return draw_variables
