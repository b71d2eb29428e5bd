import functools
import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxdl.losses import barlow_twins_loss, describe_barlow_twins_cost
from jaxdl.parallel import make_mesh
from tests.barlow_twins_float64 import differentiate_float64, make_views

ROUTES = ("correlation", "gram")
SIZES = (2, 8, 64, 257)
SHAPES = [(n, d) for n in SIZES for d in SIZES]
FAST = [(2, 2), (2, 257), (8, 64), (64, 8), (257, 257)]


def assert_equal(result, views, weight=5.1e-3):
    loss, grads = result
    expected, expected_grads = differentiate_float64(*views, weight)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for ours, wanted in zip(grads, expected_grads, strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-4 * np.abs(wanted).max())


def differentiate(**options):
    return jax.value_and_grad(functools.partial(barlow_twins_loss, **options), (0, 1))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "shapes",
    [FAST, pytest.param([s for s in SHAPES if s not in FAST], marks=pytest.mark.slow)],
    ids=["few", "rest"],
)
def test_barlow_twins_loss_equals_float64(shapes, route):
    for shape in shapes:
        views = make_views(*shape)
        assert_equal(jax.jit(differentiate(route=route))(*views), views)


# Several blocks of features and a smaller one; a Gram matrix halved once, and twice,
# both into odd sizes.
@pytest.mark.parametrize("shape", [(300, 1100), (515, 700), (1031, 600)])
def test_barlow_twins_loss_gram_route_equals_float64_by_blocks(shape):
    views = make_views(*shape)
    run = jax.jit(differentiate(route="gram", off_diagonal_weight=0.02))
    assert_equal(run(*views), views, 0.02)


def test_barlow_twins_loss_needs_no_blocks_on_accelerators(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    views = make_views(515, 24)
    assert_equal(jax.jit(differentiate(route="gram"))(*views), views)


@pytest.mark.parametrize("route", ROUTES)
def test_barlow_twins_loss_ignores_scale_and_shift_of_one_view(route):
    x = make_views(16, 12)[0]
    loss = functools.partial(barlow_twins_loss, route=route)
    np.testing.assert_allclose(loss(x, x), loss(x, 2 * x + 4), rtol=1e-5)
    np.testing.assert_allclose(loss(x, x), loss(5 * x - 1, x), rtol=1e-5)


@pytest.mark.parametrize("route", ROUTES)
def test_barlow_twins_loss_takes_bfloat16_and_computes_in_float32(route):
    views = [x.astype(jnp.bfloat16) for x in make_views(16, 12)]
    loss, grads = differentiate(route=route)(*views)
    assert loss.dtype == jnp.float32
    assert [x.dtype for x in grads] == [jnp.bfloat16] * 2
    expected, expected_grads = differentiate_float64(*views)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for ours, wanted in zip(grads, expected_grads, strict=True):
        np.testing.assert_allclose(ours.astype(float), wanted, rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize("route", ROUTES)
def test_barlow_twins_loss_of_constant_features_has_finite_gradients(route):
    first, second = make_views(16, 12)
    first, second = first.at[:, 3].set(7), second.at[:, 5].set(0)
    result = differentiate(route=route)(first, second)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))
    first = first.at[0, 0].set(jnp.nan)
    assert np.isnan(barlow_twins_loss(first, second, route=route))


def test_barlow_twins_loss_hessian_equals_differences_of_float64_gradients():
    first, second = make_views(6, 4)
    for route in ROUTES:
        loss = functools.partial(barlow_twins_loss, route=route)
        hessian = jax.jit(jax.hessian(loss))(first, second)[2, 1]
        for index in ((2, 1), (0, 3)):
            step = np.zeros(first.shape)
            step[index] = 1e-4
            ends = [
                differentiate_float64(first + sign * step, second)[1][0][2, 1]
                for sign in (1, -1)
            ]
            slope = (ends[0] - ends[1]) / 2e-4
            np.testing.assert_allclose(hessian[index], slope, rtol=1e-3, atol=1e-4)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(barlow_twins_loss, (first, second), (first, second))


def test_barlow_twins_loss_without_gradients_equals_the_one_with_them():
    views = make_views(16, 40)
    for route in ROUTES:
        loss = barlow_twins_loss(*views, route=route)
        np.testing.assert_allclose(loss, differentiate_float64(*views)[0], rtol=1e-5)
        stacked = [jnp.stack([x, x + x]) for x in views]
        many = jax.vmap(functools.partial(barlow_twins_loss, route=route))(*stacked)
        np.testing.assert_allclose(many, np.repeat(loss, 2), rtol=1e-4)


