import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.diagnose import (
    describe_field,
    expected_std,
    measure_effective_fields,
    stack_windows,
    trace_receptive_fields,
)
from jaxdl.layers import convolve, max_pool

KEY = jax.random.key(0)


def make_kernel(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_measure_effective_fields_of_a_convolution_is_its_squared_kernel():
    kernel = make_kernel(3, 5, 2, 1)
    maps = lambda images: {"conv": convolve(images, kernel, padding=(1, 2))}
    field = measure_effective_fields(maps, jnp.ones((1, 9, 9, 2)), key=KEY)["conv"]
    squares = np.square(np.asarray(kernel, np.float64)).sum((2, 3))
    expected = np.zeros((9, 9))
    expected[3:6, 2:7] = squares / squares.sum()
    np.testing.assert_allclose(field, expected, rtol=1e-5, atol=1e-9)


def test_measure_effective_fields_averages_over_channels():
    kernel = make_kernel(3, 3, 1, 3)
    images = jnp.ones((2000, 5, 5, 1))
    maps = lambda x: {"conv": convolve(x, kernel, padding=1)}
    field = measure_effective_fields(maps, images, key=KEY)["conv"]
    squares = np.square(np.asarray(kernel, np.float64)).sum((2, 3))
    np.testing.assert_allclose(field[1:4, 1:4], squares / squares.sum(), atol=0.02)


def test_measure_effective_fields_lies_in_the_theoretical_field():
    kernels = [make_kernel(3, 3, c, d) for c, d in ((3, 4), (4, 4), (4, 5))]

    def maps(images):
        x = jnp.tanh(convolve(images, kernels[0], padding=1, stride=2))
        y = jax.nn.relu(convolve(x, kernels[1], padding=2, dilation=2)) + x
        z = convolve(max_pool(y, window=3, stride=2, padding=1), kernels[2], padding=1)
        return {"first": x, "second": y, "third": z, "vector": z.mean((1, 2))}

    images = jax.random.normal(KEY, (8, 40, 40, 3))
    energies = measure_effective_fields(maps, images, key=KEY)
    assert list(energies) == ["first", "second", "third"]
    fields = trace_receptive_fields(maps, images)
    sides = {"first": 20, "second": 20, "third": 10}
    for name, energy in energies.items():
        np.testing.assert_allclose(energy.sum(), 1)
        down, _ = fields[name]
        first = int(down.start + sides[name] // 2 * down.jump)
        inside = slice(first, first + down.size)
        assert first > 0 and first + down.size < 40
        # The outermost pixels do count, so that the field is not too large either.
        assert (
            energy[first, inside].any() and energy[first + down.size - 1, inside].any()
        )
        energy[inside, inside] = 0
        assert not energy.any()


@pytest.mark.parametrize(("depth", "kernel"), [(8, 3), (3, 5)])
def test_measure_effective_fields_of_random_linear_layers_is_as_wide_as_predicted(
    depth, kernel
):
    side = depth * (kernel - 1) + 1
    kernels = [
        make_kernel(kernel, kernel, 2 if i == 0 else 24, 24, seed=i)
        for i in range(depth)
    ]

    def maps(images):
        for weights in kernels:
            images = convolve(images, weights, padding=kernel // 2)
        return {"last": images}

    images = jnp.ones((16, side, side, 2))
    field = measure_effective_fields(maps, images, key=KEY)["last"]
    middle = (side // 2) * 1.0
    found = describe_field(field, centre=(middle, middle))
    predicted = expected_std([(kernel, 1, kernel // 2)] * depth)
    assert predicted == pytest.approx(math.sqrt(depth * (kernel**2 - 1) / 12))
    assert found.std == pytest.approx(predicted, rel=0.1)
    # Luo et al. 2016: far narrower than what it could be.
    assert 2 * found.radius_95 < stack_windows([(kernel,)] * depth)[-1].size


def test_measure_effective_fields_takes_names_and_refuses_unknown_ones():
    maps = lambda x: {"a": x, "b": 2 * x}
    images = jnp.ones((1, 3, 3, 1))
    assert list(measure_effective_fields(maps, images, names=["b"], key=KEY)) == ["b"]
    with pytest.raises(ValueError, match="no map 'c' among a, b"):
        measure_effective_fields(maps, images, names=["c"], key=KEY)


def test_measure_effective_fields_survives_gradients_whose_squares_overflow():
    maps = lambda x: {"big": 1e25 * x, "small": 1e-25 * x}
    for field in measure_effective_fields(
        maps, jnp.ones((1, 3, 3, 1)), key=KEY
    ).values():
        np.testing.assert_allclose(field, np.diag([0, 1, 0]))


def test_measure_effective_fields_of_a_dead_unit_is_zero():
    maps = lambda x: {"dead": jax.nn.relu(x - 2)}
    field = measure_effective_fields(maps, jnp.ones((1, 3, 3, 1)), key=KEY)["dead"]
    assert not field.any()
    shape = describe_field(field, centre=(1.0, 1.0))
    assert math.isnan(shape.std) and math.isnan(shape.radius_95)


@pytest.mark.parametrize("std", [2.0, 6.0])
def test_describe_field_of_a_gaussian(std):
    place = np.arange(81) - 40.0
    profile = np.exp(-((place / std) ** 2) / 2)
    energy = np.outer(profile, profile)
    energy /= energy.sum()
    found = describe_field(energy, centre=(40.0, 40.0))
    assert found.std == pytest.approx(std, rel=1e-3)
    # The distance from the middle of a round Gaussian is Rayleigh distributed.
    for share, radius in ((0.68, found.radius_68), (0.95, found.radius_95)):
        assert radius == pytest.approx(
            std * math.sqrt(-2 * math.log(1 - share)), abs=0.5
        )


def test_expected_std_counts_strides_and_dilations():
    # Steps of -1, 0 or 1 pixel, then of 2 and, dilated by 3, of 6 pixels.
    steps = [np.array([-1, 0, 1]) * jump for jump in (1, 2, 6)]
    expected = math.sqrt(sum(step.var() for step in steps))
    found = expected_std([(3, 2, 1), (3, 1, 1), (3, 1, 3, 3)])
    assert found == pytest.approx(expected)
