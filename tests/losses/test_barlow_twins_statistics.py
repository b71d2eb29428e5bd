"""What is told beside the Barlow Twins loss: statistics, its minimum, its cost."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jaxdl.losses import (
    barlow_twins_loss,
    barlow_twins_minimum,
    barlow_twins_statistics,
    choose_barlow_twins_route,
    cross_correlation,
    describe_barlow_twins_cost,
)
from jaxdl.parallel import make_mesh
from tests.barlow_twins_float64 import (
    correlate_float64,
    differentiate_float64,
    make_views,
)

ROUTES = ("correlation", "gram")


def test_barlow_twins_statistics_are_equal_on_one_and_eight_devices():
    for shape in ((32, 80), (64, 24)):
        views = make_views(*shape)
        alone = jax.jit(barlow_twins_statistics)(*views)
        split = jax.shard_map(
            functools.partial(barlow_twins_statistics, axis_name="data"),
            mesh=make_mesh(),
            in_specs=(P("data"), P("data")),
            out_specs=P(),
        )
        np.testing.assert_allclose(jax.jit(split)(*views), alone, rtol=1e-5)


def test_barlow_twins_statistics_equal_float64():
    for shape in ((8, 24), (40, 12)):
        first, second = make_views(*shape)
        statistics = barlow_twins_statistics(first, second)
        c = correlate_float64(first, second)
        rest = c[~np.eye(len(c), dtype=bool)]
        views = [np.asarray(x, float) for x in (first, second)]
        centered = [x - x.mean(0) for x in views]
        covariance = sum(x.T @ x for x in centered) / (2 * len(first))
        values = np.linalg.svd(covariance, compute_uv=False)
        shares = values[values > 1e-12 * values[0]] / values.sum()
        on = np.square(1 - np.diagonal(c)).sum()
        expected = {
            "loss": on + 5.1e-3 * np.square(rest).sum(),
            "on_diagonal": on,
            "off_diagonal": np.square(rest).sum(),
            "mean_correlation": np.abs(rest).mean(),
            "effective_rank": np.exp(-(shares * np.log(shares)).sum()),
            "minimum": barlow_twins_minimum(*shape),
        }
        for name, value in statistics._asdict().items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, err_msg=name)


def test_barlow_twins_statistics_add_up_blocks_of_features():
    first, second = make_views(6, 1100)
    statistics = jax.jit(barlow_twins_statistics)(first, second)
    c = correlate_float64(first, second)
    rest = c[~np.eye(len(c), dtype=bool)]
    np.testing.assert_allclose(statistics.mean_correlation, np.abs(rest).mean(), 1e-5)
    np.testing.assert_allclose(statistics.loss, differentiate_float64(first, second)[0])


def test_barlow_twins_statistics_effective_rank_of_a_point_is_0():
    point = jnp.ones((8, 4))
    statistics = barlow_twins_statistics(point, point)
    assert statistics.effective_rank == 0
    assert np.isfinite(statistics).all()


def test_cross_correlation_equals_float64():
    views = make_views(40, 12)
    c = cross_correlation(*views)
    np.testing.assert_allclose(c, correlate_float64(*views), atol=1e-6)


# Worked out by hand from the closed form; 1103 is what a public log levels off above.
def test_barlow_twins_minimum_has_known_values():
    minimum = functools.partial(barlow_twins_minimum, off_diagonal_weight=0.005)
    assert round(minimum(256, 8192)) == 1103
    assert round(minimum(128, 2048)) == 144
    assert round(minimum(512, 2048), 1) == 30.3
    assert barlow_twins_minimum(65, 64) == 0.0


def make_frame(num_examples, num_features, tilt):
    """Views whose correlations are a multiple of a projection with equal diagonal.

    Rows of a Hadamard matrix are features' coordinates, all of equal size, in the space
    of the examples with mean 0. Stretching coordinates of one view by `tilt` and
    shrinking them in the other lowers C_ii and keeps C a projection's multiple.
    """
    rank = num_examples - 1
    hadamard = np.ones((1, 1))
    while len(hadamard) < num_features:
        hadamard = np.kron(hadamard, [[1, 1], [1, -1]])
    centering = np.eye(num_examples) - 1 / num_examples
    basis = np.linalg.svd(centering)[0][:, :rank]
    stretch = np.where(np.arange(rank) % 2, tilt, 1 / tilt)
    # Large, so that what is added to the variances is nothing beside them.
    views = [1e3 * basis * s @ hadamard[:, :rank].T for s in (stretch, 1 / stretch)]
    return [jnp.asarray(x, jnp.float32) for x in views]


@pytest.mark.parametrize("route", ROUTES)
def test_barlow_twins_minimum_is_attained(route):
    num_examples, num_features = 9, 16
    excess = num_features / (num_examples - 1) - 1
    for weight in (5.1e-3, 0.3):
        # C_ii = 2 / (tilt^2 + tilt^-2) there, and 1 / (1 + weight * excess) wanted.
        tilt = np.exp(np.arccosh(1 + weight * excess) / 2)
        views = make_frame(num_examples, num_features, tilt)
        loss = barlow_twins_loss(*views, route=route, off_diagonal_weight=weight)
        minimum = barlow_twins_minimum(
            num_examples, num_features, off_diagonal_weight=weight
        )
        np.testing.assert_allclose(loss, minimum, rtol=1e-5)
    views = make_frame(9, 8, 1.0)  # as many features as can be uncorrelated
    assert 0 <= barlow_twins_loss(*views, route=route) < 1e-6


def test_barlow_twins_minimum_is_never_undercut():
    for shape in ((3, 40), (9, 16), (17, 8)):
        losses = jax.jit(jax.vmap(barlow_twins_loss))
        pairs = np.array([make_views(*shape, seed) for seed in range(50)])
        pairs[25:, 1] = pairs[25:, 0]  # half of the pairs agree perfectly
        lowest = losses(pairs[:, 0], pairs[:, 1]).min()
        assert lowest >= barlow_twins_minimum(*shape) * (1 - 1e-5)


def test_choose_barlow_twins_route_takes_fewer_flops_and_bytes():
    choose = choose_barlow_twins_route
    assert choose(256, 8192) == choose(2048, 8192) == choose(384, 512) == "gram"
    assert choose(2048, 2048) == choose(448, 512) == choose(64, 8) == "correlation"
    # One device makes but 5/8 of each Gram matrix.
    assert choose(1792, 2048) == "gram"
    assert choose(1792, 2048, num_devices=2) == "correlation"
    # Fewer flops by the D x D matrix, fewer bytes by the embeddings.
    assert choose(60, 64) == "correlation"
    assert choose(60, 64, num_devices=8) == "gram"
    assert describe_barlow_twins_cost(4096, 1024, num_devices=4) == (
        *("correlation", "all-reduce"),
        *(2 * 4 * 1024**2 * 3 // 4, 6 * 4096 * 1024**2 // 4),
    )
    alone = describe_barlow_twins_cost(256, 8192, num_devices=1)
    assert alone == ("gram", "none", 0, 8 * 256**2 * 8192)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("num_examples must be at least 2, got 1", (1, 8, 1)),
        ("num_features must be at least 1, got 0", (8, 0, 1)),
        ("num_devices must be at least 1, got 0", (8, 8, 0)),
    ],
)
def test_describe_barlow_twins_cost_names_small_numbers(name, call):
    with pytest.raises(ValueError, match=name):
        describe_barlow_twins_cost(*call[:2], num_devices=call[2])


@pytest.mark.parametrize(
    ("arguments", "weight"), [((1, 8), 0.1), ((8, 0), 0.1), ((8, 8), 1.5)]
)
def test_barlow_twins_minimum_names_numbers_out_of_range(arguments, weight):
    with pytest.raises(ValueError, match=f"barlow_twins_minimum: .*{weight}"):
        barlow_twins_minimum(*arguments, off_diagonal_weight=weight)
