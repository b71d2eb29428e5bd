import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy import stats

from jaxdl.layers import (
    INITIALIZERS,
    Conv,
    calculate_gain,
    fixed_normal,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    orthogonal,
    torch_uniform,
    torch_uniform_bias,
    truncated_normal,
    xavier_normal,
    xavier_uniform,
    zeros_bias,
)

# Fans of torch.nn.init._calculate_fan_in_and_fan_out for the weights (64, 32, 3, 3),
# (256, 8, 3, 3) (32 channels in 4 groups), (48, 32, 1, 7), (64, 1, 5, 5) (depthwise)
# and (64, 128) (dense), here with input and output last.
FANS = {
    (3, 3, 32, 64): (288, 576),
    (3, 3, 8, 256): (72, 2304),
    (1, 7, 32, 48): (224, 336),
    (5, 5, 1, 64): (25, 1600),
    (128, 64): (128, 64),
}
# A normal distribution cut at two of its standard deviations has this one.
CUT_STD = stats.truncnorm(-2, 2).std()
SHAPES = {
    "normal": stats.norm(),
    "uniform": stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)),
    "truncated": stats.truncnorm(-2, 2, scale=1 / CUT_STD),
}


KEY = jax.random.key(0, impl="rbg")  # compiles in a fraction of the time


def draw(initializer, shape):
    return np.ravel(initializer(KEY, shape)).astype(float)


def has_distribution(draws, *, std, form):
    """Kolmogorov-Smirnov; also tells a truncated normal from a whole one."""
    return bool(stats.kstest(draws / std, SHAPES[form].cdf).pvalue > 0.005)


@pytest.mark.parametrize("shape", FANS)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize(
    ("make", "form", "gain"),
    [
        (kaiming_normal, "normal", np.sqrt(2)),
        (kaiming_uniform, "uniform", np.sqrt(2)),
        (torch_uniform, "uniform", np.sqrt(1 / 3)),
    ],
)
def test_initializer_scales_by_the_fan_of_pytorch(make, form, gain, mode, shape):
    fan_in, fan_out = FANS[shape]
    fan, other = (fan_in, fan_out) if mode == "fan_in" else (fan_out, fan_in)
    draws = draw(make(mode=mode), shape)
    assert has_distribution(draws, std=gain / np.sqrt(fan), form=form)
    assert not has_distribution(draws, std=gain / np.sqrt(other), form=form)


IN, OUT = FANS[(3, 3, 32, 64)]


@pytest.mark.parametrize(
    ("name", "form", "std"),
    [
        ("kaiming_normal", "normal", np.sqrt(2 / OUT)),
        ("kaiming_normal_fan_in", "normal", np.sqrt(2 / IN)),
        ("kaiming_truncated_normal", "truncated", np.sqrt(2 / OUT)),
        ("kaiming_uniform", "uniform", np.sqrt(2 / OUT)),
        ("kaiming_uniform_fan_in", "uniform", np.sqrt(2 / IN)),
        ("xavier_normal", "normal", np.sqrt(2 / (IN + OUT))),
        ("xavier_truncated_normal", "truncated", np.sqrt(2 / (IN + OUT))),
        ("xavier_uniform", "uniform", np.sqrt(2 / (IN + OUT))),
        ("lecun_normal", "normal", np.sqrt(1 / IN)),
        ("lecun_truncated_normal", "truncated", np.sqrt(1 / IN)),
        ("lecun_uniform", "uniform", np.sqrt(1 / IN)),
        ("torch_uniform", "uniform", np.sqrt(1 / 3 / IN)),
        ("normal_0.01", "normal", 0.01),
        ("normal_0.05", "normal", 0.05),
    ],
)
def test_initializers_have_the_distribution_of_their_name(name, form, std):
    draws = draw(INITIALIZERS[name], (3, 3, 32, 64))
    assert has_distribution(draws, std=std, form=form)
    np.testing.assert_allclose(draws.std(), std, rtol=0.02)
    for other in set(SHAPES) - {form}:
        assert not has_distribution(draws, std=std, form=other)


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_initializers_give_the_shape_and_dtype_asked_for(name, dtype):
    draws = INITIALIZERS[name](KEY, (3, 1, 2, 4), dtype)
    assert draws.shape == (3, 1, 2, 4)
    assert draws.dtype == dtype
    assert draws.any() == (name != "zeros")


def test_initializers_follow_the_gain():
    for make in (kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform):
        shape, tripled = (16, 16), make(gain=3.0)
        np.testing.assert_allclose(
            draw(tripled, shape), 3 * draw(make(gain=1.0), shape), rtol=1e-5
        )


