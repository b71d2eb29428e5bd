import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest
from scipy import stats

from jaxdl.layers import apply_lora, convolve, init_lora, merge_lora
from jaxdl.trees import count_parameters, named_leaves

KEY = jax.random.key(0, impl="rbg")  # compiles in a fraction of the time


def draw(*shape, seed=0, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def make_params():
    return {
        "stem": {"kernel": draw(3, 3, 3, 8), "bias": draw(8)},
        "block": {
            "conv": {"kernel": draw(3, 3, 2, 8, seed=1)},  # 8 channels, 4 groups
            "wide": {"kernel": draw(1, 5, 8, 4, seed=2)},
            "norm": {"scale": draw(4)},
        },
        "head": {"kernel": draw(4, 5, seed=3), "bias": draw(5)},
    }


def shape_lora(params, **options):
    """Adapters without values: nothing is compiled."""
    return jax.eval_shape(lambda: init_lora(params, **options, key=KEY))


def fill_lora(params, **options):
    """Adapters with values, as after training."""
    generator = np.random.default_rng(5)
    return jax.tree.map(
        lambda leaf: jnp.asarray(generator.normal(size=leaf.shape), leaf.dtype),
        shape_lora(params, **options),
    )


def leaf_shapes(tree):
    return {path: leaf.shape for path, leaf in named_leaves(tree).items()}


GROUPS = {"block/conv/": 4}
BOTH = pytest.mark.parametrize("convention", ["reshaped", "factored"])


@functools.cache
def start_lora(convention):
    """As `init_lora` draws them, in one compilation."""
    options = {"rank": 4, "convention": convention, "groups": GROUPS}
    return jax.jit(functools.partial(init_lora, **options))(make_params(), key=KEY)


@BOTH
def test_init_lora_changes_nothing(convention):
    params, lora = make_params(), start_lora(convention)
    adapted = jax.jit(functools.partial(apply_lora, alpha=8.0))(params, lora)
    jax.tree.map(np.testing.assert_array_equal, adapted, params)
    assert all(
        leaf.any() for path, leaf in named_leaves(lora).items() if path[-1] == "a"
    )


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        # (features * height, rank * height) times (rank * height, inputs * width)
        (
            "reshaped",
            {
                "stem/kernel": ((12, 9), (24, 12)),
                "block/conv/kernel": ((12, 24), (24, 12)),
                "block/wide/kernel": ((4, 40), (4, 4)),
                "head/kernel": ((4, 4), (4, 5)),
            },
        ),
        (
            "factored",
            {
                "stem/kernel": ((3, 3, 3, 4), (1, 1, 4, 8)),
                "block/conv/kernel": ((3, 3, 2, 4), (1, 1, 1, 8)),
                "block/wide/kernel": ((1, 5, 8, 4), (1, 1, 4, 4)),
                "head/kernel": ((4, 4), (4, 5)),
            },
        ),
    ],
)
def test_init_lora_has_the_shapes_of_its_convention(convention, expected):
    lora = shape_lora(make_params(), rank=4, convention=convention, groups=GROUPS)
    assert leaf_shapes(lora) == {
        f"{path}/{name}": shape
        for path, shapes in expected.items()
        for name, shape in zip("ab", shapes, strict=True)
    }


@pytest.mark.parametrize(("inputs", "features", "rank"), [(7, 5, 1), (512, 1000, 8)])
def test_init_lora_brings_rank_times_inputs_plus_features(inputs, features, rank):
    params = {"kernel": jax.ShapeDtypeStruct((inputs, features), jnp.float32)}
    assert count_parameters(shape_lora(params, rank=rank)) == rank * (inputs + features)


@pytest.mark.parametrize(
    ("shape", "convention", "groups", "fan_in"),
    [
        ((100, 10), "reshaped", 1, 100),
        ((3, 5, 40, 8), "factored", 1, 600),
        ((3, 5, 40, 8), "reshaped", 1, 200),
        ((3, 5, 40, 8), "reshaped", 2, 200),
        ((3, 5, 40, 8), "factored", 2, 600),
    ],
)
def test_init_lora_draws_a_within_one_over_root_fan_in(
    shape, convention, groups, fan_in
):
    params = {"kernel": jax.ShapeDtypeStruct(shape, jnp.bfloat16)}
    lora = init_lora(params, rank=16, convention=convention, groups=groups, key=KEY)
    bound = 1 / np.sqrt(fan_in)
    a = np.ravel(lora["kernel"]["a"])
    assert a.dtype == np.float32
    assert stats.kstest(a, "uniform", args=(-bound, 2 * bound)).pvalue > 0.005
    assert not lora["kernel"]["b"].any()


