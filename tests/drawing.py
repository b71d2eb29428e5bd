"""Values for the variables of a module; compiling its `init` is slow."""

import functools

import jax
import numpy as np

from jaxdl.trees import path_string


def draw_variables(module, x, **arguments):
    """Kernels that keep the variance through ReLU; all else in [0.5, 1).

    `arguments` go to the module, `train=False` if it has any such.
    """
    generator = np.random.default_rng(0)
    init = functools.partial(module.init, **arguments)
    shapes = jax.eval_shape(init, jax.random.key(0), x)

    def draw(path, leaf):
        if path_string(path).endswith("kernel"):
            fan_in = np.prod(leaf.shape[:-1])
            values = generator.normal(0, np.sqrt(2 / fan_in), leaf.shape)
        else:
            values = generator.uniform(0.5, 1, leaf.shape)
        return jax.numpy.asarray(values, leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)
