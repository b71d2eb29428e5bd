import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.layers import Dropout, StochasticDepth, dropout
from jaxdl.parallel import batch_sharding, make_mesh

KEY = jax.random.key(0)


def ones(shape, dtype=jnp.float32):
    return jnp.asarray(np.ones(shape), dtype)


def apply(module, x, key=KEY):
    return module.apply({}, x, train=True, rngs={"dropout": key})


@pytest.mark.parametrize("form", ["inverted", "classic"])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_in_training_has_the_value_of_evaluation_in_expectation(rate, form):
    n = 40_000
    drop = functools.partial(dropout, rate=rate, form=form)
    train = np.asarray(drop(ones(n), train=True, key=KEY), float)
    kept = 1 / (1 - rate) if form == "inverted" else 1.0
    assert set(np.unique(train)) == {0.0, np.float32(kept)}
    # Five standard deviations of the mean of n draws.
    bound = 5 * kept * np.sqrt(rate * (1 - rate) / n)
    evaluated = np.asarray(drop(ones(n), train=False), float)
    np.testing.assert_allclose(
        evaluated, 1.0 if form == "inverted" else 1 - rate, rtol=1e-6
    )
    assert abs(train.mean() - evaluated.mean()) < bound


def test_dropout_forms_drop_the_same_values_and_differ_by_the_rate():
    x = jnp.arange(1.0, 101.0)
    inverted, classic = (
        dropout(x, rate=0.3, train=True, form=form, key=KEY)
        for form in ("inverted", "classic")
    )
    np.testing.assert_allclose(inverted * 0.7, classic, rtol=1e-6)


def test_dropout_depends_on_the_key_alone():
    x = ones((8, 50))
    drop = functools.partial(dropout, x, rate=0.5, train=True)
    np.testing.assert_array_equal(drop(key=KEY), drop(key=KEY))
    assert (drop(key=KEY) != drop(key=jax.random.key(1))).any()
    np.testing.assert_array_equal(
        jax.jit(lambda key: drop(key=key))(KEY), drop(key=KEY)
    )


@pytest.mark.parametrize(
    "module",
    [Dropout(0.5), Dropout(0.5, spatial=True), StochasticDepth(0.5)],
    ids=["single", "spatial", "depth"],
)
def test_dropout_on_eight_devices_drops_what_one_drops(module):
    x = ones((16, 2, 2, 3))
    run = jax.jit(functools.partial(apply, module))
    split = jax.device_put(x, batch_sharding(make_mesh()))
    y = run(split)
    assert y.sharding.is_equivalent_to(split.sharding, x.ndim)
    np.testing.assert_array_equal(y, run(x))


def test_dropout_keeps_the_gradient_of_what_it_keeps():
    x = jnp.array([1.0, jnp.inf, jnp.nan, -2.0] * 10)
    y, pull_back = jax.vjp(
        lambda x: dropout(x, rate=0.5, train=True, key=KEY), ones(x.shape)
    )
    np.testing.assert_array_equal(pull_back(ones(x.shape))[0], y)
    # Dropped means gone: not 0 times what was there.
    dropped = np.asarray(y) == 0
    assert not np.asarray(dropout(x, rate=0.5, train=True, key=KEY))[dropped].any()


@pytest.mark.parametrize("form", ["inverted", "classic"])
def test_dropout_at_rate_zero_changes_nothing_and_needs_no_key(form):
    x = jnp.arange(4.0)
    for train in (False, True):
        drop = functools.partial(dropout, rate=0.0, train=train, form=form)
        y, pull_back = jax.vjp(drop, x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(pull_back(x)[0], x)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("form", ["inverted", "classic"])
def test_dropout_keeps_the_dtype(train, form):
    drop = functools.partial(dropout, rate=0.5, train=train, form=form, key=KEY)
    assert jax.eval_shape(drop, ones(3, jnp.bfloat16)).dtype == jnp.bfloat16


def test_dropout_spatial_drops_whole_channels_of_each_image():
    y = np.asarray(apply(Dropout(0.5, spatial=True), ones((20, 3, 2, 10))))
    assert (y == y[:, :1, :1]).all()
    per_channel = y[:, 0, 0]
    assert set(np.unique(per_channel)) == {0.0, 2.0}
    assert len(np.unique(per_channel, axis=0)) > 10  # each image has its own
    assert abs(per_channel.mean() - 1) < 5 / np.sqrt(200)


def test_dropout_spatial_on_vectors_is_plain():
    x = ones((4, 6))
    np.testing.assert_array_equal(
        apply(Dropout(0.5, spatial=True), x), apply(Dropout(0.5), x)
    )


def test_stochastic_depth_by_row_drops_whole_examples():
    y = np.asarray(apply(StochasticDepth(0.2), ones((2000, 2, 3))))
    assert (y == y[:, :1, :1]).all()
    per_example = y[:, 0, 0]
    assert set(np.unique(per_example)) == {0.0, np.float32(1.25)}
    assert abs(per_example.mean() - 1) < 5 * 1.25 * np.sqrt(0.2 * 0.8 / 2000)


def test_stochastic_depth_by_batch_drops_all_examples_or_none():
    draw = jax.jit(functools.partial(apply, StochasticDepth(0.5, mode="batch")))
    draws = [np.asarray(draw(ones((3, 2)), key)) for key in jax.random.split(KEY, 40)]
    assert all((y == y.ravel()[0]).all() for y in draws)
    assert {y.ravel()[0] for y in draws} == {0.0, 2.0}


def test_stochastic_depth_in_evaluation_changes_nothing():
    x = jnp.arange(6.0).reshape(3, 2)
    for mode in ("row", "batch"):
        y = StochasticDepth(0.5, mode).apply({}, x, train=False)
        np.testing.assert_array_equal(y, x)


def test_dropout_modules_initialise_without_parameters_or_a_stream():
    for module in (Dropout(0.5), StochasticDepth(0.5)):
        assert not module.init(KEY, ones((2, 3)), train=True)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_dropout_names_a_bad_rate(rate):
    message = rf"rate must be in \[0, 1\), got {rate}"
    for make in (
        lambda: dropout(ones(2), rate=rate, train=False),
        lambda: Dropout(rate),
        lambda: StochasticDepth(rate),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dropout(0.5, "late"), "form must be .* got 'late'"),
        (lambda: StochasticDepth(0.5, "pixel"), "mode must be .* got 'pixel'"),
        (
            lambda: dropout(ones(2), rate=0.5, train=True, form="late", key=KEY),
            "form must be .* got 'late'",
        ),
        (lambda: dropout(ones(2), rate=0.5, train=True), "needs a key, got None"),
        (
            lambda: dropout(ones(2), rate=0.5, train=True, shared_axes=(1,), key=KEY),
            r"shared_axes=\(1,\) are not all axes of x of shape \(2,\)",
        ),
    ],
)
def test_dropout_names_a_bad_argument(make, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=message):
        make()