@pytest.mark.parametrize(
    ("shapes", "options", "words"),
    [
        (((1, 4), (1, 4)), {}, "at least 2 examples .* got 1 and 4"),
        (((4, 0), (4, 0)), {}, "a feature, got 4 and 0"),
        (((4, 3), (4, 2)), {}, r"got \(4, 3\) and \(4, 2\)"),
        (((4, 3), (5, 3)), {}, r"got \(4, 3\) and \(5, 3\)"),
        (((4, 3, 3), (4, 3, 3)), {}, r"two matrices of one shape .* \(4, 3, 3\)"),
        (((4,), (4,)), {}, r"two matrices .* got \(4,\)"),
        (((4, 3), (4, 3)), {"route": "grams"}, "route must be one of .* got 'grams'"),
        (((4, 3), (4, 3)), {"off_diagonal_weight": -1.0}, "at least 0, got -1.0"),
    ],
)
def test_barlow_twins_loss_names_what_does_not_fit(monkeypatch, shapes, options, words):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    views = [jnp.ones(shape) for shape in shapes]
    with pytest.raises(ValueError, match=f"barlow_twins_loss: .*{words}"):
        barlow_twins_loss(*views, **options)


# --- Several devices ------------------------------------------------------------------


def list_collectives(compiled):
    """Names of collectives with the numbers that each of them returns."""
    pattern = r"= (.*?) (all-\w+|collective-permute|reduce-scatter)(?:-start)?\("
    found = []
    for result, name in re.findall(pattern, compiled.as_text()):
        for shape in re.findall(r"f32\[([\d,]*)\]", result):
            numbers = [int(size) for size in shape.split(",") if size]
            found.append((name, int(np.prod(numbers))))
    return found


def check_collectives(compiled, route, shape):
    n, d = shape
    large = [item for item in list_collectives(compiled) if item[1] > d]
    gathers = [("all-gather", n * d)] * 2
    assert large == ([("all-reduce", d * d)] if route == "correlation" else gathers)
    cost = describe_barlow_twins_cost(n, d, num_devices=8)
    if cost.route == route:
        both_ways = 2 if route == "correlation" else 1
        sent = sum(4 * both_ways * numbers * 7 // 8 for _, numbers in large)
        assert cost.collective == large[0][0]
        assert cost.bytes == sent


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("shape", [(32, 48), (64, 24)])
def test_barlow_twins_loss_on_sharded_arrays_equals_one_device(route, shape):
    views = make_views(*shape)
    sharding = NamedSharding(make_mesh(), P("data"))
    sharded = jax.device_put(views, [sharding] * 2)
    compiled = jax.jit(differentiate(route=route)).lower(*sharded).compile()
    loss, grads = compiled(*sharded)
    assert_equal((loss, grads), views)
    assert all(x.sharding.is_equivalent_to(sharding, 2) for x in grads)
    check_collectives(compiled, route, shape)


@pytest.mark.parametrize("route", ROUTES)
def test_barlow_twins_loss_under_shard_map_equals_one_device(route):
    shape = (32, 48)
    views = make_views(*shape)
    each = P("data")
    shard = functools.partial(jax.shard_map, mesh=make_mesh(), in_specs=(each, each))
    loss = functools.partial(barlow_twins_loss, route=route, axis_name="data")
    outside = jax.value_and_grad(shard(loss, out_specs=P()), (0, 1))
    compiled = jax.jit(outside).lower(*views).compile()
    assert_equal(compiled(*views), views)
    check_collectives(compiled, route, shape)

    inside = shard(jax.value_and_grad(loss, (0, 1)), out_specs=(P(), (each, each)))
    assert_equal(jax.jit(inside)(*views), views)


@pytest.mark.parametrize("tracked", [True, False])
def test_barlow_twins_loss_gradients_of_shared_parameters_are_the_global_ones(tracked):
    images = make_views(32, 6)
    kernel = np.random.default_rng(1).normal(size=(6, 12)).astype(np.float32)

    def loss(kernel, first, second, axis_name=None):
        views = first @ kernel, second @ kernel
        return barlow_twins_loss(*views, axis_name=axis_name)

    def reduced(kernel, *images):
        grads = jax.grad(loss)(kernel, *images, axis_name="data")
        return grads if tracked else jax.lax.pmean(grads, "data")

    specs = P(), P("data"), P("data")
    split = jax.shard_map(
        reduced, mesh=make_mesh(), in_specs=specs, out_specs=P(), check_vma=tracked
    )
    expected = sum(
        np.asarray(x, float).T @ grads
        for x, grads in zip(
            images,
            differentiate_float64(*(x.astype(float) @ kernel for x in images))[1],
            strict=True,
        )
    )
    close = functools.partial(
        np.testing.assert_allclose, desired=expected, atol=1e-5 * np.abs(expected).max()
    )
    close(jax.jit(split)(kernel, *images))
    close(jax.jit(jax.grad(loss))(kernel, *images))


def test_barlow_twins_loss_of_one_example_per_device_is_that_of_the_global_batch():
    views = make_views(8, 6)
    run = jax.shard_map(
        functools.partial(barlow_twins_loss, axis_name="data"),
        mesh=make_mesh(),
        in_specs=(P("data"), P("data")),
        out_specs=P(),
    )
    loss = jax.jit(run)(*views)
    np.testing.assert_allclose(loss, differentiate_float64(*views)[0], rtol=1e-5)
