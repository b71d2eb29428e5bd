"""The projector against float64 NumPy written out layer by layer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import Projector
from jaxdl.trees import count_parameters, named_leaves
from tests.drawing import draw_variables

FEATURES = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
SHAPE = jax.ShapeDtypeStruct((6, 5), jnp.float32)


def project_in_numpy(variables, *, train):
    """Dense, batch norm and ReLU, twice, then dense; and the batch's statistics."""
    params, x, moments = variables["params"], np.float64(FEATURES), {}
    as_float64 = lambda part: {k: np.float64(v) for k, v in part.items()}
    for index in (1, 2, 3):
        dense = as_float64(params[f"dense{index}"])
        x = x @ dense["kernel"] + dense.get("bias", 0.0)
        if index == 3:
            return x, moments
        running = as_float64(variables["batch_stats"][f"norm{index}"])
        moments[f"norm{index}"] = {"mean": x.mean(0), "var": x.var(0)}
        use = moments[f"norm{index}"] if train else running
        norm = as_float64(params[f"norm{index}"])
        x = (x - use["mean"]) / np.sqrt(use["var"] + 1e-5)
        x = np.maximum(x * norm["scale"] + norm["bias"], 0)


@pytest.mark.parametrize("use_bias", [False, True])
def test_projector_equals_numpy_layer_by_layer(use_bias):
    model = Projector(widths=(7, 4, 3), use_bias=use_bias)
    variables = draw_variables(model, SHAPE, train=False)
    biases = {path for path in named_leaves(variables["params"]) if "bias" in path}
    assert ("dense1/bias" in biases) is use_bias
    found = model.apply(variables, jnp.asarray(FEATURES), train=False)
    expected, _ = project_in_numpy(variables, train=False)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    found, updates = model.apply(
        variables, jnp.asarray(FEATURES), train=True, mutable=["batch_stats"]
    )
    expected, moments = project_in_numpy(variables, train=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    for name, batch in moments.items():
        for key, value in batch.items():
            before = np.float64(variables["batch_stats"][name][key])
            np.testing.assert_allclose(
                updates["batch_stats"][name][key], 0.9 * before + 0.1 * value, rtol=1e-5
            )


def test_projector_of_the_paper_has_151_million_parameters():
    init = functools.partial(Projector().init, train=False)
    images = jax.ShapeDtypeStruct((2, 2048), jnp.float32)
    variables = jax.eval_shape(init, jax.random.key(0), images)
    by_hand = 2048 * 8192 + 2 * 8192 * 8192 + 2 * 2 * 8192
    assert count_parameters(variables["params"]) == by_hand == 151_027_712


def test_projector_starts_as_layers_of_pytorch():
    model = Projector(widths=(64, 16), use_bias=True)
    init = jax.jit(functools.partial(model.init, train=False))
    params = init(jax.random.key(0), FEATURES)["params"]
    for name, fan_in in (("dense1", 5), ("dense2", 64)):
        for leaf in params[name].values():
            bound = 1 / np.sqrt(fan_in)
            assert 0.8 * bound < np.abs(leaf).max() <= bound
            assert np.std(leaf) == pytest.approx(bound / np.sqrt(3), rel=0.25)


def test_projector_in_bfloat16_keeps_float32_variables_and_embeddings():
    model = Projector(widths=(7, 4, 3), dtype=jnp.bfloat16)
    variables = draw_variables(model, SHAPE, train=False)
    apply = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    found, updates = jax.jit(apply)(variables, FEATURES)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((variables, found, updates))}
    assert dtypes == {np.dtype("float32")}
    expected, _ = project_in_numpy(variables, train=True)
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)
    assert "bf16" in str(jax.make_jaxpr(apply)(variables, FEATURES))


def test_projector_takes_another_norm_and_activation():
    model = Projector(widths=(4, 3), norm="none", activation="tanh")
    variables = draw_variables(model, SHAPE, train=False)
    assert set(variables) == {"params"}
    first, second = (variables["params"][f"dense{i}"]["kernel"] for i in (1, 2))
    expected = np.tanh(FEATURES @ np.float64(first)) @ np.float64(second)
    found = model.apply(variables, jnp.asarray(FEATURES), train=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, r"widths must be at least one number.*got \(\)"),
        ({"widths": (4, 0)}, r"each at least 1, got \(4, 0\)"),
        ({"norm": "bach"}, "unknown norm 'bach'"),
        ({"activation": "rellu"}, "unknown activation 'rellu'"),
    ],
)
def test_projector_names_an_option_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Projector(**options)