def test_init_lora_draws_each_kernel_anew():
    params = {"one": {"kernel": draw(4, 4)}, "two": {"kernel": draw(4, 4)}}
    lora = init_lora(params, rank=2, key=KEY)
    assert (lora["one"]["kernel"]["a"] != lora["two"]["kernel"]["a"]).all()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("head", {"head/kernel"}),
        ("^block/", {"block/conv/kernel", "block/wide/kernel"}),
        ("stem|conv", {"stem/kernel", "block/conv/kernel"}),
    ],
)
def test_init_lora_adapts_the_kernels_that_match(pattern, expected):
    params = make_params()
    lora = fill_lora(params, rank=2, pattern=pattern)
    assert {path.rpartition("/")[0] for path in named_leaves(lora)} == expected
    adapted = apply_lora(params, lora, alpha=1.0)
    changed = {
        path
        for path, leaf in named_leaves(adapted).items()
        if (leaf != named_leaves(params)[path]).any()
    }
    assert changed == expected


def test_init_lora_takes_the_groups_of_the_first_pattern_that_matches():
    groups = {"block/conv": 2, "block": 1, "stem|block": 4}
    lora = shape_lora(make_params(), rank=4, convention="factored", groups=groups)
    shapes = leaf_shapes(lora)
    assert shapes["block/conv/kernel/b"] == (1, 1, 2, 8)
    assert shapes["block/wide/kernel/b"] == (1, 1, 4, 4)
    assert shapes["stem/kernel/b"] == (1, 1, 1, 8)