# torch.nn.init.calculate_gain, version 2.13.
@pytest.mark.parametrize(
    ("activation", "gain"),
    [
        ("linear", 1.0),
        ("identity", 1.0),
        ("sigmoid", 1.0),
        ("tanh", 1.6666666666666667),
        ("relu", 1.4142135623730951),
        ("leaky_relu", 1.4141428569978354),
        ("selu", 0.75),
    ],
)
def test_calculate_gain_equals_pytorch(activation, gain):
    np.testing.assert_allclose(calculate_gain(activation), gain, rtol=1e-12)


def test_calculate_gain_takes_the_slope():
    gain = calculate_gain("leaky_relu", negative_slope=0.2)
    np.testing.assert_allclose(gain, 1.3867504905630728, rtol=1e-12)


def test_calculate_gain_names_an_activation_without_one():
    with pytest.raises(ValueError, match="gain.*'gelu': choose linear, .*selu"):
        calculate_gain("gelu")


@pytest.mark.parametrize(
    ("std", "lower", "upper"), [(1.0, -2.0, 2.0), (1.0, -0.5, 1.0), (0.5, -2.0, 0.3)]
)
def test_truncated_normal_cuts_at_the_bounds_given(std, lower, upper):
    draws = draw(truncated_normal(std, lower=lower, upper=upper), (20_000,))
    assert lower <= draws.min() and draws.max() <= upper
    expected = stats.truncnorm(lower / std, upper / std, scale=std)
    assert stats.kstest(draws, expected.cdf).pvalue > 0.005


def test_truncated_normal_of_small_std_is_a_normal_without_outliers():
    # Bounds so far out that float32 has no mass beyond them: JAX's own function then
    # draws the bound itself, about once in ten million.
    initializer = truncated_normal(0.01)
    draws = initializer(jax.random.key(1), (20_000_000,))
    assert 0.045 < float(jnp.abs(draws).max()) < 0.06
    assert has_distribution(np.asarray(draws[:20_000]), std=0.01, form="normal")


@pytest.mark.parametrize(
    "shape", [(3, 3, 4, 8), (16, 4), (8, 8), (4, 16), (1, 2, 3, 9)]
)
def test_orthogonal_kernels_have_orthogonal_features(shape):
    kernel = orthogonal(gain=2.0)(KEY, shape)
    matrix = np.asarray(kernel, float).reshape(-1, shape[-1])
    if len(matrix) < shape[-1]:
        matrix = matrix.T
    products = matrix.T @ matrix
    np.testing.assert_allclose(products, 4 * np.eye(len(products)), atol=1e-5)


def test_torch_uniform_bias_stays_within_one_over_root_fan_in():
    draws = draw(torch_uniform_bias(64), (5000,))
    assert stats.kstest(draws, "uniform", args=(-1 / 8, 1 / 4)).pvalue > 0.005
    assert not draw(zeros_bias(64), (5,)).any()


def test_initializers_of_the_same_arguments_are_the_same():
    # Otherwise equal modules would differ, and jit would compile each anew.
    assert kaiming_normal(mode="fan_in") is INITIALIZERS["kaiming_normal_fan_in"]
    assert lecun_normal(truncated=True) is INITIALIZERS["lecun_truncated_normal"]
    assert fixed_normal(0.01) is INITIALIZERS["normal_0.01"]
    conv = Conv(2, 3, kernel_init=kaiming_normal(gain=2.0))
    assert conv == Conv(2, 3, kernel_init=kaiming_normal(gain=2.0))
    assert hash(conv) == hash(Conv(2, 3, kernel_init=kaiming_normal(gain=2.0)))
    assert conv != Conv(2, 3)
    distinct = {id(initializer) for initializer in INITIALIZERS.values()}
    assert len(distinct) == len(INITIALIZERS)


@pytest.mark.parametrize("make", [kaiming_normal, kaiming_uniform, torch_uniform])
def test_initializer_names_a_bad_mode(make, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    with pytest.raises(ValueError, match=f"{make.__name__}: mode.*'fan_avg'"):
        make(mode="fan_avg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"std": 0.0}, "std=0.0"),
        ({"std": 1.0, "lower": 0.5}, "lower=0.5, upper=2.0"),
        ({"std": 1.0, "upper": -1.0}, "lower=-2.0, upper=-1.0"),
    ],
)
def test_truncated_normal_names_a_number_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        truncated_normal(**options)


def test_fixed_normal_names_a_bad_std():
    with pytest.raises(ValueError, match="std must be above 0, got -1.0"):
        fixed_normal(-1.0)
