import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import ImageMLP


def make(**options):
    return ImageMLP(num_classes=3, hidden_size=8, **options)


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    return jnp.asarray(generator.normal(size=(4, 5, 5, 2)), jnp.float32)


def test_image_mlp_equals_float64_numpy(images, draw_variables):
    variables = draw_variables(make(), images)
    x = np.asarray(images, np.float64).reshape(4, -1)
    for name in ("fc1", "fc2", "head"):
        layer = variables["params"][name]
        x = x @ np.float64(layer["kernel"]) + np.float64(layer["bias"])
        x = x if name == "head" else np.maximum(x, 0)
    found = make().apply(variables, images, train=False)
    np.testing.assert_allclose(found, x, rtol=1e-5, atol=1e-5)


def test_image_mlp_drops_half_of_both_hidden_layers(images, draw_variables):
    variables = draw_variables(make(), images)
    _, seen = make(dropout_rate=0.5).apply(
        variables,
        images,
        train=True,
        rngs={"dropout": jax.random.key(1)},
        capture_intermediates=True,
        mutable=["intermediates"],
    )
    for before, after in (("fc1", "fc2_dropout"), ("fc2", "head_dropout")):
        full = np.maximum(seen["intermediates"][before]["__call__"][0], 0)
        dropped = np.asarray(seen["intermediates"][after]["__call__"][0])
        lost = (dropped == 0) & (full > 0)
        assert 0.2 < lost.sum() / (full > 0).sum() < 0.8
        np.testing.assert_allclose(dropped[~lost], 2 * full[~lost], rtol=1e-6)


@pytest.mark.parametrize("option", [{"norm": "batch"}, {"norm_groups": 4}])
def test_image_mlp_refuses_a_norm(option):
    with pytest.raises(
        ValueError, match=f"ImageMLP: it has no norm, got {[*option][0]}"
    ):
        make(**option)