@pytest.mark.parametrize(
    ("scaling", "divisor"), [("standard", 4.0), ("rank_stabilized", 2.0)]
)
def test_merged_dense_layer_equals_its_two_branches(scaling, divisor):
    params = {"kernel": draw(6, 5)}
    lora = fill_lora(params, rank=4)
    merged = merge_lora(params, lora, alpha=8.0, scaling=scaling)
    x, (a, b) = draw(3, 6, seed=1), (lora["kernel"][name] for name in "ab")
    branches = x @ params["kernel"] + 8.0 / divisor * ((x @ a) @ b)
    np.testing.assert_allclose(x @ merged["kernel"], branches, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("groups", "channels", "features", "rank"),
    [(1, 3, 4, 2), (2, 4, 6, 4), (4, 4, 8, 8), (4, 4, 4, 4)],
)
def test_merged_factored_convolution_equals_its_two_branches(
    groups, channels, features, rank
):
    params = {"kernel": draw(3, 5, channels // groups, features)}
    lora = fill_lora(params, rank=rank, convention="factored", groups=groups)
    merged = merge_lora(params, lora, alpha=2.0 * rank)
    x, options = draw(2, 6, 7, channels, seed=1), {"stride": 2, "padding": (1, 2)}
    spatial = functools.partial(convolve, groups=groups, **options)
    down = spatial(x, lora["kernel"]["a"])
    up = convolve(down, lora["kernel"]["b"], groups=groups)
    branches = spatial(x, params["kernel"]) + 2.0 * up
    difference = jnp.abs(spatial(x, merged["kernel"]) - branches).max()
    assert float(difference / jnp.abs(branches).max()) < 1e-5


def loralib_float64(a, b, *, features, inputs, side):
    """The change of an ungrouped square kernel, in PyTorch's layout and then ours."""
    change = (np.asarray(b, float) @ np.asarray(a, float)).reshape(
        features, inputs, side, side
    )
    return np.moveaxis(change, (0, 1), (3, 2))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_reshaped_convolution_is_that_of_loralib_in_each_group(groups):
    params = {"kernel": draw(3, 3, 8 // groups, 12)}
    lora = fill_lora(params, rank=2, groups=groups)
    a, b = (np.asarray(lora["kernel"][name]) for name in "ab")
    assert a.shape == (2 * 3, 8 * 3)
    assert b.shape == (12 * 3, 2 * 3)
    change = merge_lora(params, lora, alpha=1.0)["kernel"] - params["kernel"]
    expected = [
        loralib_float64(
            a_group, b_group, features=12 // groups, inputs=8 // groups, side=3
        )
        for a_group, b_group in zip(
            np.split(a, groups, axis=1), np.split(b, groups), strict=True
        )
    ]
    expected = np.concatenate(expected, axis=3) / 2
    np.testing.assert_allclose(change, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("convention", "terms"), [("reshaped", 6), ("factored", 2)])
def test_the_change_of_a_convolution_has_the_rank_of_its_convention(convention, terms):
    params = {"kernel": jnp.zeros((3, 3, 8, 10))}
    lora = fill_lora(params, rank=2, convention=convention)
    change = np.asarray(apply_lora(params, lora, alpha=2.0)["kernel"])
    if convention == "reshaped":
        matrix = change.transpose(3, 2, 0, 1).reshape(10 * 3, 8 * 3)
    else:
        matrix = change.reshape(-1, 10)
    assert np.linalg.matrix_rank(matrix, tol=1e-4) == terms


@BOTH
def test_only_adapters_train(convention):
    params = jax.tree.map(lambda leaf: 0.3 * leaf, make_params())
    lora = start_lora(convention)
    x, target = draw(4, 6, 6, 3, seed=7), draw(4, 5, seed=8)

    def loss(lora, params):
        params = apply_lora(params, lora, alpha=4.0)
        y = jax.nn.relu(convolve(x, params["stem"]["kernel"]))
        y = jax.nn.relu(convolve(y, params["block"]["conv"]["kernel"], groups=4))
        y = convolve(y, params["block"]["wide"]["kernel"], padding=(0, 2))
        y = y.mean((1, 2)) @ params["head"]["kernel"]
        return jnp.mean(jnp.square(y - target))

    optimizer = optax.sgd(0.3)

    @jax.jit
    def step(lora, opt_state, params):
        value, grads = jax.value_and_grad(loss)(lora, params)
        updates, opt_state = optimizer.update(grads, opt_state, lora)
        return optax.apply_updates(lora, updates), opt_state, value, grads

    opt_state, losses = optimizer.init(lora), []
    for index in range(100):
        lora, opt_state, value, grads = step(lora, opt_state, params)
        losses.append(float(value))
        for path, grad in named_leaves(grads).items():
            # While b is 0, a makes no difference.
            assert bool(grad.any()) == (index > 0 or path.endswith("b")), path
    assert losses[-1] < 0.7 * losses[0]
    unchanged = jax.tree.map(lambda leaf: 0.3 * leaf, make_params())
    jax.tree.map(np.testing.assert_array_equal, params, unchanged)
    merged = merge_lora(params, lora, alpha=4.0)
    nothing = jax.tree.map(jnp.zeros_like, lora)
    expected = step(lora, opt_state, params)[2]
    found = step(nothing, opt_state, merged)[2]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_apply_lora_keeps_dtypes_and_passes_other_leaves_on():
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), make_params())
    lora = fill_lora(params, rank=2, pattern="head")
    adapted = apply_lora(params, lora, alpha=1.0)
    assert jax.tree.structure(adapted) == jax.tree.structure(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(adapted)} == {jnp.dtype("bfloat16")}
    assert adapted["stem"]["kernel"] is params["stem"]["kernel"]
    assert adapted["head"]["bias"] is params["head"]["bias"]


def test_merge_lora_by_minus_alpha_takes_the_adapters_out():
    params = make_params()
    lora = fill_lora(params, rank=2)
    restored = merge_lora(merge_lora(params, lora, alpha=3.0), lora, alpha=-3.0)
    compare = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
    jax.tree.map(compare, restored, params)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank must be at least 1, got 0"),
        ({"convention": "tucker"}, "'reshaped' or 'factored', got 'tucker'"),
        ({"pattern": "norm"}, "'norm' matches no kernel; .* stem/kernel"),
        ({"pattern": "("}, r"regular expression, got '\('"),
        ({"groups": {"shortcut": 2}}, "'shortcut' of groups matches none.*head/kernel"),
        ({"groups": {"stem": 3}}, "divide the 8 features of stem/kernel, got 3"),
        ({"groups": 0}, "divide the .* features of .*, got 0"),
        (
            {"rank": 6, "groups": GROUPS, "convention": "factored"},
            "divisible by the 4 groups of block/conv/kernel.*got 6",
        ),
    ],
)
def test_init_lora_names_what_does_not_fit(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        shape_lora(make_params(), **{"rank": 2, **options})


ADAPTER = {"a": jnp.ones((4, 2)), "b": jnp.ones((2, 5))}


def conv_adapter(a, b):
    return {"stem": {"kernel": {"a": jnp.ones(a), "b": jnp.ones(b)}}}


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"tail": {"kernel": ADAPTER}}, "have no tail/kernel; they have .*head/kernel"),
        ({"head": {"kernel": {"a": ADAPTER["a"]}}}, "nothing at head/kernel/b"),
        ({"head": {"kernel": {**ADAPTER, "c": jnp.ones(1)}}}, "at head/kernel/c"),
        ({"head": {"bias": ADAPTER}}, r"do not fit head/bias of shape \(5,\)"),
        (
            {"head": {"kernel": {**ADAPTER, "b": jnp.ones((3, 5))}}},
            r"\(4, 2\).*\(3, 5\)",
        ),
        (conv_adapter((12, 9), (24, 9)), "do not fit stem/kernel"),
        (conv_adapter((12, 10), (24, 12)), "do not fit stem/kernel"),
        (conv_adapter((9, 12), (12, 24)), "do not fit stem/kernel"),
        (conv_adapter((3, 3, 3, 5), (1, 1, 2, 8)), "do not fit stem/kernel"),
        (conv_adapter((3, 3, 3, 6), (1, 1, 2, 8)), "do not fit stem/kernel"),
        (conv_adapter((3, 1, 3, 4), (1, 1, 4, 8)), "do not fit stem/kernel"),
        (conv_adapter((12, 9), (1, 1, 4, 8)), "do not fit stem/kernel"),
    ],
)
def test_apply_lora_names_adapters_that_do_not_fit(lora, message):
    with pytest.raises(ValueError, match=message):
        apply_lora(make_params(), lora, alpha=1.0)


def test_apply_lora_names_an_unknown_scaling(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match="rank_stabilized', got 'root'"):
        apply_lora({}, {}, alpha=1.0, scaling="root")
