import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.layers import ACTIVATIONS, NORMS, Style, kaiming_normal

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 2, 6)), jnp.float32)


@pytest.mark.parametrize("norm", NORMS)
def test_style_makes_the_norm_it_names_with_its_numbers(norm):
    style = Style(norm=norm, norm_epsilon=0.5, dtype=jnp.bfloat16)
    module = style.make_norm("norm1", scale_init=nn.initializers.zeros)
    assert isinstance(module, type(NORMS[norm]()))
    assert (module.name, module.epsilon, module.dtype) == ("norm1", 0.5, jnp.bfloat16)
    assert module.scale_init is nn.initializers.zeros
    assert module.clone(name=None, epsilon=1e-5, dtype=jnp.float32) == NORMS[norm](
        scale_init=nn.initializers.zeros
    )


def test_style_passes_momentum_and_groups_on():
    batch = Style(norm_momentum=0.99, norm_groups=2).make_norm()
    assert (batch.momentum, batch.num_groups) == (0.99, 2)
    assert Style(norm="group", norm_groups=3).make_norm().num_groups == 3


def test_style_without_a_norm_changes_nothing_but_the_dtype():
    norm = Style(norm=None, dtype=jnp.bfloat16).make_norm("norm1")
    assert not norm.init(jax.random.key(0), X, train=True)
    np.testing.assert_array_equal(norm.apply({}, X, train=True), X.astype(jnp.bfloat16))


@pytest.mark.parametrize("activation", ["relu", "gelu", "identity"])
def test_style_applies_the_activation_it_names(activation):
    y = Style(activation=activation).activate(X)
    np.testing.assert_array_equal(y, ACTIVATIONS[activation](X))


def test_style_is_a_value_that_modules_and_jit_can_hold():
    init = kaiming_normal()
    one, same = (Style(norm="layer", kernel_init=init) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    other = dataclasses.replace(one, activation="gelu")
    assert other != one

    activate = jax.jit(lambda style, x: style.activate(x), static_argnums=0)
    assert (activate(one, X) != activate(other, X)).any()

    class Block(nn.Module):
        style: Style

        @nn.compact
        def __call__(self, x, *, train):
            return self.style.activate(self.style.make_norm("norm1")(x, train=train))

    variables = Block(one).init(jax.random.key(0), X, train=True)
    assert variables["params"]["norm1"].keys() == {"scale", "bias"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "bacth"}, "unknown norm 'bacth'.*did you mean 'batch'"),
        ({"activation": "rellu"}, "unknown activation 'rellu'.*did you mean 'relu'"),
        ({"norm": "layer", "norm_groups": 2}, "norm_groups=2.*got norm='layer'"),
        ({"norm": None, "norm_groups": 2}, "norm_groups=2.*got norm=None"),
    ],
)
def test_style_names_a_bad_choice(options, message):
    with pytest.raises(ValueError, match=message):
        Style(**options)
