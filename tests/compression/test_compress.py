"""Compressed networks against the networks they came from."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.compression import (
    FactoredLayer,
    FactoredNetwork,
    KeepEnergy,
    KeepParameters,
    compress,
    restore_factored,
)
from jaxdl.diagnose import count_macs
from jaxdl.layers import Conv, ConvBlock, Dense
from jaxdl.linalg import kernel_spectra
from jaxdl.models import MODELS
from jaxdl.trees import count_parameters, named_leaves
from jaxdl.weights import load_safetensors, save_safetensors

METHODS = ("channel", "spatial", "tucker2")


class Tiny(nn.Module):
    """All that layers can be: strided, grouped, standardised, shared, dense."""

    @nn.compact
    def __call__(self, images, *, train):
        x = ConvBlock(6, 3, stride=2, use_bias=True, name="block")(images, train=train)
        shared = Conv(6, 3, groups=2, name="shared")
        x = nn.relu(shared(nn.relu(shared(x))))
        x = Conv(12, (2, 3), dilation=(1, 2), standardize=True, name="standard")(x)
        x = Conv(8, 1, name="pointwise")(nn.relu(x))
        return Dense(3, name="head")(x.mean((1, 2)))

    def extract(self, images, *, train):
        return {"logits": self(images, train=train)}


PATHS = ["block/conv", "shared", "standard", "pointwise", "head"]


def draw_variables(model, images, *, train=False, seed=0):
    """Weights of a scale that keeps activations alive, without compiling `init`."""
    init = functools.partial(model.init, train=train)
    shapes = jax.eval_shape(init, jax.random.key(0), images)
    generator = np.random.default_rng(seed)

    def draw(leaf):
        if leaf.ndim < 2:
            return jnp.asarray(generator.uniform(0.5, 1.5, leaf.shape), leaf.dtype)
        fan_in = np.prod(leaf.shape[:-1])
        values = generator.normal(0, (2 / fan_in) ** 0.5, leaf.shape)
        return jnp.asarray(values, leaf.dtype)

    return jax.tree.map(draw, dict(shapes))


@pytest.fixture(scope="module")
def tiny():
    images = jax.random.normal(jax.random.key(0), (5, 8, 8, 3))
    model = Tiny()
    return model, draw_variables(model, images), images


@pytest.fixture(scope="module")
def halves(tiny):
    """Tiny compressed by each method."""
    model, variables, images = tiny
    rule = KeepParameters(0.6)
    return {
        method: compress(variables, model, rule, method=method, inputs=images)
        for method in METHODS
    }


# The smaller sides of the matrices that the kernels are, for each group.
FULL = {
    "channel": {"block/conv": 6, "shared": 3, "standard": 12},
    "spatial": {"block/conv": 9, "shared": 9, "standard": 12},
    "tucker2": {"block/conv": (3, 6), "shared": (3, 3), "standard": (6, 12)},
}


@pytest.mark.parametrize("method", METHODS)
def test_compress_at_full_rank_changes_nothing(tiny, method):
    model, variables, images = tiny
    ranks = {**FULL[method], "pointwise": 8, "head": 3}
    small = compress(variables, model, ranks, method=method, inputs=images)
    assert {layer.path for layer in small.model.layers} == set(PATHS)

    @jax.jit
    def run(images):
        options = {"train": True, "mutable": ["batch_stats"]}
        return [
            (
                net.apply(v, images, train=False),
                net.apply(v, images, train=False, method="extract")["logits"],
                net.apply(v, images, **options),
            )
            for net, v in ((model, variables), (small.model, small.variables))
        ]

    expected, found = run(images)
    chex.assert_trees_all_close(found, expected, atol=1e-5, rtol=1e-5)
    errors = [layer.relative_error for layer in small.report.layers]
    assert max(errors) < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_compress_reports_what_can_be_counted(tiny, halves, method):
    (model, variables, images), small = tiny, halves[method]
    report = small.report
    assert [layer.path for layer in report.layers] == PATHS
    before, after = variables["params"], small.variables["params"]
    assert report.network_parameters_before == count_parameters(before)
    assert report.network_parameters_after == count_parameters(after)
    for layer in report.layers:
        parts = layer.path.split("/")
        counts = [
            count_parameters(functools.reduce(lambda t, p: t[p], parts, tree))
            for tree in (before, after)
        ]
        assert [layer.parameters_before, layer.parameters_after] == counts
        assert (layer.rank is None) == (counts[0] == counts[1])
        assert (layer.relative_error > 0) == (layer.rank is not None)
    assert 0.5 < report.parameters_after / report.parameters_before <= 0.6
    macs = [
        count_macs(lambda x, m=m, v=v: m.apply(v, x, train=False), images[:1])
        for m, v in ((model, variables), (small.model, small.variables))
    ]
    assert [report.network_macs_before, report.network_macs_after] == macs
    assert [report.macs_before, report.macs_after] == macs
    *rows, layers, network = report.list_rows()
    assert len(rows) == 5 and rows[0]["shape"] == "3x3x3x6"
    assert layers["parameters_after"] == report.parameters_after
    assert network["macs_after"] == macs[1]


def test_compress_leaves_all_else_as_it_was(tiny):
    model, variables, images = tiny
    small = compress(variables, model, {"block/conv": 2}, inputs=images)
    old, new = named_leaves(variables), named_leaves(small.variables)
    names = {
        path.removeprefix("params/block/conv/") for path in new.keys() - old.keys()
    }
    assert names == {"first/kernel", "second/kernel", "second/bias"}
    gone = {"params/block/conv/kernel", "params/block/conv/bias"}
    assert old.keys() - new.keys() == gone
    assert all(new[path] is old[path] for path in old.keys() - gone)
    np.testing.assert_array_equal(
        new["params/block/conv/second/bias"], old["params/block/conv/bias"]
    )


def test_compress_by_activations_tells_the_error_of_the_outputs(tiny):
    model, variables, images = tiny
    options = {"inputs": images, "include": "^block/conv$"}
    conv = Conv(6, 3, stride=2)
    run = jax.jit(lambda kernel: conv.apply({"params": {"kernel": kernel}}, images))
    whole = run(variables["params"]["block"]["conv"]["kernel"])
    reported, found = [], []
    for is_aware in (False, True):
        small = compress(
            variables, model, {"block/conv": 2}, activation_aware=is_aware, **options
        )
        layer = small.variables["params"]["block"]["conv"]
        parts = [np.asarray(layer[name]["kernel"]) for name in ("first", "second")]
        merged = np.einsum("hwir,abro->hwio", *parts)
        change = np.linalg.norm(whole - run(jnp.asarray(merged)))
        found.append(change / np.linalg.norm(whole))
        reported.append(small.report.layers[0].relative_error)
    np.testing.assert_allclose(reported[1], found[1], rtol=1e-3)
    assert found[1] < found[0]


def test_compress_by_activations_takes_groups_sharing_and_dead_channels(tiny):
    model, variables, images = tiny
    images = images.at[..., 1].set(0.0)
    # As many images as do not go into one part.
    images = jnp.concatenate([images] * 7)
    ranks = {"block/conv": 6, "shared": 3}
    options = {"activation_aware": True, "include": "block|shared"}
    small = compress(variables, model, ranks, inputs=images, **options)

    @jax.jit
    def run(images):
        expected = model.apply(variables, images, train=False)
        return expected, small.model.apply(small.variables, images, train=False)

    expected, found = run(images)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_compress_keeps_the_energy_asked_for(tiny):
    model, variables, images = tiny
    small = compress(variables, model, KeepEnergy(0.6), inputs=images)
    for layer in small.report.layers:
        if layer.rank is not None:
            assert layer.relative_error**2 <= 0.4
    kernel = variables["params"]["block"]["conv"]["kernel"]
    squares = np.asarray(kernel_spectra(kernel)[0], float) ** 2
    rank = int(np.argmax(np.cumsum(squares) / squares.sum() >= 0.6)) + 1
    ranks = {layer.path: layer.rank for layer in small.report.layers}
    assert ranks["block/conv"] == rank
    # All of the energy takes all of the rank, which saves nothing.
    whole = compress(variables, model, KeepEnergy(1.0), inputs=images)
    assert whole.model.layers == ()
    assert whole.report.parameters_after == whole.report.parameters_before


def test_compress_asks_a_function_for_ranks(tiny):
    model, variables, images = tiny
    seen = []

    def rule(path, kernel, singular_values):
        seen.append((path, kernel.shape, len(singular_values)))
        return {"block/conv": 2, "head": 3}.get(path)

    small = compress(variables, model, rule, inputs=images, exclude="pointwise")
    assert seen[0] == ("block/conv", (3, 3, 3, 6), 6)
    assert [path for path, *_ in seen] == ["block/conv", "shared", "standard", "head"]
    # Rank 3 of the head would have 8 * 3 + 3 * 3 numbers instead of 8 * 3.
    assert small.model.layers == (FactoredLayer("block/conv", "channel", 2),)


def test_compressed_network_trains_all_its_parts(tiny, halves):
    (_, _, images), small = tiny, halves["channel"]
    labels = jnp.arange(5) % 3

    @jax.jit
    def step(params, model_state):
        def loss_fn(params):
            logits, updates = small.model.apply(
                {"params": params, **model_state},
                images,
                train=True,
                mutable=["batch_stats"],
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), updates

        (loss, updates), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        params = jax.tree.map(lambda p, g: p - 0.05 * g, params, grads)
        return params, updates, loss, grads

    model_state = dict(small.variables)
    params, losses = model_state.pop("params"), []
    for _ in range(10):
        params, model_state, loss, grads = step(params, model_state)
        losses.append(float(loss))
    assert losses[-1] < 0.7 * losses[0]
    sizes = {path: float(jnp.abs(g).max()) for path, g in named_leaves(grads).items()}
    assert sum("/first/" in path for path in sizes) == len(small.model.layers)
    assert all(size > 0 for path, size in sizes.items() if path.endswith("kernel"))


@pytest.mark.parametrize("method", METHODS)
def test_compressed_network_is_restored_from_a_file(tiny, halves, tmp_path, method):
    (model, _, images), small = tiny, halves[method]
    path = tmp_path / "small.safetensors"
    save_safetensors(path, small.variables, model_name="tiny")
    loaded = load_safetensors(path).variables
    restored = restore_factored(model, loaded["params"])
    assert sorted(restored.layers) == sorted(small.model.layers)
    apply = lambda net, v: net.apply(v, images, train=False)
    np.testing.assert_array_equal(
        apply(restored, loaded), apply(small.model, small.variables)
    )


def test_factored_network_initializes_and_nests(tiny, halves):
    (_, _, images), small = tiny, halves["channel"]
    fresh = jax.eval_shape(
        functools.partial(small.model.init, train=False), jax.random.key(0), images
    )
    chex.assert_trees_all_equal_shapes(dict(fresh), small.variables)

    class Outer(nn.Module):
        inner: FactoredNetwork

        @nn.compact
        def __call__(self, images, *, train):
            return self.inner(images, train=train)

    nested = jax.tree.map(lambda leaf: leaf, small.variables)
    nested = {name: {"inner": tree} for name, tree in nested.items()}
    np.testing.assert_array_equal(
        Outer(small.model).apply(nested, images, train=False),
        small.model.apply(small.variables, images, train=False),
    )


def test_compress_takes_the_size_that_a_network_was_made_for():
    model = MODELS["resnet8_cifar"](num_classes=10)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    variables = draw_variables(model, images)
    report = compress(variables, model, {"head": 4}, include="head").report
    run = lambda v, x: model.apply(v, x, train=False)
    assert report.network_macs_before == count_macs(run, variables, images)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"), [("resnet50", 32), ("efficientnet_b0", 32), ("googlenet", 32)]
)
def test_compress_works_for_large_networks(name, side):
    model = MODELS[name](num_classes=10)
    images = jax.random.normal(jax.random.key(0), (1, side, side, 3))
    variables = draw_variables(model, images)
    small = compress(variables, model, KeepParameters(0.6), inputs=images)
    logits = jax.jit(lambda v, x: small.model.apply(v, x, train=False))(
        small.variables, images
    )
    assert logits.shape == (1, 10) and bool(jnp.isfinite(logits).all())
    share = small.report.parameters_after / small.report.parameters_before
    assert 0.59 < share <= 0.6
    depthwise = [row for row in small.report.layers if row.shape[2:3] == (1,)]
    assert all(row.rank is None for row in depthwise)
    assert bool(depthwise) == (name == "efficientnet_b0")


BAD_CASES = {
    "pattern": ({"include": "nothing"}, "leave no layer to factor; there are block"),
    "excluded": ({"exclude": ""}, "leave no layer to factor"),
    "shape": ({"inputs": jnp.ones((8, 8, 3))}, r"inputs must be images .* \(8, 8, 3\)"),
    "no inputs": ({"inputs": None}, "inputs is None, wanted a batch of images for T"),
    "aware method": (
        {"activation_aware": True, "method": "tucker2"},
        "activation_aware is for method 'channel' or 'spatial', got 'tucker2'",
    ),
    "aware shape": (
        {
            "activation_aware": True,
            "inputs": jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32),
        },
        "activation_aware wants inputs, a batch of images",
    ),
    "regular expression": ({"include": "("}, "must be a regular expression, got .\\("),
    "path": ({"rank_rule": {"heads": 1}}, "no layer to factor at heads; there are b"),
    "rank": ({"rank_rule": {"head": 4}}, r"rank of head must be .*\[1, 3\], got 4"),
    "text": ({"rank_rule": {"head": "2"}}, "rank of head must be .* got '2'"),
    "rule": ({"rank_rule": 0.5}, "rank_rule must be KeepEnergy, .* got 0.5"),
    "budget": (
        {"rank_rule": KeepParameters(0.01)},
        r"KeepParameters\(0.01\) is below the 0\.\d+ that is left with rank 1",
    ),
}


@pytest.mark.parametrize("case", BAD_CASES)
def test_compress_names_what_does_not_fit(monkeypatch, tiny, case):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    model, variables, images = tiny
    changes, message = BAD_CASES[case]
    options = {"rank_rule": KeepParameters(0.5), "inputs": images, **changes}
    rule = options.pop("rank_rule")
    with pytest.raises(ValueError, match=message):
        compress(variables, model, rule, **options)


def test_restore_factored_wants_factored_layers():
    with pytest.raises(ValueError, match="factored layers.* got head/kernel"):
        restore_factored(Tiny(), {"head": {"kernel": jnp.ones((2, 2))}})
